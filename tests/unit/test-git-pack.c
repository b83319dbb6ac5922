/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The readers of packs: index, entries, deltas, beginnings of streams. Whatever the bytes say, a
 * read ends, and touches nothing but what it was given: each buffer is malloc'ed to its exact size,
 * so that the sanitizers see the first byte too many.
 */
#include "pack-bytes.h"

#include <errno.h>
#include <stdio.h>
#include <zlib.h>

#include <git2.h>

#include <git-overlayfs/git-layer.h>

#include "layer/git-delta.h"
#include "layer/git-hash.h"
#include "layer/git-peek.h"

#define ROUNDS 2000

static void *copy_of(const void *bytes, size_t size)
{
	void *copy = malloc(size ? size : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	return copy;
}

static void scramble(uint8_t *bytes, size_t size)
{
	for (unsigned i = 0; size && i < 1 + random_below(4); i++)
		bytes[random_below((unsigned)size)] = (uint8_t)random_below(256);
}

/* --- the index --- */

/* Ids 00.., 0101.., 02.. 0200..01 and so on: several with one first byte. */
static void make_entries(struct entry *entries, size_t count, bool has_large)
{
	for (size_t i = 0; i < count; i++) {
		memset(&entries[i], 0, sizeof(entries[i]));
		entries[i].id[0] = (uint8_t)(i / 3 * 5);
		entries[i].id[PACK_ID_SIZE - 1] = (uint8_t)(i % 3);
		entries[i].offset = 12 + i * 100;
		if (has_large && i % 2)
			entries[i].offset += 5ull << 32;
	}
}

#define ENTRIES 60

static void finds_what_is_in_the_index(void **state)
{
	struct entry entries[ENTRIES];
	struct buffer buffer;
	struct pack_index index;
	const char *fault;
	const uint8_t *id;

	for (unsigned version = 1; version <= 2; version++) {
		uint8_t other[PACK_ID_SIZE] = {5, 1};
		uint64_t offset;

		make_entries(entries, ENTRIES, version == 2);
		make_index(&buffer, version, entries, ENTRIES);
		assert_int_equal(pack_index_parse(buffer.bytes, buffer.size, &index, &fault), 0);
		assert_int_equal(index.count, ENTRIES);
		for (size_t i = 0; i < ENTRIES; i++) {
			assert_int_equal(pack_index_find(&index, entries[i].id, &offset), 1);
			assert_int_equal(offset, entries[i].offset);
			assert_int_equal(pack_index_find_prefix(&index, entries[i].id, 40, &id), 1);
			assert_memory_equal(id, entries[i].id, PACK_ID_SIZE);
		}
		assert_int_equal(pack_index_find(&index, other, &offset), 0);
		assert_int_equal(pack_index_find_prefix(&index, entries[3].id, 2, &id), 2);
		assert_int_equal(pack_index_find_prefix(&index, other, 4, &id), 0);
	}
}

static void ask_for_all(const struct pack_index *index)
{
	struct entry entries[ENTRIES];
	const uint8_t *id;
	uint64_t offset;

	make_entries(entries, ENTRIES, true);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_in_range(pack_index_find(index, entries[i].id, &offset) + 1000, 0, 1001);
		pack_index_find_prefix(index, entries[i].id, random_below(41), &id);
	}
}

static void an_index_that_is_cut_off_or_damaged(void **state)
{
	struct entry entries[ENTRIES];
	struct buffer buffer;
	struct pack_index index;
	const char *fault = NULL;

	make_entries(entries, ENTRIES, true);
	make_index(&buffer, 2, entries, ENTRIES);
	for (size_t size = 0; size < buffer.size; size++) {
		uint8_t *bytes = copy_of(buffer.bytes, size);

		/* The table of large offsets has no length of its own. */
		if (size >= buffer.size - (size_t)ENTRIES / 2 * 8 &&
			pack_index_parse(bytes, size, &index, &fault) == 0) {
			ask_for_all(&index);
		} else {
			assert_int_equal(pack_index_parse(bytes, size, &index, &fault), -EINVAL);
			assert_non_null(fault);
		}
		free(bytes);
	}
	for (int round = 0; round < ROUNDS; round++) {
		uint8_t *bytes;

		make_index(&buffer, 1 + (unsigned)round % 2, entries, ENTRIES);
		bytes = copy_of(buffer.bytes, buffer.size);
		scramble(bytes, buffer.size);
		if (pack_index_parse(bytes, buffer.size, &index, &fault) == 0)
			ask_for_all(&index);
		free(bytes);
	}
}

