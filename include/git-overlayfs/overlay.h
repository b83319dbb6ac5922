/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The overlay: any number of lower layers and one writable upper directory,
 * seen as one tree with the semantics of the kernel's overlayfs
 * (index=off, metacopy=off), plus coherence: a descriptor opened before a
 * copy-up sees what is written after it. It knows nothing of FUSE; src/fuse
 * translates, and unit tests call it directly.
 *
 * Objects are named by node ids: small integers from a table, 1 is the root.
 * overlay_lookup and every call that creates an entry hand out one reference
 * to the node (the kernel's nlookup); overlay_forget gives them back.
 *
 * All functions may be called from any thread. They return 0 or a count, or
 * -errno, and the errno is the one that the system call on a native file
 * system would give. Permission checks are the caller's (the kernel's
 * default_permissions); the overlay acts with the daemon's rights. Uids and gids
 * in arguments and results are container ids.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/idmap.h>
#include <git-overlayfs/layer.h>
#include <git-overlayfs/overlay-file.h>

#define OVERLAY_ROOT_ID	   1u
#define OVERLAY_LAYERS_MAX 500

struct overlay;

/* Renaming a directory that a lower layer has, as redirect_dir= of the kernel's overlayfs. */
enum overlay_redirect {
	OVERLAY_REDIRECT_ON,
	OVERLAY_REDIRECT_FOLLOW,   /* -EXDEV; marks that are there already are followed */
	OVERLAY_REDIRECT_NOFOLLOW, /* -EXDEV, and no mark is followed */
};

struct overlay_config {
	/* Topmost first. The overlay takes the layers over, also on failure. */
	struct layer **layers;
	size_t layer_count;
	const struct idmap *ids; /* borrowed, must outlive the overlay */
	/*
	 * Directories on one mount of one file system, O_PATH will do; the
	 * overlay duplicates them. -1: a read-only overlay. `work_fd` must be
	 * empty or left by an overlay; leftovers of a crash are removed from it.
	 */
	int upper_fd;
	int work_fd;
	/* Write and read "trusted.overlay." marks; else "user.overlay." is written. */
	bool trusted_xattrs;
	/*
	 * Whiteouts of the upper in AUFS form (".wh.NAME"): read besides the
	 * native form, and written where device nodes cannot be made. Names
	 * that begin with ".wh." are then reserved. For podman's storage.
	 */
	bool aufs_whiteouts;
	bool is_volatile; /* never fsync */
	/* Directories have a link count of 1 ("unknown"): theirs are not counted. */
	bool static_nlink;
	/*
	 * How many bytes of blocks and how many inodes the upper may hold, what is there already
	 * and directories counted, whiteouts not. Past them -ENOSPC. 0: no bound.
	 */
	uint64_t max_bytes, max_inodes;
	enum overlay_redirect redirect_dir;
	bool no_acls; /* do not show POSIX ACLs */
	/*
	 * Who opens files for a while, as requests need them, must not be refused. An object in use
	 * keeps its last name (-ENFILE) where without it, it would hold one of the last so many
	 * descriptors; a directory may take a quarter of these. 0: it is who opens one file more
	 * that is refused.
	 */
	size_t spare_files;
	/*
	 * The upper was made for this overlay: its root takes owner, mode and times of the
	 * topmost layer's, once. An upper that somebody gave keeps its own.
	 */
	bool adopts_root;
};

/* Who asks. */
struct overlay_caller {
	uint32_t uid;
	uint32_t gid;
	pid_t pid;
	mode_t umask;
};

/* What a lookup tells: as long as the entry is there, the node id stands for it. */
struct overlay_entry {
	uint64_t node;
	uint64_t generation; /* (node, generation) is unique for the life of the overlay */
	struct stat st;
	/*
	 * The object is there and can be removed, but overlay_getattr() fails with -EIO: st holds
	 * its type and number alone, and is not to be kept.
	 */
	bool is_unreadable;
};

int overlay_new(const struct overlay_config *config, struct overlay **ret_ov, struct error *err);
void overlay_free(struct overlay *ov); /* NULL is fine; no other call may be running */

bool overlay_is_read_only(const struct overlay *ov);
/*
 * Whether POSIX ACLs show, as system.posix_acl_*, with container ids: the caller then enforces
 * them. False where the upper can hold none, or ids are squashed.
 */
bool overlay_has_acls(const struct overlay *ov);

/*
 * A volatile overlay marks its work directory as the kernel's does, from the first request until
 * it ends in order: overlay_new() refuses one that is marked (with `aufs_whiteouts` it warns).
 * Both do nothing for any other overlay.
 */
int overlay_begin_volatile(struct overlay *ov);
void overlay_end_volatile(struct overlay *ov);

/* All that was changed reaches the disk, unless the overlay is volatile. */
int overlay_sync(struct overlay *ov);

/* --- names and nodes --- */
int overlay_lookup(
	struct overlay *ov, uint64_t parent, const char *name, struct overlay_entry *ret_entry);
/* True when no reference of the caller is left. */
bool overlay_forget(struct overlay *ov, uint64_t node, uint64_t count);

