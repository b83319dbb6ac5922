/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounting by descriptor, and entering other namespaces (src/host). No path is
 * resolved twice: what was checked is what is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <git-overlayfs/error.h>

enum clone_flags {
	CLONE_TREE_READ_ONLY = 1 << 0,
	CLONE_TREE_NODEV = 1 << 1,
	CLONE_TREE_NOSUID = 1 << 2,
	CLONE_TREE_NOEXEC = 1 << 3,
	CLONE_TREE_RECURSIVE = 1 << 4,
};

/*
 * A detached private copy of the mount below `dirfd`/`path` (path "" : dirfd
 * itself): nothing above it can be reached through it. `idmap_userns_fd` >= 0
 * makes it an idmapped mount (mount_setattr(2), since 5.12; -EINVAL or -EPERM
 * where the kernel or the file system cannot). Needs CAP_SYS_ADMIN over the
 * mount namespace.
 */
int mount_clone_tree(int dirfd, const char *path, unsigned flags, int idmap_userns_fd,
	int *ret_mount_fd, struct error *err);

/*
 * A user namespace for an idmapped mount which shows what belongs to `disk_uid`
 * and `disk_gid` as belonging to `shown_uid` and `shown_gid` (all as ids of the
 * caller's user namespace). Everything else shows as nobody's.
 */
int mount_idmap_userns(uid_t disk_uid, gid_t disk_gid, uid_t shown_uid, gid_t shown_gid,
	int *ret_userns_fd, struct error *err);

struct fuse_mount_options {
	const char *source; /* what /proc/mounts shows */
	bool allow_other;
	bool read_only, nosuid, nodev, noexec;
};

/* Opens /dev/fuse for the current user namespace; err names the remedy. */
int mount_open_fuse(int *ret_fuse_fd, struct error *err);

/*
 * Mounts the FUSE connection `fuse_fd` on the directory `target_fd` (O_PATH). Returns at
 * once; the first stat through it waits for a server. *ret_mount_fd, if not
 * NULL, is the root of the new mount (O_PATH), for the stat and the undoing.
 */
int mount_fuse(int fuse_fd, int target_fd, const struct fuse_mount_options *options,
	int *ret_mount_fd, struct error *err);

/* The same, attached nowhere: it goes with *ret_mount_fd. */
int mount_fuse_detached(int fuse_fd, const struct fuse_mount_options *options, int *ret_mount_fd,
	struct error *err);

/* Mounts with the setuid helper fusermount3, which opens /dev/fuse itself. */
int mount_fusermount(const char *mountpoint, const struct fuse_mount_options *options,
	int *ret_fuse_fd, struct error *err);
/* The helper's path, found in $PATH; a directory of it that is not absolute does not count. */
int mount_find_fusermount(char *ret_path, size_t size, struct error *err);
/* Unmounts by umount2(2), or fusermount3 for a plain user. `lazy`: MNT_DETACH. */
int mount_unmount(const char *mountpoint, bool lazy, struct error *err);

/* What stat on the mounted root says, within `timeout_ms`: the last step to READY. */
int mount_wait_ready(int mount_fd, int timeout_ms, struct error *err);

/*
 * Resolves `path` below `root_fd` as a process whose root that is would (symlinks
 * stay inside, no magic links), and makes what is missing, mode 0755, one component at a
 * time. *ret_fd is O_PATH|O_DIRECTORY.
 */
int mount_resolve_target(int root_fd, const char *path, int *ret_fd, struct error *err);

/* Whether two namespaces are the same object. `name`: "user", "mnt". 1, 0 or -errno. */
int namespace_is_shared(pid_t pid, const char *name);
/* setns(2) to the namespace `name` of `pid`; opened through the pidfd's process. */
int namespace_enter(int pidfd, int nstype, struct error *err);
/* Becomes user and group 0 of the current user namespace, or the first that is mapped. */
int namespace_become_root(struct error *err);
