/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The caches of inflated objects: one load for many, bounds, failures. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "layer/git-bases.h"
#include "layer/git-cache.h"
#include "layer/git-slots.h"

struct source {
	atomic_int loads;
	unsigned delay; /* microseconds */
	int result;
	size_t size;
};

static int load(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause)
{
	struct source *source = arg;

	atomic_fetch_add(&source->loads, 1);
	usleep(source->delay);
	if (source->result < 0) {
		snprintf(ret_cause->text, sizeof(ret_cause->text), "because");
		return source->result;
	}
	ret_content->data = calloc(1, source->size + 1);
	ret_content->size = source->size;
	memset(ret_content->data, id->id[0], source->size);
	ret_content->fd = -1;
	return 0;
}

static git_oid id_of(unsigned number)
{
	git_oid id = {{0}};

	memcpy(id.id, &number, sizeof(number));
	return id;
}

static struct cached_object *get(struct object_cache *cache, unsigned number, struct source *source)
{
	struct cached_object *object;
	struct object_cause cause;
	git_oid id = id_of(number);

	assert_int_equal(object_cache_get(cache, &id, load, source, &object, &cause), 0);
	return object;
}

static void kept_within_the_limit(void **state)
{
	struct source source = {.size = 1000};
	struct object_cache *cache = object_cache_new(10000);

	for (unsigned i = 0; i < 100; i++)
		cached_object_put(get(cache, i, &source));
	assert_int_equal(source.loads, 100);
	assert_true(object_cache_bytes(cache) <= 10000);
	assert_true(object_cache_bytes(cache) >= 5000);
	cached_object_put(get(cache, 99, &source));
	assert_int_equal(source.loads, 100);
	cached_object_put(get(cache, 0, &source));
	assert_int_equal(source.loads, 101);
	object_cache_close(cache);
}

static void emptied_but_for_what_is_held(void **state)
{
	struct source source = {.size = 1000};
	struct object_cache *cache = object_cache_new(10000);
	struct cached_object *held = get(cache, 1, &source);

	for (unsigned i = 2; i < 6; i++)
		cached_object_put(get(cache, i, &source));
	object_cache_empty(cache);
	assert_in_range(object_cache_bytes(cache), 1000, 1999);
	assert_int_equal(cached_object_content(held)->size, 1000);
	cached_object_put(held);
	cached_object_put(get(cache, 1, &source));
	assert_int_equal(source.loads, 5);
	object_cache_close(cache);
}

/* Who gives the last of many directories back is told, who gives back the only one is not. */
static void the_last_slot_is_told(void **state)
{
	struct tree_slot *root, *slots[SLOTS_MANY];
	const git_oid tree = {{1}};
	struct slot_table table;

	slot_table_init(&table);
	root = slot_new_root(&table, &tree, 2);
	for (int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < SLOTS_MANY; i++) {
			slots[i] = slot_get(&table, &(struct slot_key){root, i, "d", &tree, false});
			assert_non_null(slots[i]);
		}
		for (uint32_t i = 0; i + 1 < SLOTS_MANY; i++)
			assert_false(slot_unref(&table, slots[i], 1));
		assert_true(slot_unref(&table, slots[SLOTS_MANY - 1], 1));
		assert_int_equal(slot_count(&table), 1);
		slots[0] = slot_get(&table, &(struct slot_key){root, 0, "d", &tree, false});
		assert_false(slot_unref(&table, slots[0], 1));
	}
	slot_table_release(&table);
}

/* The tree of a directory with a million entries: each name that is looked up needs it. */
static void one_that_is_larger_than_the_limit(void **state)
{
	struct source large = {.size = 50000}, small = {.size = 1000};
	struct object_cache *cache = object_cache_new(10000);

	for (unsigned i = 0; i < 20; i++) {
		cached_object_put(get(cache, 1000, &large));
		cached_object_put(get(cache, i, &small));
	}
	assert_int_equal(large.loads, 1);
	for (unsigned i = 0; i < 1000; i++)
		cached_object_put(get(cache, i, &small));
	assert_in_range(object_cache_bytes(cache), 1, 110000);
	object_cache_close(cache);
}

