/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket: what arrives, and what a hostile peer cannot do. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/control.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static int pair[2];

static int setup(void **state)
{
	return control_pair(pair, NULL);
}

static int teardown(void **state)
{
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static void opened_arrives(void **state)
{
	struct control_opened sent = {.commit = COMMIT, .supervisor = 17, .daemon = 18}, got;

	assert_int_equal(control_send_opened(pair[1], &sent, NULL), 0);
	assert_int_equal(control_wait_opened(pair[0], 1000, &got, NULL), 0);
	assert_string_equal(got.commit, COMMIT);
	assert_int_equal(got.supervisor, 17);
	assert_int_equal(got.daemon, 18);
}

static void failure_becomes_the_error(void **state)
{
	struct error sent = {0}, got = {0};
	struct control_opened opened;

	error_set(&sent, ENOENT, EXIT_STATUS_SOURCE, "no such revision 'x'");
	assert_int_equal(control_send_failed(pair[1], &sent, NULL), 0);
	assert_int_equal(control_wait_opened(pair[0], 1000, &opened, &got), -ENOENT);
	assert_int_equal(got.status, EXIT_STATUS_SOURCE);
	assert_string_equal(got.text, "no such revision 'x'");
}

static void hostile_failure_is_cleaned(void **state)
{
	struct error sent = {.code = -5, .status = (enum exit_status)99}, got = {0};
	struct control_opened opened;

	memset(sent.text, 'a', sizeof(sent.text));
	memcpy(sent.text, "x\n\033[2J", 6);
	assert_int_equal(control_send_failed(pair[1], &sent, NULL), 0);
	assert_int_equal(control_wait_opened(pair[0], 1000, &opened, &got), -EIO);
	assert_int_equal(got.status, EXIT_STATUS_FAILED);
	assert_int_equal(strnlen(got.text, sizeof(got.text)), sizeof(got.text) - 1);
	assert_memory_equal(got.text, "x??[2J", 6);
}

static void fuse_fd_is_passed(void **state)
{
	struct control_event event;
	struct stat a, b;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(control_send_fuse_fd(pair[0], fd, NULL), 0);
	assert_int_equal(control_receive(pair[1], 1000, &event, NULL), 0);
	assert_int_equal(event.type, CONTROL_FUSE_FD);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstat(event.fuse_fd, &b), 0);
	assert_int_equal(a.st_rdev, b.st_rdev);
	assert_int_equal(fcntl(event.fuse_fd, F_GETFD), FD_CLOEXEC);
	close(event.fuse_fd);
	close(fd);
}

static void ready_arrives(void **state)
{
	struct control_event event;

	assert_int_equal(control_send_ready(pair[0], NULL), 0);
	assert_int_equal(control_receive(pair[1], 1000, &event, NULL), 0);
	assert_int_equal(event.type, CONTROL_READY);
	assert_int_equal(event.fuse_fd, -1);
}

static void silence_is_a_timeout(void **state)
{
	struct control_opened opened;
	struct error err = {0};

	assert_int_equal(control_wait_opened(pair[0], 20, &opened, &err), -ETIMEDOUT);
	assert_string_equal(err.text, "no answer from the workspace within 20 ms");
}

static void on_alarm(int signal)
{
}

/* A signal must not begin the timeout anew: here one comes every 5 ms. */
static void signals_do_not_prolong_the_timeout(void **state)
{
	struct sigaction action = {.sa_handler = on_alarm}, old;
	struct control_opened opened;
	pid_t us = getpid(), child;
	int status;

	sigaction(SIGUSR1, &action, &old);
	child = fork();
	if (child == 0)
		for (;;) {
			usleep(5000);
			if (kill(us, SIGUSR1) < 0)
				_exit(1);
		}
	alarm(10);
	assert_int_equal(control_wait_opened(pair[0], 100, &opened, NULL), -ETIMEDOUT);
	alarm(0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	sigaction(SIGUSR1, &old, NULL);
}

static void end_of_the_peer(void **state)
{
	struct control_opened opened;
	struct error err = {0};

	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(control_wait_opened(pair[0], 1000, &opened, &err), -EPIPE);
	assert_int_equal(control_send_ready(pair[0], NULL), -EPIPE);
}

static size_t open_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Sends `size` bytes of `bytes` with `fd_count` descriptors. */
static void send_raw(const void *bytes, size_t size, size_t fd_count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd_count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		/* Descriptor 0 eight times over: the bytes are zero already. */
	}
	assert_int_equal(sendmsg(pair[1], &message, 0), size);
}

