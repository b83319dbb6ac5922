/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which directories of hooks an engine reads, by its configuration files without ours. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "plan.h"
#include "toml.h"

#define HOOKS_DIRS_MAX	   32
#define HOOKS_DIRS_DEFAULT "/usr/share/containers/oci/hooks.d"

struct hooks_dirs {
	struct configure_plan *plan;
	struct toml_path key;
	const char *own;    /* the file that is ours */
	const char *suffix; /* what names in a directory end with; "": all are read */
	char *dirs[HOOKS_DIRS_MAX];
	size_t count;
	bool is_set;		 /* by some file */
	char set_last[PATH_MAX]; /* by which */
};

int hooks_dirs_begin(struct hooks_dirs *dirs, struct error *err); /* the default */
void hooks_dirs_release(struct hooks_dirs *dirs);
/* In the order in which the engine reads: each file replaces the list, or appends to it. */
int hooks_dirs_read(struct hooks_dirs *dirs, const char *path, struct error *err);
int hooks_dirs_read_all(struct hooks_dirs *dirs, const char *dir, struct error *err);
bool hooks_dirs_has(const struct hooks_dirs *dirs, const char *dir);

/*
 * The file of our own: `table` and a list of all of them and ours. Nothing is planned where the
 * engine reads ours as it is, unless `always`.
 */
int hooks_dirs_plan(struct hooks_dirs *dirs, const char *table, bool always, struct error *err);
