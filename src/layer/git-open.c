/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of a git layer: its repository, revision and subdirectory are found once. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "layer/git-internal.h"
#include "layer/inode-hash.h"
#include "layer/layer-kind.h"
#include "util/cleanup.h"

/* Half of a kernel tree's: what was inflated once is quickly inflated again. */
#define TREES_KEPT (2u << 20)
#define BLOBS_KEPT (8u << 20)

void git_layer_close(struct layer *layer)
{
	struct git_layer *self = git_layer_of(layer);

	read_ahead_free(self->ahead);
	slot_table_release(&self->slots);
	object_cache_close(self->trees);
	object_cache_close(self->blobs);
	object_store_close(self->store);
	close_keep_errno(self->loader.scratch_fd);
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
			*id = git_entry_id(&entry);
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
	self->ahead = read_ahead_new(self->trees, self->blobs, &self->loader);
	if (!self->ahead)
		return out_of_memory(err);
	self->loader.store = self->store;
	r = find_root(self, config, label, &tree, err);
	if (r < 0)
		return r;
	self->root = slot_new_root(&self->slots, &tree, root_ino);
	return self->root ? 0 : out_of_memory(err);
}

int git_layer_open(const struct layer_config *config, struct layer **ret_layer, struct error *err)
{
	const char *label = config->name ? config->name : config->git_dir;
	struct git_layer *self;
	int r;

	if (!config->git_dir || !config->object_dirs)
		return error_set(
			err, EINVAL, EXIT_STATUS_SOURCE, "a git layer without a repository");
	self = calloc(1, sizeof(*self));
	if (!self || layer_base_init(&self->base, &git_layer_ops, config, config->rev) < 0) {
		free(self);
		return out_of_memory(err);
	}
	self->base.has_no_holes = true;
	slot_table_init(&self->slots);
	self->loader.layer = &self->base;
	self->loader.scratch_fd =
		config->scratch_fd < 0 ? -1 : fcntl(config->scratch_fd, F_DUPFD_CLOEXEC, 3);
	self->storage_uid = storage_id(config->ids, IDMAP_UID, config->owner_uid);
	self->storage_gid = storage_id(config->ids, IDMAP_GID, config->owner_gid);
	r = open_objects(self, config, label, err);
	if (r < 0) {
		git_layer_close(&self->base);
		return r;
	}
	self->mtime = shown_time(config, &self->revision);
	*ret_layer = &self->base;
	return 0;
}
