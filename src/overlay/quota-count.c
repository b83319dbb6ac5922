/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the upper takes up at the start: one walk through it, and never again. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/log.h>

#include "overlay/call.h"
#include "overlay/mark.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

/* A directory whose subdirectories wait. A container decides how deep a tree is. */
struct level {
	struct level *above;
	char **names;
	size_t count, done, space;
};

struct walk {
	struct quota *quota;
	struct overlay *ov;
	struct level *top;
	int dir_fd; /* of `top`, as the next */
	bool has_xattr_whiteouts;
};

static void level_free(struct level *level)
{
	for (size_t i = level->done; i < level->count; i++)
		free(level->names[i]);
	free(level->names);
	free(level);
}

static int remember(struct level *level, const char *name)
{
	if (level->count == level->space) {
		size_t space = level->space ? 2 * level->space : 16;
		char **names = reallocarray(level->names, space, sizeof(*names));

		if (!names)
			return -ENOMEM;
		level->names = names;
		level->space = space;
	}
	level->names[level->count] = strdup(name);
	return level->names[level->count++] ? 0 : -ENOMEM;
}

static int is_whiteout(struct walk *walk, const char *name, const struct stat *st)
{
	if (walk->ov->aufs_whiteouts && !strncmp(name, WHITEOUT_PREFIX, WHITEOUT_PREFIX_LEN))
		return 1;
	/* The directory says whether to look at the attributes of all its empty files. */
	if (S_ISREG(st->st_mode) && !walk->has_xattr_whiteouts)
		return 0;
	return upper_is_whiteout(walk->ov, walk->dir_fd, name, st);
}

static int count_entry(struct walk *walk, const char *name)
{
	struct stat st;
	int r = call_fstatat(walk->dir_fd, name, &st);

	if (r == 0)
		r = is_whiteout(walk, name, &st);
	if (r != 0)
		return r < 0 ? r : 0;
	r = quota_found(walk->quota, &st);
	return r == 0 && S_ISDIR(st.st_mode) ? remember(walk->top, name) : r;
}

static int count_entries(struct walk *walk)
{
	_cleanup_closedir_ DIR *stream = NULL;
	struct dirent *entry;
	struct mark_set marks;
	int r = upper_marks(walk->dir_fd, &marks);

	if (r == 0)
		r = upper_opaque_state(walk->ov, walk->dir_fd, &marks);
	if (r < 0)
		return r;
	walk->has_xattr_whiteouts = r == OPAQUE_XATTR_WHITEOUTS;
	r = call_opendir(walk->dir_fd, &stream);
	/* A daemon without rights over other people's directories cannot count what is in them. */
	if (r == -EACCES) {
		log_warning("size= and inodes=: a directory of the upper cannot be read, and what "
			    "is in it is not counted");
		return 0;
	}
	while (r == 0 && (r = call_readdir(stream, &entry)) > 0) {
		r = 0;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = count_entry(walk, entry->d_name);
	}
	return r;
}

static int move_to(struct walk *walk, const char *name)
{
	int fd = call_openat(walk->dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);

	if (fd < 0)
		return fd;
	close_keep_errno(walk->dir_fd);
	walk->dir_fd = fd;
	return 0;
}

static int push(struct walk *walk)
{
	struct level *level = calloc(1, sizeof(*level));

	if (!level)
		return -ENOMEM;
	level->above = walk->top;
	walk->top = level;
	return count_entries(walk);
}

static void pop(struct walk *walk)
{
	struct level *level = walk->top;

	walk->top = level->above;
	level_free(level);
}

/* The next subdirectory, or up again. */
static int step(struct walk *walk)
{
	struct level *level = walk->top;
	_cleanup_free_ char *name = NULL;
	int r;

	if (level->done < level->count) {
		name = level->names[level->done++];
		r = move_to(walk, name);
		return r == 0 ? push(walk) : r;
	}
	pop(walk);
	return walk->top ? move_to(walk, "..") : 0;
}

int quota_count(struct quota *quota, struct overlay *ov)
{
	struct walk walk = {.quota = quota, .ov = ov, .dir_fd = -1};
	struct stat st;
	int r;

	if (!quota)
		return 0;
	r = call_fstat(ov->upper_fd, &st);
	if (r == 0)
		r = quota_found(quota, &st);
	if (r < 0)
		return r;
	walk.dir_fd = call_dup(ov->upper_fd);
	r = walk.dir_fd < 0 ? walk.dir_fd : push(&walk);
	while (r == 0 && walk.top)
		r = step(&walk);
	while (walk.top)
		pop(&walk);
	close_keep_errno(walk.dir_fd);
	return r;
}
