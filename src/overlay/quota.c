/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "overlay/call.h"
#include "overlay/quota-counter.h"
#include "overlay/quota-extent.h"

#define STRIPES	      16
#define BLOCK_MIN     512
#define BLOCK_MAX     65536
#define BLOCK_DEFAULT 4096
#define STAT_BLOCK    512 /* the unit of st_blocks, whatever the file system's is */
/* A target that is shorter lies in the inode, on the file systems that have such. */
#define SHORT_TARGET 60
#define WAIT_STEPS   20
#define WAIT_STEP_NS 1000000

/* What an inode that changed in this mount was last seen to take up. */
struct inode {
	struct inode *next;
	dev_t dev;
	ino_t ino;
	uint64_t bytes;
	uint32_t opens;
	bool is_nameless; /* and counts only for those who have it open */
};

struct stripe {
	struct mutex lock;
	struct inode **buckets; /* protected by lock, as all of it */
	size_t bucket_count, count;
};

struct quota {
	uint64_t max_bytes, max_inodes; /* immutable; UINT64_MAX: without bound */
	uint64_t block;			/* immutable */
	_Atomic uint64_t bytes, inodes; /* with what is taken for a while */
	_Atomic uint32_t nameless;	/* how many open inodes have no name */
	/*
	 * Alone: who writes at the bound, into blocks that a file has already. Shared: who may
	 * free such blocks. So at the bound what was found to be there stays there.
	 */
	struct rwlock gate;
	struct stripe stripes[STRIPES];
};

/* --- the counters --- */

static uint64_t round_up(const struct quota *quota, uint64_t bytes)
{
	uint64_t blocks = bytes / quota->block + (bytes % quota->block != 0);

	return blocks > UINT64_MAX / 2 / quota->block ? UINT64_MAX / 2 : blocks * quota->block;
}

static int take_now(struct quota *quota, uint64_t bytes, uint64_t inodes)
{
	if (!counter_take(&quota->bytes, bytes, quota->max_bytes))
		return -ENOSPC;
	if (inodes == 0 || counter_take(&quota->inodes, inodes, quota->max_inodes))
		return 0;
	counter_subtract(&quota->bytes, bytes);
	return -ENOSPC;
}

/*
 * close(2) does not wait for the kernel's request, which may come after those of others: what was
 * removed and closed counts a moment longer. At the bound that moment is waited for. False: it is
 * over, or there is nothing to wait for.
 */
static bool wait_for_closes(struct quota *quota, unsigned *steps)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP_NS};

	if (atomic_load(&quota->nameless) == 0 || ++*steps > WAIT_STEPS)
		return false;
	nanosleep(&step, NULL);
	return true;
}

int quota_take(struct quota *quota, uint64_t bytes, uint64_t inodes)
{
	unsigned steps = 0;
	int r;

	if (!quota)
		return 0;
	bytes = round_up(quota, bytes);
	do
		r = take_now(quota, bytes, inodes);
	while (r < 0 && wait_for_closes(quota, &steps));
	return r;
}

void quota_take_anyway(struct quota *quota, uint64_t bytes, uint64_t inodes)
{
	if (!quota)
		return;
	atomic_fetch_add(&quota->bytes, round_up(quota, bytes));
	atomic_fetch_add(&quota->inodes, inodes);
}

void quota_give_back(struct quota *quota, uint64_t bytes, uint64_t inodes)
{
	if (!quota)
		return;
	counter_subtract(&quota->bytes, round_up(quota, bytes));
	counter_subtract(&quota->inodes, inodes);
}

uint64_t quota_object_bytes(const struct quota *quota, mode_t type, size_t target_length)
{
	if (!quota)
		return 0;
	if (S_ISDIR(type) || (S_ISLNK(type) && target_length >= SHORT_TARGET))
		return quota->block;
	return 0;
}

uint64_t quota_block(const struct quota *quota)
{
	return quota ? quota->block : BLOCK_DEFAULT;
}

/* --- what is known of an inode --- */

static struct stripe *stripe_of(struct quota *quota, const struct stat *st)
{
	return &quota->stripes[st->st_ino % STRIPES];
}

static size_t bucket_of(const struct stripe *stripe, ino_t ino)
{
	return (ino / STRIPES) % stripe->bucket_count;
}

static struct inode **find_locked(struct stripe *stripe, const struct stat *st)
	requires_lock(stripe->lock)
{
	struct inode **at;

	if (stripe->bucket_count == 0)
		return NULL;
	at = &stripe->buckets[bucket_of(stripe, st->st_ino)];
	while (*at && ((*at)->ino != st->st_ino || (*at)->dev != st->st_dev))
		at = &(*at)->next;
	return *at ? at : NULL;
}

