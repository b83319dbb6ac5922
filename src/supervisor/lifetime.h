/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a supervisor comes to stand alone, and what it leaves behind: nothing. */
#pragma once

#include <git-overlayfs/supervisor.h>
#include <git-overlayfs/workspace-events.h>

#include "upper.h"

/* A session of its own, no terminal, no descriptor of the requester's but those it needs. */
void lifetime_detach(const struct supervisor_request *request);

/* Gives up what is not needed to unmount, to kill and to clean. */
void lifetime_drop_rights(const struct supervisor_request *request);

/*
 * Unmounts, lazily when it is in use. `minor` is that of the mount's device, as
 * lifetime_find_mount() told it: what else stands there meanwhile is left alone.
 */
void lifetime_unmount(const char *mountpoint, unsigned minor);
/* 0 when there is none. */
unsigned lifetime_find_mount(const char *mountpoint);

/* What has become of the workspace, in its record and in the history. Neither can stop it. */
void lifetime_begin(struct supervisor_request *request);
void lifetime_ready(struct supervisor_request *request, unsigned mount_minor);
/* `event`: that it is to end, or that its daemon has died. */
void lifetime_ending(
	struct supervisor_request *request, enum workspace_event event, const char *reason);

/*
 * After the daemon's end: the mount, the upper unless it is kept, the lock on it that is in `dirs`
 * if we have it, the record. `event`: that the workspace has ended, or was never ready.
 */
void lifetime_clean(struct supervisor_request *request, struct upper_dirs *dirs,
	enum workspace_event event, const char *reason);
