/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the layer "git" share: git-open.c has its life, git.c the other operations. */
#pragma once

#include <git-overlayfs/layer.h>

#include "layer/git-ahead.h"
#include "layer/git-cache.h"
#include "layer/git-load.h"
#include "layer/git-rev.h"
#include "layer/git-slots.h"
#include "layer/git-store.h"

/* All members are immutable after open, or have locks of their own. */
struct git_layer {
	struct layer base;
	struct object_store *store;
	struct object_loader loader;
	struct object_cache *trees, *blobs;
	struct read_ahead *ahead;
	struct slot_table slots;
	struct tree_slot *root;
	struct revision revision;
	int64_t mtime;
	uint32_t storage_uid, storage_gid;
};

static inline struct git_layer *git_layer_of(struct layer *layer)
{
	return (struct git_layer *)layer;
}

/* As struct layer_ops has them. */
int git_layer_open(const struct layer_config *config, struct layer **ret_layer, struct error *err);
void git_layer_close(struct layer *layer);
