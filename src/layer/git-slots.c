/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-slots.h"

#include <stdlib.h>
#include <string.h>

#include "layer/inode-hash.h"

#define SPACE_MIN 64
/* A node's upper half. */
#define SPACE_MAX (1u << 31)

void slot_table_init(struct slot_table *table) no_lock_analysis
{
	*table = (struct slot_table){0};
	mutex_init(&table->lock);
}

void slot_table_release(struct slot_table *table) no_lock_analysis
{
	for (uint32_t i = 0; i < table->space; i++)
		free(table->slots[i]);
	free(table->slots);
	free(table->buckets);
	mutex_destroy(&table->lock);
}

static uint64_t key_hash(const struct tree_slot *parent, uint32_t entry)
{
	return inode_hash_mix((uint64_t)(parent ? parent->number : 0) << 32 | entry);
}

static struct tree_slot **bucket_locked(struct slot_table *table, const struct tree_slot *parent,
	uint32_t entry) requires_lock(table->lock)
{
	return &table->buckets[key_hash(parent, entry) & (table->space - 1)];
}

static void insert_locked(struct slot_table *table, struct tree_slot *slot)
	requires_lock(table->lock)
{
	struct tree_slot **bucket = bucket_locked(table, slot->parent, slot->entry);

	slot->hash_next = *bucket;
	*bucket = slot;
}

/* Doubles the table. Number 0 is never used, so that no node is 0. */
static bool grow_locked(struct slot_table *table) requires_lock(table->lock)
{
	uint32_t space = table->space ? table->space * 2 : SPACE_MIN;
	struct tree_slot **slots, **buckets;

	if (space > SPACE_MAX)
		return false;
	slots = calloc(space, sizeof(*slots));
	buckets = calloc(space, sizeof(*buckets));
	if (!slots || !buckets) {
		free(slots);
		free(buckets);
		return false;
	}
	if (table->space)
		memcpy(slots, table->slots, table->space * sizeof(*slots));
	free(table->slots);
	free(table->buckets);
	table->slots = slots;
	table->buckets = buckets;
	table->space = space;
	for (uint32_t i = 1; i < space; i++)
		if (slots[i])
			insert_locked(table, slots[i]);
	return true;
}

/* Gives the slot a number. At most half of the numbers are in use, so one is near. */
static bool adopt_locked(struct slot_table *table, struct tree_slot *slot)
	requires_lock(table->lock)
{
	if (table->count >= table->space / 2 && !grow_locked(table))
		return false;
	do
		table->search = table->search + 1 < table->space ? table->search + 1 : 1;
	while (table->slots[table->search]);
	slot->number = table->search;
	table->slots[slot->number] = slot;
	if (++table->count > table->peak)
		table->peak = table->count;
	insert_locked(table, slot);
	return true;
}

static struct tree_slot *slot_new(const char *name, const git_oid *tree)
{
	size_t length = strlen(name);
	struct tree_slot *slot = calloc(1, sizeof(*slot) + length + 1);

	if (!slot)
		return NULL;
	memcpy(slot->name, name, length);
	slot->tree = *tree;
	slot->references = 1;
	return slot;
}

struct tree_slot *slot_new_root(struct slot_table *table, const git_oid *tree, uint64_t ino)
{
	struct tree_slot *slot = slot_new("", tree);
	bool is_in;

	if (!slot)
		return NULL;
	slot->ino = ino;
	mutex_lock(&table->lock);
	is_in = adopt_locked(table, slot);
	mutex_unlock(&table->lock);
	if (is_in)
		return slot;
	free(slot);
	return NULL;
}

static struct tree_slot *find_locked(struct slot_table *table, const struct slot_key *key)
	requires_lock(table->lock)
{
	struct tree_slot *slot = *bucket_locked(table, key->parent, key->entry);

	while (slot && (slot->parent != key->parent || slot->entry != key->entry))
		slot = slot->hash_next;
	return slot;
}

struct tree_slot *slot_get(struct slot_table *table, const struct slot_key *key)
{
	struct tree_slot *slot, *fresh = slot_new(key->name, key->tree);

	if (!fresh)
		return NULL;
	fresh->parent = key->parent;
	fresh->entry = key->entry;
	fresh->is_gitlink = key->is_gitlink;
	fresh->ino = slot_child_ino(key->parent, key->name);
	mutex_lock(&table->lock);
	slot = find_locked(table, key);
	if (slot) {
		slot->references++;
	} else if (adopt_locked(table, fresh)) {
		key->parent->references++;
		slot = fresh;
	}
	mutex_unlock(&table->lock);
	if (slot != fresh)
		free(fresh);
	return slot;
}

void slot_ref(struct slot_table *table, struct tree_slot *slot)
{
	mutex_lock(&table->lock);
	slot->references++;
	mutex_unlock(&table->lock);
}

static void remove_locked(struct slot_table *table, struct tree_slot *slot)
	requires_lock(table->lock)
{
	struct tree_slot **link = bucket_locked(table, slot->parent, slot->entry);

	while (*link != slot)
		link = &(*link)->hash_next;
	*link = slot->hash_next;
	table->slots[slot->number] = NULL;
	table->count--;
}

bool slot_unref(struct slot_table *table, struct tree_slot *slot, uint64_t count)
{
	bool is_last;

	mutex_lock(&table->lock);
	while (slot) {
		struct tree_slot *parent = slot->parent;

		slot->references -= count;
		if (slot->references)
			break;
		remove_locked(table, slot);
		free(slot);
		slot = parent;
		count = 1;
	}
	is_last = table->count == 1 && table->peak >= SLOTS_MANY;
	if (is_last)
		table->peak = table->count;
	mutex_unlock(&table->lock);
	return is_last;
}

struct tree_slot *slot_of_node(struct slot_table *table, layer_node_t node)
{
	struct tree_slot *slot;

	mutex_lock(&table->lock);
	slot = table->slots[node >> 32];
	mutex_unlock(&table->lock);
	return slot;
}

uint64_t slot_child_ino(const struct tree_slot *slot, const char *name)
{
	/* The two highest bits are the overlay's. */
	uint64_t ino = inode_hash(INODE_HASH_SEED, name, strlen(name), slot->ino) >> 2;

	return ino > 1 ? ino : ino + 2;
}

void slot_path(const struct tree_slot *slot, const char *name, struct path_tail *ret_path)
{
	path_tail_init(ret_path);
	if (name)
		path_tail_prepend(ret_path, name, strlen(name));
	for (; slot->parent; slot = slot->parent)
		path_tail_prepend(ret_path, slot->name, strlen(slot->name));
}

uint32_t slot_count(struct slot_table *table)
{
	uint32_t count;

	mutex_lock(&table->lock);
	count = table->count;
	mutex_unlock(&table->lock);
	return count;
}
