/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How each inode is open: no mixture, whatever comes in what order. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "fuse/io-modes.h"

#define KEPT 2

static int set_up(void **state)
{
	*state = io_modes_new(KEPT);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	io_modes_free(*state);
	return 0;
}

static struct io_mode enter(struct io_modes *modes, struct io_open open)
{
	struct io_mode mode;

	assert_int_equal(io_modes_enter(modes, &open, &mode), 0);
	return mode;
}

/* An open for which a file is registered as `id`, or is found to be. */
static struct io_mode pass(struct io_modes *modes, struct io_open open, int id)
{
	struct io_mode mode = enter(modes, open);

	assert_int_equal(mode.way, IO_REGISTER);
	io_modes_registered(modes, &open, id, &mode);
	return mode;
}

static const struct io_open upper = {.node = 7, .generation = 1, .may_pass = true};
static const struct io_open lower = {.node = 7, .generation = 1};

static void test_first_decides(void **state)
{
	struct io_modes *modes = *state;
	struct io_mode mode = pass(modes, upper, 3);

	assert_int_equal(mode.way, IO_PASSED);
	assert_int_equal(mode.backing_id, 3);
	mode = enter(modes, upper);
	assert_int_equal(mode.way, IO_PASSED);
	assert_int_equal(mode.backing_id, 3);
	/* Also one that should not: the kernel would take no other. */
	mode = enter(modes, lower);
	assert_int_equal(mode.way, IO_PASSED);
	for (int i = 0; i < 3; i++)
		assert_int_equal(io_modes_leave(modes, 7, true), 0);
	/* It stays registered. */
	mode = enter(modes, upper);
	assert_int_equal(mode.way, IO_PASSED);
	assert_int_equal(mode.backing_id, 3);
}

static void test_cached_binds(void **state)
{
	struct io_modes *modes = *state;
	struct io_mode mode = enter(modes, lower);

	assert_int_equal(mode.way, IO_CACHED);
	assert_false(mode.is_bound);
	assert_false(mode.drops_cache);
	mode = enter(modes, upper);
	assert_int_equal(mode.way, IO_CACHED);
	assert_true(mode.is_bound);
	io_modes_leave(modes, 7, true);
	assert_int_equal(enter(modes, upper).way, IO_CACHED);
	io_modes_leave(modes, 7, true);
	io_modes_leave(modes, 7, true);
	/* All are closed: the next may. */
	assert_int_equal(pass(modes, upper, 4).way, IO_PASSED);
	io_modes_leave(modes, 7, true);
	/* Protected meanwhile; and what the page cache holds is old. */
	mode = enter(modes, lower);
	assert_int_equal(mode.way, IO_CACHED);
	assert_true(mode.drops_cache);
	/* The kernel did not take the open, so it has dropped nothing. */
	io_modes_leave(modes, 7, false);
	assert_true(enter(modes, lower).drops_cache);
	/* It has: what it read since is good until somebody goes past it again. */
	io_modes_leave(modes, 7, true);
	assert_false(enter(modes, lower).drops_cache);
	io_modes_leave(modes, 7, true);
	assert_int_equal(enter(modes, upper).way, IO_PASSED);
	io_modes_leave(modes, 7, true);
	assert_true(enter(modes, lower).drops_cache);
}

static void test_refused(void **state)
{
	struct io_modes *modes = *state;
	struct io_mode mode = pass(modes, upper, 0);

	assert_int_equal(mode.way, IO_CACHED);
	assert_int_equal(mode.backing_id, 0);
	assert_false(mode.is_bound);
	assert_int_equal(io_modes_registered_count(modes), 0);
	assert_int_equal(enter(modes, upper).way, IO_CACHED);
	assert_int_equal(io_modes_leave(modes, 7, true), 0);
	assert_int_equal(io_modes_leave(modes, 7, true), 0);
	assert_int_equal(pass(modes, upper, 9).backing_id, 9);
}

