/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "changes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"

/* Each holds a descriptor and some stack; a tree that is deeper was made to be. */
#define DEPTH_MAX 256

struct walk {
	struct changes *changes;
	int error; /* the first, -errno */
};

static void note(struct walk *walk, int error)
{
	if (!walk->error && error != ENOENT)
		walk->error = -error;
}

static void count(struct changes *changes, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		changes->directories++;
	else if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0))
		changes->removed++;
	else
		changes->files++;
	/* 512 bytes each; a name of several counts for each, as long as it is one file's. */
	changes->bytes += (uint64_t)st->st_blocks * 512 / (st->st_nlink > 0 ? st->st_nlink : 1);
}

static void walk_directory(struct walk *walk, int parent_fd, const char *name, unsigned depth);

static void visit(struct walk *walk, int fd, const char *name, unsigned depth)
{
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		note(walk, errno);
		return;
	}
	/* A directory's links are its subdirectories. */
	if (S_ISDIR(st.st_mode))
		st.st_nlink = 1;
	count(walk->changes, &st);
	if (S_ISDIR(st.st_mode))
		walk_directory(walk, fd, name, depth + 1);
}

static void walk_directory(struct walk *walk, int parent_fd, const char *name, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int fd;

	if (depth > DEPTH_MAX) {
		note(walk, ELOOP);
		return;
	}
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		note(walk, errno);
		close_keep_errno(fd);
		return;
	}
	while ((errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			visit(walk, fd, entry->d_name, depth);
	if (errno)
		note(walk, errno);
}

int changes_count(const char *upper, struct changes *ret_changes, struct error *err)
{
	struct changes changes = {0};
	struct walk walk = {.changes = &changes};

	walk_directory(&walk, AT_FDCWD, upper, 0);
	if (walk.error)
		return error_set_errno(err, -walk.error, EXIT_STATUS_FAILED, "%s", upper);
	*ret_changes = changes;
	return 0;
}
