/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer "mem": shows a tree in memory. A node is an inode's number plus one. */
#include <git-overlayfs/mem-layer.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <git-overlayfs/layer.h>

#include "layer/layer-kind.h"
#include "layer/mem-tree.h"
#include "util/cleanup.h"

struct mem_layer {
	struct layer base;
	struct mem_tree *tree; /* borrowed */
};

static struct mem_tree *tree_of(struct layer *layer)
{
	return ((struct mem_layer *)layer)->tree;
}

static int mem_open(const struct layer_config *config, struct layer **ret_layer, struct error *err)
{
	struct mem_layer *self;

	if (!config->mem)
		return error_set(err, EINVAL, EXIT_STATUS_SOURCE, "a mem layer without a tree");
	self = calloc(1, sizeof(*self));
	if (!self || layer_base_init(&self->base, &mem_layer_ops, config, NULL) < 0) {
		free(self);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	self->base.has_whiteouts = true;
	self->tree = config->mem;
	*ret_layer = &self->base;
	return 0;
}

static void mem_close(struct layer *layer)
{
	layer_base_release(layer);
	free(layer);
}

/* -ESTALE shows a test that it uses a node without a reference to it. */
static int enter(struct layer *layer, layer_node_t node, enum mem_operation operation,
	struct mem_inode **ret_inode)
{
	struct mem_tree *tree = tree_of(layer);
	struct mem_inode *inode = NULL;

	if (node != 0 && node <= tree->count)
		inode = tree->inodes[node - 1];
	if (!inode || !atomic_load(&inode->references)) {
		layer_log_failure(layer, "enter", "", "node %#" PRIx64 " is not held", node);
		return -ESTALE;
	}
	*ret_inode = inode;
	return mem_tree_enter(tree, operation, inode);
}

static layer_node_t hand_out(struct mem_inode *inode)
{
	atomic_fetch_add(&inode->references, 1);
	return inode->number + 1;
}

static layer_node_t mem_root(struct layer *layer)
{
	return hand_out(tree_of(layer)->inodes[0]);
}

static int mem_lookup(
	struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node)
{
	struct mem_inode *dir;
	bool found;
	size_t i;
	int r = enter(layer, parent, MEM_LOOKUP, &dir);

	if (r < 0)
		return r;
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	i = mem_find_child(dir, name, &found);
	if (!found)
		return -ENOENT;
	*ret_node = hand_out(dir->children[i].inode);
	return 0;
}

static void mem_forget(struct layer *layer, layer_node_t node, uint64_t count)
{
	struct mem_tree *tree = tree_of(layer);

	if (node == 0 || node > tree->count ||
		atomic_load(&tree->inodes[node - 1]->references) < count) {
		layer_log_failure(layer, "forget", "",
			"node %#" PRIx64 " has less than %" PRIu64 " references", node, count);
		return;
	}
	atomic_fetch_sub(&tree->inodes[node - 1]->references, count);
}

/* 0 and 1 are left free: 0 hides an entry from readdir(3). */
static uint64_t inode_number(const struct mem_inode *inode)
{
	return inode->number + 2;
}

static int mem_identify(struct layer *layer, layer_node_t node, struct layer_identity *ret_identity)
{
	struct mem_inode *inode;
	int r = enter(layer, node, MEM_IDENTIFY, &inode);

	if (r < 0)
		return r;
	*ret_identity = (struct layer_identity){
		.type = inode->mode & S_IFMT,
		.ino = inode_number(inode),
		.links = inode->links,
	};
	return 0;
}

static int mem_count_directories(struct layer *layer, layer_node_t node, uint32_t *ret_count)
{
	struct mem_inode *dir;
	uint32_t count = 0;
	int r = enter(layer, node, MEM_COUNT_DIRECTORIES, &dir);

	if (r < 0)
		return r;
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	for (size_t i = 0; i < dir->child_count; i++)
		count += S_ISDIR(dir->children[i].inode->mode);
	*ret_count = count;
	return 0;
}

static int mem_readdir(
	struct layer *layer, layer_node_t node, uint64_t offset, layer_emit_fn emit, void *ctx)
{
	struct mem_inode *dir;
	int r = enter(layer, node, MEM_READDIR, &dir);

	if (r < 0)
		return r;
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	for (size_t i = offset; i < dir->child_count; i++) {
		const struct mem_child *child = &dir->children[i];

		if (emit(ctx, child->name, child->inode->mode & S_IFMT, inode_number(child->inode),
			    i + 1))
			break;
	}
	return 0;
}

static int mem_getattr(
	struct layer *layer, layer_node_t node, enum id_view view, struct stat *ret_st)
{
	struct mem_inode *inode;
	int r = enter(layer, node, MEM_GETATTR, &inode);

	if (r < 0)
		return r;
	*ret_st = (struct stat){
		.st_ino = inode_number(inode),
		.st_mode = inode->mode,
		.st_nlink = inode->links,
		.st_rdev = inode->rdev,
		.st_size = (off_t)inode->size,
		.st_blksize = 4096,
		.st_blocks = inode->content ? (blkcnt_t)((inode->content->length + 511) / 512) : 0,
		.st_atim = inode->mtime,
		.st_mtim = inode->mtime,
		.st_ctim = inode->mtime,
	};
	layer_map_ids(layer, view, inode->uid, inode->gid, ret_st);
	return 0;
}

static ssize_t mem_readlink(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	struct mem_inode *inode;
	int r = enter(layer, node, MEM_READLINK, &inode);

	if (r < 0)
		return r;
	if (!S_ISLNK(inode->mode))
		return -EINVAL;
	memcpy(buf, inode->content->bytes,
		size < inode->content->length ? size : inode->content->length);
	return (ssize_t)inode->content->length;
}

static void release_content(struct layer_file *file)
{
	mem_content_unref(file->cookie);
}

static void release_fd(struct layer_file *file)
{
	close_keep_errno(file->fd);
}

/* A file with a hole at its end: too large, perhaps, to be all in memory. */
static int open_sparse(const struct mem_inode *inode, struct layer_file *ret_file)
{
	const struct mem_content *content = inode->content;
	_cleanup_close_ int fd = memfd_create("mem-layer", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)inode->size) < 0 ||
		pwrite(fd, content->bytes, content->length, 0) != (ssize_t)content->length)
		return errno ? -errno : -EIO;
	*ret_file = (struct layer_file){
		.size = inode->size, .release = release_fd, .fd = steal_fd(&fd)};
	return 0;
}

