/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Nodes of a git layer. Only directories take memory: each that is referred to
 * has a slot in a table. A node is the number of a slot and, in its low 32 bits,
 * 0 for the directory itself or the place of an entry in its tree plus one. A file
 * holds a reference on its directory's slot; a slot one on its parent's.
 *
 * A slot's members but `references` never change while it is held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <git-overlayfs/layer.h>

#include "layer/git-id.h"
#include "layer/path-tail.h"
#include "util/lock.h"

struct tree_slot {
	struct tree_slot *parent; /* NULL: the root */
	struct tree_slot *hash_next;
	uint64_t references; /* protected by the table's lock, as hash_next */
	uint64_t ino;
	uint32_t number;
	uint32_t entry; /* its place in the parent's tree */
	bool is_gitlink;
	git_oid tree;
	char name[];
};

struct slot_table {
	struct mutex lock;
	struct tree_slot **slots guarded_by(lock); /* by number; NULL: free */
	struct tree_slot **buckets guarded_by(lock);
	uint32_t space guarded_by(lock); /* of slots; as many buckets */
	uint32_t count guarded_by(lock);
	uint32_t peak guarded_by(lock);	  /* of the count, since the root was left alone */
	uint32_t search guarded_by(lock); /* where a free number is looked for */
};

void slot_table_init(struct slot_table *table);
void slot_table_release(struct slot_table *table); /* whoever holds references */

/* The root, with one reference. NULL: out of memory. */
struct tree_slot *slot_new_root(struct slot_table *table, const git_oid *tree, uint64_t ino);

struct slot_key {
	struct tree_slot *parent; /* held by the caller */
	uint32_t entry;
	const char *name;
	const git_oid *tree;
	bool is_gitlink;
};

/* The slot of a directory in another one, with a new reference. NULL: out of memory. */
struct tree_slot *slot_get(struct slot_table *table, const struct slot_key *key);

void slot_ref(struct slot_table *table, struct tree_slot *slot);
/* True when of SLOTS_MANY directories, or more, that were known at a time the root alone is left.
 */
#define SLOTS_MANY 64
bool slot_unref(struct slot_table *table, struct tree_slot *slot, uint64_t count);

/* The slot of a node that the caller holds. */
struct tree_slot *slot_of_node(struct slot_table *table, layer_node_t node);

static inline layer_node_t slot_node(const struct tree_slot *slot)
{
	return (layer_node_t)slot->number << 32;
}

static inline layer_node_t slot_entry_node(const struct tree_slot *slot, uint32_t entry)
{
	return slot_node(slot) | (entry + 1);
}

static inline bool node_is_entry(layer_node_t node)
{
	return (uint32_t)node != 0;
}

static inline uint32_t node_entry(layer_node_t node)
{
	return (uint32_t)node - 1;
}

/* The number of what stands under `name` in a directory. Never 0 or 1, less than 2^62. */
uint64_t slot_child_ino(const struct tree_slot *slot, const char *name);

/* For messages; `name` stands in the directory, or is NULL. */
void slot_path(const struct tree_slot *slot, const char *name, struct path_tail *ret_path);

uint32_t slot_count(struct slot_table *table); /* for tests */
