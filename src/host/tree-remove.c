/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

/*
 * A tree may be deeper than there are descriptors and stack. What lies below this depth
 * is moved up into the top directory and removed from there.
 */
#define DEPTH_MAX 32

struct remover {
	int top_fd;
	unsigned moved; /* how many directories were moved up */
	int error;	/* the first, -errno */
};

static void note(struct remover *remover, int error)
{
	if (!remover->error)
		remover->error = -error;
}

/* Opens a directory so that its entries can be removed. */
static int open_for_removal(int parent_fd, const char *name)
{
	_cleanup_close_ int path_fd = -1;
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char link[64];
	struct stat st;

	if (fd < 0 && errno == EACCES) {
		path_fd = openat(parent_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (path_fd < 0)
			return -errno;
		snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
		if (chmod(link, 0700) < 0)
			return -errno;
		fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	/* Who may remove without it need not be the owner; the removal itself will tell. */
	if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700 && fchmod(fd, 0700) < 0)
		errno = 0;
	return fd;
}

static void remove_entries(struct remover *remover, int fd, unsigned depth);

static void remove_directory(
	struct remover *remover, int parent_fd, const char *name, unsigned depth)
{
	char moved[32];
	int fd;

	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return;
	fd = open_for_removal(parent_fd, name);
	if (fd < 0) {
		note(remover, -fd);
		return;
	}
	if (depth < DEPTH_MAX) {
		remove_entries(remover, fd, depth + 1);
		if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			note(remover, errno);
		return;
	}
	close(fd);
	snprintf(moved, sizeof(moved), ".git-overlayfs-%u", remover->moved++);
	if (renameat2(parent_fd, name, remover->top_fd, moved, RENAME_NOREPLACE) < 0)
		note(remover, errno);
}

/* Takes `fd` over. */
static void remove_entries(struct remover *remover, int fd, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		note(remover, errno);
		close(fd);
		return;
	}
	while ((errno = 0, entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno == EISDIR || errno == EPERM)
			remove_directory(remover, fd, entry->d_name, depth);
		else
			note(remover, errno);
	}
	if (errno)
		note(remover, errno);
}

int tree_remove(int parent_fd, const char *name)
{
	struct remover remover = {.top_fd = -1};
	unsigned moved_before;

	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno == ENOENT)
		return 0;
	if (errno == ENOTDIR)
		return unlinkat(parent_fd, name, 0) < 0 ? -errno : 0;
	remover.top_fd = open_for_removal(parent_fd, name);
	if (remover.top_fd < 0)
		return remover.top_fd;
	do {
		int fd = openat(remover.top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		moved_before = remover.moved;
		if (fd < 0)
			note(&remover, errno);
		else
			remove_entries(&remover, fd, 0);
		/* Names of a pass that failed must not make the next one go on for ever. */
	} while (remover.moved != moved_before && !remover.error);
	close(remover.top_fd);
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		note(&remover, errno);
	return remover.error;
}
