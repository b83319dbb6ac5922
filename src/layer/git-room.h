/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Room in memory for what has to be there as a whole, and what it is made of. Small reads are not
 * counted; the others take what they need at one time, all at once and before they need it, and
 * wait for nothing but the disk while they have it: so each that waits gets its turn.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/lock.h"

/* Who has no more than this in memory takes no room. */
#define ROOM_UNCOUNTED_MAX (8u << 20)

struct room {
	struct mutex lock;
	pthread_cond_t changed;
	uint64_t limit; /* immutable */
	uint64_t taken guarded_by(lock);
	uint64_t next_ticket guarded_by(lock), next_served guarded_by(lock);
};

void room_init(struct room *room, uint64_t limit);
void room_release(struct room *room);
/*
 * Waits until there is room, and for those who came before: a large one would never have its turn
 * otherwise. What is larger than all there is has it alone.
 */
void room_take(struct room *room, uint64_t size);
void room_give(struct room *room, uint64_t size);

/* What one read may have in memory. Begins as {room, largest object}. */
struct room_share {
	struct room *room;   /* borrowed */
	uint64_t object_max; /* a larger object is not read: -EFBIG */
	uint64_t taken;
};

/* Whether so much needs no room, or has it. */
bool room_share_covers(const struct room_share *share, uint64_t size);
/* Only where it has none: who waits must have nothing others wait for. */
void room_share_take(struct room_share *share, uint64_t size);
/* Gives back what is more than `size` bytes need. */
void room_share_shrink(struct room_share *share, uint64_t size);
void room_share_end(struct room_share *share);
