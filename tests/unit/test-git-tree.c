/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader of tree objects: what is well-formed, what is not, what is left out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "layer/git-tree.h"

#define ID		  "iiiiiiiiiiiiiiiiiiii"
#define ENTRY(mode, name) mode " " name "\0" ID
#define BYTES(literal)	  (literal), sizeof(literal) - 1

static void malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} rows[] = {
		{BYTES("1")},
		{BYTES("100644")},
		{BYTES("100644 ")},
		{BYTES("100644 name")},
		{BYTES("100644 name\0")},
		{BYTES("100644 name\0iiiiiiiiiiiiiiiiiii")}, /* 19 bytes of the id */
		{BYTES(" name\0" ID)},
		{BYTES("100648 name\0" ID)},
		{BYTES("0x644 name\0" ID)},
		{BYTES("-100644 name\0" ID)},
		{BYTES("00100644 name\0" ID)}, /* more digits than a mode has */
		{BYTES("777777777777777777777777 name\0" ID)},
		{BYTES("100644\tname\0" ID)},
		{BYTES(ENTRY("100644", "a") "1")},
		{BYTES(ENTRY("100644", "a") "100644 b\0" ID "\0")},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* On the heap, to its last byte: a checker sees a byte too far. */
		char *bytes = malloc(rows[i].size);
		const char *fault = NULL;
		struct tree_view view = {0};

		memcpy(bytes, rows[i].bytes, rows[i].size);
		if (tree_view_parse(bytes, rows[i].size, &view, &fault) != -EINVAL)
			fail_msg("row %zu was taken", i);
		assert_non_null(fault);
		assert_null(view.offsets);
		free(bytes);
	}
}

static void every_cut_is_refused(void **state)
{
	static const char whole[] = ENTRY("100644", "a") ENTRY("40000", "b") ENTRY("120000", "c");
	const size_t one = sizeof(ENTRY("100644", "a")) - 1;
	const size_t two = one + sizeof(ENTRY("40000", "b")) - 1;

	for (size_t size = 0; size < sizeof(whole); size++) {
		char *bytes = malloc(size + 1);
		struct tree_view view = {0};
		const char *fault;
		int r, want = -EINVAL;

		if (size == 0 || size == one || size == two || size == sizeof(whole) - 1)
			want = 0;
		memcpy(bytes, whole, size);
		r = tree_view_parse(bytes, size, &view, &fault);
		if (r != want)
			fail_msg("%zu bytes: %d, wanted %d", size, r, want);
		tree_view_release(&view);
		free(bytes);
	}
}

static void random_damage_does_no_harm(void **state)
{
	static const char whole[] =
		ENTRY("100644", "a") ENTRY("40000", "bb") ENTRY("120000", "ccc");
	unsigned seed = 1;

	for (int i = 0; i < 200000; i++) {
		size_t size = sizeof(whole) - 1;
		char *bytes = malloc(size);
		struct tree_view view = {0};
		const char *fault;

		memcpy(bytes, whole, size);
		for (int k = 0; k < 3; k++)
			bytes[(unsigned)rand_r(&seed) % size] = (char)rand_r(&seed);
		if (tree_view_parse(bytes, size, &view, &fault) == 0)
			for (uint32_t k = 0; k < view.count; k++) {
				struct tree_entry entry = tree_view_entry(&view, k);
				uint32_t found;

				assert_true(tree_view_find(&view, entry.name, &found));
				assert_int_equal(found, k);
			}
		tree_view_release(&view);
		free(bytes);
	}
}

static struct tree_view parse(const char *bytes, size_t size)
{
	struct tree_view view;
	const char *fault = "";

	if (tree_view_parse(bytes, size, &view, &fault) < 0)
		fail_msg("refused: %s", fault);
	return view;
}

static void modes(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		mode_t want;
		bool is_dir;
	} rows[] = {
		{BYTES(ENTRY("100644", "x")), S_IFREG | 0644, false},
		{BYTES(ENTRY("100755", "x")), S_IFREG | 0755, false},
		{BYTES(ENTRY("100664", "x")), S_IFREG | 0664, false},
		{BYTES(ENTRY("100600", "x")), S_IFREG | 0600, false},
		{BYTES(ENTRY("104755", "x")), S_IFREG | 0755, false},
		{BYTES(ENTRY("120000", "x")), S_IFLNK | 0777, false},
		{BYTES(ENTRY("40000", "x")), S_IFDIR | 0755, true},
		{BYTES(ENTRY("040000", "x")), S_IFDIR | 0755, true},
		{BYTES(ENTRY("160000", "x")), S_IFDIR | 0755, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tree_view view = parse(rows[i].bytes, rows[i].size);
		struct tree_entry entry = tree_view_entry(&view, 0);

		if (tree_entry_stat_mode(&entry) != rows[i].want)
			fail_msg("row %zu: %o, wanted %o", i, tree_entry_stat_mode(&entry),
				rows[i].want);
		assert_int_equal(tree_entry_is_dir(&entry), rows[i].is_dir);
		assert_memory_equal(entry.id, ID, TREE_ID_SIZE);
		tree_view_release(&view);
	}
}

