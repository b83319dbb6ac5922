/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host/source-read.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fully.h"

void source_dir_init(struct source_dir *dir)
{
	*dir = (struct source_dir){.fd = -1};
}

void source_dir_release(struct source_dir *dir)
{
	close_keep_errno(dir->fd);
	cleanup_freep(&dir->path);
	source_dir_init(dir);
}

/* Where the kernel says that `fd` lies: what was opened, whatever names led to it. */
static int path_of_fd(int fd, char **ret_path)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	if ((size_t)n >= sizeof(path) - 1)
		return -ENAMETOOLONG;
	path[n] = '\0';
	if (path[0] != '/')
		return -ENOENT;
	*ret_path = strdup(path);
	return *ret_path ? 0 : -ENOMEM;
}

int source_dir_adopt(int fd, struct source_dir *ret_dir)
{
	struct stat st;
	char *path;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	r = path_of_fd(fd, &path);
	if (r)
		return r;
	*ret_dir = (struct source_dir){.fd = fd, .path = path, .uid = st.st_uid, .gid = st.st_gid};
	return 0;
}

int source_dir_open(int dirfd, const char *path, struct source_dir *ret_dir)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = source_dir_adopt(fd, ret_dir);
	if (!r)
		steal_fd(&fd);
	return r;
}

int source_read_text(int dirfd, const char *path, char **ret_text, size_t *ret_length)
{
	/* O_NONBLOCK: a repository may hold a FIFO of this name. */
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	text = malloc(SOURCE_TEXT_MAX + 1);
	if (!text)
		return -ENOMEM;
	n = read_fully(fd, text, SOURCE_TEXT_MAX + 1);
	if (n < 0 || n > SOURCE_TEXT_MAX)
		return n < 0 ? (int)n : -EFBIG;
	text[n] = '\0';
	*ret_length = (size_t)n;
	*ret_text = steal_ptr(&text);
	return 0;
}
