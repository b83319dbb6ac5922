/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What workspaces left that nobody watches any more. */
#pragma once

#include <git-overlayfs/error.h>
#include <git-overlayfs/workspace.h>

/* Unmounts what a dead workspace left mounted, and removes its record and upper. */
int dead_remove(const struct workspace_info *info, struct error *err);
