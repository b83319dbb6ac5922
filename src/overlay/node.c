/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/node.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/quota.h"
#include "overlay/node-internal.h"
#include "overlay/table.h"
#include "util/cleanup.h"

/* Nodes, of some 200 bytes each with what belongs to them. */
#define TRIM_MIN 4096

void lower_set_release(struct lower_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		layer_forget(set->refs[i].layer, set->refs[i].node, 1);
	free(set->refs);
	*set = (struct lower_set){0};
}

void node_keep_fd(struct overlay *ov, _Atomic int *slot, int fd)
{
	atomic_fetch_add(&ov->open_count, 1);
	atomic_store(slot, fd);
}

int node_take_fd(struct overlay *ov, _Atomic int *slot)
{
	int fd = atomic_exchange(slot, -1);

	if (fd >= 0)
		atomic_fetch_sub(&ov->open_count, 1);
	return fd;
}

/* --- life and death --- */

static void node_dir_free(struct overlay *ov, struct node_dir *dir)
{
	if (!dir)
		return;
	fdcache_drop(ov->fds, &dir->upper_fd);
	rwlock_destroy(&dir->lock);
	lower_set_release(&dir->lowers);
	free(dir->redirect);
	free(dir);
}

static void node_free(struct overlay *ov, struct node *node)
{
	node_dir_free(ov, node->dir);
	if (node->lower.layer)
		layer_forget(node->lower.layer, node->lower.node, 1);
	quota_settle(ov->quota, atomic_load(&node->orphan_fd));
	close_keep_errno(node_take_fd(ov, &node->orphan_fd));
	close_keep_errno(node_take_fd(ov, &node->coherent_fd));
	free(node);
}

static struct node_dir *node_dir_new(struct node_spec *spec)
{
	struct node_dir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return NULL;
	rwlock_init(&dir->lock);
	fdcache_entry_init(&dir->upper_fd);
	dir->lowers = spec->lowers;
	spec->lowers = (struct lower_set){0};
	dir->subdirs = -1;
	dir->redirect = steal_ptr(&spec->redirect);
	atomic_init(&dir->is_impure, spec->is_impure);
	return dir;
}

static struct node *node_new(struct overlay *ov, struct node_spec *spec)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->ino = spec->ino;
	node->type = spec->type;
	node->lower_links = (uint32_t)spec->lower_links;
	atomic_init(&node->has_upper, spec->has_upper);
	atomic_init(&node->orphan_fd, -1);
	atomic_init(&node->protection, -1);
	atomic_init(&node->coherent_fd, -1);
	if (S_ISDIR(spec->type)) {
		node->dir = node_dir_new(spec);
		if (!node->dir) {
			node_free(ov, node);
			return NULL;
		}
	} else if (spec->lowers.count > 0) {
		node->lower = spec->lowers.refs[0];
		/* The first reference is the node's now, the others go back. */
		spec->lowers.refs[0] = spec->lowers.refs[--spec->lowers.count];
	}
	return node;
}

/*
 * Takes an unreferenced node, and every parent that goes with it, out of the
 * tables. They are chained by key_next, and freed without the lock.
 */
static struct node *detach_dead(struct overlay *ov, struct node *node) requires_lock(ov->table)
{
	struct node *pending = node, *dead = NULL;

	table_unlink_key(ov, node);
	node->key_next = NULL;
	while (pending) {
		node = pending;
		pending = node->key_next;
		while (node->names) {
			struct node_name *n = node->names;

			table_unlink_name(ov, n);
			if (--n->parent->refs == 0) {
				n->parent->key_next = pending;
				pending = n->parent;
			}
			free(n);
		}
		table_give_id_back(ov, node);
		node->key_next = dead;
		dead = node;
	}
	return dead;
}

/*
 * malloc keeps what is freed in small pieces. When the kernel has forgotten more than it still
 * knows, the pages go back.
 */
static void trim_memory(struct overlay *ov, size_t known)
{
	size_t freed = atomic_load(&ov->freed_count);

	if (freed < TRIM_MIN || freed < known ||
		!atomic_compare_exchange_strong(&ov->freed_count, &freed, 0))
		return;
	malloc_trim(0);
}

void node_free_chain(struct overlay *ov, struct node *node)
{
	while (node) {
		struct node *next = node->key_next;

		node_free(ov, node);
		atomic_fetch_add(&ov->freed_count, 1);
		node = next;
	}
}

struct node *node_drop_refs_locked(struct overlay *ov, struct node *node, uint64_t count)
{
	node->refs -= count;
	return node->refs ? NULL : detach_dead(ov, node);
}

void node_put(struct overlay *ov, struct node *node)
{
	struct node *dead;

	if (!node)
		return;
	mutex_lock(&ov->table);
	dead = node_drop_refs_locked(ov, node, 1);
	mutex_unlock(&ov->table);
	node_free_chain(ov, dead);
}

void node_ref(struct overlay *ov, struct node *node)
{
	mutex_lock(&ov->table);
	node->refs++;
	mutex_unlock(&ov->table);
}

struct node *node_get(struct overlay *ov, uint64_t id)
{
	struct node *node = NULL;

	mutex_lock(&ov->table);
	if (id < ov->slot_count)
		node = ov->slots[id].node;
	if (node)
		node->refs++;
	mutex_unlock(&ov->table);
	return node;
}

