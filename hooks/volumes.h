/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine has mounted below a target: volumes, secrets, other workspaces. A mount
 * on the target would hide it, so each is moved below the new mount, and back when that
 * mount is undone.
 *
 * Moved, not copied: a copy would not get what the runtime does to the volume later. crun
 * makes read-only volumes read-only after the hooks have run, by descriptors of its own.
 *
 * The descriptors are opened once, before anything is mounted. Where a volume goes is
 * resolved in the new mount alone, and without symbolic links: its files are strangers'.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>

/* Each takes a descriptor; what is mounted below one of them goes along and counts nothing. */
#define VOLUMES_MAX 64

struct volume {
	char *path; /* below the target: "cache", "src/out" */
	int fd;	    /* O_PATH, the root of the mount; -1: not opened */
	bool is_dir;
	bool is_moved;
	/* Of its mountpoint in the workspace: made by us, below so many components. */
	bool is_made;
	size_t existing;
};

struct volumes {
	const char *target; /* as it was asked for, for messages; borrowed */
	size_t count;
	struct volume items[VOLUMES_MAX];
};

void volumes_init(struct volumes *volumes, const char *target);
void volumes_release(struct volumes *volumes);

/* One more, by its path below the target. -E2BIG. */
int volumes_add(struct volumes *volumes, const char *path, struct error *err);
/* Drops what lies below another: it is hidden by it. Mounts on mounts are not added. */
void volumes_drop_hidden(struct volumes *volumes);
/* Whether an entry of the target is one of them, or the way to one. */
bool volumes_lead_through(const struct volumes *volumes, const char *name);

/* Opens them below the target, which is not covered yet. */
int volumes_open(struct volumes *volumes, int target_fd, struct error *err);
/* Moves them into the mount whose root `mount_fd` is, and makes what mountpoints are missing. */
int volumes_attach(struct volumes *volumes, int mount_fd, struct error *err);
/* The way back, of those that were moved; idempotent. What was made for them goes again. */
void volumes_give_back(struct volumes *volumes, int target_fd, int mount_fd);
