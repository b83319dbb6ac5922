/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The index of a pack (gitformat-pack(5), versions 1 and 2): which objects are in it, and where.
 * A bounded reader: whatever the bytes say, also when they change meanwhile, nothing outside of
 * them is read. No I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACK_ID_SIZE 20

struct pack_index {
	const uint8_t *fanout; /* all borrowed; 256 counts */
	const uint8_t *ids;    /* the first id, and from one to the next `id_stride` bytes */
	const uint8_t *offsets, *large_offsets;
	const uint8_t *pack_checksum; /* PACK_ID_SIZE bytes: what the pack ends with */
	size_t id_stride, offset_stride;
	uint32_t count, large_count;
};

/* 0, or -EINVAL with the reason. The index points into the bytes. */
int pack_index_parse(
	const void *bytes, size_t size, struct pack_index *ret_index, const char **ret_fault);

/* Whether the object is in the pack; -EINVAL where the index does not know its place. */
int pack_index_find(
	const struct pack_index *index, const uint8_t id[PACK_ID_SIZE], uint64_t *ret_offset);

/*
 * The ids that begin with the first `digits` hex digits of `prefix`: 0 if there is none, 1 and the
 * id, 2 if there are several.
 */
int pack_index_find_prefix(const struct pack_index *index, const uint8_t prefix[PACK_ID_SIZE],
	size_t digits, const uint8_t **ret_id);
