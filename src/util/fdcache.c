/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/fdcache.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/cleanup.h"

#define SHARED_MIN 64
#define SHARED_MAX 8192

static struct fdcache shared;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

void fdcache_init(struct fdcache *cache, size_t limit) no_lock_analysis
{
	mutex_init(&cache->lock);
	cache->unpinned.prev = cache->unpinned.next = &cache->unpinned;
	cache->open_count = 0;
	cache->limit = limit;
}

void fdcache_destroy(struct fdcache *cache) no_lock_analysis
{
	assert(cache->open_count == 0);
	mutex_destroy(&cache->lock);
}

static void init_shared(void)
{
	struct rlimit limit;
	size_t n = SHARED_MIN;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		n = limit.rlim_cur / 4;
	if (n < SHARED_MIN)
		n = SHARED_MIN;
	fdcache_init(&shared, n < SHARED_MAX ? n : SHARED_MAX);
}

struct fdcache *fdcache_shared(void)
{
	pthread_once(&shared_once, init_shared);
	return &shared;
}

void fdcache_entry_init(struct fdcache_entry *entry)
{
	*entry = (struct fdcache_entry){.fd = -1};
}

static void list_remove(struct fdcache_entry *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->prev = entry->next = NULL;
}

/* Takes the descriptor of the oldest unpinned entry while more than `keep` are open. */
static int take_oldest(struct fdcache *cache, size_t keep)
{
	struct fdcache_entry *oldest;
	int fd = -1;

	mutex_lock(&cache->lock);
	oldest = cache->unpinned.next;
	if (cache->open_count > keep && oldest != &cache->unpinned) {
		list_remove(oldest);
		fd = steal_fd(&oldest->fd);
		cache->open_count--;
	}
	mutex_unlock(&cache->lock);
	return fd;
}

static void shrink(struct fdcache *cache, size_t keep)
{
	int fd;

	while ((fd = take_oldest(cache, keep)) >= 0)
		close(fd);
}

void fdcache_trim(struct fdcache *cache)
{
	shrink(cache, 0);
}

static void pin_locked(struct fdcache *cache, struct fdcache_entry *entry)
	requires_lock(cache->lock)
{
	if (entry->pins++ == 0)
		list_remove(entry);
}

bool fdcache_get_open(struct fdcache *cache, struct fdcache_entry *entry, int *ret_fd)
{
	bool is_open;

	mutex_lock(&cache->lock);
	is_open = entry->fd >= 0;
	if (is_open) {
		pin_locked(cache, entry);
		*ret_fd = entry->fd;
	}
	mutex_unlock(&cache->lock);
	return is_open;
}

/* Gives `fd` to the entry, pinned; where another thread was faster, closes it. */
static int adopt(struct fdcache *cache, struct fdcache_entry *entry, int fd)
{
	_cleanup_close_ int loser = -1;
	int used;

	mutex_lock(&cache->lock);
	if (entry->fd < 0) {
		entry->fd = fd;
		entry->pins = 1;
		cache->open_count++;
	} else {
		loser = fd;
		pin_locked(cache, entry);
	}
	used = entry->fd;
	mutex_unlock(&cache->lock);
	return used;
}

int fdcache_get(struct fdcache *cache, struct fdcache_entry *entry, fdcache_open_fn open_fn,
	void *arg, int *ret_fd)
{
	int fd;

	if (fdcache_get_open(cache, entry, ret_fd))
		return 0;
	fd = open_fn(arg);
	if (fd == -EMFILE || fd == -ENFILE) {
		fdcache_trim(cache);
		fd = open_fn(arg);
	}
	if (fd < 0)
		return fd;
	*ret_fd = adopt(cache, entry, fd);
	shrink(cache, cache->limit);
	return 0;
}

void fdcache_put(struct fdcache *cache, struct fdcache_entry *entry)
{
	mutex_lock(&cache->lock);
	assert(entry->pins > 0);
	if (--entry->pins == 0) {
		entry->prev = cache->unpinned.prev;
		entry->next = &cache->unpinned;
		entry->prev->next = entry;
		entry->next->prev = entry;
	}
	mutex_unlock(&cache->lock);
	/* All may have been pinned when the limit was passed. */
	shrink(cache, cache->limit);
}

void fdcache_drop(struct fdcache *cache, struct fdcache_entry *entry)
{
	_cleanup_close_ int fd = -1;

	mutex_lock(&cache->lock);
	assert(entry->pins == 0);
	if (entry->fd >= 0) {
		list_remove(entry);
		fd = steal_fd(&entry->fd);
		cache->open_count--;
	}
	mutex_unlock(&cache->lock);
}

bool fdcache_make_room(int error)
{
	if (error != EMFILE && error != ENFILE)
		return false;
	fdcache_trim(fdcache_shared());
	return true;
}

size_t fdcache_open_count(struct fdcache *cache)
{
	size_t count;

	mutex_lock(&cache->lock);
	count = cache->open_count;
	mutex_unlock(&cache->lock);
	return count;
}
