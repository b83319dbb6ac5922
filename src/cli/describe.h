/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a workspace's record says of it. */
#pragma once

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>
#include <git-overlayfs/workspace.h>

/* Fills *ret_info, which the caller releases; `container` is "" outside of one. */
int describe_workspace(const struct workspace_config *config, const struct workspace *workspace,
	const char *mountpoint, const char *container, struct workspace_info *ret_info,
	struct error *err);
