/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread that reads ahead: what a walk names is read, with no other call than that. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "layer/git-ahead.h"
#include "util/pages.h"

#define THREADS 3
#define CALLS	5000

/* In the place of git-walk.c, under the reader's lock: each call names a directory more. */
void __wrap_walk_list(struct walk *walk, const struct walk_place *place);
void __wrap_walk_open(struct walk *walk, const git_oid *tree, uint32_t entry);
bool __wrap_walk_next(struct walk *walk, struct walk_step *ret_step);
bool __wrap_walk_wants_more(const struct walk *walk);
void __wrap_walk_release(struct walk *walk);
int __wrap_load_tree(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause);

static _Atomic unsigned named, taken;
/* What a tree is read out of, once. */
static const volatile char *_Atomic page;

void __wrap_walk_list(struct walk *walk, const struct walk_place *place)
{
	walk->depth++;
	named++;
}

void __wrap_walk_open(struct walk *walk, const git_oid *tree, uint32_t entry)
{
	walk->depth++;
	named++;
}

bool __wrap_walk_next(struct walk *walk, struct walk_step *ret_step)
{
	if (walk->depth == 0)
		return false;
	walk->depth--;
	taken++;
	*ret_step = (struct walk_step){.object = NULL};
	return true;
}

bool __wrap_walk_wants_more(const struct walk *walk)
{
	return walk->depth > 0;
}

void __wrap_walk_release(struct walk *walk)
{
	taken += walk->depth;
	walk->depth = 0;
}

int __wrap_load_tree(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause)
{
	const volatile char *from = atomic_exchange(&page, NULL);

	if (from)
		assert_int_equal(*from, 0);
	return -EIO;
}

struct reader {
	struct object_cache *trees, *blobs;
	struct read_ahead *ahead;
};

static void begin(struct reader *reader)
{
	cpu_set_t processors;

	/* With one nothing is read ahead. */
	if (sched_getaffinity(0, sizeof(processors), &processors) < 0 || CPU_COUNT(&processors) < 2)
		skip();
	reader->trees = object_cache_new(1 << 20);
	reader->blobs = object_cache_new(1 << 20);
	reader->ahead = read_ahead_new(reader->trees, reader->blobs, NULL);
	assert_non_null(reader->ahead);
	named = taken = 0;
}

static void end(struct reader *reader)
{
	read_ahead_free(reader->ahead);
	object_cache_close(reader->trees);
	object_cache_close(reader->blobs);
}

/* Within a minute, for there are machines that are slow. */
static void expect_all_taken(void)
{
	for (int i = 0; i < 600000 && taken != named; i++)
		usleep(100);
	assert_int_equal(taken, named);
}

static void wakes_for_each(void **state)
{
	struct reader reader;

	begin(&reader);
	for (unsigned i = 0; i < 1000; i++) {
		if (i % 2)
			read_ahead_list(reader.ahead, NULL);
		else
			read_ahead_open(reader.ahead, NULL, 0);
		expect_all_taken();
	}
	end(&reader);
}

static void *call(void *data)
{
	for (unsigned i = 0; i < CALLS; i++) {
		read_ahead_list(data, NULL);
		if (i % 3 == 0)
			read_ahead_open(data, NULL, 0);
		if (i % 1000 == 0)
			read_ahead_rest(data);
		/* Lets it go to sleep now and then. */
		if (i % 50 == 0)
			usleep(i % 200);
	}
	return NULL;
}

static void wakes_for_who_calls_at_once(void **state)
{
	pthread_t threads[THREADS];
	struct reader reader;

	begin(&reader);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call, reader.ahead), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	expect_all_taken();
	end(&reader);
}

/* It has just been woken, or was never started. */
static void ends_at_any_time(void **state)
{
	for (unsigned i = 0; i < 200; i++) {
		struct reader reader;

		begin(&reader);
		for (unsigned calls = 0; calls < i % 4; calls++)
			read_ahead_list(reader.ahead, NULL);
		if (i % 3)
			read_ahead_rest(reader.ahead);
		end(&reader);
		assert_int_equal(taken, named);
	}
}

/* An index that was cut off is the end of neither the thread nor the process. */
static void reads_what_was_cut_off(void **state)
{
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	int fd = memfd_create("index", MFD_CLOEXEC);
	struct pages_map map;
	struct reader reader;
	void *mapped;

	assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	assert_int_equal(pages_guard(), 0);
	pages_add_map(&map, mapped, size);
	assert_int_equal(ftruncate(fd, 0), 0);

	begin(&reader);
	page = mapped;
	read_ahead_list(reader.ahead, NULL);
	expect_all_taken();
	end(&reader);
	assert_null(page);
	pages_remove_map(&map);
	munmap(mapped, size);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wakes_for_each),
		cmocka_unit_test(wakes_for_who_calls_at_once),
		cmocka_unit_test(ends_at_any_time),
		cmocka_unit_test(reads_what_was_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