static void test_node_lives_again(void **state)
{
	struct io_modes *modes = *state;
	struct io_open again = upper;
	struct io_mode mode;

	pass(modes, upper, 3);
	io_modes_leave(modes, 7, true);
	again.generation = 2;
	mode = enter(modes, again);
	assert_int_equal(mode.way, IO_REGISTER);
	assert_int_equal(mode.stale_id, 3);
	io_modes_registered(modes, &again, 4, &mode);
	assert_int_equal(mode.backing_id, 4);
	assert_int_equal(io_modes_registered_count(modes), 1);
}

static void test_keeps_the_latest(void **state)
{
	struct io_modes *modes = *state;
	struct io_open open = upper;

	for (uint64_t node = 1; node <= 3; node++) {
		open.node = node;
		pass(modes, open, (int)node);
	}
	assert_int_equal(io_modes_leave(modes, 2, true), 0);
	assert_int_equal(io_modes_leave(modes, 1, true), 0);
	/* One that is opened again is not among them. */
	open.node = 2;
	assert_int_equal(enter(modes, open).way, IO_PASSED);
	assert_int_equal(io_modes_leave(modes, 2, true), 0);
	assert_int_equal(io_modes_leave(modes, 3, true), 1);
	assert_int_equal(io_modes_registered_count(modes), 2);
	open.node = 1;
	assert_int_equal(enter(modes, open).way, IO_REGISTER);
}

/* One that stays registered is open otherwise meanwhile. */
static void test_keeps_once(void **state)
{
	struct io_modes *modes = *state;
	struct io_open other = upper;

	pass(modes, upper, 3);
	io_modes_leave(modes, 7, true);
	assert_int_equal(enter(modes, lower).way, IO_CACHED);
	assert_int_equal(io_modes_leave(modes, 7, true), 0);
	for (int i = 1; i <= KEPT; i++) {
		other.node = (uint64_t)i;
		pass(modes, other, i);
		assert_int_equal(io_modes_leave(modes, other.node, true), i == KEPT ? 3 : 0);
	}
}

static void test_forget(void **state)
{
	struct io_modes *modes = *state;
	uint64_t mark;

	assert_int_equal(io_modes_mark(modes, 7), 0);
	assert_int_equal(io_modes_forget(modes, 7, 0), 0);
	pass(modes, upper, 3);
	/* Open: it stays. */
	assert_int_equal(io_modes_forget(modes, 7, io_modes_mark(modes, 7)), 0);
	io_modes_leave(modes, 7, true);
	/* Opened since the mark was taken: it stays as well. */
	mark = io_modes_mark(modes, 7);
	assert_int_equal(enter(modes, upper).way, IO_PASSED);
	io_modes_leave(modes, 7, true);
	assert_int_equal(io_modes_forget(modes, 7, mark), 0);
	assert_int_equal(io_modes_forget(modes, 7, io_modes_mark(modes, 7)), 3);
	assert_int_equal(io_modes_registered_count(modes), 0);
	assert_int_equal(enter(modes, upper).way, IO_REGISTER);
}

static void test_fleeting(void **state)
{
	struct io_modes *modes = *state;
	struct io_open mapper = upper;
	struct io_mode mode = pass(modes, upper, 3);

	assert_false(mode.turns_fleeting);
	assert_false(io_modes_is_fleeting(modes, 7));
	mapper.may_map = true;
	assert_true(enter(modes, mapper).turns_fleeting);
	assert_true(io_modes_is_fleeting(modes, 7));
	assert_false(enter(modes, mapper).turns_fleeting);
	for (int i = 0; i < 3; i++)
		io_modes_leave(modes, 7, true);
	/* A mapping may be left, until the kernel forgets the inode. */
	assert_true(io_modes_is_fleeting(modes, 7));
	assert_false(io_modes_is_fleeting(modes, 8));
	io_modes_forget(modes, 7, io_modes_mark(modes, 7));
	assert_false(io_modes_is_fleeting(modes, 7));
	/* Through the page cache nothing happens unseen. */
	mapper.may_pass = false;
	assert_false(enter(modes, mapper).turns_fleeting);
	assert_false(io_modes_is_fleeting(modes, 7));
}

