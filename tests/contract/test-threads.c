/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every operation from many threads at the same time. */
#include "contract.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define THREADS 6
#define ROUNDS	400

/* cmocka's assertions do not work outside the main thread: workers return what went wrong. */
struct worker {
	struct context *ctx;
	unsigned seed;
	char fault[256];
};

#define worker_fail(worker, ...)                                                 \
	do {                                                                     \
		snprintf((worker)->fault, sizeof((worker)->fault), __VA_ARGS__); \
		return (worker);                                                 \
	} while (0)

static void run_workers(struct context *ctx, void *(*fn)(void *))
{
	struct worker workers[THREADS];
	pthread_t ids[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.ctx = ctx, .seed = i};
		assert_int_equal(pthread_create(&ids[i], NULL, fn, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	for (unsigned i = 0; i < THREADS; i++)
		if (*workers[i].fault)
			fail_msg("%s", workers[i].fault);
}

static bool content_is_right(
	struct context *ctx, layer_node_t node, const struct fixture_entry *entry)
{
	struct layer_file file;
	bool is_right = true;
	char buf[512];
	uint64_t offset = entry->size > 4096 ? entry->size - 300 : 0;
	ssize_t n;

	if (layer_open_file(ctx->layer, node, &file) < 0)
		return false;
	n = layer_file_pread(&file, buf, sizeof(buf), (off_t)offset);
	if (n < 0 || (size_t)n != entry->size - offset)
		is_right = false;
	for (ssize_t i = 0; is_right && i < n; i++)
		is_right = buf[i] == (entry->data ? entry->data[offset + (size_t)i]
						  : pattern_byte(offset + (size_t)i));
	layer_file_release(&file);
	return is_right;
}

static void *use_everything(void *arg)
{
	struct worker *worker = arg;
	struct context *ctx = worker->ctx;

	for (int i = 0; i < ROUNDS; i++) {
		const struct fixture_entry *entry =
			&ctx->fixture->entries[(unsigned)rand_r(&worker->seed) % 60];
		layer_node_t node;
		struct stat st;
		char buf[5000];

		if (try_walk(ctx, entry->path, &node) < 0)
			worker_fail(worker, "'%s' was not found", entry->path);
		if (layer_getattr_with_mapping(ctx->layer, node, ID_VIEW_CONTAINER, &st) < 0 ||
			st.st_mode != entry->mode)
			worker_fail(worker, "'%s' has another mode", entry->path);
		if (S_ISREG(entry->mode) && !content_is_right(ctx, node, entry))
			worker_fail(worker, "'%s' has other content", entry->path);
		if (S_ISLNK(entry->mode) &&
			layer_readlink(ctx->layer, node, buf, sizeof(buf)) != (ssize_t)entry->size)
			worker_fail(worker, "'%s' has another target", entry->path);
		if (layer_listxattr(ctx->layer, node, buf, sizeof(buf)) < 0)
			worker_fail(worker, "'%s' lists no xattrs", entry->path);
		layer_forget(ctx->layer, node, 1);
	}
	return NULL;
}

static void everything_at_once(void **state)
{
	run_workers(*state, use_everything);
}

struct sum {
	uint64_t hash, next;
	size_t count, left;
};

static int add_up(void *arg, const char *name, mode_t type, uint64_t ino, uint64_t next)
{
	struct sum *sum = arg;

	if (sum->left == 0)
		return 1;
	sum->left--;
	sum->count++;
	sum->next = next;
	for (; *name; name++)
		sum->hash = (sum->hash ^ (unsigned char)*name) * 1099511628211u;
	return 0;
}

static void *list_in_batches(void *arg)
{
	struct worker *worker = arg;
	struct context *ctx = worker->ctx;
	struct sum whole = {.left = SIZE_MAX}, parts = {0};
	layer_node_t dir;
	size_t before;

	if (try_walk(ctx, "big", &dir) < 0 || layer_readdir(ctx->layer, dir, 0, add_up, &whole) < 0)
		worker_fail(worker, "'big' is not listed");
	do {
		before = parts.count;
		parts.left = 500 + worker->seed * 777;
		if (layer_readdir(ctx->layer, dir, parts.next, add_up, &parts) < 0)
			worker_fail(worker, "readdir failed at %zu", parts.count);
	} while (parts.count != before);
	layer_forget(ctx->layer, dir, 1);
	if (whole.count != BIG_COUNT || parts.count != BIG_COUNT || whole.hash != parts.hash)
		worker_fail(
			worker, "%zu entries at once, %zu in batches", whole.count, parts.count);
	return NULL;
}

static void readers_of_one_directory(void **state)
{
	run_workers(*state, list_in_batches);
}

/* All of them want the same content that nobody has read yet. */
static void *read_the_large_one(void *arg)
{
	struct worker *worker = arg;
	struct context *ctx = worker->ctx;
	layer_node_t node;

	for (size_t i = 0; i < ctx->fixture->count; i++) {
		const struct fixture_entry *entry = &ctx->fixture->entries[i];

		if (strcmp(entry->path, "large") != 0)
			continue;
		if (try_walk(ctx, entry->path, &node) < 0)
			worker_fail(worker, "'large' was not found");
		if (!content_is_right(ctx, node, entry))
			worker_fail(worker, "'large' has other content");
		layer_forget(ctx->layer, node, 1);
	}
	return NULL;
}

static void readers_of_one_file(void **state)
{
	for (int i = 0; i < 5; i++)
		run_workers(*state, read_the_large_one);
}

const struct CMUnitTest thread_tests[] = {
	cmocka_unit_test(everything_at_once),
	cmocka_unit_test(readers_of_one_directory),
	cmocka_unit_test(readers_of_one_file),
};
const size_t thread_test_count = sizeof(thread_tests) / sizeof(thread_tests[0]);