struct node *node_find(struct overlay *ov, struct node *parent, const char *name)
{
	struct node_name *n;
	struct node *node = NULL;

	mutex_lock(&ov->table);
	n = table_find_name(ov, parent, name);
	if (n) {
		node = n->node;
		node->refs++;
	}
	mutex_unlock(&ov->table);
	return node;
}

void node_set_redirect(struct overlay *ov, struct node *dir, char *redirect)
{
	char *old;

	mutex_lock(&ov->table);
	old = dir->dir->redirect;
	dir->dir->redirect = redirect;
	mutex_unlock(&ov->table);
	free(old);
}

void node_adjust_subdirs_locked(
	struct overlay *ov, struct node *parent, const struct node *node, int change)
{
	if (node_is_dir(node) && parent->dir->subdirs >= 0)
		parent->dir->subdirs += change;
}

int64_t node_subdirs(struct overlay *ov, const struct node *dir)
{
	int64_t count;

	mutex_lock(&ov->table);
	count = dir->dir->subdirs;
	mutex_unlock(&ov->table);
	return count;
}

void node_set_subdirs(struct overlay *ov, struct node *dir, int64_t count)
{
	mutex_lock(&ov->table);
	dir->dir->subdirs = count;
	mutex_unlock(&ov->table);
}

void node_add_subdir(struct overlay *ov, struct node *dir)
{
	mutex_lock(&ov->table);
	node_adjust_subdirs_locked(ov, dir, dir, 1);
	mutex_unlock(&ov->table);
}

void node_remember(struct overlay *ov, struct node *node, uint64_t count)
{
	mutex_lock(&ov->table);
	if (node->nlookup == 0)
		node->refs++;
	node->nlookup += count;
	mutex_unlock(&ov->table);
}

void node_forget(struct overlay *ov, uint64_t id, uint64_t count)
{
	struct node *node, *dead = NULL;
	size_t known;

	mutex_lock(&ov->table);
	node = id < ov->slot_count ? ov->slots[id].node : NULL;
	/* More than was handed out: a confused or hostile client; keep what is ours. */
	if (node && node->nlookup > 0) {
		node->nlookup -= count < node->nlookup ? count : node->nlookup;
		if (node->nlookup == 0)
			dead = node_drop_refs_locked(ov, node, 1);
	}
	known = ov->name_count;
	mutex_unlock(&ov->table);
	node_free_chain(ov, dead);
	if (dead)
		trim_memory(ov, known);
}

uint64_t node_generation(struct overlay *ov, const struct node *node)
{
	uint64_t generation;

	mutex_lock(&ov->table);
	generation = ov->slots[node->id].generation;
	mutex_unlock(&ov->table);
	return generation;
}

/* --- names --- */

/* The node that the name or the shared inode number stands for already, referenced. */
static struct node *find_known(struct overlay *ov, const struct node_spec *spec, bool *ret_has_name)
	requires_lock(ov->table)
{
	struct node_name *n = spec->parent ? table_find_name(ov, spec->parent, spec->name) : NULL;
	struct node *node = n ? n->node : NULL;

	*ret_has_name = n != NULL;
	if (!node && spec->is_shared)
		node = table_find_key(ov, spec->ino);
	if (node)
		node->refs++;
	return node;
}

/* What is used of `fresh` and `name` is set to NULL, the rest stays the caller's. */
static int insert_locked(struct overlay *ov, const struct node_spec *spec, struct node **fresh,
	struct node_name **name, struct node **ret_node) requires_lock(ov->table)
{
	bool has_name;
	struct node *node = find_known(ov, spec, &has_name);

	if (!node) {
		int r = table_take_id(ov, spec->id, *fresh);

		if (r < 0)
			return r;
		node = steal_ptr(fresh);
		node->refs = 1;
		if (spec->is_shared)
			table_link_key(ov, node);
	}
	if (!has_name && *name) {
		(*name)->node = node;
		(*name)->in_upper = spec->has_upper;
		table_link_name(ov, steal_ptr(name));
	}
	*ret_node = node;
	return 0;
}

int node_add(struct overlay *ov, struct node_spec *spec, struct node **ret_node)
{
	struct node *fresh = node_new(ov, spec);
	_cleanup_free_ struct node_name *name = NULL;
	int r = -ENOMEM;

	lower_set_release(&spec->lowers);
	if (fresh && spec->parent)
		name = table_new_name(spec->parent, fresh, spec->name);
	if (fresh && (name || !spec->parent)) {
		mutex_lock(&ov->table);
		r = insert_locked(ov, spec, &fresh, &name, ret_node);
		mutex_unlock(&ov->table);
	}
	if (fresh)
		node_free(ov, fresh);
	return r;
}

/* --- the whole table --- */

int nodes_init(struct overlay *ov)
{
	mutex_init(&ov->table);
	pthread_cond_init(&ov->copied, NULL);
	return table_init(ov);
}

void nodes_free(struct overlay *ov) no_lock_analysis
{
	for (size_t i = 0; i < ov->name_bucket_count && ov->name_buckets; i++) {
		for (struct node_name *n = ov->name_buckets[i], *next; n; n = next) {
			next = n->hash_next;
			free(n);
		}
	}
	for (uint64_t i = 0; i < ov->slot_count; i++)
		if (ov->slots[i].node)
			node_free(ov, ov->slots[i].node);
	table_free(ov);
	pthread_cond_destroy(&ov->copied);
	mutex_destroy(&ov->table);
}