static int grow_locked(struct stripe *stripe) requires_lock(stripe->lock)
{
	size_t count = stripe->bucket_count ? 2 * stripe->bucket_count : 16;
	struct inode **old = stripe->buckets, **buckets = calloc(count, sizeof(struct inode *));
	size_t old_count = stripe->bucket_count;

	if (!buckets)
		return -ENOMEM;
	stripe->buckets = buckets;
	stripe->bucket_count = count;
	for (size_t i = 0; i < old_count; i++) {
		for (struct inode *inode = old[i], *next; inode; inode = next) {
			struct inode **bucket = &buckets[bucket_of(stripe, inode->ino)];

			next = inode->next;
			inode->next = *bucket;
			*bucket = inode;
		}
	}
	free(old);
	return 0;
}

static int insert_locked(struct stripe *stripe, const struct stat *st, struct inode **ret_inode)
	requires_lock(stripe->lock)
{
	struct inode *inode, **bucket;

	if (stripe->count >= stripe->bucket_count && grow_locked(stripe) < 0)
		return -ENOMEM;
	inode = calloc(1, sizeof(*inode));
	if (!inode)
		return -ENOMEM;
	inode->dev = st->st_dev;
	inode->ino = st->st_ino;
	inode->bytes = (uint64_t)st->st_blocks * STAT_BLOCK;
	bucket = &stripe->buckets[bucket_of(stripe, st->st_ino)];
	inode->next = *bucket;
	*bucket = inode;
	stripe->count++;
	*ret_inode = inode;
	return 0;
}

static void update_locked(struct quota *quota, struct inode *inode, const struct stat *st)
{
	uint64_t bytes = (uint64_t)st->st_blocks * STAT_BLOCK;
	bool is_nameless = st->st_nlink == 0;

	counter_replace(&quota->bytes, inode->bytes, bytes);
	inode->bytes = bytes;
	if (is_nameless && !inode->is_nameless)
		atomic_fetch_add(&quota->nameless, 1);
	if (!is_nameless && inode->is_nameless)
		atomic_fetch_sub(&quota->nameless, 1);
	inode->is_nameless = is_nameless;
}

/* The inode's entry, as it is now. One that was not known yet has not changed since the count. */
static int note_locked(struct quota *quota, struct stripe *stripe, const struct stat *st,
	struct inode **ret_inode) requires_lock(stripe->lock)
{
	struct inode **found = find_locked(stripe, st);
	int r;

	if (found) {
		update_locked(quota, *found, st);
		*ret_inode = *found;
		return 0;
	}
	r = insert_locked(stripe, st, ret_inode);
	/* It had stopped counting, and is opened again. */
	if (r == 0 && st->st_nlink == 0) {
		(*ret_inode)->is_nameless = true;
		atomic_fetch_add(&quota->nameless, 1);
		atomic_fetch_add(&quota->bytes, (*ret_inode)->bytes);
		atomic_fetch_add(&quota->inodes, 1);
	}
	return r;
}

static void forget_locked(struct quota *quota, struct stripe *stripe, struct inode **at)
	requires_lock(stripe->lock)
{
	struct inode *inode = *at;

	counter_subtract(&quota->bytes, inode->bytes);
	counter_subtract(&quota->inodes, 1);
	if (inode->is_nameless)
		atomic_fetch_sub(&quota->nameless, 1);
	*at = inode->next;
	stripe->count--;
	free(inode);
}

static void settle_locked(struct quota *quota, struct stripe *stripe, const struct stat *st)
	requires_lock(stripe->lock)
{
	struct inode **found = find_locked(stripe, st);

	if (!found)
		return;
	if (st->st_nlink == 0 && (*found)->opens == 0)
		forget_locked(quota, stripe, found);
	else
		update_locked(quota, *found, st);
}

/* An inode's number does not change: it finds the stripe. What counts is asked for in it. */
static int enter(
	struct quota *quota, int fd, struct stat *st, struct stripe **ret_stripe) no_lock_analysis
{
	struct stripe *stripe;
	int r = call_fstat(fd, st);

	if (r < 0)
		return r;
	stripe = stripe_of(quota, st);
	mutex_lock(&stripe->lock);
	r = call_fstat(fd, st);
	if (r < 0)
		mutex_unlock(&stripe->lock);
	else
		*ret_stripe = stripe;
	return r;
}

