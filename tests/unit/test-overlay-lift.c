/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Modes that are lifted for the length of a call: nobody else sees that, or undoes it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "overlay/call.h"
#include "overlay/lift.h"

#define THREADS 3
#define LIFTS	4000

/* Two descriptors of one file, which has a name in a directory. */
struct fixture {
	char dir[32];
	int dir_fd, fd, other_fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*f = (struct fixture){.dir = "/tmp/unit-lift-XXXXXX"};
	assert_non_null(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	f->fd = openat(f->dir_fd, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(f->fd >= 0);
	f->other_fd = openat(f->dir_fd, "file", O_PATH | O_CLOEXEC);
	assert_true(f->other_fd >= 0);
	assert_int_equal(fchmod(f->fd, 0), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	close(f->other_fd);
	unlinkat(f->dir_fd, "file", 0);
	close(f->dir_fd);
	rmdir(f->dir);
	free(f);
	return 0;
}

static mode_t mode_on_disk(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->fd, &st), 0);
	return st.st_mode & 07777;
}

/* What everybody else is told. */
static mode_t mode_shown(const struct fixture *f)
{
	struct stat by_fd, by_name;

	assert_int_equal(call_fstat(f->other_fd, &by_fd), 0);
	assert_int_equal(call_fstatat(f->dir_fd, "file", &by_name), 0);
	assert_int_equal(by_fd.st_mode, by_name.st_mode);
	return by_fd.st_mode & 07777;
}

static void is_not_seen(void **state)
{
	const struct fixture *f = *state;
	struct lift lift;

	assert_int_equal(lift_begin(f->fd, 0400, &lift), 0);
	assert_int_equal(mode_on_disk(f), 0400);
	assert_int_equal(mode_shown(f), 0);
	assert_int_equal(lift_end(&lift), 0);
	assert_int_equal(lift_end(&lift), 0);
	assert_int_equal(mode_on_disk(f), 0);
	assert_int_equal(mode_shown(f), 0);
}

/* The first one's end takes nothing from the second one, and the last one's leaves nothing. */
static void several_at_once(void **state)
{
	const struct fixture *f = *state;
	struct lift first, second, third;

	assert_int_equal(lift_begin(f->fd, 0400, &first), 0);
	assert_int_equal(lift_begin(f->other_fd, 0600, &second), 0);
	assert_int_equal(lift_begin(f->other_fd, 0400, &third), 0);
	assert_int_equal(mode_on_disk(f), 0600);
	assert_int_equal(mode_shown(f), 0);
	assert_int_equal(lift_end(&first), 0);
	assert_int_equal(mode_on_disk(f), 0600);
	assert_int_equal(lift_end(&third), 0);
	assert_int_equal(mode_shown(f), 0);
	assert_int_equal(lift_end(&second), 0);
	assert_int_equal(mode_on_disk(f), 0);
}

static void has_what_is_asked_for(void **state)
{
	const struct fixture *f = *state;
	struct lift lift;

	assert_int_equal(fchmod(f->fd, 0640), 0);
	assert_int_equal(lift_begin(f->fd, 0600, &lift), -EACCES);
	assert_int_equal(lift_end(&lift), 0);
	assert_int_equal(mode_on_disk(f), 0640);
}

static void a_mode_that_is_set_meanwhile_stays(void **state)
{
	const struct fixture *f = *state;
	struct lift lift;

	assert_int_equal(lift_begin(f->fd, 0600, &lift), 0);
	assert_int_equal(call_chmod(f->other_fd, 0444), 0);
	assert_int_equal(mode_shown(f), 0444);
	assert_int_equal(mode_on_disk(f), 0644);
	assert_int_equal(lift_end(&lift), 0);
	assert_int_equal(mode_on_disk(f), 0444);

	assert_int_equal(lift_begin(f->fd, 0200, &lift), 0);
	assert_int_equal(call_chmod(f->other_fd, 0), 0);
	assert_int_equal(mode_on_disk(f), 0200);
	assert_int_equal(lift_end(&lift), 0);
	assert_int_equal(mode_on_disk(f), 0);
}

/* As a write to a set-id program takes the bit off. */
static void what_a_mode_loses_meanwhile_does_not_come_back(void **state)
{
	const struct fixture *f = *state;
	struct lift lift;

	assert_int_equal(fchmod(f->fd, 04011), 0);
	assert_int_equal(lift_begin(f->fd, 0600, &lift), 0);
	assert_int_equal(fchmod(f->fd, 0611), 0);
	assert_int_equal(lift_end(&lift), 0);
	assert_int_equal(mode_on_disk(f), 0011);
}

static void what_goes_may_keep_it(void **state)
{
	const struct fixture *f = *state;
	struct lift lift;

	assert_int_equal(lift_begin(f->fd, 0700, &lift), 0);
	lift_leave(&lift);
	assert_int_equal(mode_on_disk(f), 0700);
	assert_int_equal(mode_shown(f), 0700);
}

struct lifter {
	const struct fixture *f;
	mode_t bits;
};

static void *lift_often(void *data)
{
	const struct lifter *lifter = data;

	for (int i = 0; i < LIFTS; i++) {
		struct lift lift;

		assert_int_equal(lift_begin(lifter->f->other_fd, lifter->bits, &lift), 0);
		assert_int_equal(mode_on_disk(lifter->f) & lifter->bits, lifter->bits);
		assert_int_equal(lift_end(&lift), 0);
	}
	return NULL;
}

static void is_never_seen(void **state)
{
	static const mode_t bits[THREADS] = {0400, 0200, 0600};
	const struct fixture *f = *state;
	struct lifter lifters[THREADS];
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++) {
		lifters[i] = (struct lifter){.f = f, .bits = bits[i]};
		assert_int_equal(pthread_create(&threads[i], NULL, lift_often, &lifters[i]), 0);
	}
	for (int i = 0; i < LIFTS; i++) {
		mode_t own = i % 2 ? 0 : 0044;

		assert_int_equal(call_chmod(f->fd, own), 0);
		assert_int_equal(mode_shown(f), own);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(mode_on_disk(f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_not_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(several_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(has_what_is_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_mode_that_is_set_meanwhile_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_a_mode_loses_meanwhile_does_not_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(what_goes_may_keep_it, setup, teardown),
		cmocka_unit_test_setup_teardown(is_never_seen, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
