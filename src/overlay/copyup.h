/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copy-up: making a lower object exist in the upper before it changes, with all of
 * its metadata. It is staged in the work directory, where nobody sees it,
 * and published by one link or rename.
 */
#pragma once

#include "overlay/upper.h"

#define COPYUP_ALL UINT64_MAX
/* The same of a directory in which a name is to go: no bound of the upper stops that. */
#define COPYUP_FOR_REMOVAL (UINT64_MAX - 1)

/*
 * Copies a node up, its directories first; 0 at once when it is in the upper already. Of a
 * file the first `size` bytes: COPYUP_ALL, or fewer where the rest is about to be
 * truncated. A hard link of a layer appears in the upper under all of its names that are known.
 * No directory may be held. -EROFS without an upper, -EOVERFLOW when the owner is
 * not mapped.
 */
int copyup_node(struct overlay *ov, struct node *node, uint64_t size);
/*
 * The extended attributes of a layer's object, onto one that is being made; marks stay behind. 1
 * where an ACL was among them, which sets the mode, else 0.
 */
int copy_xattrs(struct overlay *ov, const struct lower_ref *lower, int fd);

/* --- the steps that creating an object shares (stage.c) --- */
/*
 * A staged object: under a temporary name in the work directory. For a regular file
 * `fd` is open for reading and writing, else it is O_PATH.
 */
struct staged {
	char name[TEMP_NAME_MAX + 2]; /* "#1", or "#1/o" in a directory that lends it an ACL */
	char dir[TEMP_NAME_MAX];      /* that directory, "" without one */
	int fd;
	bool has_mode; /* the permissions that it is to have at the end */
};

/*
 * Makes an empty object of the type and device in *st, private to us. Where nothing forbids it has
 * the mode from the beginning. `target`: of a symlink.
 */
int stage_object(
	struct overlay *ov, const struct stat *st, const char *target, struct staged *ret_staged);
/*
 * The same with the mode of *st and the default ACL of a directory, which must be there when the
 * object is made: the mode is final.
 */
int stage_with_acl(
	struct overlay *ov, const struct stat *st, int acl_dir_fd, struct staged *ret_staged);
/* Removes what was not published; idempotent. */
void stage_discard(struct overlay *ov, struct staged *staged);
/*
 * Moves it to its place, with the flags of renameat2(2). A daemon without rights over other
 * people's directories cannot move one that its mode forbids writing to: the mode is lifted
 * meanwhile. With success the staged name is what RENAME_EXCHANGE brought, else gone.
 */
int stage_publish(
	struct overlay *ov, struct staged *staged, int dir_fd, const char *name, unsigned flags);
/* Gives it to somebody (storage ids, -1: stays), unless it is theirs. */
int stage_owner(struct overlay *ov, const struct staged *staged, uint32_t uid, uint32_t gid);
/* Mode and times of *st; the owner comes before them. */
int stage_mode_and_times(struct staged *staged, const struct stat *st);
/* Owner, mode and times of *st (storage ids), in the order that keeps them. */
int stage_attributes(struct staged *staged, const struct stat *st);