int quota_track(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct inode *inode;
	struct stat st;
	int r;

	if (!quota || fd < 0)
		return 0;
	r = enter(quota, fd, &st, &stripe);
	if (r < 0)
		return r;
	/* Without a name it counts only while it is open, and then it is known. */
	if (st.st_nlink > 0)
		r = note_locked(quota, stripe, &st, &inode);
	mutex_unlock(&stripe->lock);
	return r;
}

void quota_settle(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct stat st;

	if (!quota || fd < 0 || enter(quota, fd, &st, &stripe) < 0)
		return;
	settle_locked(quota, stripe, &st);
	mutex_unlock(&stripe->lock);
}

int quota_open(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct inode *inode;
	struct stat st;
	int r;

	if (!quota || fd < 0)
		return 0;
	r = enter(quota, fd, &st, &stripe);
	if (r < 0)
		return r;
	r = note_locked(quota, stripe, &st, &inode);
	if (r == 0)
		inode->opens++;
	mutex_unlock(&stripe->lock);
	return r;
}

void quota_close(struct quota *quota, int fd) no_lock_analysis
{
	struct stripe *stripe;
	struct inode **found;
	struct stat st;

	if (!quota || fd < 0 || enter(quota, fd, &st, &stripe) < 0)
		return;
	found = find_locked(stripe, &st);
	if (found && (*found)->opens > 0)
		(*found)->opens--;
	settle_locked(quota, stripe, &st);
	mutex_unlock(&stripe->lock);
}

void quota_add(struct quota *quota, const struct stat *st, uint64_t taken) no_lock_analysis
{
	struct stripe *stripe;
	struct inode **found, *inode;

	if (!quota)
		return;
	stripe = stripe_of(quota, st);
	mutex_lock(&stripe->lock);
	/* Left by one whose end nobody saw: it has ended, for its number is given to another. */
	found = find_locked(stripe, st);
	if (found)
		forget_locked(quota, stripe, found);
	/* Without memory it is one that has not changed yet. */
	(void)insert_locked(stripe, st, &inode);
	counter_replace(
		&quota->bytes, round_up(quota, taken), (uint64_t)st->st_blocks * STAT_BLOCK);
	mutex_unlock(&stripe->lock);
}

void quota_remove(struct quota *quota, const struct stat *st) no_lock_analysis
{
	struct stripe *stripe;
	struct inode **found;

	if (!quota)
		return;
	stripe = stripe_of(quota, st);
	mutex_lock(&stripe->lock);
	found = find_locked(stripe, st);
	if (found)
		forget_locked(quota, stripe, found);
	mutex_unlock(&stripe->lock);
}

int quota_found(struct quota *quota, const struct stat *st) no_lock_analysis
{
	struct stripe *stripe = stripe_of(quota, st);
	bool is_linked = !S_ISDIR(st->st_mode) && st->st_nlink > 1;
	struct inode *inode;
	int r = 0;

	mutex_lock(&stripe->lock);
	/* Only what has several names must be remembered, so that it counts once. */
	if (is_linked && find_locked(stripe, st)) {
		mutex_unlock(&stripe->lock);
		return 0;
	}
	if (is_linked)
		r = insert_locked(stripe, st, &inode);
	mutex_unlock(&stripe->lock);
	if (r < 0)
		return r;
	atomic_fetch_add(&quota->bytes, (uint64_t)st->st_blocks * STAT_BLOCK);
	atomic_fetch_add(&quota->inodes, 1);
	return 0;
}

/* --- content --- */

/* At the bound: takes what the stretch lacks, or what there is. */
static ssize_t take_missing(struct quota *quota, int fd, const struct extent_range *range,
	struct quota_grant *ret_grant)
{
	for (;;) {
		uint64_t used = atomic_load(&quota->bytes), taken;
		uint64_t left = used < quota->max_bytes ? quota->max_bytes - used : 0;
		ssize_t n = extent_affordable(fd, range, quota->block, left, &taken);

		if (n <= 0)
			return n < 0 ? n : -ENOSPC;
		if (taken == 0 || counter_take(&quota->bytes, taken, quota->max_bytes)) {
			ret_grant->bytes = taken;
			return n;
		}
	}
}

static ssize_t begin_write(struct quota *quota, int fd, const struct extent_range *range,
	struct quota_grant *ret_grant) no_lock_analysis
{
	uint64_t most = round_up(quota, range->offset % quota->block + range->size);
	ssize_t n;

	if (counter_take(&quota->bytes, most, quota->max_bytes)) {
		ret_grant->bytes = most;
		return (ssize_t)range->size;
	}
	rwlock_lock(&quota->gate);
	n = take_missing(quota, fd, range, ret_grant);
	ret_grant->is_alone = n > 0;
	if (n <= 0)
		rwlock_unlock(&quota->gate);
	return n;
}

