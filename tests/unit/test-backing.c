/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's half of the broker's protocol, with the real broker on the other side. */
#include "broker-fixture.h"

#include <signal.h>

#include "supervisor/backing.h"

static void the_daemon_asks(void **state)
{
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR), path = open_path_of_secret(), id;
	struct backing backing;

	backing_init(&backing, steal_fd(&place->socket_fd), 1);
	id = backing.session.open(backing.session.data, fd);
	if (id <= 0)
		fail_msg("open: %d", id);
	assert_int_equal(backing.session.open(backing.session.data, path), -EACCES);
	assert_int_equal(backing.session.close(backing.session.data, id), 0);
	id = backing.session.open(backing.session.data, fd);
	if (id <= 0)
		fail_msg("open again: %d", id);
	/* The broker goes, and nothing but speed is lost. */
	broker_end(&place->broker);
	assert_int_equal(backing.session.open(backing.session.data, fd), -EPIPE);
	assert_int_equal(backing.session.open(backing.session.data, fd), -EPIPE);
	assert_true(backing.session.close(backing.session.data, id) < 0);
	backing_release(&backing);
	close(path);
	close(fd);
}

/* It hangs: who opens a file does not, and nobody asks it again. */
static void a_broker_that_hangs(void **state)
{
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR);
	struct backing backing;

	assert_int_equal(kill(place->broker.pid, SIGSTOP), 0);
	backing_init(&backing, steal_fd(&place->socket_fd), 1);
	assert_int_equal(backing.session.open(backing.session.data, fd), -EPIPE);
	assert_int_equal(backing.session.open(backing.session.data, fd), -EPIPE);
	backing_release(&backing);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_daemon_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(a_broker_that_hangs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