/* Its file is registered no more, and somebody may still change it through a mapping. */
static void test_fleeting_outlives_its_id(void **state)
{
	struct io_modes *modes = *state;
	struct io_open mapper = upper, other = upper;
	int id = 0;

	mapper.may_map = true;
	pass(modes, mapper, 3);
	io_modes_leave(modes, 7, true);
	for (other.node = 100; !id && other.node < 200; other.node++) {
		pass(modes, other, (int)other.node);
		id = io_modes_leave(modes, other.node, true);
	}
	assert_int_equal(id, 3);
	assert_true(enter(modes, upper).is_fleeting);
	io_modes_registered(modes, &upper, 0, &(struct io_mode){0});
	io_modes_leave(modes, 7, true);
	/* What it reads through the page cache is old at the next open. */
	assert_true(enter(modes, lower).drops_cache);
	io_modes_leave(modes, 7, true);
	assert_true(enter(modes, lower).drops_cache);
	io_modes_leave(modes, 7, true);
	assert_false(pass(modes, other, 9).is_fleeting);
}

static void test_many(void **state)
{
	struct io_modes *modes = *state;
	struct io_open open = lower;

	for (uint64_t node = 1; node <= 1000; node++) {
		open.node = node * 64;
		assert_int_equal(enter(modes, open).way, IO_CACHED);
	}
	for (uint64_t node = 1; node <= 1000; node++) {
		open.node = node * 64;
		open.may_pass = true;
		assert_true(enter(modes, open).is_bound);
	}
}

/* --- several threads, and what the kernel holds of each inode --- */

#define NODES  5
#define ROUNDS 20000

static struct {
	pthread_mutex_t lock;
	unsigned cached[NODES], passed[NODES];
	int backing[NODES];
	_Atomic int next_id;
	_Atomic int given_back;
	_Atomic unsigned mixtures;
} kernel = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void kernel_open(const struct io_mode *mode, uint64_t node)
{
	pthread_mutex_lock(&kernel.lock);
	if (mode->way == IO_PASSED) {
		if (kernel.cached[node] > 0 ||
			(kernel.passed[node] > 0 && kernel.backing[node] != mode->backing_id))
			kernel.mixtures++;
		kernel.passed[node]++;
		kernel.backing[node] = mode->backing_id;
	} else {
		if (kernel.passed[node] > 0)
			kernel.mixtures++;
		kernel.cached[node]++;
	}
	pthread_mutex_unlock(&kernel.lock);
}

static void kernel_close(const struct io_mode *mode, uint64_t node)
{
	pthread_mutex_lock(&kernel.lock);
	if (mode->way == IO_PASSED)
		kernel.passed[node]--;
	else
		kernel.cached[node]--;
	pthread_mutex_unlock(&kernel.lock);
}

static void give_back(int id)
{
	if (id > 0)
		kernel.given_back++;
}

static void *open_and_close(void *arg)
{
	struct io_modes *modes = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned dice = (unsigned)rand_r(&seed);
		struct io_open open = {.node = dice % NODES,
			.generation = 1,
			.may_pass = dice / NODES % 3 != 0,
			.may_map = dice / 64 % 2};
		struct io_mode mode;

		if (io_modes_enter(modes, &open, &mode) < 0)
			continue;
		if (mode.way == IO_REGISTER)
			io_modes_registered(
				modes, &open, dice / 128 % 8 ? ++kernel.next_id : 0, &mode);
		kernel_open(&mode, open.node);
		kernel_close(&mode, open.node);
		give_back(io_modes_leave(modes, open.node, true));
		if (dice / 1024 % 4 == 0)
			give_back(
				io_modes_forget(modes, open.node, io_modes_mark(modes, open.node)));
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct io_modes *modes = *state;
	pthread_t threads[4];

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, modes), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(kernel.mixtures, 0);
	for (uint64_t node = 0; node < NODES; node++)
		give_back(io_modes_forget(modes, node, io_modes_mark(modes, node)));
	assert_int_equal(io_modes_registered_count(modes), 0);
	/* Each once. */
	assert_int_equal(kernel.given_back, kernel.next_id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_first_decides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cached_binds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_node_lives_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keeps_the_latest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keeps_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fleeting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fleeting_outlives_its_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
