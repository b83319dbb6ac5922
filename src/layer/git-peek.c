/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-peek.h"

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* RFC 1950 and RFC 1951. */
#define ZLIB_HEADER  2
#define CODE_BITS    15
#define LITERALS     288
#define DISTANCES    32
#define LENGTH_CODES 19
#define LENGTH_BITS  7
#define END_OF_BLOCK 256

enum block { BLOCK_STORED, BLOCK_FIXED, BLOCK_DYNAMIC };

struct bit_reader {
	const uint8_t *at, *end;
	uint64_t bits;	/* that were read and not used; above them some of the next byte */
	unsigned count; /* of those that are whole bytes' */
};

/* A canonical Huffman code: how many codes of each length there are, and their symbols in order. */
struct code {
	uint16_t counts[CODE_BITS + 1];
	uint16_t symbols[LITERALS];
};

static inline bool need_bits(struct bit_reader *in, unsigned count)
{
	uint64_t word;

	if (in->count >= count)
		return true;
	if ((size_t)(in->end - in->at) >= sizeof(word)) {
		memcpy(&word, in->at, sizeof(word));
		in->bits |= le64toh(word) << in->count;
		in->at += (63 - in->count) / 8;
		in->count |= 56;
		return true;
	}
	for (; in->count < count; in->count += 8) {
		if (in->at == in->end)
			return false;
		in->bits |= (uint64_t)*in->at++ << in->count;
	}
	return true;
}

static inline void drop_bits(struct bit_reader *in, unsigned count)
{
	in->bits >>= count;
	in->count -= count;
}

static inline bool take_bits(struct bit_reader *in, unsigned count, unsigned *ret_bits)
{
	if (!need_bits(in, count))
		return false;
	*ret_bits = (unsigned)in->bits & ((1u << count) - 1);
	drop_bits(in, count);
	return true;
}

static bool build_code(struct code *code, const uint8_t *lengths, size_t count)
{
	uint16_t places[CODE_BITS + 1];
	int left = 1;

	memset(code->counts, 0, sizeof(code->counts));
	for (size_t i = 0; i < count; i++)
		code->counts[lengths[i]]++;
	for (unsigned length = 1; length <= CODE_BITS; length++) {
		left = left * 2 - code->counts[length];
		if (left < 0)
			return false;
	}
	places[1] = 0;
	for (unsigned length = 1; length < CODE_BITS; length++)
		places[length + 1] = (uint16_t)(places[length] + code->counts[length]);
	for (size_t i = 0; i < count; i++)
		if (lengths[i])
			code->symbols[places[lengths[i]]++] = (uint16_t)i;
	return true;
}

static bool take_symbol(struct bit_reader *in, const struct code *code, unsigned *ret_symbol)
{
	unsigned bits = 0, first = 0, index = 0, bit;

	for (unsigned length = 1; length <= CODE_BITS; length++) {
		unsigned count = code->counts[length];

		if (!take_bits(in, 1, &bit))
			return false;
		bits |= bit;
		if (bits < first + count) {
			*ret_symbol = code->symbols[index + bits - first];
			return true;
		}
		index += count;
		first = (first + count) << 1;
		bits <<= 1;
	}
	return false;
}

/* Lengths that repeat the last one, or are 0. */
static bool take_repeat(
	struct bit_reader *in, unsigned symbol, uint8_t *lengths, size_t *at, size_t count)
{
	static const struct {
		unsigned bits, least;
	} forms[] = {{2, 3}, {3, 3}, {7, 11}};
	unsigned extra;
	uint8_t value = 0;

	if (symbol == 16) {
		if (*at == 0)
			return false;
		value = lengths[*at - 1];
	}
	if (!take_bits(in, forms[symbol - 16].bits, &extra))
		return false;
	extra += forms[symbol - 16].least;
	if (extra > count - *at)
		return false;
	memset(lengths + *at, value, extra);
	*at += extra;
	return true;
}

/*
 * The code of lengths has hundreds of symbols to be read, and at most 7 bits: by the next 7 bits,
 * the symbol above and its length below. 0: no code begins so.
 */
struct length_table {
	uint8_t entries[1 << LENGTH_BITS];
};

