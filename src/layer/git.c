/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layer "git": shows a tree of a repository, exactly, and verified. */
#include <git-overlayfs/git-layer.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <git2.h>

#include "layer/git-cache.h"
#include "layer/git-load.h"
#include "layer/git-rev.h"
#include "layer/git-slots.h"
#include "layer/git-store.h"
#include "layer/inode-hash.h"
#include "layer/layer-kind.h"
#include "util/cleanup.h"

#define TREES_KEPT (32u << 20)
#define BLOBS_KEPT (8u << 20)

/* All members are immutable after open, or have locks of their own. */
struct git_layer {
	struct layer base;
	struct object_store *store;
	struct object_loader loader;
	struct object_cache *trees, *blobs;
	struct slot_table slots;
	struct tree_slot *root;
	struct revision revision;
	int64_t mtime;
	uint32_t storage_uid, storage_gid;
};

static struct git_layer *git_layer_of(struct layer *layer)
{
	return (struct git_layer *)layer;
}

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

static git_oid id_of(const struct tree_entry *entry)
{
	git_oid id;

	git_oid_fromraw(&id, entry->id);
	return id;
}

static int enter_blob(struct git_layer *self, const char *operation, const struct place *place,
	struct cached_object **ret_object)
{
	const git_oid id = id_of(&place->entry);
	struct object_cause cause = {""};
	int r = object_cache_get(self->blobs, &id, load_blob, &self->loader, ret_object, &cause);

	return r < 0 ? failed(self, operation, place->slot, place->entry.name, &cause, r) : 0;
}

/* --- life --- */

