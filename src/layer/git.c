/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer "git": shows a tree of a repository, exactly, and verified. */
#include <git-overlayfs/git-layer.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "layer/git-internal.h"
#include "layer/layer-kind.h"
#include "util/cleanup.h"

/* --- objects --- */

/* A directory or an entry of one, with the tree that it stands in. */
struct place {
	struct tree_slot *slot;
	struct cached_object *object; /* the slot's tree; NULL: none was needed, or a gitlink */
	struct tree_entry entry;      /* where the node is no directory */
};

static void place_release(struct place *place)
{
	cached_object_put(place->object);
	place->object = NULL;
}

#define _cleanup_place_ _cleanup_(place_release)

static int failed(struct git_layer *self, const char *operation, const struct tree_slot *slot,
	const char *name, const struct object_cause *cause, int result)
{
	struct path_tail path;

	slot_path(slot, name, &path);
	layer_log_failure(&self->base, operation, path_tail_text(&path), "%s",
		*cause->text ? cause->text : strerror(-result));
	return result;
}

static const struct tree_view *view_of(const struct place *place)
{
	static const struct tree_view empty = {.count = 0};

	return place->object ? &cached_object_content(place->object)->tree : &empty;
}

/* Reads the directory's tree. A gitlink has none, and is empty. */
static int enter_tree(struct git_layer *self, const char *operation, struct tree_slot *slot,
	struct place *ret_place)
{
	struct place place = {.slot = slot};
	struct object_cause cause = {""};
	int r = 0;

	if (!slot->is_gitlink)
		r = object_cache_get(
			self->trees, &slot->tree, load_tree, &self->loader, &place.object, &cause);
	if (r < 0)
		return failed(self, operation, slot, NULL, &cause, r);
	*ret_place = place;
	return 0;
}

/* The same for any node: with the entry where it is one. */
static int enter_node(
	struct git_layer *self, const char *operation, layer_node_t node, struct place *ret_place)
{
	struct tree_slot *slot = slot_of_node(&self->slots, node);
	int r;

	if (!node_is_entry(node)) {
		*ret_place = (struct place){.slot = slot};
		return 0;
	}
	r = enter_tree(self, operation, slot, ret_place);
	if (r == 0)
		ret_place->entry = tree_view_entry(view_of(ret_place), node_entry(node));
	return r;
}

static int enter_blob(struct git_layer *self, const char *operation, const struct place *place,
	uint32_t index, struct cached_object **ret_object)
{
	const git_oid id = git_entry_id(&place->entry);
	struct object_cause cause = {""};
	struct cached_object *object;
	uint64_t size;
	int r = object_cache_get(self->blobs, &id, load_blob, &self->loader, &object, &cause);

	if (r == 0) {
		r = load_size(&self->loader, place->object, index, &size, &cause);
		if (r == 0)
			r = load_check_size(size, cached_object_content(object)->size, &cause);
		if (r < 0)
			cached_object_put(object);
	}
	if (r < 0)
		return failed(self, operation, place->slot, place->entry.name, &cause, r);
	*ret_object = object;
	return 0;
}

int git_layer_object_id(const struct layer *layer, char ret_hex[GIT_LAYER_ID_SIZE])
{
	if (layer->ops != &git_layer_ops)
		return -EINVAL;
	id_to_hex(&((const struct git_layer *)layer)->revision.object, ret_hex);
	return 0;
}

/* --- names --- */

static layer_node_t git_root(struct layer *layer)
{
	struct git_layer *self = git_layer_of(layer);

	slot_ref(&self->slots, self->root);
	return slot_node(self->root);
}

static int git_lookup(
	struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node)
{
	struct git_layer *self = git_layer_of(layer);
	struct tree_slot *slot = slot_of_node(&self->slots, parent), *child;
	_cleanup_place_ struct place place = {0};
	struct tree_entry entry;
	uint32_t index;
	git_oid id;
	int r;

	if (node_is_entry(parent))
		return -ENOTDIR;
	r = enter_tree(self, "lookup", slot, &place);
	if (r < 0)
		return r;
	if (!tree_view_find(view_of(&place), name, &index))
		return -ENOENT;
	entry = tree_view_entry(view_of(&place), index);
	if (!tree_entry_is_dir(&entry)) {
		slot_ref(&self->slots, slot);
		*ret_node = slot_entry_node(slot, index);
		return 0;
	}
	id = git_entry_id(&entry);
	child = slot_get(&self->slots,
		&(struct slot_key){slot, index, entry.name, &id, !S_ISDIR(entry.mode)});
	if (!child)
		return -ENOMEM;
	*ret_node = slot_node(child);
	return 0;
}