static bool build_table(struct length_table *table, const uint8_t lengths[LENGTH_CODES])
{
	struct code code;
	unsigned bits = 0, index = 0;

	if (!build_code(&code, lengths, LENGTH_CODES))
		return false;
	memset(table, 0, sizeof(*table));
	for (unsigned length = 1; length <= LENGTH_BITS; length++, bits <<= 1)
		for (unsigned i = 0; i < code.counts[length]; i++, bits++) {
			unsigned symbol = code.symbols[index++], reversed = 0;

			/* Codes come with their highest bit first. */
			for (unsigned bit = 0; bit < length; bit++)
				reversed |= (bits >> bit & 1) << (length - 1 - bit);
			for (; reversed < 1 << LENGTH_BITS; reversed += 1u << length)
				table->entries[reversed] = (uint8_t)(symbol << 3 | length);
		}
	return true;
}

static bool take_lengths(
	struct bit_reader *in, const struct length_table *table, uint8_t *lengths, size_t count)
{
	size_t at = 0;

	while (at < count) {
		unsigned entry;

		if (!need_bits(in, LENGTH_BITS))
			return false;
		entry = table->entries[in->bits & ((1 << LENGTH_BITS) - 1)];
		if (!entry)
			return false;
		drop_bits(in, entry & 7);
		entry >>= 3;
		if (entry < 16)
			lengths[at++] = (uint8_t)entry;
		else if (!take_repeat(in, entry, lengths, &at, count))
			return false;
	}
	return true;
}

/* The code of literals. That of distances follows it, and is not needed. */
static bool take_dynamic_code(struct bit_reader *in, struct code *ret_code)
{
	static const uint8_t order[LENGTH_CODES] = {
		16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
	uint8_t lengths[LITERALS + DISTANCES] = {0};
	unsigned literals, distances, codes, length;
	struct length_table table;

	if (!take_bits(in, 5, &literals) || !take_bits(in, 5, &distances) ||
		!take_bits(in, 4, &codes) || literals > LITERALS - 257)
		return false;
	for (unsigned i = 0; i < codes + 4; i++) {
		if (!take_bits(in, 3, &length))
			return false;
		lengths[order[i]] = (uint8_t)length;
	}
	if (!build_table(&table, lengths))
		return false;
	memset(lengths, 0, LENGTH_CODES);
	return take_lengths(in, &table, lengths, literals + 257 + distances + 1) &&
	       build_code(ret_code, lengths, literals + 257);
}

static void make_fixed_code(struct code *ret_code)
{
	uint8_t lengths[LITERALS];

	memset(lengths, 8, 144);
	memset(lengths + 144, 9, 112);
	memset(lengths + 256, 7, 24);
	memset(lengths + 280, 8, 8);
	build_code(ret_code, lengths, LITERALS);
}

struct peek_out {
	uint8_t *bytes;
	size_t done, size;
};

/* True where the block ended, and so the next one may be looked at. */
static bool peek_literals(struct bit_reader *in, const struct code *code, struct peek_out *out)
{
	unsigned symbol;

	while (out->done < out->size) {
		if (!take_symbol(in, code, &symbol) || symbol > END_OF_BLOCK)
			return false;
		if (symbol == END_OF_BLOCK)
			return true;
		out->bytes[out->done++] = (uint8_t)symbol;
	}
	return false;
}

static bool peek_block(struct bit_reader *in, unsigned type, struct peek_out *out)
{
	struct code code;

	/* What is stored is not deflated; it is rare, and left to others. */
	if (type == BLOCK_FIXED)
		make_fixed_code(&code);
	else if (type != BLOCK_DYNAMIC || !take_dynamic_code(in, &code))
		return false;
	return peek_literals(in, &code, out);
}

size_t deflate_peek(const void *in, size_t in_size, void *out, size_t size)
{
	const uint8_t *bytes = in;
	struct bit_reader reader = {bytes + ZLIB_HEADER, bytes + in_size, 0, 0};
	struct peek_out result = {out, 0, size};
	unsigned is_last = 0, type;

	if (in_size < ZLIB_HEADER || (bytes[0] & 0x0f) != 8 || bytes[1] & 0x20)
		return 0;
	while (!is_last && take_bits(&reader, 1, &is_last) && take_bits(&reader, 2, &type))
		if (!peek_block(&reader, type, &result))
			break;
	return result.done;
}
