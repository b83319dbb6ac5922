/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounting from the command line, whichever of the calling conventions asked for it. */
#pragma once

#include <stdbool.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>

struct mount_arguments {
	struct workspace_config config;
	const char *mountpoint;
	const char *log; /* file, NULL: syslog */
	bool foreground;
	bool debug;
	bool fake; /* all checks that need no mount, and nothing else */
};

void mount_arguments_init(struct mount_arguments *arguments);
void mount_arguments_release(struct mount_arguments *arguments);

/*
 * Mounts, and returns when the mount answers; in the foreground when it has ended.
 * Returns an exit status; on failure nothing is left behind.
 */
int mount_perform(struct mount_arguments *arguments, struct error *err);

/* How this process can mount. */
enum mount_way {
	MOUNT_WAY_DIRECT,     /* by system calls: root, here or in a user namespace */
	MOUNT_WAY_FUSERMOUNT, /* by the set-user-ID helper */
	MOUNT_WAY_USERNS,     /* likewise, but in a user namespace that has no mounts of its own */
};

enum mount_way mount_way_find(void);
/* Whether /etc/fuse.conf lets a plain user share a mount. */
bool mount_allow_other(void);