ssize_t quota_begin_write(
	struct quota *quota, int fd, off_t offset, size_t size, struct quota_grant *ret_grant)
{
	struct extent_range range = {.offset = (uint64_t)offset, .size = size};
	unsigned steps = 0;
	ssize_t n;

	*ret_grant = (struct quota_grant){0};
	/* What cannot be is the file system's to refuse. */
	if (!quota || size == 0 || offset < 0 || size > INT64_MAX - (uint64_t)offset)
		return (ssize_t)size;
	do
		n = begin_write(quota, fd, &range, ret_grant);
	while (n == -ENOSPC && wait_for_closes(quota, &steps));
	return n;
}

int quota_begin_allocation(
	struct quota *quota, int fd, off_t offset, off_t length, struct quota_grant *ret_grant)
{
	size_t size = length > 0 ? (size_t)length : 0;
	ssize_t n = quota_begin_write(quota, fd, offset, size, ret_grant);

	if (n < 0)
		return (int)n;
	if ((size_t)n == size)
		return 0;
	quota_end_write(quota, fd, ret_grant);
	return -ENOSPC;
}

void quota_end_write(struct quota *quota, int fd, struct quota_grant *grant) no_lock_analysis
{
	if (!quota)
		return;
	/* What is there counts before what was taken for it goes: never too little. */
	quota_settle(quota, fd);
	counter_subtract(&quota->bytes, grant->bytes);
	if (grant->is_alone)
		rwlock_unlock(&quota->gate);
	*grant = (struct quota_grant){0};
}

void quota_begin_shrink(struct quota *quota) no_lock_analysis
{
	if (quota)
		rwlock_lock_shared(&quota->gate);
}

void quota_end_shrink(struct quota *quota) no_lock_analysis
{
	if (quota)
		rwlock_unlock_shared(&quota->gate);
}

/* --- the whole --- */

static uint64_t at_most(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t left_of(uint64_t max, uint64_t used)
{
	return used < max ? max - used : 0;
}

void quota_statfs(const struct quota *quota, struct statvfs *st)
{
	uint64_t left;

	if (!quota || st->f_frsize == 0)
		return;
	if (quota->max_bytes != UINT64_MAX) {
		left = left_of(quota->max_bytes, atomic_load(&quota->bytes)) / st->f_frsize;
		st->f_blocks = quota->max_bytes / st->f_frsize;
		st->f_bfree = at_most(left, st->f_bfree);
		st->f_bavail = at_most(left, st->f_bavail);
	}
	if (quota->max_inodes != UINT64_MAX) {
		left = left_of(quota->max_inodes, atomic_load(&quota->inodes));
		/* A file system that makes inodes as it needs them may report none. */
		st->f_ffree = st->f_files ? at_most(left, st->f_ffree) : left;
		st->f_favail = st->f_files ? at_most(left, st->f_favail) : left;
		st->f_files = quota->max_inodes;
	}
}

int quota_new(uint64_t bytes, uint64_t inodes, int upper_fd, struct quota **ret_quota)
{
	struct quota *quota;
	struct statvfs fs;

	*ret_quota = NULL;
	if (bytes == 0 && inodes == 0)
		return 0;
	if (fstatvfs(upper_fd, &fs) < 0)
		return -errno;
	quota = calloc(1, sizeof(*quota));
	if (!quota)
		return -ENOMEM;
	quota->max_bytes = bytes ? bytes : UINT64_MAX;
	quota->max_inodes = inodes ? inodes : UINT64_MAX;
	/* A network's file system tells its favourite transfer size. */
	quota->block =
		fs.f_frsize >= BLOCK_MIN && fs.f_frsize <= BLOCK_MAX ? fs.f_frsize : BLOCK_DEFAULT;
	rwlock_init(&quota->gate);
	for (size_t i = 0; i < STRIPES; i++)
		mutex_init(&quota->stripes[i].lock);
	*ret_quota = quota;
	return 0;
}

static void stripe_free(struct stripe *stripe)
{
	for (size_t i = 0; i < stripe->bucket_count; i++) {
		for (struct inode *inode = stripe->buckets[i], *next; inode; inode = next) {
			next = inode->next;
			free(inode);
		}
	}
	free(stripe->buckets);
	mutex_destroy(&stripe->lock);
}

void quota_free(struct quota *quota)
{
	if (!quota)
		return;
	for (size_t i = 0; i < STRIPES; i++)
		stripe_free(&quota->stripes[i]);
	rwlock_destroy(&quota->gate);
	free(quota);
}
