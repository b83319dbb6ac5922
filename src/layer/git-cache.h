/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inflated objects, shared by everybody who uses them at the same time, and some
 * of them kept for the next one. An object is loaded once however many threads
 * ask for it: the first loads, the others wait, and nobody holds a lock meanwhile.
 * A load that failed is told to those who waited for it, and is not remembered.
 *
 * The cache lives on as long as one of its objects is held, also after
 * object_cache_close().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer/git-id.h"
#include "layer/git-store.h"
#include "layer/git-tree.h"

struct object_cache;

/* What an object became: content in memory or in a file, and a tree's entries. */
struct object_content {
	void *data; /* malloc'ed; NULL: in `fd` */
	uint64_t size;
	int fd;
	bool is_held;	       /* see struct object_bytes */
	struct tree_view tree; /* of data */
	/* Of a tree: the size of each entry plus one, 0 where nobody has asked. NULL is fine. */
	_Atomic(uint32_t) *sizes;
};

static inline git_oid git_entry_id(const struct tree_entry *entry)
{
	return id_from_raw(entry->id);
}

/* Fills in *ret_content, or returns -errno and the cause. */
typedef int (*object_load_fn)(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause);

/* A reference to an object; the content is immutable. */
struct cached_object;
const struct object_content *cached_object_content(const struct cached_object *object);
struct cached_object *cached_object_ref(struct cached_object *object); /* one more */
void cached_object_put(struct cached_object *object);		       /* NULL is fine */

/*
 * Keeps up to `limit` bytes of what nobody holds, none of it in files; more where a single object
 * would not fit twice. NULL: out of memory.
 */
struct object_cache *object_cache_new(size_t limit);
/* Lets go of what nobody holds. */
void object_cache_empty(struct object_cache *cache);
void object_cache_close(struct object_cache *cache); /* NULL is fine */

/* On success the caller ends its reference with cached_object_put(). */
int object_cache_get(struct object_cache *cache, const git_oid *id, object_load_fn load, void *arg,
	struct cached_object **ret_object, struct object_cause *ret_cause);

/* Whether it is there, or somebody is loading it. */
bool object_cache_has(struct object_cache *cache, const git_oid *id);

/* Bytes of objects that are held or kept; for tests. */
size_t object_cache_bytes(struct object_cache *cache);
