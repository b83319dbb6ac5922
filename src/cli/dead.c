/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dead.h"

#include <errno.h>

#include <git-overlayfs/mount.h>

#include "host/mountinfo.h"

/*
 * Creating a workspace of the same id takes the lock and clears what a dead one left;
 * one that has come to life meanwhile is -EBUSY, and is left alone.
 */
int dead_remove(const struct workspace_info *info, struct error *err)
{
	struct workspace ws;
	int r = 0;

	if (!*info->container && *info->mountpoint && mountinfo_is_dead(info->mountpoint))
		r = mount_unmount(info->mountpoint, true, err);
	if (r < 0)
		return r;
	r = workspace_create(info->id, &ws, err);
	if (r < 0)
		return r;
	r = workspace_remove(&ws, true, err);
	workspace_release(&ws);
	return r;
}
