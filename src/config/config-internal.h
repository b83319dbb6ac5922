/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this module share; see include/git-overlayfs/config.h. */
#pragma once

#include <git-overlayfs/config.h>

/* The row of a name, NULL when there is none for this origin. */
const struct config_option *config_option_find(const char *name, enum config_origin origin);
/* The known name that looks most like `name`, NULL when none is near. */
const char *config_option_nearest(const char *name, enum config_origin origin);
/* Whether mount(8) or fuse-overlayfs knows an option that changes nothing here. */
bool config_option_is_ignored(const char *name, const char *value);

/* Adds a layer, topmost first so far. Takes nothing over; `rev` and `subdir` may be NULL. */
int config_append_layer(
	struct workspace_config *config, const char *kind, const char *path, struct error *err);
/* "git:REPO[@REV][:SUBDIR]" or "dir:DIR". */
int config_append_layer_spec(struct workspace_config *config, const char *spec, struct error *err);
/* "A:B:C", `\:` is a colon of a name. */
int config_append_lowerdirs(struct workspace_config *config, const char *list, struct error *err);
/* The layer that repo=, rev=, subdir= and the bare REPO speak of; made when missing. */
int config_main_layer(
	struct workspace_config *config, struct layer_spec **ret_layer, struct error *err);
/* Replaces *ret by `subdir` without needless slashes, NULL for the whole tree. */
int config_set_subdir(char **ret, const char *subdir, struct error *err);

int config_set_string(char **ret, const char *value, struct error *err);
