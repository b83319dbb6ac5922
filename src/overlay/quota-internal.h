/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What quota.c, which gives room, shares with quota-inodes.c, which knows what took it. */
#pragma once

#include "overlay/quota.h"
#include "util/hash-table.h"
#include "util/lock.h"

#define STRIPES	   16
#define STAT_BLOCK 512 /* the unit of st_blocks, whatever the file system's is */

/* The inodes that changed in this mount, by number. */
struct stripe {
	struct mutex lock;
	struct hash_table inodes guarded_by(lock);
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

void quota_init_stripes(struct quota *quota);
void quota_free_stripes(struct quota *quota);
/* To whole blocks. */
uint64_t quota_round_up(const struct quota *quota, uint64_t bytes);
