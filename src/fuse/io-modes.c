/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/io-modes.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "util/hash-table.h"
#include "util/lock.h"

/* An inode that is open, or was with a registered file behind. All protected by `lock`. */
struct inode_mode {
	struct hash_link link; /* by the node's id, which is small and given out in turn */
	uint64_t generation;
	uint64_t entered;		  /* when it was opened last: a count of all opens */
	struct inode_mode *older, *newer; /* of those that are registered and not open */
	uint32_t opens;
	int backing_id; /* 0: not registered */
	bool is_passed; /* those that have it open now go past us */
	bool is_registering;
	bool is_stale; /* what the page cache holds may be old */
	bool is_fleeting;
};

struct io_modes {
	size_t kept_max; /* immutable */
	struct mutex lock;
	pthread_cond_t changed; /* with lock: a file was registered, or not */
	/* All protected by lock; the counts are read without it. */
	struct hash_table table;
	uint64_t enter_count;
	_Atomic size_t count, fleeting_count, registered_count;
	struct inode_mode kept; /* a ring: `newer` is the oldest one */
	size_t kept_count;
};

struct io_modes *io_modes_new(size_t kept_max)
{
	struct io_modes *modes = calloc(1, sizeof(*modes));

	if (!modes)
		return NULL;
	modes->kept_max = kept_max;
	modes->kept.older = modes->kept.newer = &modes->kept;
	mutex_init(&modes->lock);
	pthread_cond_init(&modes->changed, NULL);
	return modes;
}

void io_modes_free(struct io_modes *modes)
{
	struct hash_link *next;

	if (!modes)
		return;
	for (struct hash_link *link = hash_table_release(&modes->table); link; link = next) {
		next = link->next;
		free(link);
	}
	pthread_cond_destroy(&modes->changed);
	mutex_destroy(&modes->lock);
	free(modes);
}

/* --- the table --- */

static struct inode_mode *find(struct io_modes *modes, uint64_t node) requires_lock(modes->lock)
{
	return (struct inode_mode *)hash_table_find(&modes->table, node);
}

static struct inode_mode *add(struct io_modes *modes, const struct io_open *open)
	requires_lock(modes->lock)
{
	struct inode_mode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return NULL;
	inode->generation = open->generation;
	hash_table_add(&modes->table, &inode->link, open->node);
	modes->count++;
	return inode;
}

static void drop(struct io_modes *modes, struct inode_mode *inode) requires_lock(modes->lock)
{
	hash_table_remove(&modes->table, &inode->link);
	modes->count--;
	if (inode->is_fleeting)
		modes->fleeting_count--;
	free(inode);
}

/* --- those that are registered and not open --- */

static void keep(struct io_modes *modes, struct inode_mode *inode) requires_lock(modes->lock)
{
	inode->newer = &modes->kept;
	inode->older = modes->kept.older;
	inode->older->newer = inode;
	modes->kept.older = inode;
	modes->kept_count++;
}

static void unkeep(struct io_modes *modes, struct inode_mode *inode) requires_lock(modes->lock)
{
	inode->older->newer = inode->newer;
	inode->newer->older = inode->older;
	inode->older = inode->newer = NULL;
	modes->kept_count--;
}

static int take_id(struct io_modes *modes, struct inode_mode *inode) requires_lock(modes->lock)
{
	int id = inode->backing_id;

	if (!id)
		return 0;
	if (inode->newer)
		unkeep(modes, inode);
	inode->backing_id = 0;
	modes->registered_count--;
	return id;
}

/* --- opens --- */

/* As new: the id of the node has come to life again. */
static int reset(struct io_modes *modes, struct inode_mode *inode, uint64_t generation)
	requires_lock(modes->lock)
{
	int id = take_id(modes, inode);

	inode->generation = generation;
	inode->is_stale = false;
	if (inode->is_fleeting)
		modes->fleeting_count--;
	inode->is_fleeting = false;
	return id;
}

static void enter_passed(struct io_modes *modes, struct inode_mode *inode,
	const struct io_open *open, struct io_mode *mode) requires_lock(modes->lock)
{
	inode->opens++;
	inode->is_passed = inode->is_stale = true;
	mode->way = IO_PASSED;
	mode->backing_id = inode->backing_id;
	if (!open->may_map || inode->is_fleeting)
		return;
	inode->is_fleeting = mode->turns_fleeting = true;
	modes->fleeting_count++;
}

static void enter_cached(struct inode_mode *inode, const struct io_open *open, struct io_mode *mode)
{
	mode->way = IO_CACHED;
	mode->is_bound = open->may_pass && inode->opens > 0;
	mode->drops_cache = inode->is_stale || inode->is_fleeting;
	inode->opens++;
	inode->is_passed = false;
}

