/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptor cache: its bound, its order, pins, exhaustion, threads. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/fdcache.h"

struct opener {
	int calls;
	int fail_first; /* -errno */
};

static int open_root(void *arg)
{
	struct opener *opener = arg;

	if (opener->calls++ == 0 && opener->fail_first)
		return opener->fail_first;
	return open("/", O_PATH | O_CLOEXEC);
}

static int get(struct fdcache *cache, struct fdcache_entry *entry)
{
	struct opener opener = {0};
	int fd = -1;

	assert_int_equal(fdcache_get(cache, entry, open_root, &opener, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	return opener.calls;
}

static void the_oldest_goes_first(void **state)
{
	struct fdcache_entry entries[4];
	struct fdcache cache;
	int fd;

	fdcache_init(&cache, 3);
	for (int i = 0; i < 4; i++)
		fdcache_entry_init(&entries[i]);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(get(&cache, &entries[i]), 1);
		fdcache_put(&cache, &entries[i]);
	}
	/* Used again: 1 is the oldest now. */
	assert_int_equal(get(&cache, &entries[0]), 0);
	fdcache_put(&cache, &entries[0]);
	assert_int_equal(get(&cache, &entries[3]), 1);
	fdcache_put(&cache, &entries[3]);
	assert_int_equal(fdcache_open_count(&cache), 3);
	assert_false(fdcache_get_open(&cache, &entries[1], &fd));
	assert_true(fdcache_get_open(&cache, &entries[0], &fd));
	fdcache_put(&cache, &entries[0]);
	for (int i = 0; i < 4; i++)
		fdcache_drop(&cache, &entries[i]);
	assert_int_equal(fdcache_open_count(&cache), 0);
	fdcache_destroy(&cache);
}

static void pinned_ones_stay_above_the_limit(void **state)
{
	struct fdcache_entry entries[5];
	struct fdcache cache;

	fdcache_init(&cache, 2);
	for (int i = 0; i < 5; i++) {
		fdcache_entry_init(&entries[i]);
		get(&cache, &entries[i]);
	}
	assert_int_equal(fdcache_open_count(&cache), 5);
	for (int i = 0; i < 5; i++) {
		assert_true(fcntl(entries[i].fd, F_GETFD) >= 0);
		fdcache_put(&cache, &entries[i]);
	}
	assert_int_equal(fdcache_open_count(&cache), 2);
	fdcache_trim(&cache);
	assert_int_equal(fdcache_open_count(&cache), 0);
	for (int i = 0; i < 5; i++)
		fdcache_drop(&cache, &entries[i]);
	fdcache_destroy(&cache);
}

static void pins_are_counted(void **state)
{
	struct fdcache_entry entry;
	struct fdcache cache;
	int first, second;

	fdcache_init(&cache, 1);
	fdcache_entry_init(&entry);
	get(&cache, &entry);
	first = entry.fd;
	assert_true(fdcache_get_open(&cache, &entry, &second));
	assert_int_equal(first, second);
	fdcache_put(&cache, &entry);
	fdcache_trim(&cache);
	assert_int_equal(fdcache_open_count(&cache), 1);
	fdcache_put(&cache, &entry);
	fdcache_trim(&cache);
	assert_int_equal(fdcache_open_count(&cache), 0);
	fdcache_destroy(&cache);
}

static void out_of_descriptors(void **state)
{
	struct opener full = {.fail_first = -EMFILE}, broken = {.fail_first = -EACCES};
	struct fdcache_entry old, entry;
	struct fdcache cache;
	int fd = -7;

	fdcache_init(&cache, 10);
	fdcache_entry_init(&old);
	fdcache_entry_init(&entry);
	get(&cache, &old);
	fdcache_put(&cache, &old);
	assert_int_equal(fdcache_get(&cache, &entry, open_root, &broken, &fd), -EACCES);
	assert_int_equal(fd, -7);
	assert_int_equal(fdcache_open_count(&cache), 1);
	assert_int_equal(fdcache_get(&cache, &entry, open_root, &full, &fd), 0);
	assert_int_equal(full.calls, 2);
	assert_int_equal(old.fd, -1);
	fdcache_put(&cache, &entry);
	fdcache_drop(&cache, &entry);
	fdcache_destroy(&cache);
}

static void room_for_others(void **state)
{
	struct fdcache_entry entry;

	fdcache_entry_init(&entry);
	get(fdcache_shared(), &entry);
	fdcache_put(fdcache_shared(), &entry);
	assert_false(fdcache_make_room(ENOENT));
	assert_int_equal(fdcache_open_count(fdcache_shared()), 1);
	assert_true(fdcache_make_room(EMFILE));
	assert_int_equal(fdcache_open_count(fdcache_shared()), 0);
}

#define THREADS 4
#define ENTRIES 16

struct shared_state {
	struct fdcache cache;
	struct fdcache_entry entries[ENTRIES];
};

static void *hammer(void *arg)
{
	struct shared_state *shared = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	struct opener opener = {0};

	for (int i = 0; i < 5000; i++) {
		struct fdcache_entry *entry = &shared->entries[rand_r(&seed) % ENTRIES];
		int fd;

		if (fdcache_get(&shared->cache, entry, open_root, &opener, &fd) ||
			fcntl(fd, F_GETFD) < 0)
			return shared;
		fdcache_put(&shared->cache, entry);
	}
	return NULL;
}

static void threads(void **state)
{
	struct shared_state shared;
	pthread_t ids[THREADS];

	fdcache_init(&shared.cache, 5);
	for (int i = 0; i < ENTRIES; i++)
		fdcache_entry_init(&shared.entries[i]);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, hammer, &shared), 0);
	for (int i = 0; i < THREADS; i++) {
		void *fault;

		pthread_join(ids[i], &fault);
		if (fault)
			fail_msg("a descriptor was closed under its user");
	}
	assert_true(fdcache_open_count(&shared.cache) <= 5);
	for (int i = 0; i < ENTRIES; i++)
		fdcache_drop(&shared.cache, &shared.entries[i]);
	fdcache_destroy(&shared.cache);
	assert_true(fdcache_shared()->limit >= 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_goes_first),
		cmocka_unit_test(pinned_ones_stay_above_the_limit),
		cmocka_unit_test(pins_are_counted),
		cmocka_unit_test(out_of_descriptors),
		cmocka_unit_test(room_for_others),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
