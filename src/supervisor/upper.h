/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The upper and work directories: opened, locked and checked before anything is made in them. */
#pragma once

#include <stdbool.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>
#include <git-overlayfs/source.h>
#include <git-overlayfs/workspace.h>

struct upper_dirs {
	int upper_fd, work_fd; /* -1: a read-only mount. Their locks last as long as they do */
	int parent_fd;	       /* O_PATH: the closest directory that holds both */
	char *upper_below;     /* their paths below it, "upper" */
	char *work_below;
};

void upper_dirs_init(struct upper_dirs *dirs);
void upper_dirs_release(struct upper_dirs *dirs); /* idempotent */

struct upper_wish {
	const struct workspace_config *config;
	const struct source *sources;
	const struct workspace *workspace;
	int upper_fd, work_fd; /* config->upper and ->work, opened before; -1: by path */
	/*
	 * Whoever takes the daemon over gets all that lies beside the two, as far as modes
	 * allow, so there may be nothing.
	 */
	bool for_container;
};

/* Opens `path` below `dir_fd`, following no link; -errno also when it is not what `like_fd` is. */
int upper_open_below(int dir_fd, const char *path, int like_fd, int *ret_fd);

/*
 * Those of the configuration, else those that workspace_make_upper() made. Refuses what
 * cannot work, or would harm: one inside the other or inside a layer, two mounts, a read-only
 * file system, a work directory with other people's files, a pair that is in use.
 */
int upper_dirs_open(const struct upper_wish *wish, struct upper_dirs *ret_dirs, struct error *err);
