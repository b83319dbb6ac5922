/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker as a daemon in foreign hands finds it: the real process, in its sandbox, on a real
 * connection of FUSE. What it registers it must be asked for in the one right way.
 */
#include "broker-talk.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void a_file_is_registered(void **state)
{
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR), id = ask(place, fd), second = ask(place, fd);

	if (id <= 0 || second <= 0 || id == second)
		fail_msg("ids %d and %d", id, second);
	send_request(place->socket_fd, BROKER_CLOSE, id, NULL, 0);
	/* Still there: an answer says so. */
	assert_true(ask(place, fd) > 0);
	close(fd);
}

/* --- files that are refused --- */

static int open_read_only(void)
{
	return open_file("file", O_RDONLY);
}

static int open_write_only(void)
{
	return open_file("file", O_WRONLY);
}

/* Neither for reading nor for writing: it serves ioctls. */
static int open_neither(void)
{
	return open_file("file", O_ACCMODE);
}

static int open_appending(void)
{
	return open_file("file", O_RDWR | O_APPEND);
}

static int open_proc(void)
{
	return open("/proc/self/uid_map", O_RDWR | O_CLOEXEC);
}

static int open_memory(void)
{
	return memfd_create("broker", MFD_CLOEXEC);
}

static int open_directory(void)
{
	return openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_directory_path(void)
{
	return openat(top_fd, ".", O_PATH | O_CLOEXEC);
}

static int open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_device(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int open_fuse(void)
{
	return open("/dev/fuse", O_RDWR | O_CLOEXEC);
}

static int open_fifo(void)
{
	mkfifoat(top_fd, "fifo", 0600);
	return openat(top_fd, "fifo", O_RDWR | O_CLOEXEC);
}

static void others_are_refused(void **state)
{
	static const struct {
		const char *what;
		int (*open)(void);
		int wanted;
	} rows[] = {
		{"the path of a file of root's", open_path_of_secret, -EACCES},
		{"a file for reading", open_read_only, -EACCES},
		{"a file for writing", open_write_only, -EACCES},
		{"a file for neither", open_neither, -EACCES},
		{"a file for appending", open_appending, -EACCES},
		{"a file of procfs", open_proc, -EXDEV},
		{"memory", open_memory, -EXDEV},
		{"a directory", open_directory, -EACCES},
		{"the path of a directory", open_directory_path, -EACCES},
		{"a socket", open_socket, -EINVAL},
		{"a device", open_device, -EINVAL},
		{"a connection of FUSE", open_fuse, -EINVAL},
		{"a FIFO", open_fifo, -EINVAL},
	};
	struct place *place = place_of(state);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = rows[i].open(), r;

		if (fd < 0)
			fail_msg("%s: %s", rows[i].what, strerror(errno));
		r = ask(place, fd);
		if (r != rows[i].wanted)
			fail_msg("%s: %d, wanted %d", rows[i].what, r, rows[i].wanted);
		close(fd);
	}
	a_file_is_registered(state);
}

/* --- what is no request --- */

static void nothing_but_requests(void **state)
{
	const struct broker_request good = {.version = BROKER_VERSION, .operation = BROKER_OPEN};
	const struct broker_request old = {.operation = BROKER_OPEN};
	char large[sizeof(good) + 1] = {0};
	int file = open_file("file", O_RDWR), fds[FDS_MAX];
	const struct {
		const char *what;
		const void *bytes;
		size_t size, fds;
	} rows[] = {
		{"half a message", &good, sizeof(good) / 2, 1},
		{"one byte", &good, 1, 0},
		{"a message that is too large", large, sizeof(large), 1},
		{"another version", &old, sizeof(old), 1},
		{"no descriptor", &good, sizeof(good), 0},
		{"two descriptors", &good, sizeof(good), 2},
		{"three descriptors", &good, sizeof(good), 3},
		{"as many as there can be", &good, sizeof(good), 253},
	};

	for (size_t i = 0; i < FDS_MAX; i++)
		fds[i] = file;
	memcpy(large, &good, sizeof(good));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct place *place = place_of(state);

		send_raw(place->socket_fd, rows[i].bytes, rows[i].size, fds, rows[i].fds);
		expect_end(place, BROKER_NONSENSE, rows[i].what);
		teardown(state);
		setup(state);
	}
	close(file);
}

static void nothing_but_known_operations(void **state)
{
	static const struct {
		const char *what;
		uint32_t operation;
		int32_t id;
		size_t fds;
	} rows[] = {
		{"operation 0", 0, 0, 1},
		{"operation 3", 3, 0, 1},
		{"operation 2^32 - 1", UINT32_MAX, 0, 0},
		{"a file with an id", BROKER_OPEN, 1, 1},
		{"an id with a file", BROKER_CLOSE, 1, 1},
		{"an id that was not given", BROKER_CLOSE, 1, 0},
		{"the id 0", BROKER_CLOSE, 0, 0},
		{"a negative id", BROKER_CLOSE, -1, 0},
		{"a large id", BROKER_CLOSE, INT32_MAX, 0},
	};
	int file = open_file("file", O_RDWR);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct place *place = place_of(state);

		send_request(place->socket_fd, rows[i].operation, rows[i].id, &file, rows[i].fds);
		expect_end(place, BROKER_NONSENSE, rows[i].what);
		teardown(state);
		setup(state);
	}
	close(file);
}

