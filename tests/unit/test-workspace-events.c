/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The history: what is written is read, whatever else is in the files, and however many write. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/workspace-events.h>

#include "host/workspace-internal.h"
#include "util/clock.h"

#define WRITERS	 8
#define PER_EACH 300

struct place {
	char root[64];
	int fd; /* of the run directory */
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	char path[128];

	strcpy(place->root, "/tmp/test-events-XXXXXX");
	if (!mkdtemp(place->root))
		return -1;
	snprintf(path, sizeof(path), "%s/run", place->root);
	setenv("GIT_OVERLAYFS_RUN_DIR", path, 1);
	if (mkdir(path, 0700) < 0)
		return -1;
	place->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = place;
	return place->fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;
	int r, fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	r = tree_remove(fd, place->root + 5);
	close(fd);
	close(place->fd);
	free(place);
	return r;
}

/* The number of an event is its pid. */
static void append(int number)
{
	struct workspace_info info = {.id = (char[]){"job"},
		.mountpoint = (char[]){"/m"},
		.source = (char[]){"/srv/repository.git@main"},
		.commit = (char[]){""},
		.supervisor = number};

	workspace_event_append(WORKSPACE_EVENT_READY, &info, NULL, NULL);
}

static void scribble(struct place *place, const char *text, size_t size)
{
	int fd = openat(
		place->fd, WORKSPACE_EVENTS_FILE, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
}

static struct workspace_events *open_events(void)
{
	struct workspace_events *events = NULL;
	struct error err = {0};

	if (workspace_events_open(&events, &err) < 0)
		fail_msg("%s", err.text);
	return events;
}

/* The number of the next event, 0 when there is none. */
static int next(struct workspace_events *events)
{
	struct workspace_event_line line;
	int r = workspace_events_next(events, &line);

	if (r < 0)
		fail_msg("%d", r);
	return r ? (int)json_member(line.json, "pid")->integer : 0;
}

static off_t size_of(struct place *place, const char *name)
{
	struct stat st;

	return fstatat(place->fd, name, &st, 0) == 0 ? st.st_size : -1;
}

static void what_is_written_is_read(void **state)
{
	static const char evil[] = "a\n{\"event\":\"ended\"}\t\"\\\x1b[31m\x7f\xff";
	struct workspace_info info = {.id = (char[]){"job:x"},
		.mountpoint = (char *)evil,
		.container = (char[]){"c1"},
		.source = (char *)evil,
		.commit = (char[]){"12ab"},
		.supervisor = 7};
	struct workspace_events *events;
	struct workspace_event_line line;

	workspace_event_append(WORKSPACE_EVENT_ENDED, &info, evil, "kept");
	events = open_events();
	assert_int_equal(workspace_events_next(events, &line), 1);
	assert_string_equal(line.event, "ended");
	assert_int_equal(strlen(line.time), strlen("2026-11-30T05:20:20.709Z"));
	assert_string_equal(json_member_string(line.json, "id"), "job:x");
	assert_string_equal(json_member_string(line.json, "container"), "c1");
	assert_string_equal(json_member_string(line.json, "commit"), "12ab");
	assert_string_equal(json_member_string(line.json, "upper"), "kept");
	/* One byte is no UTF-8. */
	assert_memory_equal(json_member_string(line.json, "mountpoint"), evil, sizeof(evil) - 2);
	assert_memory_equal(json_member_string(line.json, "reason"), evil, sizeof(evil) - 2);
	for (const char *p = line.text; *p; p++)
		assert_true((unsigned char)*p >= 0x20);
	assert_int_equal(workspace_events_next(events, &line), 0);
	workspace_events_free(events);
	workspace_events_free(NULL);
}

static void torn_and_foreign_lines_are_left_out(void **state)
{
	static const char torn[] = "{\"time\":\"2026-11-30T05:20:20.709Z\",\"event\":\"rea";
	static const char foreign[] = "\n\n[1]\n{\"time\":1,\"event\":\"x\"}\n\xff\xfe\n{}\n";
	struct workspace_events *events = open_events();

	assert_int_equal(next(events), 0);
	append(1);
	scribble(*state, torn, strlen(torn));
	assert_int_equal(next(events), 1);
	assert_int_equal(next(events), 0);
	append(2);
	assert_int_equal(next(events), 2);
	scribble(*state, foreign, strlen(foreign));
	append(3);
	scribble(*state, "a\0b\n", 4);
	append(4);
	assert_int_equal(next(events), 3);
	assert_int_equal(next(events), 4);
	assert_int_equal(next(events), 0);
	workspace_events_free(events);
}

static void a_line_in_two_writes_is_one(void **state)
{
	static const char line[] = "{\"time\":\"t\",\"event\":\"e\",\"pid\":9}\n";
	struct workspace_events *events = open_events();

	scribble(*state, line, 10);
	assert_int_equal(next(events), 0);
	scribble(*state, line + 10, strlen(line) - 10);
	assert_int_equal(next(events), 9);
	workspace_events_free(events);
}

static void long_lines(void **state)
{
	static char text[3 * WORKSPACE_EVENT_LINE_MAX];
	struct workspace_info info = {.id = (char[]){"job"}, .supervisor = 2};
	struct workspace_events *events = open_events();
	struct workspace_event_line line;

	memset(text, 'x', sizeof(text));
	scribble(*state, text, sizeof(text));
	append(1);
	/* A text of ours that is too long is cut, and the event is not lost. */
	text[sizeof(text) - 1] = '\0';
	workspace_event_append(WORKSPACE_EVENT_FAILED, &info, text, NULL);
	assert_int_equal(next(events), 1);
	assert_int_equal(workspace_events_next(events, &line), 1);
	assert_string_equal(line.event, "failed");
	assert_int_equal(strlen(json_member_string(line.json, "reason")), 200);
	workspace_events_free(events);
}

static void old_events_go_and_a_reader_follows(void **state)
{
	struct workspace_events *follower = open_events(), *late;
	int number = 0, first, expected = 1, rotations = 0;
	off_t before = 0;

	while (rotations < 3) {
		off_t now;

		append(++number);
		now = size_of(*state, WORKSPACE_EVENTS_FILE);
		rotations += now < before;
		before = now;
		assert_true(now <= WORKSPACE_EVENTS_SIZE_MAX);
		/* Now and then, so that a file is moved while the reader is in its midst. */
		if (number % 700)
			continue;
		for (int seen; (seen = next(follower));)
			assert_int_equal(seen, expected++);
	}
	for (int seen; (seen = next(follower));)
		assert_int_equal(seen, expected++);
	assert_int_equal(expected - 1, number);
	assert_true(size_of(*state, WORKSPACE_EVENTS_OLD) <= WORKSPACE_EVENTS_SIZE_MAX);
	late = open_events();
	first = next(late);
	assert_true(first > 1);
	for (int seen; (seen = next(late));)
		assert_int_equal(seen, ++first);
	assert_int_equal(first, number);
	workspace_events_free(late);
	workspace_events_free(follower);
}

static pid_t start_writer(int writer)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (int i = 1; i <= PER_EACH; i++)
		append(writer * 1000 + i);
	_exit(0);
}

