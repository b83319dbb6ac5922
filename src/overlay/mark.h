/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whiteouts and the marks that an overlay keeps in extended attributes. Formats:
 * Linux Documentation/filesystems/overlayfs.rst (char device 0:0, opaque
 * "y", xattr whiteouts in a directory marked "x", the "impure" mark), the AUFS form
 * of container images (.wh.NAME, .wh..wh..opq; OCI image-spec layer.md), and
 * fuse-overlayfs's user.fuseoverlayfs.opaque. All are read, in every layer that may
 * hold whiteouts; what is written is the first, or AUFS's where no device
 * node can be made.
 *
 * Our own mark "overlay.git-overlayfs.ino" keeps the inode number that an object had
 * before it was copied up, unless it is a directory: 16 hex digits.
 */
#pragma once

#include "overlay/upper.h"

#define MARK_OPAQUE	"opaque"
#define MARK_IMPURE	"impure"
#define MARK_OWN_IMPURE "git-overlayfs.impure"
#define MARK_WHITEOUT	"whiteout"
#define MARK_REDIRECT	"redirect"
#define MARK_PROTECTION "protattr"
#define MARK_INO	"git-overlayfs.ino"
#define MARK_DEVICE	"git-overlayfs.device"
#define MARK_ROOT	"git-overlayfs.root" /* the root has taken its attributes */

enum opaque_state {
	OPAQUE_NO,
	OPAQUE_YES,
	OPAQUE_XATTR_WHITEOUTS, /* "x": not opaque, but has whiteouts in xattr form */
};

/*
 * A character device 0:0 that the container made would be a whiteout. An empty file with our mark
 * "device" stands for it, in a directory that is marked impure, so that others need not be
 * asked. Other overlays show the empty file.
 */
static inline bool is_whiteout_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static inline bool may_stand_in(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size == 0;
}

/* Gives the attributes of a file that stands for a device those of the device. */
void stand_in_attributes(mode_t type, struct stat *st);
/* 1, 0 or -errno. */
int lower_stands_in(const struct lower_ref *ref, const struct stat *st);
int upper_stands_in(struct overlay *ov, int fd, const struct stat *st);
/* The same for a name of a directory. */
int upper_name_stands_in(struct overlay *ov, int dir_fd, const char *name, const struct stat *st);

/* Which marks an object has, in whatever prefix: asked once, so that most need no second look. */
struct mark_set {
	bool opaque, impure, redirect;
};

/* --- lower layers --- */
/* Whether the object is a whiteout in native or xattr form. 1, 0 or -errno. */
int lower_is_whiteout(
	const struct lower_ref *parent, const struct lower_ref *ref, const struct stat *st);
int lower_marks(const struct lower_ref *ref, struct mark_set *ret_marks);
/* Reads a mark of any prefix; its length, 0 when it does not fit, or -ENODATA. */
ssize_t lower_get_mark(const struct lower_ref *ref, const char *mark, char *buf, size_t size);
/* An enum opaque_state or -errno. */
int lower_opaque_state(const struct lower_ref *dir, const struct mark_set *marks);
/* Whether .wh.NAME stands in the directory. 1, 0 or -errno. */
int lower_has_aufs_whiteout(const struct lower_ref *dir, const char *name);

/* --- the upper; dir_fd is the upper directory --- */
int upper_is_whiteout(struct overlay *ov, int dir_fd, const char *name, const struct stat *st);
int upper_marks(int fd, struct mark_set *ret_marks);
int upper_opaque_state(struct overlay *ov, int dir_fd, const struct mark_set *marks);
int upper_has_aufs_whiteout(struct overlay *ov, int dir_fd, const char *name);
/* Reads a mark of any prefix; its length, 0 when it does not fit, or -ENODATA. */
ssize_t upper_get_mark(struct overlay *ov, int fd, const char *mark, char *buf, size_t size);
int upper_set_mark(struct overlay *ov, int fd, const char *mark, const char *value);
/* Reads one of the prefix that is written: as above, and -ENODATA where none can be had. */
ssize_t upper_own_mark(struct overlay *ov, int fd, const char *mark, char *buf, size_t size);
int upper_remove_mark(struct overlay *ov, int fd, const char *mark); /* idempotent */
/* Trusted attributes can be on everything, user ones only on files and directories. */
bool upper_marks_every_type(const struct overlay *ov);
/* The inode number from before a copy-up: 0, or -ENODATA without one, -EACCES where none can be
 * read. */
int upper_origin_ino(struct overlay *ov, int fd, uint64_t *ret_ino);
int upper_set_origin_ino(struct overlay *ov, int fd, uint64_t ino);
/* Makes an upper directory opaque. */
int upper_set_opaque(struct overlay *ov, int dir_fd);
/*
 * Marks a directory whose entries do not all have inode numbers of their own, before the first
 * of them appears.
 */
int upper_mark_impure(struct overlay *ov, struct node *dir, int dir_fd);
/* The same, but no error where attributes cannot be had: only listings lack it then. */
int upper_set_impure(struct overlay *ov, struct node *dir, int dir_fd);

/* ".wh.NAME"; false when that is too long for a name. */
bool aufs_whiteout_name(char whiteout[NAME_MAX + 1], const char *name);

/* --- making whiteouts (whiteout.c) --- */
/* Finds out whether a device node 0:0 can be made here: where not, they are .wh. files. */
int whiteout_prepare(struct overlay *ov);
/* A whiteout under this name, which is free. Atomic. */
int whiteout_create(struct overlay *ov, int dir_fd, const char *name);
/* The native form. */
int whiteout_make_device(struct overlay *ov, int dir_fd, const char *name);
/*
 * Takes back a .wh.NAME that whiteout_create() has just put beside an object, which stays after
 * all: it would show as one that is not below. A whiteout in native form stands alone.
 */
void whiteout_undo(struct overlay *ov, int dir_fd, const char *name);

/* --- extended attributes as the container names them --- */
/* The name on disk of `name`: -ENODATA where it would be a mark. */
#define XATTR_NAME_SIZE 512
int xattr_to_disk(const char *name, char ret_disk_name[XATTR_NAME_SIZE]);
/* The name to show for one on disk; NULL for a mark, which is hidden. */
const char *xattr_from_disk(const char *disk_name, char buf[XATTR_NAME_SIZE]);
