/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kinds of layers share with the registry. Not for others. */
#pragma once

#include <git-overlayfs/layer.h>

extern const struct layer_ops mem_layer_ops;
extern const struct layer_ops dir_layer_ops;
extern const struct layer_ops git_layer_ops;

/*
 * Fills in the base from the configuration. `choice` stands in the layer's name
 * when the configuration has none; NULL: kind and index alone.
 */
int layer_base_init(struct layer *layer, const struct layer_ops *ops,
	const struct layer_config *config, const char *choice);
void layer_base_release(struct layer *layer);

/* For files in memory that need no release: content of length 0. */
void layer_file_set_empty(struct layer_file *file);

/* getxattr(2)'s answer for a value that is in memory. */
ssize_t layer_copy_value(const void *value, size_t length, void *buf, size_t size);
