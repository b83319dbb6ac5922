/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-delta.h"

#include <errno.h>
#include <string.h>

#define ID_SIZE	      20
#define COPY_DEFAULT  0x10000
#define COPY_SIZE_MAX 0xffffff

struct cursor {
	const uint8_t *at, *end;
};

/* Seven bits in each byte, the lowest first. */
static bool take_size(struct cursor *cursor, uint64_t start, unsigned shift, uint64_t *ret_size)
{
	uint64_t value = start;
	uint8_t byte;

	do {
		if (cursor->at == cursor->end || shift > 56)
			return false;
		byte = *cursor->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	*ret_size = value;
	return true;
}

/* The highest first, and each that goes on adds one. */
static bool take_distance(struct cursor *cursor, uint64_t *ret_distance)
{
	uint64_t value = 0;
	uint8_t byte;

	do {
		if (cursor->at == cursor->end || value >> 55)
			return false;
		byte = *cursor->at++;
		value = value << 7 | (byte & 0x7f);
		value += byte & 0x80 ? 1 : 0;
	} while (byte & 0x80);
	*ret_distance = value;
	return value > 0;
}

int pack_entry_parse(const void *bytes, size_t size, struct pack_entry *ret_entry)
{
	struct cursor cursor = {bytes, (const uint8_t *)bytes + size};
	struct pack_entry entry = {0};
	uint8_t first;

	if (size == 0)
		return -EINVAL;
	first = *cursor.at++;
	entry.type = (enum pack_entry_type)(first >> 4 & 7);
	entry.size = first & 0x0f;
	if (first & 0x80 && !take_size(&cursor, entry.size, 4, &entry.size))
		return -EINVAL;
	switch (entry.type) {
	case PACK_COMMIT:
	case PACK_TREE:
	case PACK_BLOB:
	case PACK_TAG:
		break;
	case PACK_OFFSET_DELTA:
		if (!take_distance(&cursor, &entry.base_distance))
			return -EINVAL;
		break;
	case PACK_ID_DELTA:
		if (cursor.end - cursor.at < ID_SIZE)
			return -EINVAL;
		entry.base_id = cursor.at;
		cursor.at += ID_SIZE;
		break;
	default:
		return -EINVAL;
	}
	entry.header_size = (size_t)(cursor.at - (const uint8_t *)bytes);
	*ret_entry = entry;
	return 0;
}

int delta_header_parse(const void *bytes, size_t size, struct delta_header *ret_header)
{
	struct cursor cursor = {bytes, (const uint8_t *)bytes + size};
	struct delta_header header;

	if (!take_size(&cursor, 0, 0, &header.base_size) ||
		!take_size(&cursor, 0, 0, &header.result_size))
		return -EINVAL;
	header.header_size = (size_t)(cursor.at - (const uint8_t *)bytes);
	*ret_header = header;
	return 0;
}

bool delta_can_make(size_t delta_size, uint64_t result_size)
{
	return result_size / COPY_SIZE_MAX <= delta_size;
}

/* The bytes that `mask` says are there, the lowest first. */
static bool take_bytes(struct cursor *cursor, unsigned mask, uint32_t *ret_value)
{
	uint32_t value = 0;

	for (unsigned shift = 0; mask; mask >>= 1, shift += 8) {
		if (!(mask & 1))
			continue;
		if (cursor->at == cursor->end)
			return false;
		value |= (uint32_t)*cursor->at++ << shift;
	}
	*ret_value = value;
	return true;
}

/* What one instruction takes: a stretch of the base, or bytes of the delta itself. */
static bool take_instruction(struct cursor *cursor, const uint8_t *base, size_t base_size,
	const uint8_t **ret_from, size_t *ret_length)
{
	uint8_t op = *cursor->at++;
	uint32_t offset, length = op;

	if (op & 0x80) {
		if (!take_bytes(cursor, op & 0x0f, &offset) ||
			!take_bytes(cursor, op >> 4 & 0x07, &length))
			return false;
		if (length == 0)
			length = COPY_DEFAULT;
		if (offset > base_size || length > base_size - offset)
			return false;
		*ret_from = base + offset;
	} else {
		/* 0 is kept for what may come. */
		if (length == 0 || (size_t)(cursor->end - cursor->at) < length)
			return false;
		*ret_from = cursor->at;
		cursor->at += length;
	}
	*ret_length = length;
	return true;
}

int delta_apply(const void *base, size_t base_size, const void *delta, size_t delta_size, void *out,
	size_t out_size)
{
	struct cursor cursor = {delta, (const uint8_t *)delta + delta_size};
	struct delta_header header;
	size_t done = 0;

	if (delta_header_parse(delta, delta_size, &header) < 0 || header.base_size != base_size ||
		header.result_size != out_size)
		return -EINVAL;
	cursor.at += header.header_size;
	while (cursor.at < cursor.end) {
		const uint8_t *from;
		size_t length;

		if (!take_instruction(&cursor, base, base_size, &from, &length) ||
			length > out_size - done)
			return -EINVAL;
		memcpy((char *)out + done, from, length);
		done += length;
	}
	return done == out_size ? 0 : -EINVAL;
}
