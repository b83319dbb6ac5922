/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects of a directory layer, and how they are reached: by name from the
 * descriptor of the directory they stand in, one component at a time, never
 * through a symlink. So no path is too long, and none leads out of the root.
 */
#pragma once

#include <stdatomic.h>
#include <sys/stat.h>

#include "layer/layer-kind.h"
#include "layer/path-tail.h"
#include "util/fdcache.h"
#include "util/lock.h"

/* One name in one directory; hard links are several nodes. */
struct dir_node {
	struct dir_node *prev, *next; /* protected by the layer's lock */
	struct dir_node *parent;      /* a reference; NULL: the root. Immutable, as all below */
	atomic_ullong references;     /* of lookups, and one for each child */
	mode_t type;
	struct fdcache_entry entry; /* directories but the root: an O_PATH descriptor */
	char name[];
};

struct dir_layer {
	struct layer base;
	int root_fd;	   /* O_PATH; immutable */
	dev_t root_dev;	   /* immutable */
	bool counts_links; /* st_nlink of a directory tells what is in it; immutable */
	struct dir_node *root;
	struct mutex lock;
	struct dir_node nodes guarded_by(lock); /* list head: what to free at the end */
};

static inline struct dir_layer *dir_layer_of(struct layer *layer)
{
	return (struct dir_layer *)layer;
}

static inline struct dir_node *dir_node_of(layer_node_t node)
{
	return (struct dir_node *)(uintptr_t)node;
}

/* A node of one reference; takes a reference of the parent. NULL: out of memory. */
struct dir_node *dir_node_new(
	struct dir_layer *layer, struct dir_node *parent, const char *name, mode_t type);
void dir_node_unref(struct dir_layer *layer, struct dir_node *node, uint64_t count);
/* Frees every node, whoever holds references. */
void dir_node_free_all(struct dir_layer *layer);

/*
 * The descriptor of a directory, held until dir_node_put_fd(). -ENOTDIR; -ESTALE
 * when it is no longer where it was.
 */
int dir_node_get_fd(struct dir_layer *layer, struct dir_node *dir, int *ret_fd);
void dir_node_put_fd(struct dir_layer *layer, struct dir_node *dir);

/* Where it is to be found by its name: the directory above it, of the root itself. */
static inline struct dir_node *dir_node_above(struct dir_node *node)
{
	return node->parent ? node->parent : node;
}

/* What says that an object is gone since it was looked up: not an absence, but a change. */
int dir_node_stale(int error);

/* An O_PATH descriptor of any object; the caller closes it. -ESTALE as above. */
int dir_node_open_path(struct dir_layer *layer, struct dir_node *node);

void dir_node_path(const struct dir_node *node, struct path_tail *ret_path);

/* "/proc/self/fd/" and the digits of an int. */
#define PROC_FD_MAX 32
/* What opens, or asks for more of, what an O_PATH descriptor stands for. */
void dir_proc_path(int fd, char path[PROC_FD_MAX]);

/* Logs what went wrong with the object, or with `name` of it (NULL: none). Returns -error. */
ssize_t dir_node_failed(struct layer *layer, const char *operation, const struct dir_node *node,
	const char *name, int error);

/* How the object is stored. -ESTALE when it is no longer there, or one of another type is. */
int dir_node_stat(struct dir_layer *layer, struct dir_node *node, struct stat *ret_st);

/*
 * st_ino alone names an object of the root's file system. Elsewhere (a mount below the root, a
 * btrfs subvolume) the device belongs to the name.
 */
uint64_t dir_inode_number(const struct dir_layer *layer, dev_t dev, ino_t ino);

/* --- operations of the layer, as in struct layer_ops; dir-list.c, dir-traits.c --- */
int dir_readdir(
	struct layer *layer, layer_node_t node, uint64_t offset, layer_emit_fn emit, void *ctx);
int dir_count_directories(struct layer *layer, layer_node_t node, uint32_t *ret_count);
int dir_get_traits(
	struct layer *layer, layer_node_t node, bool all_flags, struct layer_traits *ret_traits);
