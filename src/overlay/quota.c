/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/quota-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "overlay/call.h"
#include "overlay/quota-counter.h"
#include "overlay/quota-extent.h"

#define BLOCK_MIN     512
#define BLOCK_MAX     65536
#define BLOCK_DEFAULT 4096
/* A target that is shorter lies in the inode, on the file systems that have such. */
#define SHORT_TARGET 60
#define WAIT_STEPS   20
#define WAIT_STEP_NS 1000000

/* --- the counters --- */

uint64_t quota_round_up(const struct quota *quota, uint64_t bytes)
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
	bytes = quota_round_up(quota, bytes);
	do
		r = take_now(quota, bytes, inodes);
	while (r < 0 && wait_for_closes(quota, &steps));
	return r;
}

void quota_take_anyway(struct quota *quota, uint64_t bytes, uint64_t inodes)
{
	if (!quota)
		return;
	atomic_fetch_add(&quota->bytes, quota_round_up(quota, bytes));
	atomic_fetch_add(&quota->inodes, inodes);
}

void quota_give_back(struct quota *quota, uint64_t bytes, uint64_t inodes)
{
	if (!quota)
		return;
	counter_subtract(&quota->bytes, quota_round_up(quota, bytes));
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
	uint64_t most = quota_round_up(quota, range->offset % quota->block + range->size);
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
	quota_init_stripes(quota);
	*ret_quota = quota;
	return 0;
}

void quota_free(struct quota *quota)
{
	if (!quota)
		return;
	quota_free_stripes(quota);
	rwlock_destroy(&quota->gate);
	free(quota);
}
