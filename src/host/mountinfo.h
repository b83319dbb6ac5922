/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mounted where, from /proc/self/mountinfo: no file system is asked, so none can hang. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>

#define MOUNTINFO_OURS "fuse.git-overlayfs"

struct mountinfo {
	int id, parent;
	unsigned major, minor;
	bool is_shared;	  /* its mounts appear elsewhere, too */
	char *mountpoint; /* unescaped */
	char *type;	  /* "fuse.git-overlayfs" */
	char *source;
};

void mountinfo_release(struct mountinfo *info); /* idempotent */

/* One line, without its newline. -EINVAL when it is not of that form. */
int mountinfo_parse(const char *line, struct mountinfo *ret_info);

/* Non-zero stops; `info` is borrowed. */
typedef int (*mountinfo_fn)(void *ctx, const struct mountinfo *info);
int mountinfo_for_each(mountinfo_fn fn, void *ctx);
/* The same of the mount namespace of a process, `pid` as in /proc. */
int mountinfo_for_each_of(const char *pid, mountinfo_fn fn, void *ctx);

/* The mount on top of others at exactly this path. -ENOENT. */
int mountinfo_find(const char *mountpoint, struct mountinfo *ret_info);

/* Whether a mount of ours stands there whose server has gone. */
bool mountinfo_is_dead(const char *mountpoint);
