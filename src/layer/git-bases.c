/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-bases.h"

#include <stdbool.h>
#include <stdlib.h>

#include "layer/inode-hash.h"
#include "util/hash-table.h"

struct kept_base {
	struct hash_link link;
	struct base base;
	uint64_t offset;
	uint32_t pack;
	unsigned users;		       /* protected by the cache's lock, as all below */
	bool is_kept;		       /* is in the table and in the list */
	struct kept_base *prev, *next; /* in the order of their last use */
};

struct base_cache {
	struct mutex lock;
	struct hash_table table guarded_by(lock);
	struct kept_base list guarded_by(lock); /* head: next is the oldest */
	size_t bytes guarded_by(lock);		/* of those that are kept */
	size_t limit;				/* immutable */
};

struct base_cache *base_cache_new(size_t limit) no_lock_analysis
{
	struct base_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	mutex_init(&cache->lock);
	cache->list.next = cache->list.prev = &cache->list;
	cache->limit = limit;
	return cache;
}

static void kept_base_free(struct kept_base *kept)
{
	free((void *)(uintptr_t)kept->base.data);
	free(kept);
}

static size_t weight(const struct kept_base *kept)
{
	return sizeof(*kept) + kept->base.size;
}

static uint64_t hash_of(uint32_t pack, uint64_t offset)
{
	return inode_hash_mix(offset + pack);
}

static struct kept_base *find_locked(struct base_cache *cache, uint32_t pack, uint64_t offset)
	requires_lock(cache->lock)
{
	struct hash_link *link = hash_table_find(&cache->table, hash_of(pack, offset));
	struct kept_base *kept;

	while ((kept = (struct kept_base *)link) && (kept->offset != offset || kept->pack != pack))
		link = hash_link_next(link);
	return kept;
}

static void append_locked(struct base_cache *cache, struct kept_base *kept)
	requires_lock(cache->lock)
{
	kept->prev = cache->list.prev;
	kept->next = &cache->list;
	kept->prev->next = kept->next->prev = kept;
}

static void unlink_locked(struct kept_base *kept)
{
	kept->prev->next = kept->next;
	kept->next->prev = kept->prev;
}

/* Returns it where nobody holds it: the caller frees it without the lock. */
static struct kept_base *drop_locked(struct base_cache *cache, struct kept_base *kept)
	requires_lock(cache->lock)
{
	hash_table_remove(&cache->table, &kept->link);
	unlink_locked(kept);
	kept->is_kept = false;
	cache->bytes -= weight(kept);
	return kept->users == 0 ? kept : NULL;
}

void base_cache_free(struct base_cache *cache) no_lock_analysis
{
	if (!cache)
		return;
	while (cache->list.next != &cache->list)
		kept_base_free(drop_locked(cache, cache->list.next));
	hash_table_release(&cache->table);
	mutex_destroy(&cache->lock);
	free(cache);
}

struct base *base_cache_get(struct base_cache *cache, uint32_t pack, uint64_t offset)
{
	struct kept_base *kept;

	mutex_lock(&cache->lock);
	kept = find_locked(cache, pack, offset);
	if (kept) {
		kept->users++;
		unlink_locked(kept);
		append_locked(cache, kept);
	}
	mutex_unlock(&cache->lock);
	return kept ? &kept->base : NULL;
}

/* The oldest while there are too many; freed by the caller, if by anybody. */
static bool drop_surplus(struct base_cache *cache, struct kept_base **ret_dead)
{
	bool is_over;

	mutex_lock(&cache->lock);
	is_over = cache->bytes > cache->limit;
	*ret_dead = is_over ? drop_locked(cache, cache->list.next) : NULL;
	mutex_unlock(&cache->lock);
	return is_over;
}

/* A base that would push out all others is not kept, nor is one that somebody else has added. */
static void keep(struct base_cache *cache, struct kept_base *kept)
{
	struct kept_base *dead;

	if (weight(kept) > cache->limit / 4)
		return;
	mutex_lock(&cache->lock);
	if (!find_locked(cache, kept->pack, kept->offset)) {
		hash_table_add(&cache->table, &kept->link, hash_of(kept->pack, kept->offset));
		append_locked(cache, kept);
		kept->is_kept = true;
		cache->bytes += weight(kept);
	}
	mutex_unlock(&cache->lock);
	while (drop_surplus(cache, &dead))
		if (dead)
			kept_base_free(dead);
}

struct base *base_cache_add(
	struct base_cache *cache, uint32_t pack, uint64_t offset, const struct base *content)
{
	struct kept_base *kept = calloc(1, sizeof(*kept));

	if (!kept) {
		free((void *)(uintptr_t)content->data);
		return NULL;
	}
	kept->base = *content;
	kept->pack = pack;
	kept->offset = offset;
	kept->users = 1;
	keep(cache, kept);
	return &kept->base;
}

void base_put(struct base_cache *cache, struct base *base)
{
	struct kept_base *kept;
	bool is_dead;

	if (!base)
		return;
	kept = (struct kept_base *)(void *)((char *)base - offsetof(struct kept_base, base));
	mutex_lock(&cache->lock);
	is_dead = --kept->users == 0 && !kept->is_kept;
	mutex_unlock(&cache->lock);
	if (is_dead)
		kept_base_free(kept);
}

size_t base_cache_bytes(struct base_cache *cache)
{
	size_t bytes;

	mutex_lock(&cache->lock);
	bytes = cache->bytes;
	mutex_unlock(&cache->lock);
	return bytes;
}