static int mem_open_file(struct layer *layer, layer_node_t node, struct layer_file *ret_file)
{
	struct mem_inode *inode;
	int r = enter(layer, node, MEM_OPEN_FILE, &inode);

	if (r < 0)
		return r;
	if (!S_ISREG(inode->mode))
		return S_ISDIR(inode->mode) ? -EISDIR : -EINVAL;
	if (inode->size > inode->content->length)
		return open_sparse(inode, ret_file);
	atomic_fetch_add(&inode->content->references, 1);
	*ret_file = (struct layer_file){
		.fd = -1,
		.data = inode->content->bytes,
		.size = inode->size,
		.is_lasting = true,
		.release = release_content,
		.cookie = inode->content,
	};
	return 0;
}

static ssize_t mem_getxattr(
	struct layer *layer, layer_node_t node, const char *name, void *buf, size_t size)
{
	struct mem_inode *inode;
	int r = enter(layer, node, MEM_GETXATTR, &inode);

	if (r < 0)
		return r;
	for (size_t i = 0; i < inode->xattr_count; i++) {
		const struct mem_xattr *xattr = &inode->xattrs[i];

		if (!strcmp(xattr->name, name))
			return layer_copy_value(xattr->value, xattr->length, buf, size);
	}
	return -ENODATA;
}

static ssize_t mem_listxattr(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	struct mem_inode *inode;
	size_t used = 0;
	int r = enter(layer, node, MEM_LISTXATTR, &inode);

	if (r < 0)
		return r;
	for (size_t i = 0; i < inode->xattr_count; i++) {
		size_t length = strlen(inode->xattrs[i].name) + 1;

		if (size && size - used < length)
			return -ERANGE;
		if (size)
			memcpy(buf + used, inode->xattrs[i].name, length);
		used += length;
	}
	return (ssize_t)used;
}

static int mem_statfs(struct layer *layer, struct statvfs *ret_st)
{
	struct mem_tree *tree = tree_of(layer);
	int r = mem_tree_enter(tree, MEM_STATFS, NULL);

	if (r < 0)
		return r;
	*ret_st = (struct statvfs){
		.f_bsize = 4096, .f_frsize = 4096, .f_files = tree->count, .f_namemax = 255};
	return 0;
}

/* Made when it was last modified, as in a layer that does not know. */
static int mem_get_traits(
	struct layer *layer, layer_node_t node, bool all_flags, struct layer_traits *ret_traits)
{
	struct mem_inode *inode;
	int r = enter(layer, node, MEM_GETATTR, &inode);

	if (r == 0)
		*ret_traits = (struct layer_traits){true, false, inode->mtime, inode->flags};
	return r;
}

const struct layer_ops mem_layer_ops = {
	.kind = "mem",
	.open = mem_open,
	.close = mem_close,
	.root = mem_root,
	.lookup = mem_lookup,
	.forget = mem_forget,
	.readdir = mem_readdir,
	.getattr_with_mapping = mem_getattr,
	.readlink = mem_readlink,
	.open_file = mem_open_file,
	.getxattr = mem_getxattr,
	.listxattr = mem_listxattr,
	.statfs = mem_statfs,
	.shortcuts = {mem_identify, mem_count_directories},
	.get_traits = mem_get_traits,
};
