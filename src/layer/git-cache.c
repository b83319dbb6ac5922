/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/hash-table.h"
#include "util/lock.h"

/* The limit does not grow beyond this. */
#define LIMIT_MAX ((size_t)256 << 20)

enum load_state { LOADING, LOADED, FAILED };

struct cached_object {
	struct hash_link link;	    /* by the beginning of the id; protected by the cache's lock */
	git_oid id;		    /* immutable, as the next */
	struct object_cache *cache; /* freed after its last object */
	/* Protected by the cache's lock: */
	struct cached_object *prev, *next; /* among those that nobody holds */
	unsigned users;
	enum load_state state;
	int error;
	struct object_cause *cause; /* of one that failed; NULL where there is no memory for it */
	/* Immutable once it is loaded: */
	struct object_content content;
};

struct object_cache {
	struct mutex lock;
	pthread_cond_t loaded;
	struct hash_table table guarded_by(lock);
	struct cached_object unused guarded_by(lock); /* list head: next is the oldest */
	size_t bytes guarded_by(lock);
	size_t unused_bytes guarded_by(lock);
	size_t count guarded_by(lock); /* objects that are in the table or held */
	bool is_closed guarded_by(lock);
	size_t limit guarded_by(lock); /* grows with the largest object */
};

const struct object_content *cached_object_content(const struct cached_object *object)
{
	return &object->content;
}

/* What it costs in memory; entries of a tree are 4 bytes each, and 4 for their sizes. */
static size_t weight(const struct cached_object *object)
{
	const struct object_content *content = &object->content;

	return sizeof(*object) + (content->data ? content->size : 0) +
	       content->tree.count * (2 * sizeof(uint32_t));
}

static void object_free(struct cached_object *object)
{
	if (!object)
		return;
	tree_view_release(&object->content.tree);
	free(object->content.data);
	free(object->content.sizes);
	close_keep_errno(object->content.fd);
	free(object->cause);
	free(object);
}

struct object_cache *object_cache_new(size_t limit) no_lock_analysis
{
	struct object_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	mutex_init(&cache->lock);
	pthread_cond_init(&cache->loaded, NULL);
	cache->unused.prev = cache->unused.next = &cache->unused;
	cache->limit = limit;
	return cache;
}

static void cache_free(struct object_cache *cache)
{
	/* Nothing is in it. */
	hash_table_release(&cache->table);
	pthread_cond_destroy(&cache->loaded);
	mutex_destroy(&cache->lock);
	free(cache);
}

static uint64_t hash_of(const git_oid *id)
{
	uint64_t hash;

	memcpy(&hash, id->id, sizeof(hash));
	return hash;
}

static struct cached_object *find_locked(struct object_cache *cache, const git_oid *id)
	requires_lock(cache->lock)
{
	struct hash_link *link = hash_table_find(&cache->table, hash_of(id));

	while (link && !id_equal(&((struct cached_object *)link)->id, id))
		link = hash_link_next(link);
	return (struct cached_object *)link;
}

static void unlink_unused_locked(struct object_cache *cache, struct cached_object *object)
	requires_lock(cache->lock)
{
	object->prev->next = object->next;
	object->next->prev = object->prev;
	cache->unused_bytes -= weight(object);
}

/* Takes it out of the cache; the caller frees it without the lock. */
static void forget_locked(struct object_cache *cache, struct cached_object *object)
	requires_lock(cache->lock)
{
	hash_table_remove(&cache->table, &object->link);
	cache->count--;
	if (object->state == LOADED)
		cache->bytes -= weight(object);
}

/*
 * The oldest of those that nobody holds, while they are more than the limit; with `all` until
 * there is none.
 */
static struct cached_object *take_surplus(struct object_cache *cache, bool all)
{
	struct cached_object *oldest = NULL;

	mutex_lock(&cache->lock);
	if (cache->unused_bytes > cache->limit || (all && cache->unused.next != &cache->unused)) {
		oldest = cache->unused.next;
		unlink_unused_locked(cache, oldest);
		forget_locked(cache, oldest);
	}
	mutex_unlock(&cache->lock);
	return oldest;
}

static void shrink(struct object_cache *cache, bool all)
{
	struct cached_object *object;

	while ((object = take_surplus(cache, all)))
		object_free(object);
}

void object_cache_empty(struct object_cache *cache)
{
	shrink(cache, true);
}

void object_cache_close(struct object_cache *cache)
{
	bool is_last;

	if (!cache)
		return;
	shrink(cache, true);
	mutex_lock(&cache->lock);
	cache->is_closed = true;
	is_last = cache->count == 0;
	mutex_unlock(&cache->lock);
	if (is_last)
		cache_free(cache);
}

