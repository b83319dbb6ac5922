/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a repository and what git rev-parse takes to a tree. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/layer.h>

#include "layer/git-store.h"

struct revision {
	git_oid object; /* the commit, or the tree where there is none */
	git_oid tree;
	bool has_commit;
	int64_t time; /* the commit's; 0 for a tree alone */
};

/* `label` names the repository in messages. */
int revision_resolve(const struct layer_config *config, const char *label,
	struct object_store *store, struct revision *ret_revision, struct error *err);
