/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What workspaces left that nobody watches any more. */
#pragma once

#include <git-overlayfs/error.h>
#include <git-overlayfs/workspace.h>

/*
 * Calls `each` for each dead workspace: a record that nobody watches, and an upper without a
 * record that nobody wanted to keep. It stops when `each` returns other than 0, and returns that.
 */
int dead_for_each(
	int (*each)(void *ctx, const struct workspace_info *info), void *ctx, struct error *err);

/* Unmounts what a dead workspace left mounted, and removes its record and upper. */
int dead_remove(const struct workspace_info *info, struct error *err);