static void enter(struct io_modes *modes, struct inode_mode *inode, const struct io_open *open,
	struct io_mode *mode) requires_lock(modes->lock)
{
	inode->entered = ++modes->enter_count;
	if (inode->opens == 0 && inode->generation != open->generation)
		mode->stale_id = reset(modes, inode, open->generation);
	if (inode->newer)
		unkeep(modes, inode);
	if (inode->opens > 0 ? inode->is_passed : open->may_pass && inode->backing_id) {
		enter_passed(modes, inode, open, mode);
	} else if (inode->opens > 0 || !open->may_pass) {
		enter_cached(inode, open, mode);
	} else {
		inode->is_registering = true;
		mode->way = IO_REGISTER;
		mode->is_fleeting = inode->is_fleeting;
	}
}

int io_modes_enter(struct io_modes *modes, const struct io_open *open, struct io_mode *ret_mode)
{
	struct inode_mode *inode;

	*ret_mode = (struct io_mode){.way = IO_CACHED};
	mutex_lock(&modes->lock);
	/* One that is being registered is dropped by nobody, but it may be when we wake. */
	while ((inode = find(modes, open->node)) && inode->is_registering)
		mutex_wait(&modes->lock, &modes->changed);
	if (!inode)
		inode = add(modes, open);
	if (inode)
		enter(modes, inode, open, ret_mode);
	mutex_unlock(&modes->lock);
	return inode ? 0 : -ENOMEM;
}

void io_modes_registered(
	struct io_modes *modes, const struct io_open *open, int id, struct io_mode *ret_mode)
{
	struct inode_mode *inode;

	mutex_lock(&modes->lock);
	inode = find(modes, open->node);
	inode->is_registering = false;
	if (id > 0) {
		inode->backing_id = id;
		modes->registered_count++;
		enter_passed(modes, inode, open, ret_mode);
	} else {
		enter_cached(inode, open, ret_mode);
	}
	pthread_cond_broadcast(&modes->changed);
	mutex_unlock(&modes->lock);
}

/* Nobody has it open any more. */
static int settle(struct io_modes *modes, struct inode_mode *inode) requires_lock(modes->lock)
{
	inode->is_passed = false;
	/* Nothing is to be remembered of it. */
	if (!inode->backing_id && !inode->is_stale && !inode->is_fleeting) {
		drop(modes, inode);
		return 0;
	}
	if (inode->backing_id)
		keep(modes, inode);
	return modes->kept_count > modes->kept_max ? take_id(modes, modes->kept.newer) : 0;
}

int io_modes_leave(struct io_modes *modes, uint64_t node, bool was_taken)
{
	struct inode_mode *inode;
	int id = 0;

	if (modes->count == 0)
		return 0;
	mutex_lock(&modes->lock);
	inode = find(modes, node);
	/* It was dropped when the kernel took the open. */
	if (inode && was_taken && !inode->is_passed)
		inode->is_stale = false;
	if (inode && inode->opens > 0 && --inode->opens == 0)
		id = settle(modes, inode);
	mutex_unlock(&modes->lock);
	return id;
}

uint64_t io_modes_mark(struct io_modes *modes, uint64_t node)
{
	struct inode_mode *inode;
	uint64_t mark = 0;

	if (modes->count == 0)
		return 0;
	mutex_lock(&modes->lock);
	inode = find(modes, node);
	if (inode)
		mark = inode->entered;
	mutex_unlock(&modes->lock);
	return mark;
}

int io_modes_forget(struct io_modes *modes, uint64_t node, uint64_t mark)
{
	struct inode_mode *inode;
	int id = 0;

	if (mark == 0)
		return 0;
	mutex_lock(&modes->lock);
	inode = find(modes, node);
	if (inode && inode->entered == mark && inode->opens == 0 && !inode->is_registering) {
		id = take_id(modes, inode);
		drop(modes, inode);
	}
	mutex_unlock(&modes->lock);
	return id;
}

bool io_modes_is_fleeting(struct io_modes *modes, uint64_t node)
{
	struct inode_mode *inode;
	bool is_fleeting;

	if (modes->fleeting_count == 0)
		return false;
	mutex_lock(&modes->lock);
	inode = find(modes, node);
	is_fleeting = inode && inode->is_fleeting;
	mutex_unlock(&modes->lock);
	return is_fleeting;
}

size_t io_modes_registered_count(struct io_modes *modes)
{
	return modes->registered_count;
}
