/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/node.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/merge.h"
#include "overlay/node-internal.h"
#include "overlay/quota.h"
#include "overlay/table.h"
#include "util/cleanup.h"

/* Nodes, of some 120 bytes each with what belongs to them. */
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
	directory_drop_listing(ov, dir);
	fdcache_drop(ov->fds, &dir->upper_fd);
	rwlock_destroy(&dir->lock);
	lower_set_release(&dir->lowers);
	free(dir->redirect);
	free(dir);
}

static void node_use_free(struct overlay *ov, struct node_use *use)
{
	if (!use)
		return;
	quota_close(ov->quota, atomic_load(&use->orphan_fd));
	close_keep_errno(node_take_fd(ov, &use->orphan_fd));
	close_keep_errno(node_take_fd(ov, &use->coherent_fd));
	free(use);
}

/* What belongs to it. */
static void node_release(struct overlay *ov, struct node *node)
{
	if (node_is_dir(node))
		node_dir_free(ov, node->dir);
	else if (node->lower.layer)
		layer_forget(node->lower.layer, node->lower.node, 1);
	node_use_free(ov, node_use(node));
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

static struct node_use *node_use_new(uint32_t lower_links)
{
	struct node_use *use = calloc(1, sizeof(*use));

	if (!use)
		return NULL;
	use->lower_links = lower_links;
	atomic_init(&use->orphan_fd, -1);
	atomic_init(&use->coherent_fd, -1);
	use->lent_fd = -1;
	return use;
}

int node_prepare(struct node *node)
{
	struct node_use *use = node_use(node), *fresh;

	if (use)
		return 0;
	fresh = node_use_new(0);
	if (!fresh)
		return -ENOMEM;
	/* Of two threads one was faster. */
	if (!atomic_compare_exchange_strong(&node->use, &use, fresh))
		free(fresh);
	return 0;
}

/* Not in the table yet, and without an id. */
static int node_init(struct node *node, struct node_spec *spec)
{
	*node = (struct node){.ino = spec->ino, .type = (uint16_t)spec->type, .refs = 1};
	atomic_init(&node->has_upper, spec->has_upper);
	atomic_init(&node->protection, PROTECTION_UNKNOWN);
	if (spec->has_upper || spec->is_shared) {
		atomic_init(&node->use, node_use_new((uint32_t)spec->lower_links));
		if (!node_use(node))
			return -ENOMEM;
	}
	if (S_ISDIR(spec->type)) {
		node->dir = node_dir_new(spec);
		return node->dir ? 0 : -ENOMEM;
	}
	if (spec->lowers.count > 0) {
		node->lower = spec->lowers.refs[0];
		/* The first reference is the node's now, the others go back. */
		spec->lowers.refs[0] = spec->lowers.refs[--spec->lowers.count];
	}
	return 0;
}

/*
 * Takes an unreferenced node, and every parent that goes with it, out of the
 * tables, but for their ids. They are chained by dead_next, and freed without the lock.
 */
static struct node *detach_dead(struct overlay *ov, struct node *node) requires_lock(ov->table)
{
	struct node *pending = node, *dead = NULL;

	table_unlink_key(ov, node);
	node->dead_next = NULL;
	while (pending) {
		node = pending;
		pending = node->dead_next;
		while (node->names) {
			struct node_name *n = node->names;

			table_unlink_name(ov, n);
			if (--n->parent->refs == 0) {
				n->parent->dead_next = pending;
				pending = n->parent;
			}
			free(n);
		}
		node->dead_next = dead;
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
	if (!node)
		return;
	for (struct node *n = node; n; n = n->dead_next)
		node_release(ov, n);
	mutex_lock(&ov->table);
	for (struct node *next; node; node = next) {
		next = node->dead_next;
		table_give_id_back(ov, node);
		atomic_fetch_add(&ov->freed_count, 1);
	}
	mutex_unlock(&ov->table);
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
	struct node *node;

	mutex_lock(&ov->table);
	node = table_find_id(ov, id);
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
	if (count < NLOOKUP_MAX - node->nlookup)
		node->nlookup += (uint32_t)count;
	else
		node->nlookup = NLOOKUP_MAX;
	mutex_unlock(&ov->table);
}

bool node_forget(struct overlay *ov, uint64_t id, uint64_t count)
{
	struct node *node, *dead = NULL;
	bool is_forgotten = true;
	size_t known;

	mutex_lock(&ov->table);
	node = table_find_id(ov, id);
	/* More than was handed out: a confused or hostile client; keep what is ours. */
	if (node && node->nlookup > 0) {
		if (node->nlookup < NLOOKUP_MAX)
			node->nlookup -= count < node->nlookup ? (uint32_t)count : node->nlookup;
		is_forgotten = node->nlookup == 0;
		if (is_forgotten)
			dead = node_drop_refs_locked(ov, node, 1);
	}
	known = ov->name_count;
	mutex_unlock(&ov->table);
	node_free_chain(ov, dead);
	if (dead)
		trim_memory(ov, known);
	return is_forgotten;
}

uint64_t node_generation(const struct node *node)
{
	return node->generation;
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

/* What is used of `fresh` and `name` is empty then, the rest stays the caller's. */
static int insert_locked(struct overlay *ov, const struct node_spec *spec, struct node *fresh,
	struct node_name **name, struct node **ret_node) requires_lock(ov->table)
{
	bool has_name;
	struct node *node = find_known(ov, spec, &has_name);

	if (!node) {
		int r = table_add_node(ov, spec->id, fresh, &node);

		if (r < 0)
			return r;
		*fresh = (struct node){.ino = 0};
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
	_cleanup_free_ struct node_name *name = NULL;
	struct node fresh;
	int r = node_init(&fresh, spec);

	lower_set_release(&spec->lowers);
	if (r == 0 && spec->parent) {
		name = table_new_name(spec->parent, NULL, spec->name);
		r = name ? 0 : -ENOMEM;
	}
	if (r == 0) {
		mutex_lock(&ov->table);
		r = insert_locked(ov, spec, &fresh, &name, ret_node);
		mutex_unlock(&ov->table);
	}
	node_release(ov, &fresh);
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
	for (uint64_t id = 0; id < (uint64_t)ov->block_count * BLOCK_NODES; id++) {
		struct node *node = table_find_id(ov, id);

		if (node)
			node_release(ov, node);
	}
	table_free(ov);
	pthread_cond_destroy(&ov->copied);
	mutex_destroy(&ov->table);
}
