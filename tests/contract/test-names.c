/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lookup, readdir, forget. */
#include "contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
	char name[256];
	mode_t type;
	uint64_t ino, next;
};

struct list {
	struct item *items;
	size_t count, space;
	size_t stop_after; /* emit refuses the one behind it */
};

static int collect(void *ctx, const char *name, mode_t type, uint64_t ino, uint64_t next)
{
	struct list *list = ctx;

	if (list->count == list->stop_after)
		return 1;
	if (list->count == list->space) {
		list->space = list->space ? list->space * 2 : 64;
		list->items = reallocarray(list->items, list->space, sizeof(*list->items));
		assert_non_null(list->items);
	}
	assert_true(strlen(name) < sizeof(list->items->name));
	strcpy(list->items[list->count].name, name);
	list->items[list->count].type = type;
	list->items[list->count].ino = ino;
	list->items[list->count++].next = next;
	return 0;
}

static struct list read_all(struct context *ctx, layer_node_t dir)
{
	struct list list = {.stop_after = SIZE_MAX};

	assert_int_equal(layer_readdir(ctx->layer, dir, 0, collect, &list), 0);
	return list;
}

static const struct item *find(const struct list *list, const char *name)
{
	const struct item *found = NULL;

	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].name, name) != 0)
			continue;
		if (found)
			fail_msg("'%s' is listed twice", name);
		found = &list->items[i];
	}
	return found;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void every_entry_is_found(void **state)
{
	struct context *ctx = *state;

	for (size_t i = 0; i < ctx->fixture->count; i++)
		layer_forget(ctx->layer, walk(ctx, ctx->fixture->entries[i].path), 1);
}

static void what_is_not_there(void **state)
{
	static const struct {
		const char *path;
		int want;
	} rows[] = {{"nothing", -ENOENT}, {"hell", -ENOENT}, {"hello2", -ENOENT},
		{"HELLO", -ENOENT}, {"sub/nothing", -ENOENT}, {"nothing/sub", -ENOENT},
		{"hello/x", -ENOTDIR}, {"link/x", -ENOTDIR}, {"sort/fo0", -ENOENT},
		{"sort/foo.", -ENOENT}, {"sort/foo/", 0}, {"sort/foo0/x", -ENOTDIR},
		{"bare/x", -ENOENT}, {"big/file-100000", -ENOENT}, {"big/file", -ENOENT},
		{"big/", 0}, {"names/\xff", -ENOENT}, {"names/new", -ENOENT}};
	struct context *ctx = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		layer_node_t node;
		int r = try_walk(ctx, rows[i].path, &node);

		if (r != rows[i].want)
			fail_msg("'%s': %d, wanted %d", rows[i].path, r, rows[i].want);
		if (r == 0)
			layer_forget(ctx->layer, node, 1);
	}
}

static void a_listing_is_what_lookup_finds(void **state)
{
	static const char *const dirs[] = {"", "sub", "sub/deep", "names", "sort", "bare", "twin"};
	struct context *ctx = *state;

	for (size_t d = 0; d < sizeof(dirs) / sizeof(dirs[0]); d++) {
		layer_node_t dir = walk(ctx, dirs[d]);
		struct list list = read_all(ctx, dir);
		size_t want = 0;

		for (size_t i = 0; i < ctx->fixture->count; i++) {
			const struct fixture_entry *entry = &ctx->fixture->entries[i];
			const struct item *item;
			layer_node_t node;
			struct stat st;

			if (!fixture_is_child(dirs[d], entry->path))
				continue;
			want++;
			item = find(&list, base_name(entry->path));
			if (!item)
				fail_msg("'%s' is not listed", entry->path);
			node = walk(ctx, entry->path);
			assert_int_equal(layer_getattr_with_mapping(
						 ctx->layer, node, ID_VIEW_CONTAINER, &st),
				0);
			assert_int_equal(item->ino, st.st_ino);
			assert_int_equal(item->type, entry->mode & S_IFMT);
			layer_forget(ctx->layer, node, 1);
		}
		assert_int_equal(list.count, want);
		free(list.items);
		layer_forget(ctx->layer, dir, 1);
	}
}

static void a_listing_resumes_at_every_offset(void **state)
{
	static const char *const dirs[] = {"", "names", "sort"};
	struct context *ctx = *state;

	for (size_t d = 0; d < sizeof(dirs) / sizeof(dirs[0]); d++) {
		layer_node_t dir = walk(ctx, dirs[d]);
		struct list list = read_all(ctx, dir);

		for (size_t i = 0; i < list.count; i++) {
			struct list rest = {.stop_after = SIZE_MAX};

			assert_int_equal(
				layer_readdir(ctx->layer, dir, list.items[i].next, collect, &rest),
				0);
			assert_int_equal(rest.count, list.count - i - 1);
			for (size_t k = 0; k < rest.count; k++)
				assert_string_equal(rest.items[k].name, list.items[i + 1 + k].name);
			free(rest.items);
		}
		free(list.items);
		layer_forget(ctx->layer, dir, 1);
	}
}

static void emit_stops_before_an_entry(void **state)
{
	struct context *ctx = *state;
	layer_node_t dir = walk(ctx, "sort");
	struct list list = read_all(ctx, dir), none = {.stop_after = 0};
	uint64_t offset = 0;

	assert_int_equal(layer_readdir(ctx->layer, dir, 0, collect, &none), 0);
	assert_int_equal(none.count, 0);
	for (size_t i = 0; i < list.count; i++) {
		struct list one = {.stop_after = 1};

		assert_int_equal(layer_readdir(ctx->layer, dir, offset, collect, &one), 0);
		assert_int_equal(one.count, 1);
		assert_string_equal(one.items[0].name, list.items[i].name);
		offset = one.items[0].next;
		free(one.items);
	}
	free(list.items);
	layer_forget(ctx->layer, dir, 1);
}