/* --- entries and deltas --- */

static void headers_of_entries(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		int result;
		enum pack_entry_type type;
		uint64_t entry_size, distance;
		size_t header_size;
	} rows[] = {
		{"\x35", 1, 0, PACK_BLOB, 5, 0, 1},
		{"\xb5\x01", 2, 0, PACK_BLOB, 21, 0, 2},
		{"\xb5", 1, -EINVAL, 0, 0, 0, 0},
		{"", 0, -EINVAL, 0, 0, 0, 0},
		{"\x05", 1, -EINVAL, 0, 0, 0, 0},
		{"\x55", 1, -EINVAL, 0, 0, 0, 0},
		{"\x64\x07", 2, 0, PACK_OFFSET_DELTA, 4, 7, 2},
		{"\x64\x80\x00", 3, 0, PACK_OFFSET_DELTA, 4, 128, 3},
		{"\x64", 1, -EINVAL, 0, 0, 0, 0},
		{"\x64\x00", 2, -EINVAL, 0, 0, 0, 0},
		{"\x64\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, -EINVAL, 0, 0, 0, 0},
		{"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, -EINVAL, 0, 0, 0, 0},
		{"\x74"
		 "01234567890123456789",
			21, 0, PACK_ID_DELTA, 4, 0, 21},
		{"\x74"
		 "0123456789012345678",
			20, -EINVAL, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *bytes = copy_of(rows[i].bytes, rows[i].size);
		struct pack_entry entry = {0};
		int r = pack_entry_parse(bytes, rows[i].size, &entry);

		if (r != rows[i].result || entry.type != rows[i].type ||
			entry.size != rows[i].entry_size ||
			entry.base_distance != rows[i].distance ||
			entry.header_size != rows[i].header_size)
			fail_msg("row %zu: %d, type %d size %ju distance %ju header %zu", i, r,
				(int)entry.type, (uintmax_t)entry.size,
				(uintmax_t)entry.base_distance, entry.header_size);
		free(bytes);
	}
}

static const char base[] = "0123456789abcdef";

static void deltas(void **state)
{
	static const struct {
		const char *delta;
		size_t size;
		const char *result; /* NULL: refused */
	} rows[] = {
		{"\x10\x04\x90\x04", 4, "0123"},
		{"\x10\x06\x91\x0a\x04\x02xy", 8, "abcdxy"},
		{"\x10\x02\x02xy", 5, "xy"},
		{"\x10\x00", 2, ""},
		/* Of another base, of another length, cut off, beyond the base, kept for later. */
		{"\x11\x04\x90\x04", 4, NULL},
		{"\x10\x05\x90\x04", 4, NULL},
		{"\x10\x03\x90\x04", 4, NULL},
		{"\x10\x04\x90", 3, NULL},
		{"\x10\x04\x91\x0d\x04", 5, NULL},
		{"\x10\x04\x9f\xff\xff\xff\xff\x04", 8, NULL},
		{"\x10\x04\x80", 3, NULL},
		{"\x10\x02\x02x", 4, NULL},
		{"\x10\x01\x00", 3, NULL},
		{"\x10", 1, NULL},
		{"", 0, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *delta = copy_of(rows[i].delta, rows[i].size);
		size_t size = rows[i].size > 1 ? (size_t)rows[i].delta[1] : 0;
		char *out = malloc(size ? size : 1);
		int r = delta_apply(base, 16, delta, rows[i].size, out, size);

		if (r != (rows[i].result ? 0 : -EINVAL) ||
			(r == 0 && memcmp(out, rows[i].result, size) != 0))
			fail_msg("row %zu: %d '%.*s', wanted '%s'", i, r, (int)size, out,
				rows[i].result ? rows[i].result : "a refusal");
		free(out);
		free(delta);
	}
}

static void deltas_of_anything(void **state)
{
	for (int round = 0; round < ROUNDS * 10; round++) {
		size_t size = 2 + random_below(40), out_size = random_below(100);
		uint8_t *delta = malloc(size);
		char *out = malloc(out_size + 1), *from = copy_of(base, 16);

		for (size_t i = 0; i < size; i++)
			delta[i] = (uint8_t)random_below(256);
		delta[0] = 16;
		delta[1] = (uint8_t)out_size;
		assert_in_range(
			delta_apply(from, 16, delta, size, out, out_size) + EINVAL, 0, EINVAL);
		free(from);
		free(out);
		free(delta);
	}
}

static void sizes_that_a_delta_cannot_have(void **state)
{
	assert_true(delta_can_make(4, 0xffffff));
	assert_true(delta_can_make(0, 0));
	assert_false(delta_can_make(100, 1ull << 50));
}

/* --- beginnings of streams --- */

static void fill(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i < 8 ? 200 - i * 7 : 'a' + random_below(1 + random_below(26)));
}

static void the_first_bytes_of_streams(void **state)
{
	static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_FIXED, Z_HUFFMAN_ONLY};
	size_t found = 0;

	for (int round = 0; round < ROUNDS; round++) {
		size_t size = 8 + random_below(3000), deflated, n;
		uint8_t data[4096], out[8192], first[8];
		uint8_t *in;

		fill(data, size);
		deflated = deflate_with(
			1 + round % 9, strategies[round % 3], data, size, out, sizeof(out));
		in = copy_of(out, deflated);
		n = deflate_peek(in, deflated, first, sizeof(first));
		assert_memory_equal(first, data, n);
		found += n;
		/* Cut off, it gives as much as there is. */
		free(in);
		in = copy_of(out, deflated / 4);
		n = deflate_peek(in, deflated / 4, first, sizeof(first));
		assert_memory_equal(first, data, n);
		free(in);
	}
	/* It may always stop, but then it is of no use. */
	assert_int_equal(found, ROUNDS * 8);
}

static void beginnings_of_anything(void **state)
{
	for (int round = 0; round < ROUNDS * 10; round++) {
		size_t size = random_below(400), want = random_below(30);
		uint8_t *in = malloc(size + 1), *out = malloc(want + 1);

		for (size_t i = 0; i < size; i++)
			in[i] = (uint8_t)random_below(256);
		in[0] = 0x78;
		if (size > 1)
			in[1] = 0x01;
		assert_true(deflate_peek(in, size, out, want) <= want);
		free(in);
		free(out);
	}
}

/* --- hashes --- */

static void ids_as_git_has_them(void **state)
{
	git_oid id, other;
	char data[1000];

	assert_int_equal(object_hash(GIT_OBJECT_BLOB, "", 0, &id), 0);
	assert_int_equal(git_oid_streq(&id, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), 0);
	assert_int_equal(object_hash(GIT_OBJECT_TREE, "", 0, &id), 0);
	assert_int_equal(git_oid_streq(&id, "4b825dc642cb6eb9a060e54bf8d69288fbee4904"), 0);
	for (size_t size = 0; size < sizeof(data); size++) {
		data[size] = (char)random_below(256);
		assert_int_equal(object_hash(GIT_OBJECT_BLOB, data, size, &id), 0);
		assert_int_equal(git_odb_hash(&other, data, size, GIT_OBJECT_BLOB), 0);
		assert_memory_equal(id.id, other.id, sizeof(id.id));
	}
}

/* --- hostile packs --- */

static int start_library(void **state)
{
	struct error err = {0};

	if (git_layer_prepare(-1, NULL, &err) < 0)
		return -1;
	return git_libgit2_init() > 0 ? 0 : -1;
}

static int end_library(void **state)
{
	git_libgit2_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_in_the_index),
		cmocka_unit_test(an_index_that_is_cut_off_or_damaged),
		cmocka_unit_test(headers_of_entries),
		cmocka_unit_test(deltas),
		cmocka_unit_test(deltas_of_anything),
		cmocka_unit_test(sizes_that_a_delta_cannot_have),
		cmocka_unit_test(the_first_bytes_of_streams),
		cmocka_unit_test(beginnings_of_anything),
		cmocka_unit_test(ids_as_git_has_them),
	};

	return cmocka_run_group_tests(tests, start_library, end_library);
}