static void held_objects_stay_and_outlive_the_cache(void **state)
{
	struct source source = {.size = 1000};
	struct object_cache *cache = object_cache_new(0);
	struct cached_object *held[50];

	for (unsigned i = 0; i < 50; i++)
		held[i] = get(cache, i, &source);
	for (unsigned i = 0; i < 50; i++) {
		struct cached_object *again = get(cache, i, &source);

		assert_ptr_equal(again, held[i]);
		cached_object_put(again);
	}
	assert_int_equal(source.loads, 50);
	object_cache_close(cache);
	for (unsigned i = 0; i < 50; i++) {
		const struct object_content *content = cached_object_content(held[i]);

		assert_int_equal(((const unsigned char *)content->data)[999], i);
		cached_object_put(held[i]);
	}
}

static void a_failure_is_not_remembered(void **state)
{
	struct source source = {.size = 10, .result = -EIO};
	struct object_cache *cache = object_cache_new(10000);
	struct cached_object *object;
	struct object_cause cause = {""};
	git_oid id = id_of(1);

	for (int i = 1; i <= 2; i++) {
		assert_int_equal(
			object_cache_get(cache, &id, load, &source, &object, &cause), -EIO);
		assert_string_equal(cause.text, "because");
		assert_int_equal(source.loads, i);
	}
	assert_int_equal(object_cache_bytes(cache), 0);
	source.result = 0;
	cached_object_put(get(cache, 1, &source));
	assert_int_equal(source.loads, 3);
	object_cache_close(cache);
}

#define THREADS 8

struct worker {
	struct object_cache *cache;
	struct source *source;
	int result;
	const void *data;
};

static void *ask(void *arg)
{
	struct worker *worker = arg;
	struct cached_object *object;
	struct object_cause cause;
	git_oid id = id_of(7);

	worker->result =
		object_cache_get(worker->cache, &id, load, worker->source, &object, &cause);
	if (worker->result == 0) {
		worker->data = cached_object_content(object)->data;
		cached_object_put(object);
	}
	return NULL;
}

static void ask_at_once(struct source *source, struct worker workers[THREADS])
{
	struct object_cache *cache = object_cache_new(100000);
	pthread_t ids[THREADS];

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.cache = cache, .source = source};
		assert_int_equal(pthread_create(&ids[i], NULL, ask, &workers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	object_cache_close(cache);
}

static void one_load_for_all_who_ask(void **state)
{
	struct source source = {.size = 100, .delay = 200000};
	struct worker workers[THREADS];

	ask_at_once(&source, workers);
	assert_int_equal(source.loads, 1);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(workers[i].result, 0);
		assert_ptr_equal(workers[i].data, workers[0].data);
	}
}

static void one_failure_for_all_who_wait(void **state)
{
	struct source source = {.delay = 200000, .result = -EIO};
	struct worker workers[THREADS];

	ask_at_once(&source, workers);
	assert_true(source.loads < THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(workers[i].result, -EIO);
}

static struct base *add_base(struct base_cache *cache, uint64_t offset, size_t size)
{
	struct base content = {calloc(1, size), size, 3};
	struct base *added = base_cache_add(cache, 1, offset, &content);

	assert_non_null(added);
	return added;
}

static void bases_are_kept_within_the_limit(void **state)
{
	struct base_cache *cache = base_cache_new(10000);
	struct base *held = add_base(cache, 1, 1000), *large;

	for (uint64_t i = 2; i < 100; i++)
		base_put(cache, add_base(cache, i, 1000));
	assert_in_range(base_cache_bytes(cache), 5000, 10000);
	/* One that is held stays whole, and one that would fill the cache is not kept. */
	assert_int_equal(held->size, 1000);
	assert_int_equal(((const char *)held->data)[999], 0);
	large = add_base(cache, 200, 9000);
	assert_null(base_cache_get(cache, 1, 200));
	base_put(cache, large);
	base_put(cache, held);
	held = base_cache_get(cache, 1, 99);
	assert_non_null(held);
	base_put(cache, held);
	assert_null(base_cache_get(cache, 2, 99));
	base_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept_within_the_limit),
		cmocka_unit_test(emptied_but_for_what_is_held),
		cmocka_unit_test(the_last_slot_is_told),
		cmocka_unit_test(one_that_is_larger_than_the_limit),
		cmocka_unit_test(held_objects_stay_and_outlive_the_cache),
		cmocka_unit_test(a_failure_is_not_remembered),
		cmocka_unit_test(one_load_for_all_who_ask),
		cmocka_unit_test(one_failure_for_all_who_wait),
		cmocka_unit_test(bases_are_kept_within_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