static void a_hundred_thousand_entries(void **state)
{
	struct context *ctx = *state;
	layer_node_t dir = walk(ctx, "big");
	struct list list = read_all(ctx, dir);
	unsigned char *seen = calloc(BIG_COUNT, 1);
	uint64_t offset = 0;
	size_t at = 0;

	assert_int_equal(list.count, BIG_COUNT);
	for (size_t i = 0; i < list.count; i++) {
		int n = atoi(list.items[i].name + strlen("file-"));

		assert_int_equal(seen[n], 0);
		seen[n] = 1;
	}
	/* In batches, as the kernel asks for it. */
	while (at < list.count) {
		struct list part = {.stop_after = 997};

		assert_int_equal(layer_readdir(ctx->layer, dir, offset, collect, &part), 0);
		assert_true(part.count > 0);
		for (size_t i = 0; i < part.count; i++)
			assert_string_equal(part.items[i].name, list.items[at + i].name);
		at += part.count;
		offset = part.items[part.count - 1].next;
		free(part.items);
	}
	assert_int_equal(at, BIG_COUNT);
	free(seen);
	free(list.items);
	layer_forget(ctx->layer, dir, 1);
}

static void no_listing_of_what_is_no_directory(void **state)
{
	static const char *const paths[] = {"hello", "link", "empty"};
	struct context *ctx = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct list list = {.stop_after = SIZE_MAX};
		layer_node_t node = walk(ctx, paths[i]);

		assert_int_equal(layer_readdir(ctx->layer, node, 0, collect, &list), -ENOTDIR);
		assert_int_equal(list.count, 0);
		layer_forget(ctx->layer, node, 1);
	}
}

static void a_node_lives_until_its_last_reference(void **state)
{
	struct context *ctx = *state;
	layer_node_t first = walk(ctx, "sub/deep/er/file"), second, sibling;
	struct stat before, after;

	assert_int_equal(
		layer_getattr_with_mapping(ctx->layer, first, ID_VIEW_STORAGE, &before), 0);
	second = walk(ctx, "sub/deep/er/file");
	layer_forget(ctx->layer, second, 1);
	sibling = walk(ctx, "sub/deep");
	layer_forget(ctx->layer, sibling, 1);
	/* Others come and go where its ancestors were. */
	for (int i = 0; i < 1000; i++) {
		static const char *const others[] = {
			"sort/foo/x", "twin/deep/er/file", "sub/hello"};

		layer_forget(ctx->layer, walk(ctx, others[i % 3]), 1);
	}
	assert_int_equal(layer_getattr_with_mapping(ctx->layer, first, ID_VIEW_STORAGE, &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	layer_forget(ctx->layer, first, 1);
}

static void references_are_given_back_in_bulk(void **state)
{
	static const char *const paths[] = {"sub/deep", "hello", "bare", "sub/deep/er/file"};
	struct context *ctx = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		layer_node_t nodes[10];
		uint64_t same = 0;
		struct stat st;

		for (size_t k = 0; k < 10; k++) {
			nodes[k] = walk(ctx, paths[i]);
			same += nodes[k] == nodes[0];
		}
		assert_int_equal(
			layer_getattr_with_mapping(ctx->layer, nodes[9], ID_VIEW_STORAGE, &st), 0);
		layer_forget(ctx->layer, nodes[0], same);
		for (size_t k = 1; k < 10; k++)
			if (nodes[k] != nodes[0])
				layer_forget(ctx->layer, nodes[k], 1);
	}
}

/* layer.h: nodes need not be forgotten before close. A leak checker looks on. */
static void close_frees_what_is_held(void **state)
{
	struct context *ctx = *state;
	struct context other = {.backend = ctx->backend, .fixture = ctx->fixture};

	context_open(&other, NULL, NULL);
	walk(&other, "sub/deep/er/file");
	walk(&other, "hello");
	walk(&other, "big");
	layer_close(other.layer);
}

/* More directories than descriptors may be open; also, nothing leaks. */
static void many_nodes_at_once(void **state)
{
	struct context *ctx = *state;
	layer_node_t dir = walk(ctx, "big"), *nodes = calloc(BIG_COUNT, sizeof(*nodes));
	char name[32];

	for (int i = 0; i < BIG_COUNT; i++) {
		snprintf(name, sizeof(name), "file-%05d", i);
		assert_int_equal(layer_lookup(ctx->layer, dir, name, &nodes[i]), 0);
	}
	for (int i = 0; i < BIG_COUNT; i++)
		layer_forget(ctx->layer, nodes[i], 1);
	free(nodes);
	layer_forget(ctx->layer, dir, 1);
}

const struct CMUnitTest name_tests[] = {
	cmocka_unit_test(every_entry_is_found),
	cmocka_unit_test(what_is_not_there),
	cmocka_unit_test(a_listing_is_what_lookup_finds),
	cmocka_unit_test(a_listing_resumes_at_every_offset),
	cmocka_unit_test(emit_stops_before_an_entry),
	cmocka_unit_test(a_hundred_thousand_entries),
	cmocka_unit_test(no_listing_of_what_is_no_directory),
	cmocka_unit_test(a_node_lives_until_its_last_reference),
	cmocka_unit_test(references_are_given_back_in_bulk),
	cmocka_unit_test(many_nodes_at_once),
};
const size_t name_test_count = sizeof(name_tests) / sizeof(name_tests[0]);

const struct CMUnitTest close_tests[] = {cmocka_unit_test(close_frees_what_is_held)};
const size_t close_test_count = sizeof(close_tests) / sizeof(close_tests[0]);
