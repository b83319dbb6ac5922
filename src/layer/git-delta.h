/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an entry of a pack begins with, and deltas (gitformat-pack(5)). Bounded readers: whatever
 * the bytes say, nothing outside of them is read and nothing outside of the result written. No I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Type, size, and a base: no header is longer. */
#define PACK_ENTRY_HEADER_MAX 32

enum pack_entry_type {
	PACK_COMMIT = 1,
	PACK_TREE = 2,
	PACK_BLOB = 3,
	PACK_TAG = 4,
	PACK_OFFSET_DELTA = 6,
	PACK_ID_DELTA = 7,
};

struct pack_entry {
	enum pack_entry_type type;
	uint64_t size;		/* of what is deflated behind the header */
	uint64_t base_distance; /* PACK_OFFSET_DELTA: so far in front of the entry; never 0 */
	const uint8_t *base_id; /* PACK_ID_DELTA: 20 bytes, borrowed */
	size_t header_size;
};

static inline bool pack_entry_is_delta(const struct pack_entry *entry)
{
	return entry->type == PACK_OFFSET_DELTA || entry->type == PACK_ID_DELTA;
}

/* 0 or -EINVAL. */
int pack_entry_parse(const void *bytes, size_t size, struct pack_entry *ret_entry);

/* The sizes that a delta begins with take no more bytes than this up to 256 MiB. */
#define DELTA_HEADER_LIKELY 8
/* Two sizes of 64 bits. */
#define DELTA_HEADER_MAX 20

struct delta_header {
	uint64_t base_size, result_size;
	size_t header_size;
};

/* Of the first bytes of a delta. 0 or -EINVAL. */
int delta_header_parse(const void *bytes, size_t size, struct delta_header *ret_header);

/*
 * Makes the result out of the base. -EINVAL where the sizes are not those that the delta says, or
 * it wants more than there is.
 */
int delta_apply(const void *base, size_t base_size, const void *delta, size_t delta_size, void *out,
	size_t out_size);

/* Whether so short a delta could have such a result at all: a header can claim anything. */
bool delta_can_make(size_t delta_size, uint64_t result_size);
