/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer "dir": shows a directory as it is. A node is a struct dir_node. */
#include "layer/dir-node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cleanup.h"

/* "/proc/self/fd/", the digits of an int, and a name. */
#define PROC_NAME_MAX (PROC_FD_MAX + NAME_MAX + 1)

/*
 * An object by its name in a directory, which is held until release_path(): one system call then
 * does what would else take an open and a close besides. The root's name is empty.
 */
static int hold_path(struct dir_layer *self, struct dir_node *node, char path[PROC_NAME_MAX])
{
	int fd, r = dir_node_get_fd(self, dir_node_above(node), &fd);

	if (r == 0)
		snprintf(path, PROC_NAME_MAX, "/proc/self/fd/%d/%s", fd, node->name);
	return r;
}

static void release_path(struct dir_layer *self, struct dir_node *node)
{
	dir_node_put_fd(self, dir_node_above(node));
}

/* --- life --- */

static void dir_close(struct layer *layer)
{
	struct dir_layer *self = dir_layer_of(layer);

	dir_node_free_all(self);
	close_keep_errno(self->root_fd);
	mutex_destroy(&self->lock);
	layer_base_release(layer);
	free(self);
}

static bool counts_links(long magic)
{
	return magic == EXT4_SUPER_MAGIC || magic == XFS_SUPER_MAGIC || magic == TMPFS_MAGIC;
}

static int open_root(struct dir_layer *self, int fd, struct error *err)
{
	char path[PROC_FD_MAX];
	struct statfs fs;
	struct stat st;

	/* A new open file description would need a look-up; O_PATH ones have no state. */
	self->root_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (self->root_fd < 0 || TEMP_FAILURE_RETRY(fstat(self->root_fd, &st)) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_SOURCE, "the directory of the layer");
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, EXIT_STATUS_SOURCE,
			"a layer of kind dir needs a directory, and this is none");
	self->root_dev = st.st_dev;
	self->counts_links = fstatfs(self->root_fd, &fs) == 0 && counts_links(fs.f_type);
	dir_proc_path(self->root_fd, path);
	if (access(path, F_OK) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			"%s (is /proc mounted? extended attributes need it)", path);
	return 0;
}

