/* SPDX-License-Identifier: GPL-2.0-or-later */
/* open_file and readlink. */
#include "contract.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct fixture_entry *entry_of(struct context *ctx, const char *path)
{
	for (size_t i = 0; i < ctx->fixture->count; i++)
		if (!strcmp(ctx->fixture->entries[i].path, path))
			return &ctx->fixture->entries[i];
	fail_msg("no entry '%s'", path);
	return NULL;
}

static struct layer_file open_path(struct context *ctx, const char *path)
{
	layer_node_t node = walk(ctx, path);
	struct layer_file file;

	memset(&file, 0xee, sizeof(file));
	assert_int_equal(layer_open_file(ctx->layer, node, &file), 0);
	layer_forget(ctx->layer, node, 1);
	return file;
}

static void check_content(const struct layer_file *file, const struct fixture_entry *entry)
{
	char *want = fixture_content(entry), *got = malloc(entry->size + 16);

	assert_int_equal(file->size, entry->size);
	assert_true((file->fd >= 0) != (file->data != NULL));
	assert_int_equal(layer_file_pread(file, got, entry->size + 16, 0), entry->size);
	if (memcmp(want, got, entry->size) != 0)
		fail_msg("'%s' holds something else", entry->path);
	free(want);
	free(got);
}

static void every_file_is_read(void **state)
{
	struct context *ctx = *state;

	for (size_t i = 0; i < ctx->fixture->count && i < 200; i++) {
		const struct fixture_entry *entry = &ctx->fixture->entries[i];
		struct layer_file file;

		if (!S_ISREG(entry->mode))
			continue;
		file = open_path(ctx, entry->path);
		check_content(&file, entry);
		layer_file_release(&file);
		layer_file_release(&file);
		assert_int_equal(file.fd, -1);
		assert_null(file.data);
	}
}

static void reads_at_every_place(void **state)
{
	static const struct {
		uint64_t offset;
		size_t size, want;
	} rows[] = {{0, 1, 1}, {4095, 4097, 4097}, {5 * 1024 * 1024, 100, 13},
		{5 * 1024 * 1024 + 13, 1, 0}, {1ull << 40, 10, 0}, {1024 * 1024 - 1, 2, 2},
		{7, 0, 0}};
	struct context *ctx = *state;
	struct layer_file file = open_path(ctx, "large");
	char buf[8192];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(layer_file_pread(&file, buf, rows[i].size, (off_t)rows[i].offset),
			rows[i].want);
		for (size_t k = 0; k < rows[i].want; k++)
			assert_int_equal(buf[k], pattern_byte(rows[i].offset + k));
	}
	assert_int_equal(layer_file_pread(&file, buf, 1, -1), -EINVAL);
	layer_file_release(&file);
}

static void an_open_file_outlives_node_and_layer(void **state)
{
	static const char *const paths[] = {"hello", "empty", "large"};
	struct context *ctx = *state;
	struct context other = {.backend = ctx->backend, .fixture = ctx->fixture};
	struct layer_file files[3];

	context_open(&other, NULL, NULL);
	for (size_t i = 0; i < 3; i++)
		files[i] = open_path(&other, paths[i]);
	context_close(&other);
	for (size_t i = 0; i < 3; i++) {
		check_content(&files[i], entry_of(ctx, paths[i]));
		layer_file_release(&files[i]);
	}
}

static void what_cannot_be_opened(void **state)
{
	static const struct {
		const char *path;
		int want;
	} rows[] = {{"sub", -EISDIR}, {"bare", -EISDIR}, {"", -EISDIR}, {"link", -EINVAL},
		{"fifo", -EINVAL}};
	struct context *ctx = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct layer_file file;
		layer_node_t node;
		int r = try_walk(ctx, rows[i].path, &node);

		if (r == -ENOENT && !(ctx->backend->flags & HAS_SPECIAL))
			continue;
		assert_int_equal(r, 0);
		assert_int_equal(layer_open_file(ctx->layer, node, &file), rows[i].want);
		layer_forget(ctx->layer, node, 1);
	}
}

static void symlinks_are_read(void **state)
{
	static const char *const paths[] = {"link", "dangling", "longlink"};
	struct context *ctx = *state;

	for (size_t i = 0; i < 3; i++) {
		const struct fixture_entry *entry = entry_of(ctx, paths[i]);
		layer_node_t node = walk(ctx, paths[i]);
		char *want = fixture_content(entry), buf[5000];

		memset(buf, '#', sizeof(buf));
		assert_int_equal(layer_readlink(ctx->layer, node, buf, sizeof(buf)), entry->size);
		assert_memory_equal(buf, want, entry->size);
		assert_int_equal(buf[entry->size], '#');
		/* As far as it fits, and the whole length all the same. */
		memset(buf, '#', sizeof(buf));
		assert_int_equal(layer_readlink(ctx->layer, node, buf, 3), entry->size);
		assert_memory_equal(buf, want, 3);
		assert_int_equal(buf[3], '#');
		assert_int_equal(layer_readlink(ctx->layer, node, buf, 0), entry->size);
		free(want);
		layer_forget(ctx->layer, node, 1);
	}
}

static void what_is_no_symlink(void **state)
{
	static const char *const paths[] = {"", "hello", "sub", "empty"};
	struct context *ctx = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		layer_node_t node = walk(ctx, paths[i]);
		char buf[8];

		assert_int_equal(layer_readlink(ctx->layer, node, buf, sizeof(buf)), -EINVAL);
		layer_forget(ctx->layer, node, 1);
	}
}

const struct CMUnitTest content_tests[] = {
	cmocka_unit_test(every_file_is_read),
	cmocka_unit_test(reads_at_every_place),
	cmocka_unit_test(an_open_file_outlives_node_and_layer),
	cmocka_unit_test(what_cannot_be_opened),
	cmocka_unit_test(symlinks_are_read),
	cmocka_unit_test(what_is_no_symlink),
};
const size_t content_test_count = sizeof(content_tests) / sizeof(content_tests[0]);
