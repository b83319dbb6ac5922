/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which directories of hooks an engine reads, by its configuration files below a root. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>

#include "toml.h"

#define HOOKS_DIRS_MAX	   32
#define HOOKS_DIRS_DEFAULT "/usr/share/containers/oci/hooks.d"
#define HOOKS_DIRS_CRIO	   "/etc/crio/crio.conf"

struct hooks_dirs {
	int root_fd;	 /* borrowed */
	const char *own; /* a file that does not count, being ours; NULL: all do */
	char *dirs[HOOKS_DIRS_MAX];
	size_t count;
	bool is_set;		 /* by some file */
	char set_last[PATH_MAX]; /* by which */
	/* of the engine that is read */
	struct toml_path key;
	const char *suffix; /* what names in a directory end with; "": all are read */
};

int hooks_dirs_begin(struct hooks_dirs *dirs, struct error *err); /* the default */
void hooks_dirs_release(struct hooks_dirs *dirs);
/*
 * In the order in which the engine reads: each file replaces the list, or appends to it. A file
 * with which the engine would not start is an error that names it; config_home NULL: root's podman.
 */
int hooks_dirs_read_podman(struct hooks_dirs *dirs, const char *config_home, struct error *err);
int hooks_dirs_read_crio(struct hooks_dirs *dirs, struct error *err);
bool hooks_dirs_has(const struct hooks_dirs *dirs, const char *dir);