static void git_forget(struct layer *layer, layer_node_t node, uint64_t count)
{
	struct git_layer *self = git_layer_of(layer);

	/* Nobody looks into any directory. */
	if (slot_unref(&self->slots, slot_of_node(&self->slots, node), count)) {
		read_ahead_rest(self->ahead);
		object_cache_empty(self->trees);
	}
}

static int git_identify(struct layer *layer, layer_node_t node, struct layer_identity *ret_identity)
{
	_cleanup_place_ struct place place = {0};
	int r = enter_node(git_layer_of(layer), "identify", node, &place);

	if (r < 0)
		return r;
	*ret_identity = (struct layer_identity){S_IFDIR, place.slot->ino, 1};
	if (node_is_entry(node)) {
		ret_identity->type = tree_entry_stat_mode(&place.entry) & S_IFMT;
		ret_identity->ino = slot_child_ino(place.slot, place.entry.name);
	}
	return 0;
}

static int git_count_directories(struct layer *layer, layer_node_t node, uint32_t *ret_count)
{
	struct git_layer *self = git_layer_of(layer);
	_cleanup_place_ struct place place = {0};
	int r;

	if (node_is_entry(node))
		return -ENOTDIR;
	r = enter_tree(self, "count", slot_of_node(&self->slots, node), &place);
	if (r == 0)
		*ret_count = view_of(&place)->directory_count;
	return r;
}

static void note_listing(struct git_layer *self, const struct place *place)
{
	const struct tree_slot *slot = place->slot, *parent = slot->parent;

	if (place->object)
		read_ahead_list(self->ahead, &(struct walk_place){
						     .object = place->object,
						     .tree = &slot->tree,
						     .parent = parent ? &parent->tree : NULL,
						     .entry = slot->entry,
					     });
}

static int git_readdir(
	struct layer *layer, layer_node_t node, uint64_t offset, layer_emit_fn emit, void *ctx)
{
	struct git_layer *self = git_layer_of(layer);
	_cleanup_place_ struct place place = {0};
	const struct tree_view *view;
	int r;

	if (node_is_entry(node))
		return -ENOTDIR;
	r = enter_tree(self, "readdir", slot_of_node(&self->slots, node), &place);
	if (r < 0)
		return r;
	view = view_of(&place);
	if (offset == 0)
		note_listing(self, &place);
	for (uint64_t i = offset; i < view->count; i++) {
		struct tree_entry entry = tree_view_entry(view, (uint32_t)i);

		if (emit(ctx, entry.name, tree_entry_stat_mode(&entry) & S_IFMT,
			    slot_child_ino(place.slot, entry.name), i + 1))
			break;
	}
	return 0;
}

/* --- metadata and content --- */

/* As ext4 has it for a checkout: whole blocks of 4 KiB, short symlinks in the inode. */
static blkcnt_t disk_blocks(mode_t mode, uint64_t size)
{
	return S_ISLNK(mode) && size < 60 ? 0 : (blkcnt_t)((size + 4095) / 4096 * 8);
}

static int git_getattr(
	struct layer *layer, layer_node_t node, enum id_view view, struct stat *ret_st)
{
	struct git_layer *self = git_layer_of(layer);
	_cleanup_place_ struct place place = {0};
	struct object_cause cause = {""};
	uint64_t size = 4096; /* of a new directory on most file systems */
	mode_t mode = S_IFDIR | 0755;
	uint64_t ino;
	int r = enter_node(self, "getattr", node, &place);

	if (r < 0)
		return r;
	ino = place.slot->ino;
	if (node_is_entry(node)) {
		r = load_size(&self->loader, place.object, node_entry(node), &size, &cause);
		if (r < 0)
			return failed(self, "getattr", place.slot, place.entry.name, &cause, r);
		mode = tree_entry_stat_mode(&place.entry);
		ino = slot_child_ino(place.slot, place.entry.name);
	}
	*ret_st = (struct stat){
		.st_ino = ino,
		.st_mode = mode,
		.st_nlink = 1,
		.st_size = (off_t)size,
		.st_blksize = 4096,
		.st_blocks = disk_blocks(mode, size),
		.st_atim.tv_sec = self->mtime,
		.st_mtim.tv_sec = self->mtime,
		.st_ctim.tv_sec = self->mtime,
	};
	layer_map_ids(layer, view, self->storage_uid, self->storage_gid, ret_st);
	return 0;
}

