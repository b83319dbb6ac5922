/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "contract.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static char root_path[] = "contract-dir-XXXXXX";

static void make_file(int root, const struct fixture_entry *entry, const char *content)
{
	int fd = openat(root, entry->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, entry->size), entry->size);
	close(fd);
}

static void make(int root, const struct fixture_entry *entry)
{
	char *content = fixture_content(entry);
	int r = 0;

	if (entry->link_to)
		r = linkat(root, entry->link_to, root, entry->path, 0);
	else if (S_ISDIR(entry->mode))
		r = mkdirat(root, entry->path, 0700);
	else if (S_ISLNK(entry->mode))
		r = symlinkat(content, root, entry->path);
	else if (S_ISFIFO(entry->mode))
		r = mkfifoat(root, entry->path, 0600);
	else
		make_file(root, entry, content);
	if (r < 0)
		fail_msg("%s: %s", entry->path, strerror(errno));
	free(content);
}

/* From the last to the first, for a directory's mtime changes with its entries. */
static void set_attributes(struct backend *self, int root, const struct fixture_entry *entry)
{
	struct timespec times[2] = {{.tv_sec = fixture_mtime(entry)}};

	times[1] = times[0];
	if (self->flags & HAS_OWNERS)
		assert_int_equal(
			fchownat(root, entry->path, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW),
			0);
	if (!S_ISLNK(entry->mode))
		assert_int_equal(fchmodat(root, entry->path, entry->mode & 07777, 0), 0);
	assert_int_equal(utimensat(root, entry->path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void set_xattrs(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root_path, fixture_xattr_path);
	for (size_t i = 0; i < fixture_xattr_count; i++)
		if (setxattr(path, fixture_xattrs[i].name, fixture_xattrs[i].value,
			    fixture_xattrs[i].length, 0) < 0)
			fail_msg("setxattr in %s: %s (run this on a file system with user.*)", path,
				strerror(errno));
}

static void build(struct backend *self, const struct fixture *fixture)
{
	int root;

	assert_non_null(mkdtemp(root_path));
	root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	for (size_t i = 0; i < fixture->count; i++)
		make(root, &fixture->entries[i]);
	set_xattrs();
	for (size_t i = fixture->count; i-- > 0;)
		if (!fixture->entries[i].link_to)
			set_attributes(self, root, &fixture->entries[i]);
	self->config.root_fd = root;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void destroy(struct backend *self)
{
	close(self->config.root_fd);
	nftw(root_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct backend dir_backend = {
	.kind = "dir",
	.flags = HAS_OWNERS | HAS_XATTRS | HAS_SPECIAL | HAS_LINKS | HAS_MODES | HAS_TIMES |
		 HAS_OWN_NODES,
	.build = build,
	.destroy = destroy,
	.config = {.kind = "dir", .root_fd = -1, .scratch_fd = -1},
};
