/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server makes of how its requests come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/fuse.h>

#include "fuse/pace.h"

#define US   1000
#define FAST (5 * US)
#define SLOW (60 * US)
#define LATE (5000 * US)

/* How many rounds of eight such waits say that they are slow. */
static int slow_rounds(struct pace *pace, int64_t wait_ns, int rounds)
{
	int slow = 0;

	for (int i = 0; i < 8 * rounds; i++)
		slow += pace_is_slow(pace, wait_ns);
	return slow;
}

static void is_slow_where_a_wake_up_takes_the_time(void **state)
{
	struct pace pace = {0};

	assert_int_equal(slow_rounds(&pace, FAST, 10), 0);
	assert_int_equal(slow_rounds(&pace, SLOW, 10), 10);
	/* The client takes its time. */
	assert_int_equal(slow_rounds(&pace, LATE, 10), 0);
}

/* A request that was there already, behind a RELEASE, says nothing about those that were not. */
static void is_slow_beside_requests_that_were_there(void **state)
{
	struct pace pace = {0};
	int slow = 0;

	for (int i = 0; i < 80; i++) {
		assert_false(pace_is_slow(&pace, US / 2));
		slow += pace_is_slow(&pace, 2 * SLOW / 3);
	}
	assert_int_equal(slow, 10);
}

static void rests(void **state)
{
	struct pace pace = {.rest = 3};

	assert_int_equal(slow_rounds(&pace, SLOW, 3), 0);
	assert_int_equal(slow_rounds(&pace, SLOW, 1), 1);
}

/* Of a client that waits for each answer, in turn with what it does not wait for. */
static void one_client(struct pace *pace, uint32_t nobody_waits_for, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		pace_take(pace, nobody_waits_for, true);
		assert_false(pace_is_behind(pace));
		pace_take(pace, FUSE_OPEN, false);
		assert_false(pace_is_behind(pace));
	}
}

static void a_client_that_closes_files_is_no_queue(void **state)
{
	struct pace pace = {0};

	one_client(&pace, FUSE_RELEASE, 100);
	one_client(&pace, FUSE_FORGET, 100);
	/* The server that is one too many sees it, too. */
	assert_true(pace_is_idle(&pace));
	assert_false(pace_is_idle(&pace));
}

static void requests_that_queue_up(void **state)
{
	struct pace pace = {0};

	for (int i = 0; i < 15; i++) {
		pace_take(&pace, FUSE_OPEN, false);
		assert_false(pace_is_behind(&pace));
	}
	pace_take(&pace, FUSE_OPEN, false);
	assert_true(pace_is_behind(&pace));
	assert_false(pace_is_behind(&pace));
	assert_false(pace_is_idle(&pace));
	/* Behind a RELEASE others are found as well. */
	for (int i = 0; i < 32; i++)
		pace_take(&pace, i % 2 ? FUSE_RELEASE : FUSE_OPEN, false);
	assert_true(pace_is_behind(&pace));
}

/* Whether it would say that it is behind, when such requests come in turn. */
static bool looks_behind(const uint32_t *opcodes, const bool *found, int count)
{
	struct pace pace = {0};

	for (int i = 0; i < 100 * count; i++) {
		if (pace_looks(&pace, opcodes[i % count]))
			pace_look(&pace, found[i % count]);
		if (pace_is_behind(&pace))
			return true;
	}
	return false;
}

static void looking_whether_another_is_there(void **state)
{
	const uint32_t opens[] = {FUSE_RELEASE, FUSE_OPEN}, closes[] = {FUSE_OPEN, FUSE_RELEASE};
	const uint32_t removes[] = {FUSE_FORGET, FUSE_UNLINK, FUSE_GETATTR};
	const bool first[] = {true, false, false}, second[] = {false, true};
	const bool all[] = {true, true, true};

	assert_false(looks_behind(opens, first, 2));
	assert_false(looks_behind(closes, second, 2));
	assert_false(looks_behind(removes, first, 3));
	assert_true(looks_behind(opens, all, 2));
	assert_true(looks_behind(removes, all, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_slow_where_a_wake_up_takes_the_time),
		cmocka_unit_test(is_slow_beside_requests_that_were_there),
		cmocka_unit_test(rests),
		cmocka_unit_test(a_client_that_closes_files_is_no_queue),
		cmocka_unit_test(requests_that_queue_up),
		cmocka_unit_test(looking_whether_another_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