static void git_close(struct layer *layer)
{
	struct git_layer *self = git_layer_of(layer);

	slot_table_release(&self->slots);
	object_cache_close(self->trees);
	object_cache_close(self->blobs);
	object_store_close(self->store);
	close_keep_errno(self->loader.scratch_fd);
	mutex_destroy(&self->loader.large_lock);
	layer_base_release(layer);
	free(self);
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

/*
 * Owners are given as the container sees them. One that the map does not have gets
 * a storage id that no map has, so that it is shown as the overflow id, and
 * idmap_can_copy() refuses it.
 */
static uint32_t storage_id(const struct idmap *ids, enum idmap_kind kind, uint32_t container_id)
{
	uint32_t id;

	return idmap_to_storage(ids, kind, container_id, &id) < 0 ? (uint32_t)-1 : id;
}

static int64_t shown_time(const struct layer_config *config, const struct revision *revision)
{
	int64_t now = time(NULL), wanted = config->mtime_is_commit ? revision->time : config->mtime;

	/* make and git distrust what is newer than the clock. */
	return wanted < now ? wanted : now;
}

/* One component of `subdir`: from the tree *id to the one below it. */
static int descend(
	struct git_layer *self, const char *label, const char *name, git_oid *id, struct error *err)
{
	struct cached_object *object;
	struct object_cause cause = {""};
	struct tree_entry entry;
	uint32_t index;
	int r = object_cache_get(self->trees, id, load_tree, &self->loader, &object, &cause);

	if (r < 0)
		return error_set(err, -r, EXIT_STATUS_SOURCE, "%s: %s", label, cause.text);
	if (!tree_view_find(&cached_object_content(object)->tree, name, &index)) {
		r = error_set(err, ENOENT, EXIT_STATUS_SOURCE,
			"%s: the revision has no directory '%s'", label, name);
	} else {
		entry = tree_view_entry(&cached_object_content(object)->tree, index);
		if (S_ISDIR(entry.mode))
			*id = id_of(&entry);
		else
			r = error_set(err, ENOTDIR, EXIT_STATUS_SOURCE, "%s: '%s' is %s", label,
				name,
				S_ISREG(entry.mode)   ? "a file, not a directory"
				: S_ISLNK(entry.mode) ? "a symlink, not a directory"
						      : "a submodule; mount its repository");
	}
	cached_object_put(object);
	return r;
}

/* Goes down `subdir`, and checks that there is a tree at the end. */
static int find_root(struct git_layer *self, const struct layer_config *config, const char *label,
	git_oid *ret_tree, struct error *err)
{
	_cleanup_free_ char *subdir = strdup(config->subdir ? config->subdir : "");
	char *rest = subdir, *name;
	struct object_cause cause = {""};
	struct cached_object *object;
	git_oid id = self->revision.tree;
	int r = 0;

	if (!subdir)
		return out_of_memory(err);
	while (r == 0 && (name = strsep(&rest, "/")))
		if (*name)
			r = descend(self, label, name, &id, err);
	if (r < 0)
		return r == -ENOMEM ? r : error_prefix(err, "subdirectory '%s'", config->subdir);
	r = object_cache_get(self->trees, &id, load_tree, &self->loader, &object, &cause);
	if (r < 0)
		return error_set(err, -r, EXIT_STATUS_SOURCE,
			"%s: %s; the repository is incomplete (git fsck)", label, cause.text);
	cached_object_put(object);
	*ret_tree = id;
	return 0;
}

static int open_objects(struct git_layer *self, const struct layer_config *config,
	const char *label, struct error *err)
{
	/* The same for every root: two mounts of a commit agree, whatever its subdir is called. */
	const uint64_t root_ino = inode_hash_mix(INODE_HASH_SEED) >> 2;
	git_oid tree;
	int r = object_store_open(config->object_dirs, &self->store, err);

	if (r < 0)
		return error_prefix(err, "%s", label);
	r = revision_resolve(config, label, self->store, &self->revision, err);
	if (r < 0)
		return r;
	self->trees = object_cache_new(TREES_KEPT);
	self->blobs = object_cache_new(BLOBS_KEPT);
	if (!self->trees || !self->blobs)
		return out_of_memory(err);
	self->loader.store = self->store;
	r = find_root(self, config, label, &tree, err);
	if (r < 0)
		return r;
	self->root = slot_new_root(&self->slots, &tree, root_ino);
	return self->root ? 0 : out_of_memory(err);
}

static int git_open(const struct layer_config *config, struct layer **ret_layer, struct error *err)
{
	const char *label = config->name ? config->name : config->git_dir;
	struct git_layer *self;
	int r = object_library_init(err);

	if (r < 0)
		return r;
	if (!config->git_dir || !config->object_dirs)
		return error_set(
			err, EINVAL, EXIT_STATUS_SOURCE, "a git layer without a repository");
	self = calloc(1, sizeof(*self));
	if (!self || layer_base_init(&self->base, &git_layer_ops, config, config->rev) < 0) {
		free(self);
		return out_of_memory(err);
	}
	mutex_init(&self->loader.large_lock);
	slot_table_init(&self->slots);
	self->loader.layer = &self->base;
	self->loader.scratch_fd =
		config->scratch_fd < 0 ? -1 : fcntl(config->scratch_fd, F_DUPFD_CLOEXEC, 3);
	self->storage_uid = storage_id(config->ids, IDMAP_UID, config->owner_uid);
	self->storage_gid = storage_id(config->ids, IDMAP_GID, config->owner_gid);
	r = open_objects(self, config, label, err);
	if (r < 0) {
		git_close(&self->base);
		return r;
	}
	self->mtime = shown_time(config, &self->revision);
	*ret_layer = &self->base;
	return 0;
}

int git_layer_object_id(const struct layer *layer, char ret_hex[GIT_LAYER_ID_SIZE])
{
	if (layer->ops != &git_layer_ops)
		return -EINVAL;
	git_oid_tostr(
		ret_hex, GIT_LAYER_ID_SIZE, &((const struct git_layer *)layer)->revision.object);
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
	id = id_of(&entry);
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

	slot_unref(&self->slots, slot_of_node(&self->slots, node), count);
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
		const git_oid id = id_of(&place.entry);

		r = object_store_read_size(self->store, &id, GIT_OBJECT_BLOB, &size, &cause);
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
	n = enter_blob(self, "readlink", &place, &object);
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

static int git_open_file(struct layer *layer, layer_node_t node, struct layer_file *ret_file)
{
	struct git_layer *self = git_layer_of(layer);
	_cleanup_place_ struct place place = {0};
	const struct object_content *content;
	struct cached_object *object;
	int r = enter_node(self, "open", node, &place);

	if (r < 0)
		return r;
	if (!node_is_entry(node))
		return -EISDIR;
	if (!S_ISREG(place.entry.mode))
		return -EINVAL;
	r = enter_blob(self, "open", &place, &object);
	if (r < 0)
		return r;
	content = cached_object_content(object);
	*ret_file = (struct layer_file){
		.fd = content->fd,
		.data = content->data,
		.size = content->size,
		.release = release_object,
		.cookie = object,
	};
	return 0;
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
	.open = git_open,
	.close = git_close,
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
	.shortcuts = {git_identify, git_count_directories},
};
