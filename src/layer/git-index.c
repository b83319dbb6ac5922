/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-index.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define MAGIC	     "\377tOc"
#define HEADER_SIZE  8 /* of version 2: the magic, and the version */
#define FANOUT_SIZE  1024
#define TRAILER_SIZE (size_t)(2 * PACK_ID_SIZE)
#define LARGE_MARK   0x80000000u

static uint32_t read_32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return be32toh(value);
}

static uint64_t read_64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return be64toh(value);
}

/* A count that falls would send the search out of the table. */
static bool fanout_is_sound(const uint8_t *fanout)
{
	uint32_t last = 0;

	for (unsigned i = 0; i < 256; i++) {
		uint32_t count = read_32(fanout + (size_t)i * 4);

		if (count < last)
			return false;
		last = count;
	}
	return true;
}

/* An offset of 4 bytes before each id. */
static bool parse_version_1(const uint8_t *bytes, size_t size, struct pack_index *index)
{
	if (size != FANOUT_SIZE + (size_t)index->count * (4 + PACK_ID_SIZE) + TRAILER_SIZE)
		return false;
	index->offsets = bytes + FANOUT_SIZE;
	index->ids = index->offsets + 4;
	index->id_stride = index->offset_stride = 4 + PACK_ID_SIZE;
	return true;
}

/* Tables one after the other: ids, checksums, offsets, and those that need 8 bytes. */
static bool parse_version_2(const uint8_t *bytes, size_t size, struct pack_index *index)
{
	size_t least = HEADER_SIZE + FANOUT_SIZE + TRAILER_SIZE +
		       (size_t)index->count * (PACK_ID_SIZE + 4 + 4);

	if (size < least || (size - least) % 8 != 0 || (size - least) / 8 > index->count)
		return false;
	index->large_count = (uint32_t)((size - least) / 8);
	index->ids = bytes + HEADER_SIZE + FANOUT_SIZE;
	index->offsets = index->ids + (size_t)index->count * (PACK_ID_SIZE + 4);
	index->large_offsets = index->offsets + (size_t)index->count * 4;
	index->id_stride = PACK_ID_SIZE;
	index->offset_stride = 4;
	return true;
}

int pack_index_parse(
	const void *bytes, size_t size, struct pack_index *ret_index, const char **ret_fault)
{
	bool is_new = size >= HEADER_SIZE && memcmp(bytes, MAGIC, sizeof(MAGIC) - 1) == 0;
	size_t header = is_new ? HEADER_SIZE : 0;
	struct pack_index index = {.fanout = (const uint8_t *)bytes + header};

	*ret_fault = "its index is cut off";
	if (size < header + FANOUT_SIZE + TRAILER_SIZE)
		return -EINVAL;
	if (is_new && read_32((const uint8_t *)bytes + 4) != 2) {
		*ret_fault = "its index is of an unknown version";
		return -EINVAL;
	}
	if (!fanout_is_sound(index.fanout)) {
		*ret_fault = "its index is corrupt";
		return -EINVAL;
	}
	index.count = read_32(index.fanout + FANOUT_SIZE - 4);
	index.pack_checksum = (const uint8_t *)bytes + size - TRAILER_SIZE;
	if (!(is_new ? parse_version_2 : parse_version_1)(bytes, size, &index))
		return -EINVAL;
	*ret_index = index;
	return 0;
}

static uint32_t count_up_to(const struct pack_index *index, uint8_t byte)
{
	uint32_t count = read_32(index->fanout + byte * (size_t)4);

	/* The file may have changed since it was seen to be sound. */
	return count < index->count ? count : index->count;
}

/* Where ids that begin with this byte are. */
static void range_of(const struct pack_index *index, uint8_t first, uint32_t *low, uint32_t *high)
{
	*high = count_up_to(index, first);
	*low = first ? count_up_to(index, first - 1) : 0;
	if (*low > *high)
		*low = *high;
}

static const uint8_t *id_at(const struct pack_index *index, uint32_t at)
{
	return index->ids + at * index->id_stride;
}

/* The first id in the range that is not less. */
static uint32_t search(
	const struct pack_index *index, const uint8_t *id, uint32_t low, uint32_t high)
{
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (memcmp(id_at(index, middle), id, PACK_ID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int pack_index_find(
	const struct pack_index *index, const uint8_t id[PACK_ID_SIZE], uint64_t *ret_offset)
{
	uint32_t at, high, offset;

	range_of(index, id[0], &at, &high);
	at = search(index, id, at, high);
	if (at == high || memcmp(id_at(index, at), id, PACK_ID_SIZE) != 0)
		return 0;
	offset = read_32(index->offsets + at * index->offset_stride);
	if (!index->large_offsets || !(offset & LARGE_MARK)) {
		*ret_offset = offset;
		return 1;
	}
	offset &= ~LARGE_MARK;
	if (offset >= index->large_count)
		return -EINVAL;
	*ret_offset = read_64(index->large_offsets + (size_t)offset * 8);
	return 1;
}

static bool has_prefix(const uint8_t *id, const uint8_t *prefix, size_t digits)
{
	return memcmp(id, prefix, digits / 2) == 0 &&
	       (digits % 2 == 0 || (id[digits / 2] & 0xf0) == (prefix[digits / 2] & 0xf0));
}

int pack_index_find_prefix(const struct pack_index *index, const uint8_t prefix[PACK_ID_SIZE],
	size_t digits, const uint8_t **ret_id)
{
	uint8_t least[PACK_ID_SIZE] = {0};
	uint32_t at;

	/* The digits behind the prefix count as zeros. */
	memcpy(least, prefix, (digits + 1) / 2);
	if (digits % 2)
		least[digits / 2] &= 0xf0;
	at = search(index, least, 0, index->count);
	if (at == index->count || !has_prefix(id_at(index, at), prefix, digits))
		return 0;
	*ret_id = id_at(index, at);
	return at + 1 < index->count && has_prefix(id_at(index, at + 1), prefix, digits) ? 2 : 1;
}
