/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/node.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/quota.h"
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
	close_keep_errno(atomic_load(&node->orphan_fd));
	close_keep_errno(atomic_load(&node->coherent_fd));
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

static void free_chain(struct overlay *ov, struct node *node)
{
	while (node) {
		struct node *next = node->key_next;

		node_free(ov, node);
		atomic_fetch_add(&ov->freed_count, 1);
		node = next;
	}
}

static struct node *drop_refs(struct overlay *ov, struct node *node, uint64_t count)
	requires_lock(ov->table)
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
	dead = drop_refs(ov, node, 1);
	mutex_unlock(&ov->table);
	free_chain(ov, dead);
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

/* A directory has come into `parent`, or left it. What was never counted stays so. */
static void adjust_subdirs(struct overlay *ov, struct node *parent, const struct node *node,
	int change) requires_lock(ov->table)
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
	adjust_subdirs(ov, dir, dir, 1);
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
			dead = drop_refs(ov, node, 1);
	}
	known = ov->name_count;
	mutex_unlock(&ov->table);
	free_chain(ov, dead);
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

struct node_name *node_new_name(struct node *parent, const char *name)
{
	struct node_name *n = table_new_name(parent, NULL, name);

	if (n)
		n->in_upper = true;
	return n;
}

void node_add_name(struct overlay *ov, struct node *node, struct node_name *name)
{
	name->node = node;
	mutex_lock(&ov->table);
	table_link_name(ov, name);
	table_link_key(ov, node);
	mutex_unlock(&ov->table);
}

/* Returns the chain of nodes that die with the name. */
static struct node *drop_name_locked(struct overlay *ov, struct node *parent, const char *name)
	requires_lock(ov->table)
{
	struct node_name *n = table_find_name(ov, parent, name);

	if (!n)
		return NULL;
	adjust_subdirs(ov, parent, n->node, -1);
	table_unlink_name(ov, n);
	free(n);
	return drop_refs(ov, parent, 1);
}

void node_drop_name(struct overlay *ov, struct node *parent, const char *name)
{
	struct node *dead;

	mutex_lock(&ov->table);
	dead = drop_name_locked(ov, parent, name);
	mutex_unlock(&ov->table);
	free_chain(ov, dead);
}

void node_move_name(
	struct overlay *ov, struct node *parent, const char *name, struct node_name *new_name)
{
	struct node *dead = NULL, *dead_too = NULL;
	struct node_name *old;

	mutex_lock(&ov->table);
	old = table_find_name(ov, parent, name);
	if (old) {
		new_name->node = old->node;
		dead = drop_name_locked(ov, new_name->parent, new_name->name);
		adjust_subdirs(ov, new_name->parent, old->node, 1);
		table_link_name(ov, steal_ptr(&new_name));
		dead_too = drop_name_locked(ov, parent, name);
	}
	mutex_unlock(&ov->table);
	free(new_name);
	free_chain(ov, dead);
	free_chain(ov, dead_too);
}

void node_swap_names(struct overlay *ov, struct node_name *a, struct node_name *b)
{
	mutex_lock(&ov->table);
	a->node = table_find_name(ov, b->parent, b->name)->node;
	b->node = table_find_name(ov, a->parent, a->name)->node;
	/* The caller holds both parents and both nodes: nobody dies here. */
	drop_name_locked(ov, a->parent, a->name);
	adjust_subdirs(ov, a->parent, a->node, 1);
	table_link_name(ov, a);
	drop_name_locked(ov, b->parent, b->name);
	adjust_subdirs(ov, b->parent, b->node, 1);
	table_link_name(ov, b);
	mutex_unlock(&ov->table);
}

void node_name_set_upper(struct overlay *ov, struct node *parent, const char *name)
{
	struct node_name *n;

	mutex_lock(&ov->table);
	n = table_find_name(ov, parent, name);
	if (n) {
		n->in_upper = true;
		n->node->name_version++;
	}
	mutex_unlock(&ov->table);
}

static int take_place(struct overlay *ov, struct node *node, bool in_upper, bool any,
	struct node_place *ret_place)
{
	struct node_name *n;

	mutex_lock(&ov->table);
	n = node->names;
	while (n && !any && n->in_upper != in_upper)
		n = n->node_next;
	if (n) {
		ret_place->parent = n->parent;
		ret_place->parent->refs++;
		ret_place->version = node->name_version;
		strcpy(ret_place->name, n->name);
	}
	mutex_unlock(&ov->table);
	return n ? 0 : -ENOENT;
}

int node_place(struct overlay *ov, struct node *node, struct node_place *ret_place)
{
	return take_place(ov, node, true, !node_is_upper(node), ret_place);
}

int node_alias(struct overlay *ov, struct node *node, struct node_place *ret_place)
{
	return take_place(ov, node, false, false, ret_place);
}

bool node_has_other_name(
	struct overlay *ov, struct node *node, struct node *parent, const char *name)
{
	bool has_other = false;

	mutex_lock(&ov->table);
	for (struct node_name *n = node->names; n && !has_other; n = n->node_next)
		has_other = n->in_upper && (n->parent != parent || strcmp(n->name, name) != 0);
	mutex_unlock(&ov->table);
	return has_other;
}

void node_keep_locked(struct overlay *ov, struct node *node) requires_lock(ov->table)
{
	if (!node->is_kept)
		node->refs++;
	node->is_kept = true;
}

void node_hide_link(struct overlay *ov, struct node *node)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store(&node->hidden_at, now.tv_sec * 1000000000ll + now.tv_nsec);
	mutex_lock(&ov->table);
	if (++node->hidden_links < node->lower_links) {
		node_keep_locked(ov, node);
	} else if (node->is_kept && !node_is_upper(node)) {
		node->refs--;
		node->is_kept = false;
	}
	mutex_unlock(&ov->table);
}

bool node_is_placed(struct overlay *ov, struct node *node, const struct node_place *place)
{
	bool is_placed;

	mutex_lock(&ov->table);
	is_placed = node->name_version == place->version;
	mutex_unlock(&ov->table);
	return is_placed;
}

bool node_is_below(struct overlay *ov, struct node *node, struct node *ancestor)
{
	bool is_below;

	mutex_lock(&ov->table);
	while (node != ancestor && node->names)
		node = node->names->parent;
	is_below = node == ancestor;
	mutex_unlock(&ov->table);
	return is_below;
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
