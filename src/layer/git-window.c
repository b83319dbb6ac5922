/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-window.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "layer/git-pack.h"
#include "util/fully.h"
#include "util/lock.h"

/*
 * Of a find over Linux, 86,000 reads of 512 bytes are left 25,000 with these numbers, 43,000 with
 * blocks of a quarter and four times as many.
 */
#define BLOCK_SIZE  16384
#define BLOCK_COUNT 16
/* Who wants more reads it without a copy in between. */
#define READ_MAX 4096

struct block {
	uint32_t pack; /* its number */
	uint64_t start;
	size_t size; /* less than BLOCK_SIZE at the end of the file; 0: there is nothing here */
	uint64_t last_use;    /* by the clock of the windows */
	bool is_taken;	      /* by somebody who reads into it without the lock */
	unsigned char *bytes; /* malloc'ed with the first use */
};

struct pack_windows {
	struct mutex lock;
	struct block blocks[BLOCK_COUNT] guarded_by(lock);
	uint64_t clock guarded_by(lock);
};

struct pack_windows *pack_windows_new(void) no_lock_analysis
{
	struct pack_windows *windows = calloc(1, sizeof(*windows));

	if (windows)
		mutex_init(&windows->lock);
	return windows;
}

void pack_windows_free(struct pack_windows *windows) no_lock_analysis
{
	if (!windows)
		return;
	for (size_t i = 0; i < BLOCK_COUNT; i++)
		free(windows->blocks[i].bytes);
	mutex_destroy(&windows->lock);
	free(windows);
}

static struct block *find_locked(struct pack_windows *windows, uint32_t pack, uint64_t start)
	requires_lock(windows->lock)
{
	for (size_t i = 0; i < BLOCK_COUNT; i++) {
		struct block *block = &windows->blocks[i];

		if (block->start == start && block->pack == pack && block->size > 0)
			return block;
	}
	return NULL;
}

/* The block that was not used for longest, with nothing in it. NULL: all are being read into. */
static struct block *take_locked(struct pack_windows *windows) requires_lock(windows->lock)
{
	struct block *oldest = NULL;

	for (size_t i = 0; i < BLOCK_COUNT; i++) {
		struct block *block = &windows->blocks[i];

		if (!block->is_taken && (!oldest || block->last_use < oldest->last_use))
			oldest = block;
	}
	if (!oldest)
		return NULL;
	oldest->is_taken = true;
	oldest->size = 0;
	return oldest;
}

/* The bytes of a block from `skip` on: how many there were. */
static size_t copy_locked(struct pack_windows *windows, struct block *block, size_t skip, void *buf,
	size_t size) requires_lock(windows->lock)
{
	size_t there = block->size > skip ? block->size - skip : 0;

	if (size > there)
		size = there;
	memcpy(buf, block->bytes + skip, size);
	block->last_use = ++windows->clock;
	return size;
}

/* What is read is kept, also where somebody else has read the same meanwhile. */
static ssize_t fill(struct pack_windows *windows, struct block *block, const struct held_pack *pack,
	uint64_t start, size_t skip, void *buf, size_t size)
{
	ssize_t n;

	if (!block->bytes)
		block->bytes = malloc(BLOCK_SIZE);
	n = block->bytes ? pread_fully(pack->fd, block->bytes, BLOCK_SIZE, start)
			 : pread_fully(pack->fd, buf, size, start + skip);
	mutex_lock(&windows->lock);
	block->is_taken = false;
	if (n > 0 && block->bytes) {
		block->pack = pack->number;
		block->start = start;
		block->size = (size_t)n;
		n = (ssize_t)copy_locked(windows, block, skip, buf, size);
	}
	mutex_unlock(&windows->lock);
	return n;
}

/* What lies in one block. */
static ssize_t read_in_block(struct pack_windows *windows, const struct held_pack *pack, void *buf,
	size_t size, uint64_t offset)
{
	size_t skip = offset % BLOCK_SIZE;
	uint64_t start = offset - skip;
	struct block *block, *taken = NULL;
	ssize_t n = 0;

	mutex_lock(&windows->lock);
	block = find_locked(windows, pack->number, start);
	if (block)
		n = (ssize_t)copy_locked(windows, block, skip, buf, size);
	else
		taken = take_locked(windows);
	mutex_unlock(&windows->lock);
	if (block)
		return n;
	if (!taken)
		return pread_fully(pack->fd, buf, size, offset);
	return fill(windows, taken, pack, start, skip, buf, size);
}

ssize_t pack_windows_read(struct pack_windows *windows, const struct held_pack *pack, void *buf,
	size_t size, uint64_t offset)
{
	size_t done = 0;

	if (size > READ_MAX)
		return pread_fully(pack->fd, buf, size, offset);
	while (done < size) {
		size_t room = BLOCK_SIZE - (offset + done) % BLOCK_SIZE;
		size_t wanted = size - done < room ? size - done : room;
		ssize_t n = read_in_block(
			windows, pack, (unsigned char *)buf + done, wanted, offset + done);

		if (n < 0)
			return n;
		done += (size_t)n;
		if ((size_t)n < wanted)
			break;
	}
	return (ssize_t)done;
}
