/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a near server goes, and when it gives up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fuse/near.h"

#define US   1000
#define FAST (5 * US)
#define SLOW (60 * US)
#define LATE (5000 * US)

static long preempted;

static long count_preempted(void)
{
	return preempted;
}

/* SCHED_IDLE is for good, so each test is a process. */
static void in_child(void (*check)(struct near *))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct near near;

		near_init(&near);
		near.count_preempted = count_preempted;
		if (!near.is_off)
			check(&near);
		_exit(near.is_off ? 77 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			_exit(1); \
	} while (0)

static int processors_of_thread(void)
{
	cpu_set_t set;

	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	return CPU_COUNT(&set);
}

static void begins_and_ends(struct near *near)
{
	int all = processors_of_thread(), here = sched_getcpu();

	CHECK(sched_getscheduler(0) == SCHED_IDLE);
	CHECK(near_current_cpu() == -1);
	near_begin(near, here);
	CHECK(processors_of_thread() == 1);
	CHECK(sched_getcpu() != here);
	CHECK(near_current_cpu() == sched_getcpu());
	near_end(near);
	CHECK(processors_of_thread() == all);
	CHECK(near_current_cpu() == -1);
}

static void wait_often(struct near *near, int64_t wait_ns, int times)
{
	for (int i = 0; i < times; i++)
		near_note(near, wait_ns);
}

/* Each time `others` more have had the processor. */
static void expect_stays(struct near *near, int64_t wait_ns, int others)
{
	int cpu;

	near_begin(near, -1);
	cpu = near->cpu;
	for (int i = 0; i < 1000; i++) {
		preempted += others;
		near_note(near, wait_ns);
	}
	CHECK(near->cpu == cpu && sched_getcpu() == cpu);
}

static void stays_where_it_is_fast(struct near *near)
{
	expect_stays(near, FAST, 0);
}

/* It is slow, but the client was here. */
static void stays_where_it_is_preempted(struct near *near)
{
	expect_stays(near, SLOW, 1);
}

static void stays_while_the_client_takes_its_time(struct near *near)
{
	expect_stays(near, LATE, 0);
}

static void follows(struct near *near)
{
	int cpu;

	near_begin(near, -1);
	cpu = near->cpu;
	wait_often(near, FAST, 100);
	/* One may be chance. */
	wait_often(near, SLOW, 1);
	CHECK(near->cpu == cpu);
	wait_often(near, FAST, 1);
	wait_often(near, SLOW, 2);
	CHECK(near->cpu != cpu && sched_getcpu() == near->cpu);
	cpu = near->cpu;
	wait_often(near, FAST, 100);
	CHECK(near->cpu == cpu);
}

/* Who was asked for something ran here, which tells nothing about the client. */
static void follows_although_others_were_here(struct near *near)
{
	int cpu;

	near_begin(near, -1);
	cpu = near->cpu;
	for (int i = 0; i < 2; i++) {
		preempted++;
		near_has_yielded();
		near_note(near, SLOW);
	}
	CHECK(near->cpu != cpu);
}

/* Slow waits until it has tried all it tries, and is back. */
static int waits_for_trials(const struct near *near)
{
	int others = CPU_COUNT(&near->allowed) - 1;

	return 2 + 2 * (others < 8 ? others : 8);
}

static void goes_back_where_none_is_better(struct near *near)
{
	int cpu, trials = waits_for_trials(near);

	near_begin(near, -1);
	cpu = near->cpu;
	for (int pause = 4; pause < 512; pause *= 2) {
		wait_often(near, SLOW, 2);
		CHECK(near->cpu != cpu);
		wait_often(near, SLOW, trials - 2);
		CHECK(near->cpu == cpu && near->tried == 0);
		/* And then not for a while. */
		wait_often(near, SLOW, pause);
		CHECK(near->cpu == cpu);
	}
}

static void tries_sooner_where_that_paid(struct near *near)
{
	int trials = waits_for_trials(near);

	near_begin(near, -1);
	wait_often(near, SLOW, trials + 4);
	wait_often(near, SLOW, trials + 8);
	CHECK(near->pause == 16);
	wait_often(near, SLOW, 2);
	wait_often(near, FAST, 2);
	CHECK(near->pause == 8 && near->rest == 0);
}

/* Where somebody else chose the processors, no other is taken. */
static void keeps_within_what_it_was_given(struct near *near)
{
	struct near narrow;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	CHECK(sched_setaffinity(0, sizeof(set), &set) == 0);
	near_init(&narrow);
	CHECK(narrow.is_off);
	near_begin(&narrow, -1);
	CHECK(near_current_cpu() == -1);
	wait_often(&narrow, SLOW, 100);
	CHECK(near_current_cpu() == -1);
	near_end(&narrow);
	CHECK(processors_of_thread() == 1);
}

#define PLACE_TEST(name)                      \
	static void test_##name(void **state) \
	{                                     \
		in_child(name);               \
	}
PLACE_TEST(begins_and_ends)
PLACE_TEST(stays_where_it_is_fast)
PLACE_TEST(stays_where_it_is_preempted)
PLACE_TEST(stays_while_the_client_takes_its_time)
PLACE_TEST(follows)
PLACE_TEST(follows_although_others_were_here)
PLACE_TEST(goes_back_where_none_is_better)
PLACE_TEST(tries_sooner_where_that_paid)
PLACE_TEST(keeps_within_what_it_was_given)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_and_ends),
		cmocka_unit_test(test_stays_where_it_is_fast),
		cmocka_unit_test(test_stays_where_it_is_preempted),
		cmocka_unit_test(test_stays_while_the_client_takes_its_time),
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_follows_although_others_were_here),
		cmocka_unit_test(test_goes_back_where_none_is_better),
		cmocka_unit_test(test_tries_sooner_where_that_paid),
		cmocka_unit_test(test_keeps_within_what_it_was_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