/*
 * The table of nodes can be rebuilt after its process died: `fn` gets every
 * name that is known, parents before children, and overlay_restore_node() binds
 * a name to its old id in a fresh overlay, with `references` references.
 * -ENOENT when the name has gone meanwhile, -EEXIST when the id is taken.
 */
typedef int (*overlay_node_fn)(
	void *ctx, uint64_t node, uint64_t parent, const char *name, uint64_t references);
int overlay_for_each_node(struct overlay *ov, overlay_node_fn fn, void *ctx);
int overlay_restore_node(
	struct overlay *ov, uint64_t node, uint64_t parent, const char *name, uint64_t references);

/* --- metadata --- */
/* `file` may be NULL; with one, an unlinked object still answers. */
int overlay_getattr(
	struct overlay *ov, uint64_t node, struct overlay_file *file, struct stat *ret_st);

/* When it was made, or -ENODATA. A copy-up is a birth, as in overlayfs. */
int overlay_get_btime(struct overlay *ov, uint64_t node, struct timespec *ret_btime);

enum overlay_set {
	OVERLAY_SET_MODE = 1 << 0,
	OVERLAY_SET_UID = 1 << 1,
	OVERLAY_SET_GID = 1 << 2,
	OVERLAY_SET_SIZE = 1 << 3,
	OVERLAY_SET_ATIME = 1 << 4, /* st_atim, tv_nsec may be UTIME_NOW */
	OVERLAY_SET_MTIME = 1 << 5,
	/* Set-id bits go, as they do when somebody without CAP_FSETID changes the file. */
	OVERLAY_KILL_SET_ID = 1 << 6,
	OVERLAY_BY_ROOT = 1 << 7,  /* who may have CAP_FSETID */
	OVERLAY_BY_CHOWN = 1 << 8, /* certainly; else what sets nothing may be that, too */
	/*
	 * The kernel keeps size and mtime of regular files, because it collects what is written:
	 * mtime moves where it says so. OVERLAY_IS_FLUSH: mtime of an open file, as it kept it.
	 */
	OVERLAY_KEPT_TIMES = 1 << 9,
	OVERLAY_IS_FLUSH = 1 << 10,
	/*
	 * Nobody tells who has it open for writing: what sets nothing leaves set-id bits of others'
	 * files to overlay_kill_announced().
	 */
	OVERLAY_OPENS_UNKNOWN = 1 << 11,
};

/*
 * `set` is a mask of enum overlay_set; values are taken from *st. What sets nothing moves the time
 * of the last change. With OVERLAY_KILL_SET_ID it is the kernel's word that somebody is about to
 * write, or chown(2) to nobody: st_uid and st_gid are his. While nobody has the file open for
 * writing it is -EPERM for who has no right to take set-id bits that there are.
 */
int overlay_setattr(struct overlay *ov, uint64_t node, struct overlay_file *file,
	const struct stat *st, unsigned set, struct stat *ret_st);
/* Not terminated; returns the length, at most `size`. */
ssize_t overlay_readlink(struct overlay *ov, uint64_t node, char *buf, size_t size);
int overlay_statfs(struct overlay *ov, struct statvfs *ret_st);

ssize_t overlay_getxattr(
	struct overlay *ov, uint64_t node, const char *name, void *buf, size_t size);
/* Trusted attributes are listed for uid 0 alone, as a native file system lists them for its rights.
 */
ssize_t overlay_listxattr(struct overlay *ov, const struct overlay_caller *caller, uint64_t node,
	char *buf, size_t size);
/* `flags` as setxattr(2). */
#define OVERLAY_XATTR_KILL_SGID (1 << 16) /* an access ACL comes from no member of the group */
int overlay_setxattr(struct overlay *ov, uint64_t node, const char *name, const void *value,
	size_t size, int flags);
int overlay_removexattr(struct overlay *ov, uint64_t node, const char *name);

/*
 * FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_GETVERSION; else than files and directories -ENOTTY.
 * Immutable and append-only objects are protected here; who may make them so is not checked.
 */
struct fsxattr;
int overlay_get_flags(struct overlay *ov, uint64_t node, uint32_t *ret_flags);
int overlay_set_flags(struct overlay *ov, uint64_t node, uint32_t flags);
int overlay_get_fsxattr(struct overlay *ov, uint64_t node, struct fsxattr *ret_attributes);
int overlay_set_fsxattr(struct overlay *ov, uint64_t node, const struct fsxattr *attributes);
int overlay_get_generation(struct overlay *ov, uint64_t node, uint32_t *ret_generation);

/* --- changing the tree --- */
/* `mode` holds the type: S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK. */
int overlay_mknod(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, dev_t rdev, struct overlay_entry *ret_entry);
int overlay_mkdir(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, struct overlay_entry *ret_entry);
int overlay_symlink(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, const char *target, struct overlay_entry *ret_entry);
int overlay_link(struct overlay *ov, uint64_t node, uint64_t parent, const char *name,
	struct overlay_entry *ret_entry);
int overlay_unlink(struct overlay *ov, uint64_t parent, const char *name);
int overlay_rmdir(struct overlay *ov, uint64_t parent, const char *name);
/*
 * `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT. The last leaves a character device
 * 0:0 of the caller's at the old name, which shows, as on a file system without layers.
 */
int overlay_rename(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, uint64_t new_parent, const char *new_name, unsigned flags);