static void impossible_names_are_left_out(void **state)
{
	static const char bytes[] = ENTRY("100644", "") ENTRY("100644", ".") ENTRY("40000", "..")
		ENTRY("100644", "a/b") ENTRY("100644", "/") ENTRY("40000", ".git")
			ENTRY("100644", "...") ENTRY("100644", "ok");
	struct tree_view view = parse(BYTES(bytes));
	uint32_t index;

	assert_int_equal(view.count, 3);
	assert_int_equal(view.impossible_count, 5);
	assert_true(tree_view_find(&view, ".git", &index));
	assert_true(tree_view_find(&view, "...", &index));
	assert_true(tree_view_find(&view, "ok", &index));
	assert_false(tree_view_find(&view, "..", &index));
	assert_false(tree_view_find(&view, "", &index));
	tree_view_release(&view);
}

/* One that a later git may have invented must not cost the rest of the directory. */
static void unknown_types_are_left_out(void **state)
{
	static const char bytes[] = ENTRY("100644", "a") ENTRY("0", "b") ENTRY("060000", "c")
		ENTRY("020000", "d") ENTRY("140000", "e") ENTRY("100755", "f") ENTRY("170000", "f")
			ENTRY("060000", "..");
	struct tree_view view = parse(BYTES(bytes));
	uint32_t index;

	assert_int_equal(view.count, 2);
	assert_int_equal(view.unknown_count, 6);
	assert_int_equal(view.duplicate_count, 0);
	assert_true(tree_view_find(&view, "a", &index));
	assert_false(tree_view_find(&view, "c", &index));
	assert_true(tree_view_find(&view, "f", &index));
	assert_int_equal(tree_view_entry(&view, index).mode, 0100755);
	tree_view_release(&view);
}

static void a_name_that_is_too_long(void **state)
{
	static const char mode[] = "100644 ";
	char bytes[sizeof(mode) + 256 + 1 + TREE_ID_SIZE];

	for (size_t length = 255; length <= 256; length++) {
		size_t n = sizeof(mode) - 1;
		struct tree_view view;

		memcpy(bytes, mode, n);
		memset(bytes + n, 'n', length);
		bytes[n + length] = '\0';
		memset(bytes + n + length + 1, 'i', TREE_ID_SIZE);
		view = parse(bytes, n + length + 1 + TREE_ID_SIZE);
		assert_int_equal(view.count, length == 255);
		assert_int_equal(view.impossible_count, length == 256);
		tree_view_release(&view);
	}
}

/* A file and a directory of one name are not neighbours in git's order. */
static void of_a_name_the_first_wins(void **state)
{
	static const char bytes[] = ENTRY("100644", "a") ENTRY("100644", "a.c") ENTRY("40000", "a")
		ENTRY("100755", "b") ENTRY("100644", "b");
	struct tree_view view = parse(BYTES(bytes));
	uint32_t index;

	assert_int_equal(view.count, 3);
	assert_int_equal(view.duplicate_count, 2);
	assert_true(tree_view_find(&view, "a", &index));
	assert_int_equal(tree_view_entry(&view, index).mode, 0100644);
	assert_true(tree_view_find(&view, "b", &index));
	assert_int_equal(tree_view_entry(&view, index).mode, 0100755);
	tree_view_release(&view);
}

static void any_order_is_searched(void **state)
{
	static const char bytes[] = ENTRY("100644", "z") ENTRY("100644", "foo-bar")
		ENTRY("100644", "foo.c") ENTRY("40000", "foo") ENTRY("100644", "foo0")
			ENTRY("100644", "\xff") ENTRY("100644", "A");
	static const char *const sorted[] = {"A", "foo", "foo-bar", "foo.c", "foo0", "z", "\xff"};
	struct tree_view view = parse(BYTES(bytes));

	assert_int_equal(view.count, 7);
	for (uint32_t i = 0; i < 7; i++) {
		uint32_t index;

		assert_string_equal(tree_view_entry(&view, i).name, sorted[i]);
		assert_true(tree_view_find(&view, sorted[i], &index));
		assert_int_equal(index, i);
	}
	tree_view_release(&view);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(random_damage_does_no_harm),
		cmocka_unit_test(modes),
		cmocka_unit_test(impossible_names_are_left_out),
		cmocka_unit_test(unknown_types_are_left_out),
		cmocka_unit_test(a_name_that_is_too_long),
		cmocka_unit_test(of_a_name_the_first_wins),
		cmocka_unit_test(any_order_is_searched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
