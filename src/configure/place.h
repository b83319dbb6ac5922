/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A configuration file below a root directory: found through symlinks that never lead out of the
 * root, read whole, and replaced in one step. The root may be an image that others wrote.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <limits.h>
#include <sys/stat.h>

#include <git-overlayfs/error.h>

#define PLACE_SIZE_MAX (1 << 20)
#define PLACE_BACKUP   ".git-overlayfs-backup"

struct place {
	int root_fd;	     /* borrowed */
	char path[PATH_MAX]; /* in the root, absolute, the file's own after its symlinks */
	int dir_fd;	     /* -1: the directory is not there either */
	const char *name;    /* within path */
	bool exists;
	struct stat st; /* never a symlink's; st_mode 0: there never was a file */
	char *text;	/* ended by NUL; NULL: there is no file */
	size_t size;
};

/* A file that is not there is no error. Ends with place_release(), also after a failure. */
int place_open(int root_fd, const char *path, struct place *ret_place, struct error *err);
void place_release(struct place *place);

/* The text of the backup beside it: 1, and the caller frees it; 0: there is none. */
int place_read_backup(
	const struct place *place, char **ret_text, size_t *ret_size, struct error *err);
/* Writes the text to the file's backup, unless there is one. 1: it was made. */
int place_make_backup(const struct place *place, const char *text, size_t size, struct error *err);
int place_remove_backup(const struct place *place, struct error *err);

/*
 * Replaces the file, keeping mode and owner, or makes it (0644) with its directories; text NULL
 * removes it. -EBUSY: it is no longer what was read. What was written is `place` then, so that the
 * same call can undo it.
 */
int place_replace(struct place *place, const char *text, size_t size, struct error *err);

/* Whether something is there, symlinks followed within the root. */
bool place_exists(int root_fd, const char *path);

/* Calls fn with the path of each entry of a directory, sorted by name; no directory: none. */
int place_each(int root_fd, const char *dir,
	int (*fn)(void *ctx, const char *path, struct error *err), void *ctx, struct error *err);