static int dir_open(const struct layer_config *config, struct layer **ret_layer, struct error *err)
{
	struct dir_layer *self = calloc(1, sizeof(*self));
	int r;

	if (!self || layer_base_init(&self->base, &dir_layer_ops, config, NULL) < 0) {
		free(self);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	self->base.has_whiteouts = true;
	mutex_init(&self->lock);
	self->nodes.prev = self->nodes.next = &self->nodes;
	r = open_root(self, config->root_fd, err);
	if (!r) {
		self->root = dir_node_new(self, NULL, "", S_IFDIR);
		if (!self->root)
			r = error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	if (r < 0) {
		dir_close(&self->base);
		return r;
	}
	*ret_layer = &self->base;
	return 0;
}

/* --- names --- */

static layer_node_t dir_root(struct layer *layer)
{
	struct dir_node *root = dir_layer_of(layer)->root;

	atomic_fetch_add(&root->references, 1);
	return (uintptr_t)root;
}

/* Finds an object, and how it is stored. */
static int find(struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node,
	struct stat *ret_st)
{
	struct dir_layer *self = dir_layer_of(layer);
	struct dir_node *dir = dir_node_of(parent), *node;
	int fd, r = dir_node_get_fd(self, dir, &fd);

	if (r == -ENOTDIR)
		return r;
	if (r < 0)
		return (int)dir_node_failed(layer, "lookup", dir, name, -r);
	if (TEMP_FAILURE_RETRY(fstatat(fd, name, ret_st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) <
		0)
		r = -errno;
	dir_node_put_fd(self, dir);
	/* What is too long for this file system cannot stand in it. */
	if (r == -ENOENT || r == -ENAMETOOLONG)
		return -ENOENT;
	if (r < 0)
		return (int)dir_node_failed(layer, "lookup", dir, name, -r);
	node = dir_node_new(self, dir, name, ret_st->st_mode);
	if (!node)
		return -ENOMEM;
	*ret_node = (uintptr_t)node;
	return 0;
}

static int dir_lookup(
	struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node)
{
	struct stat st;

	return find(layer, parent, name, ret_node, &st);
}

static void dir_forget(struct layer *layer, layer_node_t node, uint64_t count)
{
	dir_node_unref(dir_layer_of(layer), dir_node_of(node), count);
}

/* --- metadata --- */

/* From how an object is stored. */
static void translate(struct layer *layer, enum id_view view, struct stat *st)
{
	st->st_ino = dir_inode_number(dir_layer_of(layer), st->st_dev, st->st_ino);
	st->st_dev = 0;
	if (S_ISDIR(st->st_mode))
		st->st_nlink = 1;
	layer_map_ids(layer, view, st->st_uid, st->st_gid, st);
}

static int dir_getattr(
	struct layer *layer, layer_node_t node, enum id_view view, struct stat *ret_st)
{
	struct stat st;
	int r = dir_node_stat(dir_layer_of(layer), dir_node_of(node), &st);

	if (r < 0)
		return (int)dir_node_failed(layer, "getattr", dir_node_of(node), NULL, -r);
	translate(layer, view, &st);
	*ret_st = st;
	return 0;
}

static int dir_lookup_attributes(struct layer *layer, layer_node_t parent, const char *name,
	layer_node_t *ret_node, struct stat *ret_st)
{
	struct stat st;
	int r = find(layer, parent, name, ret_node, &st);

	if (r < 0)
		return r;
	translate(layer, ID_VIEW_CONTAINER, &st);
	*ret_st = st;
	return 0;
}

static int dir_statfs(struct layer *layer, struct statvfs *ret_st)
{
	return fstatvfs(dir_layer_of(layer)->root_fd, ret_st) < 0 ? -errno : 0;
}

/* --- content --- */

static ssize_t dir_readlink(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	struct dir_layer *self = dir_layer_of(layer);
	struct dir_node *link = dir_node_of(node);
	char target[PATH_MAX]; /* the longest that Linux makes, PATH_MAX - 1 */
	ssize_t n;
	int fd, r;

	if (!S_ISLNK(link->type))
		return -EINVAL;
	r = dir_node_get_fd(self, link->parent, &fd);
	if (r < 0)
		return dir_node_failed(layer, "readlink", link, NULL, -r);
	n = TEMP_FAILURE_RETRY(readlinkat(fd, link->name, target, sizeof(target)));
	if (n < 0)
		n = errno == ENOENT || errno == EINVAL ? -ESTALE : -errno;
	dir_node_put_fd(self, link->parent);
	if (n < 0)
		return dir_node_failed(layer, "readlink", link, NULL, (int)-n);
	memcpy(buf, target, size < (size_t)n ? size : (size_t)n);
	return n;
}

static void release_fd(struct layer_file *file)
{
	close_keep_errno(file->fd);
}

/*
 * The type is checked on a descriptor that opens nothing yet, and that one is
 * opened: a device that was put in the file's place meanwhile stays untouched.
 */
static int open_regular(struct dir_layer *self, struct dir_node *node, struct stat *ret_st)
{
	_cleanup_close_ int path_fd = dir_node_open_path(self, node);
	char path[PROC_FD_MAX];
	int fd;

	if (path_fd < 0)
		return path_fd;
	if (TEMP_FAILURE_RETRY(fstat(path_fd, ret_st)) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -ESTALE;
	dir_proc_path(path_fd, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int dir_open_file(struct layer *layer, layer_node_t node, struct layer_file *ret_file)
{
	struct dir_node *file = dir_node_of(node);
	struct stat st;
	int fd;

	if (!S_ISREG(file->type))
		return S_ISDIR(file->type) ? -EISDIR : -EINVAL;
	fd = open_regular(dir_layer_of(layer), file, &st);
	if (fd < 0 && fdcache_make_room(-fd))
		fd = open_regular(dir_layer_of(layer), file, &st);
	if (fd < 0)
		return (int)dir_node_failed(layer, "open", file, NULL, -fd);
	*ret_file =
		(struct layer_file){.fd = fd, .size = (uint64_t)st.st_size, .release = release_fd};
	return 0;
}

/* --- xattrs: through /proc, for there are no calls by descriptor and name --- */

static ssize_t dir_getxattr(
	struct layer *layer, layer_node_t node, const char *name, void *buf, size_t size)
{
	struct dir_layer *self = dir_layer_of(layer);
	char path[PROC_NAME_MAX];
	ssize_t n = hold_path(self, dir_node_of(node), path);

	if (n == 0) {
		n = TEMP_FAILURE_RETRY(lgetxattr(path, name, buf, size));
		n = n < 0 ? dir_node_stale(errno) : n;
		release_path(self, dir_node_of(node));
	}
	/* A file system that has none of this class has not this one either. */
	if (n == -EOPNOTSUPP)
		return -ENODATA;
	if (n >= 0 || n == -ENODATA || n == -ERANGE)
		return n;
	return dir_node_failed(layer, "getxattr", dir_node_of(node), name, (int)-n);
}

static ssize_t dir_listxattr(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	struct dir_layer *self = dir_layer_of(layer);
	char path[PROC_NAME_MAX];
	ssize_t n = hold_path(self, dir_node_of(node), path);

	if (n == 0) {
		n = TEMP_FAILURE_RETRY(llistxattr(path, buf, size));
		n = n < 0 ? dir_node_stale(errno) : n;
		release_path(self, dir_node_of(node));
	}
	if (n == -EOPNOTSUPP)
		return 0;
	if (n >= 0 || n == -ERANGE)
		return n;
	return dir_node_failed(layer, "listxattr", dir_node_of(node), NULL, (int)-n);
}

const struct layer_ops dir_layer_ops = {
	.kind = "dir",
	.open = dir_open,
	.close = dir_close,
	.root = dir_root,
	.lookup = dir_lookup,
	.forget = dir_forget,
	.readdir = dir_readdir,
	.getattr_with_mapping = dir_getattr,
	.readlink = dir_readlink,
	.open_file = dir_open_file,
	.getxattr = dir_getxattr,
	.listxattr = dir_listxattr,
	.statfs = dir_statfs,
	.shortcuts = {.count_directories = dir_count_directories,
		.lookup_attributes = dir_lookup_attributes},
	.get_traits = dir_get_traits,
};