static void an_id_is_closed_once(void **state)
{
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR), id = ask(place, fd);

	assert_true(id > 0);
	send_request(place->socket_fd, BROKER_CLOSE, id, NULL, 0);
	send_request(place->socket_fd, BROKER_CLOSE, id, NULL, 0);
	expect_end(place, BROKER_NONSENSE, "an id for the second time");
	close(fd);
}

/* The ids of one connection mean nothing on another. */
static void ids_of_others_cannot_be_closed(void **state)
{
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR), id;
	void *other;

	setup(&other);
	id = ask(other, fd);
	assert_true(id > 0);
	send_request(place->socket_fd, BROKER_CLOSE, id, NULL, 0);
	expect_end(place, BROKER_NONSENSE, "an id of another mount");
	teardown(&other);
	close(fd);
}

static void registrations_are_bounded(void **state)
{
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR), id = 0;

	for (unsigned i = 0; i < BROKER_IDS_MAX; i++) {
		id = ask(place, fd);
		if (id <= 0)
			fail_msg("file %u: %d", i, id);
	}
	assert_int_equal(ask(place, fd), -ENFILE);
	assert_int_equal(ask(place, fd), -ENFILE);
	send_request(place->socket_fd, BROKER_CLOSE, id, NULL, 0);
	assert_true(ask(place, fd) > 0);
	assert_int_equal(ask(place, fd), -ENFILE);
	close(fd);
}

/* Who reads no answers stops the broker, which nobody waits for; it ends all the same. */
static void who_does_not_listen_waits(void **state)
{
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR), sent = 0;
	struct broker_request request = {.version = BROKER_VERSION, .operation = BROKER_OPEN};

	while (try_send(place->socket_fd, &request, sizeof(request), &fd, 1, MSG_DONTWAIT) > 0)
		if (++sent > 1000000)
			fail_msg("the broker answers without end");
	assert_int_equal(errno, EAGAIN);
	close(steal_fd(&place->socket_fd));
	expect_end(place, BROKER_DONE, "a daemon that never listened");
	close(fd);
}

/* Its copy of the device would keep who waits for the mount waiting. */
static void it_ends_with_the_daemon(void **state)
{
	struct place *place = place_of(state);

	close(steal_fd(&place->socket_fd));
	expect_end(place, BROKER_DONE, "the daemon's end was closed");
}

/* --- what the process is --- */

static void it_has_two_capabilities(void **state)
{
	static const struct {
		const char *key, *wanted;
	} rows[] = {
		{"CapInh:\t", "0000000000000000"},
		{"CapPrm:\t", "0000000000200010"}, /* CAP_SYS_ADMIN, CAP_FSETID */
		{"CapEff:\t", "0000000000200010"},
		{"CapAmb:\t", "0000000000000000"},
		{"NoNewPrivs:\t", "1"},
		{"Groups:\t", " "},
#ifndef SANDBOX_UNDER_SANITIZER
		{"Seccomp:\t", "2"},
#endif
	};
	struct place *place = place_of(state);
	int fd = open_file("file", O_RDWR);

	/* With the answer it is past all that. */
	assert_true(ask(place, fd) > 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char value[256];

		read_status(place->broker.pid, rows[i].key, value, sizeof(value));
		if (strcmp(value, rows[i].wanted) != 0)
			fail_msg("%s: '%s', wanted '%s'", rows[i].key, value, rows[i].wanted);
	}
	close(fd);
}

static pid_t start_stranger(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setresgid(54321, 54321, 54321) < 0 || setresuid(12345, 12345, 12345) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	return pid;
}

/* The kernel opens the files with the broker's ids: they are the daemon's. */
static void it_has_the_ids_of_its_daemon(void **state)
{
	pid_t stranger = place_of(state) ? start_stranger() : 0;
	int fd = open_file("file", O_RDWR);
	char uids[256] = "";
	void *other;

	assert_true(stranger > 0);
	while (!strstr(uids, "12345\t12345\t12345\t12345"))
		read_status(stranger, "Uid:\t", uids, sizeof(uids));
	setup_for(&other, stranger);
	assert_true(ask(other, fd) > 0);
	read_status(((struct place *)other)->broker.pid, "Uid:\t", uids, sizeof(uids));
	assert_string_equal(uids, "0\t0\t0\t12345");
	read_status(((struct place *)other)->broker.pid, "Gid:\t", uids, sizeof(uids));
	assert_string_equal(uids, "0\t0\t0\t54321");
	teardown(&other);
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_registered, setup, teardown),
		cmocka_unit_test_setup_teardown(others_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_but_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_but_known_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(an_id_is_closed_once, setup, teardown),
		cmocka_unit_test_setup_teardown(ids_of_others_cannot_be_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(registrations_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(who_does_not_listen_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(it_ends_with_the_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(it_has_two_capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(it_has_the_ids_of_its_daemon, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
