/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Indexes and packs of any bytes. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <endian.h>
#include <zlib.h>
#include <cmocka.h>

#include "layer/git-index.h"

static unsigned random_seed = 1;

static inline unsigned random_below(unsigned limit)
{
	return (unsigned)rand_r(&random_seed) % limit;
}

struct entry {
	uint8_t id[PACK_ID_SIZE];
	uint64_t offset;
};

struct buffer {
	uint8_t bytes[65536];
	size_t size;
};

static inline void put(struct buffer *buffer, const void *bytes, size_t size)
{
	assert_true(size <= sizeof(buffer->bytes) - buffer->size);
	memcpy(buffer->bytes + buffer->size, bytes, size);
	buffer->size += size;
}

static inline void put_32(struct buffer *buffer, uint32_t value)
{
	value = htobe32(value);
	put(buffer, &value, sizeof(value));
}

static const uint8_t no_checksum[PACK_ID_SIZE];

/* Sorted by id. Offsets of 2 GiB and more go into the large table. */
static inline void make_index(
	struct buffer *out, unsigned version, const struct entry *entries, size_t count)
{
	uint32_t large = 0;

	out->size = 0;
	if (version == 2) {
		put(out, "\377tOc", 4);
		put_32(out, 2);
	}
	for (unsigned byte = 0; byte < 256; byte++) {
		uint32_t below = 0;

		for (size_t i = 0; i < count; i++)
			below += entries[i].id[0] <= byte;
		put_32(out, below);
	}
	for (size_t i = 0; i < count; i++) {
		if (version == 1)
			put_32(out, (uint32_t)entries[i].offset);
		put(out, entries[i].id, PACK_ID_SIZE);
	}
	for (size_t i = 0; version == 2 && i < count; i++)
		put_32(out, 0);
	for (size_t i = 0; version == 2 && i < count; i++)
		put_32(out, entries[i].offset >> 31 ? 0x80000000u | large++
						    : (uint32_t)entries[i].offset);
	for (size_t i = 0; version == 2 && i < count; i++)
		if (entries[i].offset >> 31) {
			put_32(out, (uint32_t)(entries[i].offset >> 32));
			put_32(out, (uint32_t)entries[i].offset);
		}
	put(out, no_checksum, PACK_ID_SIZE);
	put(out, no_checksum, PACK_ID_SIZE);
}

static inline size_t deflate_with(
	int level, int strategy, const void *data, size_t size, uint8_t *out, size_t room)
{
	z_stream stream = {0};
	size_t done;

	assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, 15, 8, strategy), Z_OK);
	stream.next_in = (unsigned char *)(uintptr_t)data;
	stream.avail_in = (unsigned)size;
	stream.next_out = out;
	stream.avail_out = (unsigned)room;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	done = room - stream.avail_out;
	deflateEnd(&stream);
	return done;
}

/* Text, for codes of all lengths. The first bytes are like those of a delta: no two the same. */
