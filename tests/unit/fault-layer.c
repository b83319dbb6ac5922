/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault-internal.h"

struct fault_layer {
	struct layer base;
	struct layer *inner;
};

static struct layer *inner_of(struct layer *layer)
{
	return ((struct fault_layer *)layer)->inner;
}

static int fault_open(
	const struct layer_config *config, struct layer **ret_layer, struct error *err)
{
	return error_set(err, EINVAL, EXIT_STATUS_USAGE, "a fault layer is made around another");
}

static void fault_close(struct layer *layer)
{
	layer_close(inner_of(layer));
	free(layer);
}

static layer_node_t fault_root(struct layer *layer)
{
	return layer_root(inner_of(layer));
}

static int fault_lookup(
	struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node)
{
	int error = fault_take(FAULT_LAYERS, "layer lookup");

	return error ? -error : layer_lookup(inner_of(layer), parent, name, ret_node);
}

static void fault_forget(struct layer *layer, layer_node_t node, uint64_t count)
{
	layer_forget(inner_of(layer), node, count);
}

/* A listing may break off in its middle, too. */
struct broken_listing {
	layer_emit_fn emit;
	void *ctx;
	int error;
};

static int emit_or_break(void *ctx, const char *name, mode_t type, uint64_t ino, uint64_t next)
{
	struct broken_listing *listing = ctx;

	listing->error = fault_take(FAULT_LAYERS, "layer readdir entry");
	return listing->error ? 1 : listing->emit(listing->ctx, name, type, ino, next);
}

static int fault_readdir(
	struct layer *layer, layer_node_t dir, uint64_t offset, layer_emit_fn emit, void *ctx)
{
	struct broken_listing listing = {.emit = emit, .ctx = ctx};
	int r, error = fault_take(FAULT_LAYERS, "layer readdir");

	if (error)
		return -error;
	r = layer_readdir(inner_of(layer), dir, offset, emit_or_break, &listing);
	return listing.error ? -listing.error : r;
}

static int fault_getattr(
	struct layer *layer, layer_node_t node, enum id_view view, struct stat *ret_st)
{
	int error = fault_take(FAULT_LAYERS, "layer getattr");

	return error ? -error : layer_getattr_with_mapping(inner_of(layer), node, view, ret_st);
}

static ssize_t fault_readlink(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	int error = fault_take(FAULT_LAYERS, "layer readlink");

	return error ? -error : layer_readlink(inner_of(layer), node, buf, size);
}

static int fault_open_file(struct layer *layer, layer_node_t node, struct layer_file *ret_file)
{
	int error = fault_take(FAULT_LAYERS, "layer open");

	return error ? -error : layer_open_file(inner_of(layer), node, ret_file);
}

static ssize_t fault_getxattr(
	struct layer *layer, layer_node_t node, const char *name, void *buf, size_t size)
{
	int error = fault_take(FAULT_LAYERS, "layer getxattr");

	return error ? -error : layer_getxattr(inner_of(layer), node, name, buf, size);
}

static ssize_t fault_listxattr(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	int error = fault_take(FAULT_LAYERS, "layer listxattr");

	return error ? -error : layer_listxattr(inner_of(layer), node, buf, size);
}

static int fault_statfs(struct layer *layer, struct statvfs *ret_st)
{
	int error = fault_take(FAULT_LAYERS, "layer statfs");

	return error ? -error : layer_statfs(inner_of(layer), ret_st);
}

static const struct layer_ops fault_layer_ops = {
	.kind = "fault",
	.open = fault_open,
	.close = fault_close,
	.root = fault_root,
	.lookup = fault_lookup,
	.forget = fault_forget,
	.readdir = fault_readdir,
	.getattr_with_mapping = fault_getattr,
	.readlink = fault_readlink,
	.open_file = fault_open_file,
	.getxattr = fault_getxattr,
	.listxattr = fault_listxattr,
	.statfs = fault_statfs,
};

struct layer *fault_layer_new(struct layer *inner)
{
	struct fault_layer *self = calloc(1, sizeof(*self));

	if (!self)
		return NULL;
	self->base = *inner;
	self->base.ops = &fault_layer_ops;
	self->inner = inner;
	return &self->base;
}