struct cached_object *cached_object_ref(struct cached_object *object)
{
	mutex_lock(&object->cache->lock);
	object->users++;
	mutex_unlock(&object->cache->lock);
	return object;
}

void cached_object_put(struct cached_object *object)
{
	struct object_cache *cache;
	bool is_dead = false, is_last = false;

	if (!object)
		return;
	cache = object->cache;
	mutex_lock(&cache->lock);
	if (--object->users == 0) {
		is_dead = object->state == FAILED || cache->is_closed || object->content.fd >= 0;
		if (is_dead) {
			forget_locked(cache, object);
		} else {
			object->prev = cache->unused.prev;
			object->next = &cache->unused;
			object->prev->next = object;
			object->next->prev = object;
			cache->unused_bytes += weight(object);
		}
		is_last = cache->is_closed && cache->count == 0;
	}
	mutex_unlock(&cache->lock);
	if (is_dead)
		object_free(object);
	if (is_last)
		cache_free(cache);
	else if (!is_dead)
		shrink(cache, false);
}

static struct cached_object *object_new(struct object_cache *cache, const git_oid *id)
{
	struct cached_object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->id = *id;
	object->cache = cache;
	object->users = 1;
	object->content.fd = -1;
	return object;
}

/*
 * A reference to the object: one that is there, or `fresh`, which is then in
 * the table and has to be loaded by the caller.
 */
static struct cached_object *hold(
	struct object_cache *cache, const git_oid *id, struct cached_object *fresh)
{
	struct cached_object *object;

	mutex_lock(&cache->lock);
	object = find_locked(cache, id);
	if (object) {
		if (object->users++ == 0)
			unlink_unused_locked(cache, object);
	} else if (fresh) {
		hash_table_add(&cache->table, &fresh->link, hash_of(id));
		cache->count++;
		object = fresh;
	}
	mutex_unlock(&cache->lock);
	return object;
}

/*
 * The tree of a directory with a million entries is larger than many trees together. If it did
 * not fit it would be inflated for each name that is looked up in it.
 */
static void make_room_locked(struct object_cache *cache, size_t size) requires_lock(cache->lock)
{
	size_t wanted = size < LIMIT_MAX / 2 ? size * 2 : LIMIT_MAX;

	if (cache->limit < wanted)
		cache->limit = wanted;
}

static void load_object(struct cached_object *object, object_load_fn load, void *arg)
{
	struct object_cache *cache = object->cache;
	struct object_content content = {.fd = -1};
	struct object_cause cause = {""};
	int r = load(arg, &object->id, &content, &cause);
	struct object_cause *kept = r < 0 ? malloc(sizeof(*kept)) : NULL;

	if (kept)
		*kept = cause;
	mutex_lock(&cache->lock);
	if (r < 0) {
		object->state = FAILED;
		object->error = r;
		object->cause = kept;
		/* Whoever asks from now on tries anew. */
		hash_table_remove(&cache->table, &object->link);
	} else {
		object->content = content;
		object->state = LOADED;
		cache->bytes += weight(object);
		make_room_locked(cache, weight(object));
	}
	pthread_cond_broadcast(&cache->loaded);
	mutex_unlock(&cache->lock);
}

/* Waits until it is loaded by whoever does it. */
static int wait_loaded(struct cached_object *object, struct object_cause *ret_cause)
{
	struct object_cache *cache = object->cache;
	int r = 0;

	mutex_lock(&cache->lock);
	while (object->state == LOADING)
		mutex_wait(&cache->lock, &cache->loaded);
	if (object->state == FAILED) {
		r = object->error;
		*ret_cause = object->cause ? *object->cause : (struct object_cause){""};
	}
	mutex_unlock(&cache->lock);
	return r;
}

int object_cache_get(struct object_cache *cache, const git_oid *id, object_load_fn load, void *arg,
	struct cached_object **ret_object, struct object_cause *ret_cause)
{
	struct cached_object *object = hold(cache, id, NULL);
	int r;

	if (!object) {
		struct cached_object *fresh = object_new(cache, id);

		if (!fresh)
			return -ENOMEM;
		object = hold(cache, id, fresh);
		if (object == fresh)
			load_object(object, load, arg);
		else
			object_free(fresh);
	}
	r = wait_loaded(object, ret_cause);
	if (r < 0) {
		cached_object_put(object);
		return r;
	}
	*ret_object = object;
	return 0;
}

bool object_cache_has(struct object_cache *cache, const git_oid *id)
{
	bool found;

	mutex_lock(&cache->lock);
	found = find_locked(cache, id);
	mutex_unlock(&cache->lock);
	return found;
}

size_t object_cache_bytes(struct object_cache *cache)
{
	size_t bytes;

	mutex_lock(&cache->lock);
	bytes = cache->bytes;
	mutex_unlock(&cache->lock);
	return bytes;
}
