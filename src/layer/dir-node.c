/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/dir-node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layer/inode-hash.h"
#include "util/cleanup.h"

/* Set in the numbers of objects on other file systems than the root's. */
#define FOREIGN_INODE_BIT (1ull << 61)

struct dir_node *dir_node_new(
	struct dir_layer *layer, struct dir_node *parent, const char *name, mode_t type)
{
	size_t length = strlen(name);
	struct dir_node *node = calloc(1, sizeof(*node) + length + 1);

	if (!node)
		return NULL;
	memcpy(node->name, name, length);
	node->type = type & S_IFMT;
	node->references = 1;
	node->parent = parent;
	fdcache_entry_init(&node->entry);
	if (parent)
		atomic_fetch_add(&parent->references, 1);
	mutex_lock(&layer->lock);
	node->next = &layer->nodes;
	node->prev = layer->nodes.prev;
	node->prev->next = node;
	layer->nodes.prev = node;
	mutex_unlock(&layer->lock);
	return node;
}

static void node_free(struct dir_node *node)
{
	fdcache_drop(fdcache_shared(), &node->entry);
	free(node);
}

void dir_node_unref(struct dir_layer *layer, struct dir_node *node, uint64_t count)
{
	while (node && atomic_fetch_sub(&node->references, count) == count) {
		struct dir_node *parent = node->parent;

		mutex_lock(&layer->lock);
		node->prev->next = node->next;
		node->next->prev = node->prev;
		mutex_unlock(&layer->lock);
		node_free(node);
		node = parent;
		count = 1;
	}
}

void dir_node_free_all(struct dir_layer *layer) no_lock_analysis
{
	while (layer->nodes.next != &layer->nodes) {
		struct dir_node *node = layer->nodes.next;

		layer->nodes.next = node->next;
		node->next->prev = &layer->nodes;
		node_free(node);
	}
}

int dir_node_stale(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP ? -ESTALE : -error;
}

struct open_dir {
	struct dir_layer *layer;
	struct dir_node *dir;
};

/* Opens the components from `base` (with descriptor `base_fd`) down to `dir`. */
static int open_below(int base_fd, const struct dir_node *base, const struct dir_node *dir)
{
	_cleanup_close_ int fd = -1;
	const struct dir_node *at = base;

	while (at != dir) {
		const struct dir_node *next = dir;
		int next_fd;

		while (next->parent != at)
			next = next->parent;
		next_fd = TEMP_FAILURE_RETRY(openat(fd < 0 ? base_fd : fd, next->name,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		if (next_fd < 0)
			return dir_node_stale(errno);
		close_keep_errno(fd);
		fd = next_fd;
		at = next;
	}
	return steal_fd(&fd);
}

/*
 * Starts at the nearest ancestor that is open. The ones on the way are not kept:
 * a deep path would pin hundreds of descriptors at once.
 */
static int open_dir(void *arg)
{
	struct open_dir *self = arg;
	struct dir_node *base = self->dir->parent;
	int base_fd, fd;

	while (base->parent && !fdcache_get_open(fdcache_shared(), &base->entry, &base_fd))
		base = base->parent;
	if (!base->parent)
		return open_below(self->layer->root_fd, base, self->dir);
	fd = open_below(base_fd, base, self->dir);
	fdcache_put(fdcache_shared(), &base->entry);
	return fd;
}

int dir_node_get_fd(struct dir_layer *layer, struct dir_node *dir, int *ret_fd)
{
	struct open_dir self = {layer, dir};

	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	if (!dir->parent) {
		*ret_fd = layer->root_fd;
		return 0;
	}
	return fdcache_get(fdcache_shared(), &dir->entry, open_dir, &self, ret_fd);
}

void dir_node_put_fd(struct dir_layer *layer, struct dir_node *dir)
{
	if (dir->parent)
		fdcache_put(fdcache_shared(), &dir->entry);
}

int dir_node_open_path(struct dir_layer *layer, struct dir_node *node)
{
	int fd, parent_fd, r;

	if (!node->parent) {
		fd = TEMP_FAILURE_RETRY(openat(layer->root_fd, ".", O_PATH | O_CLOEXEC));
		return fd < 0 ? -errno : fd;
	}
	r = dir_node_get_fd(layer, node->parent, &parent_fd);
	if (r < 0)
		return r;
	fd = TEMP_FAILURE_RETRY(openat(parent_fd, node->name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0)
		fd = dir_node_stale(errno);
	dir_node_put_fd(layer, node->parent);
	return fd;
}

void dir_node_path(const struct dir_node *node, struct path_tail *ret_path)
{
	path_tail_init(ret_path);
	for (; node->parent; node = node->parent)
		path_tail_prepend(ret_path, node->name, strlen(node->name));
}

void dir_proc_path(int fd, char path[PROC_FD_MAX])
{
	snprintf(path, PROC_FD_MAX, "/proc/self/fd/%d", fd);
}

ssize_t dir_node_failed(struct layer *layer, const char *operation, const struct dir_node *node,
	const char *name, int error)
{
	struct path_tail path;

	dir_node_path(node, &path);
	layer_log_failure(layer, operation, path_tail_text(&path), "%s%s%s", name ? name : "",
		name ? ": " : "", strerror(error));
	return -error;
}

/* The distance of the devices stays the same longer than either does. */
uint64_t dir_inode_number(const struct dir_layer *self, dev_t dev, ino_t ino)
{
	if (dev == self->root_dev)
		return ino;
	return (inode_hash(INODE_HASH_SEED, &ino, sizeof(ino), dev - self->root_dev) >> 3) |
	       FOREIGN_INODE_BIT;
}

int dir_node_stat(struct dir_layer *self, struct dir_node *node, struct stat *ret_st)
{
	int fd, r = 0;

	if (!node->parent)
		return TEMP_FAILURE_RETRY(fstat(self->root_fd, ret_st)) < 0 ? -errno : 0;
	r = dir_node_get_fd(self, node->parent, &fd);
	if (r < 0)
		return r;
	if (TEMP_FAILURE_RETRY(
		    fstatat(fd, node->name, ret_st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) < 0)
		r = errno == ENOENT ? -ESTALE : -errno;
	else if ((ret_st->st_mode & S_IFMT) != node->type)
		r = -ESTALE;
	dir_node_put_fd(self, node->parent);
	return r;
}