static void many_writers_lose_nothing(void **state)
{
	int seen[WRITERS] = {0}, total = 0, status;
	struct workspace_events *events;

	for (int i = 0; i < WRITERS; i++)
		assert_true(start_writer(i + 1) > 0);
	for (int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	/* They have moved the file once. */
	assert_true(size_of(*state, WORKSPACE_EVENTS_OLD) > 0);
	events = open_events();
	for (int number; (number = next(events)); total++) {
		int writer = number / 1000 - 1;

		assert_in_range(writer, 0, WRITERS - 1);
		assert_int_equal(number % 1000, ++seen[writer]);
	}
	assert_int_equal(total, WRITERS * PER_EACH);
	workspace_events_free(events);
}

static void a_full_disk_costs_only_what_did_not_fit(void **state)
{
	struct workspace_events *events;
	struct rlimit limit, small;

	append(1);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = (rlim_t)size_of(*state, WORKSPACE_EVENTS_FILE) + 20;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	append(2);
	append(3);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(size_of(*state, WORKSPACE_EVENTS_FILE), small.rlim_cur);
	append(4);
	events = open_events();
	assert_int_equal(next(events), 1);
	assert_int_equal(next(events), 4);
	assert_int_equal(next(events), 0);
	workspace_events_free(events);
}

static void what_stands_in_the_way_stops_nobody(void **state)
{
	struct place *place = *state;
	struct workspace_events *events;
	int64_t start;
	int fd;

	/* A lock that nobody gives back. */
	append(1);
	fd = openat(place->fd, WORKSPACE_EVENTS_FILE, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	start = clock_now_ms();
	append(2);
	assert_true(clock_now_ms() - start < 5000);
	close(fd);
	events = open_events();
	assert_int_equal(next(events), 1);
	assert_int_equal(next(events), 2);
	workspace_events_free(events);
	/* No file at all. */
	assert_int_equal(unlinkat(place->fd, WORKSPACE_EVENTS_FILE, 0), 0);
	assert_int_equal(mkdirat(place->fd, WORKSPACE_EVENTS_FILE, 0700), 0);
	append(3);
	assert_int_equal(unlinkat(place->fd, WORKSPACE_EVENTS_FILE, AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(place->fd, WORKSPACE_EVENTS_FILE, 0600), 0);
	append(4);
	assert_int_equal(unlinkat(place->fd, WORKSPACE_EVENTS_FILE, 0), 0);
	assert_int_equal(symlinkat("elsewhere", place->fd, WORKSPACE_EVENTS_FILE), 0);
	append(5);
	assert_int_equal(size_of(place, "elsewhere"), -1);
}

static void a_reader_is_woken(void **state)
{
	struct workspace_events *events = open_events();
	struct pollfd poller = {.fd = workspace_events_fd(events), .events = POLLIN};

	assert_int_equal(poll(&poller, 1, 0), 0);
	append(1);
	assert_int_equal(poll(&poller, 1, 5000), 1);
	assert_int_equal(workspace_events_drain(events), 0);
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(next(events), 1);
	workspace_events_free(events);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_is_written_is_read),
		test(torn_and_foreign_lines_are_left_out),
		test(a_line_in_two_writes_is_one),
		test(long_lines),
		test(old_events_go_and_a_reader_follows),
		test(many_writers_lose_nothing),
		test(a_full_disk_costs_only_what_did_not_fit),
		test(what_stands_in_the_way_stops_nobody),
		test(a_reader_is_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
