/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of things by their hashes, while it grows and shrinks, and when there is no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "util/hash-table.h"

#define THINGS 5000
/* So many things of each hash. */
#define ALIKE 3

struct thing {
	struct hash_link link;
	bool is_in;
};

static bool is_out_of_memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return is_out_of_memory ? NULL : __real_calloc(count, size);
}

static uint64_t hash_of(unsigned i)
{
	return i / ALIKE * 0x100000001b3u;
}

/* Each that is in it is found by its hash, and nothing else. */
static void expect_all(struct hash_table *table, struct thing *things)
{
	size_t in = 0;

	for (unsigned i = 0; i < THINGS; i++) {
		bool found = false;

		for (struct hash_link *link = hash_table_find(table, hash_of(i)); link;
			link = hash_link_next(link)) {
			assert_int_equal(link->hash, hash_of(i));
			found |= link == &things[i].link;
		}
		assert_int_equal(found, things[i].is_in);
		in += things[i].is_in;
	}
	assert_int_equal(table->count, in);
}

static void fill(struct hash_table *table, struct thing *things)
{
	for (unsigned i = 0; i < THINGS; i++) {
		if (!things[i].is_in)
			hash_table_add(table, &things[i].link, hash_of(i));
		things[i].is_in = true;
	}
}

static void clear(struct hash_table *table, struct thing *things, unsigned step)
{
	for (unsigned i = 0; i < THINGS; i += step) {
		if (things[i].is_in)
			hash_table_remove(table, &things[i].link);
		things[i].is_in = false;
	}
}

static void grows_and_shrinks(void **state)
{
	struct hash_table table = {.many = NULL};
	struct thing *things = __real_calloc(THINGS, sizeof(*things));

	expect_all(&table, things);
	fill(&table, things);
	assert_true(table.chain_count >= THINGS);
	expect_all(&table, things);
	clear(&table, things, 2);
	expect_all(&table, things);
	fill(&table, things);
	expect_all(&table, things);
	clear(&table, things, 1);
	expect_all(&table, things);
	assert_null(table.many);
	assert_null(hash_table_release(&table));
	free(things);
}

static void what_is_not_in_it_is_not_removed(void **state)
{
	struct hash_table table = {.many = NULL};
	struct thing in = {.is_in = true}, other = {.is_in = false};

	hash_table_add(&table, &in.link, 7);
	other.link.hash = 7;
	hash_table_remove(&table, &other.link);
	assert_ptr_equal(hash_table_find(&table, 7), &in.link);
	assert_null(hash_table_find(&table, 7 + HASH_TABLE_FEW));
	hash_table_remove(&table, &in.link);
	hash_table_remove(&table, &in.link);
	assert_int_equal(table.count, 0);
}

static void no_memory_is_no_failure(void **state)
{
	struct hash_table table = {.many = NULL};
	struct thing *things = __real_calloc(THINGS, sizeof(*things));

	is_out_of_memory = true;
	fill(&table, things);
	assert_null(table.many);
	expect_all(&table, things);
	is_out_of_memory = false;
	clear(&table, things, 2);
	fill(&table, things);
	assert_non_null(table.many);
	/* It stays as large as it is. */
	is_out_of_memory = true;
	clear(&table, things, 1);
	is_out_of_memory = false;
	expect_all(&table, things);
	assert_null(hash_table_release(&table));
	free(things);
}

static void release_gives_all_back(void **state)
{
	struct hash_table table = {.many = NULL};
	struct thing *things = __real_calloc(THINGS, sizeof(*things));
	size_t count = 0;

	fill(&table, things);
	for (struct hash_link *link = hash_table_release(&table); link; link = link->next)
		count++;
	assert_int_equal(count, THINGS);
	assert_int_equal(table.count, 0);
	assert_null(table.many);
	free(things);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_shrinks),
		cmocka_unit_test(what_is_not_in_it_is_not_removed),
		cmocka_unit_test(no_memory_is_no_failure),
		cmocka_unit_test(release_gives_all_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
