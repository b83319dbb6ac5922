/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How objects get from the store into the caches: object_load_fn for trees and blobs. */
#pragma once

#include <git-overlayfs/layer.h>

#include "layer/git-cache.h"
#include "layer/git-store.h"

/* What is larger goes to a file: a container must not fill our memory by opening files. */
#define CONTENT_IN_MEMORY_MAX (1u << 20)

struct object_loader {
	struct object_store *store;
	const struct layer *layer; /* for messages */
	int scratch_fd;		   /* -1: memfd */
};

/* `arg` is a struct object_loader. */
int load_tree(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause);
/*
 * The size of an entry of a tree that is no directory: 0, or -errno and the cause. What was looked
 * up once the tree's object knows.
 */
int load_size(const struct object_loader *loader, const struct cached_object *tree, uint32_t index,
	uint64_t *ret_size, struct object_cause *ret_cause);
/*
 * A size is told by the first place that has the object, without a look at the content, which
 * comes from the first place where it is sound. Where they differ one of them is damaged: -EIO.
 */
int load_check_size(uint64_t told, uint64_t size, struct object_cause *ret_cause);
int load_blob(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause);
/*
 * Writes a large blob of this size into an empty file, verified. No cause: it is the file that
 * could not be written.
 */
int load_into_file(const struct object_loader *loader, const git_oid *id, uint64_t size, int fd,
	struct object_cause *ret_cause);