/* What symlink(2) makes: not empty, no NUL, and short enough to be followed. */
static bool is_link_target(const struct object_content *content)
{
	return content->data && content->size > 0 && content->size < PATH_MAX &&
	       !memchr(content->data, '\0', content->size);
}

static ssize_t git_readlink(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	struct git_layer *self = git_layer_of(layer);
	_cleanup_place_ struct place place = {0};
	const struct object_content *content;
	struct cached_object *object;
	ssize_t n = enter_node(self, "readlink", node, &place);

	if (n < 0)
		return n;
	if (!node_is_entry(node) || !S_ISLNK(place.entry.mode))
		return -EINVAL;
	n = enter_blob(self, "readlink", &place, node_entry(node), &object);
	if (n < 0)
		return n;
	content = cached_object_content(object);
	if (!is_link_target(content)) {
		struct object_cause cause = {"a symlink whose target is no path"};

		n = failed(self, "readlink", place.slot, place.entry.name, &cause, -EIO);
	} else {
		memcpy(buf, content->data, size < content->size ? size : content->size);
		n = (ssize_t)content->size;
	}
	cached_object_put(object);
	return n;
}

static void release_object(struct layer_file *file)
{
	cached_object_put(file->cookie);
}

static int enter_file(
	struct git_layer *self, const char *operation, layer_node_t node, struct place *ret_place)
{
	int r = enter_node(self, operation, node, ret_place);

	if (r < 0)
		return r;
	if (!node_is_entry(node))
		return -EISDIR;
	return S_ISREG(ret_place->entry.mode) ? 0 : -EINVAL;
}

static int git_open_file(struct layer *layer, layer_node_t node, struct layer_file *ret_file)
{
	struct git_layer *self = git_layer_of(layer);
	_cleanup_place_ struct place place = {0};
	const struct object_content *content;
	struct cached_object *object;
	int r = enter_file(self, "open", node, &place);

	if (r < 0)
		return r;
	read_ahead_open(self->ahead, &place.slot->tree, node_entry(node));
	r = enter_blob(self, "open", &place, node_entry(node), &object);
	if (r < 0)
		return r;
	content = cached_object_content(object);
	*ret_file = (struct layer_file){
		.fd = content->fd,
		.is_lasting = content->is_held,
		.data = content->data,
		.size = content->size,
		.release = release_object,
		.cookie = object,
	};
	return 0;
}

/* Small ones are inflated in memory, and those that are open are in a file already. */
static int git_write_file(struct layer *layer, layer_node_t node, uint64_t size, int fd)
{
	struct git_layer *self = git_layer_of(layer);
	_cleanup_place_ struct place place = {0};
	struct object_cause cause = {""};
	git_oid id;
	int r;

	if (size <= OBJECT_SMALL_MAX)
		return -EOPNOTSUPP;
	r = enter_file(self, "copy", node, &place);
	if (r < 0)
		return r;
	id = git_entry_id(&place.entry);
	if (object_cache_has(self->blobs, &id))
		return -EOPNOTSUPP;
	r = load_into_file(&self->loader, &id, size, fd, &cause);
	/* A full disk is no fault of the repository. */
	return r < 0 && *cause.text ? failed(self, "copy", place.slot, place.entry.name, &cause, r)
				    : r;
}

/* git knows no xattrs. */
static ssize_t git_getxattr(
	struct layer *layer, layer_node_t node, const char *name, void *buf, size_t size)
{
	return -ENODATA;
}

static ssize_t git_listxattr(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	return 0;
}

static int git_statfs(struct layer *layer, struct statvfs *ret_st)
{
	*ret_st = (struct statvfs){.f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255};
	return 0;
}

const struct layer_ops git_layer_ops = {
	.kind = "git",
	.open = git_layer_open,
	.close = git_layer_close,
	.root = git_root,
	.lookup = git_lookup,
	.forget = git_forget,
	.readdir = git_readdir,
	.getattr_with_mapping = git_getattr,
	.readlink = git_readlink,
	.open_file = git_open_file,
	.getxattr = git_getxattr,
	.listxattr = git_listxattr,
	.statfs = git_statfs,
	.shortcuts = {.identify = git_identify,
		.count_directories = git_count_directories,
		.write_file = git_write_file},
};
