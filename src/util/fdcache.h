/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A cache of descriptors with a bound: objects that can open a descriptor of
 * their own again at any time (directories, mostly) embed an entry, and the least
 * recently used ones that nobody uses at the moment are closed when there are
 * too many.
 *
 * Any thread may call. Descriptors are opened and closed without the cache's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/lock.h"

struct fdcache_entry {
	struct fdcache_entry *prev, *next; /* among the unpinned; protected by the cache's lock */
	int fd;				   /* -1; protected by the cache's lock */
	unsigned pins;			   /* protected by the cache's lock */
};

struct fdcache {
	struct mutex lock;
	struct fdcache_entry unpinned guarded_by(lock); /* list head: next is the oldest */
	size_t open_count guarded_by(lock);
	size_t limit; /* immutable */
};

/* Returns a new descriptor, or -errno. May use the cache for other entries. */
typedef int (*fdcache_open_fn)(void *arg);

void fdcache_init(struct fdcache *cache, size_t limit);
void fdcache_destroy(struct fdcache *cache); /* every entry was dropped before */

/*
 * The one cache that everybody shares by default: descriptors are bounded for
 * the process as a whole. A quarter of RLIMIT_NOFILE, as it was at the first call.
 */
struct fdcache *fdcache_shared(void);

void fdcache_entry_init(struct fdcache_entry *entry);

/*
 * Pins the entry's descriptor, which stays open and the same until fdcache_put().
 * Opens it with open_fn where it is not open; two threads may do so at the same
 * time, and one of the two descriptors is used. When the process has run out
 * of descriptors, unpinned ones are closed and open_fn is called once more. The
 * descriptor is borrowed. Returns 0 or what open_fn returned.
 */
int fdcache_get(struct fdcache *cache, struct fdcache_entry *entry, fdcache_open_fn open_fn,
	void *arg, int *ret_fd);

/* Pins it only where it is open. */
bool fdcache_get_open(struct fdcache *cache, struct fdcache_entry *entry, int *ret_fd);

void fdcache_put(struct fdcache *cache, struct fdcache_entry *entry);

/* At the end of the object's life, or when its descriptor must not be used again. Not pinned. */
void fdcache_drop(struct fdcache *cache, struct fdcache_entry *entry);

/* Closes what is not pinned. */
void fdcache_trim(struct fdcache *cache);

/*
 * For those who open descriptors that are not in the cache: where `error` says that
 * there are too many, closes those of the shared cache that are not pinned, and
 * returns true: it is worth another try.
 */
bool fdcache_make_room(int error);

size_t fdcache_open_count(struct fdcache *cache);