/* One good packet of the given type, taken from the wire. */
static size_t record(bool fuse, char *buffer, size_t size)
{
	struct control_opened opened = {.commit = COMMIT, .supervisor = 1, .daemon = 2};
	ssize_t n;

	if (fuse)
		control_send_fuse_fd(pair[0], 0, NULL);
	else
		control_send_opened(pair[0], &opened, NULL);
	n = recv(pair[1], buffer, size, 0);
	assert_true(n > 100);
	return (size_t)n;
}

static void broken_messages_are_refused(void **state)
{
	char good[4096], fuse[4096], bad[4096];
	size_t size = record(false, good, sizeof(good));
	const struct {
		const char *what;
		size_t offset, size, fds;
		char byte;
		bool fuse;
	} rows[] = {
		{"version", 0, size, 0, 'x', false},
		{"type", 4, size, 0, 77, false},
		{"short", 0, size - 1, 0, good[0], false},
		{"long", 0, size + 1, 0, good[0], false},
		{"one byte", 0, 1, 0, good[0], false},
		{"commit not hex", 8, size, 0, 'Z', false},
		{"commit cut", 8 + 20, size, 0, 0, false},
		{"commit endless", 8 + 40, size, 0, 'a', false},
		{"stray descriptor", 0, size, 1, good[0], false},
		{"no descriptor", 0, size, 0, good[0], true},
		{"two descriptors", 0, size, 2, good[0], true},
		{"eight descriptors", 0, size, 8, good[0], true},
	};

	assert_int_equal(record(true, fuse, sizeof(fuse)), size);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct control_event event;
		struct error err = {0};
		size_t before = open_fds();
		int r;

		memcpy(bad, rows[i].fuse ? fuse : good, sizeof(bad));
		bad[rows[i].offset] = rows[i].byte;
		send_raw(bad, rows[i].size, rows[i].fds);
		r = control_receive(pair[0], 1000, &event, &err);
		if (r != -EPROTO)
			fail_msg("%s: returned %d, not %d", rows[i].what, r, -EPROTO);
		if (open_fds() != before)
			fail_msg("%s: %zu descriptors open, not %zu", rows[i].what, open_fds(),
				before);
	}
}

/* The commit is not terminated: 65 bytes, then the process ids. */
static void unterminated_commit_is_refused(void **state)
{
	struct control_opened opened = {.supervisor = 0x61616161, .daemon = 0x61616161};
	struct control_event event;

	memset(opened.commit, 'a', sizeof(opened.commit));
	assert_int_equal(control_send_opened(pair[1], &opened, NULL), 0);
	assert_int_equal(control_receive(pair[0], 1000, &event, NULL), -EPROTO);
	opened.commit[64] = '\0';
	assert_int_equal(control_send_opened(pair[1], &opened, NULL), 0);
	assert_int_equal(control_receive(pair[0], 1000, &event, NULL), 0);
	opened.daemon = -1;
	assert_int_equal(control_send_opened(pair[1], &opened, NULL), 0);
	assert_int_equal(control_receive(pair[0], 1000, &event, NULL), -EPROTO);
}

static void another_message_than_opened(void **state)
{
	struct control_opened opened;
	size_t before = open_fds();

	control_send_fuse_fd(pair[1], 0, NULL);
	assert_int_equal(control_wait_opened(pair[0], 1000, &opened, NULL), -EPROTO);
	assert_int_equal(open_fds(), before);
}

#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(opened_arrives),
		row(failure_becomes_the_error),
		row(hostile_failure_is_cleaned),
		row(fuse_fd_is_passed),
		row(ready_arrives),
		row(silence_is_a_timeout),
		row(signals_do_not_prolong_the_timeout),
		row(end_of_the_peer),
		row(broken_messages_are_refused),
		row(unterminated_commit_is_refused),
		row(another_message_than_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
