/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's log on its way through the supervisor: levels, long lines, floods. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/log.h>

#include "supervisor/relay.h"

static struct relay relay;
static int writer, log_fds[2];
static char said[1 << 16];

static int set_up(void **state)
{
	if (pipe2(log_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	log_open(LOG_TARGET_FD, log_fds[1], "us", LOG_LEVEL_INFO);
	writer = relay_open(&relay);
	return writer < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	log_open(LOG_TARGET_STDERR, -1, "test", LOG_LEVEL_WARNING);
	close(log_fds[0]);
	close(log_fds[1]);
	return 0;
}

static void finish(void)
{
	ssize_t n;

	close(writer);
	relay_finish(&relay);
	assert_int_equal(relay.fd, -1);
	n = read(log_fds[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
}

static void send_text(const char *text)
{
	assert_int_equal(write(writer, text, strlen(text)), strlen(text));
	relay_read(&relay);
}

static unsigned count(const char *what)
{
	unsigned n = 0;

	for (const char *at = said; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void lines_keep_their_level(void **state)
{
	send_text("<0>bad\n<2>fi");
	send_text("ne\n<3>detail\n<9>odd\nplain\x1b\n");
	finish();
	assert_non_null(strstr(said, "us: error: daemon: bad\n"));
	assert_non_null(strstr(said, "us: info: daemon: fine\n"));
	assert_null(strstr(said, "detail"));
	assert_non_null(strstr(said, "us: warning: daemon: <9>odd\n"));
	assert_non_null(strstr(said, "us: warning: daemon: plain\\x1b\n"));
}

static void a_long_line_is_cut(void **state)
{
	char text[RELAY_LINE_MAX];

	memset(text, 'x', sizeof(text));
	assert_int_equal(write(writer, text, sizeof(text)), sizeof(text));
	relay_read(&relay);
	assert_true(relay.used < sizeof(relay.line));
	finish();
	assert_int_equal(count("daemon: x"), 1);
}

static void a_flood_is_counted(void **state)
{
	for (int i = 0; i < 1000; i++)
		send_text("<1>again\n");
	finish();
	assert_int_equal(count("again"), 200);
	assert_non_null(strstr(said, "800 lines of the daemon were dropped"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(lines_keep_their_level),
		test(a_long_line_is_cut),
		test(a_flood_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
