/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who serves: the near server takes the place of one whose requests come slowly, and gives it
 * back. The kernel is a socket here, so that the test decides how slowly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "fuse/loop.h"
#include "util/clock.h"

/* For what only a machine that stands still would not do. */
#define DEADLINE_MS 60000

struct kernel {
	int fd, daemon_fd;
	uint64_t unique;
	struct fuse_session *fuse;
	struct loop loop;
	pthread_t thread;
	int result;
};

/* Requests for these inodes take so long: more than a tick of the overseer, and less. */
#define SLOW_INO 2
#define SLOW_NS	 (50 * NS_PER_MS)
#define LONG_INO 3
#define LONG_NS	 NS_PER_MS
/* And this one needs so long without a signal: else it begins anew. */
#define SHY_INO 4
#define SHY_NS	(20 * NS_PER_MS)

static atomic_bool has_begun;

static void work_undisturbed(void)
{
	const struct timespec takes = {.tv_nsec = SHY_NS};

	has_begun = true;
	while (nanosleep(&takes, NULL) < 0)
		;
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	const struct stat st = {.st_ino = ino, .st_mode = S_IFDIR};
	int64_t takes = ino == SLOW_INO ? SLOW_NS : ino == LONG_INO ? LONG_NS : 0;
	int64_t end = clock_now_ns() + takes;

	(void)fi;
	if (ino == SHY_INO)
		work_undisturbed();
	while (clock_now_ns() < end)
		;
	fuse_reply_attr(req, &st, 0);
}

static ssize_t read_request(int fd, void *buf, size_t size, void *data)
{
	(void)data;
	return read(fd, buf, size);
}

static ssize_t write_reply(int fd, struct iovec *iov, int count, void *data)
{
	(void)data;
	return writev(fd, iov, count);
}

static void *serve_nothing(void *data)
{
	return data;
}

static void *serve(void *data)
{
	struct kernel *kernel = data;

	kernel->result = loop_run(&kernel->loop);
	return NULL;
}

static void send_on(
	int fd, uint32_t opcode, uint64_t node, uint64_t unique, const void *body, size_t size)
{
	struct fuse_in_header in = {.len = (uint32_t)(sizeof(in) + size),
		.opcode = opcode,
		.unique = unique,
		.nodeid = node};
	struct iovec iov[] = {{&in, sizeof(in)}, {(void *)(uintptr_t)body, size}};

	assert_int_equal(writev(fd, iov, 2), in.len);
}

/* A request, and its answer. */
static void ask_on(
	int fd, uint32_t opcode, uint64_t node, uint64_t unique, const void *body, size_t size)
{
	struct fuse_out_header out;
	char answer[4096];

	send_on(fd, opcode, node, unique, body, size);
	assert_true(read(fd, answer, sizeof(answer)) >= (ssize_t)sizeof(out));
	memcpy(&out, answer, sizeof(out));
	assert_int_equal(out.error, 0);
}

static void ask_for(struct kernel *kernel, uint64_t ino)
{
	const struct fuse_getattr_in in = {0};

	kernel->unique += 2;
	ask_on(kernel->fd, FUSE_GETATTR, ino, kernel->unique, &in, sizeof(in));
}

static void ask(struct kernel *kernel)
{
	ask_for(kernel, FUSE_ROOT_ID);
}

static int setup(void **state)
{
	static const struct fuse_lowlevel_ops ops = {.getattr = op_getattr};
	static const struct fuse_custom_io io = {.read = read_request, .writev = write_reply};
	static struct kernel kernel;
	const struct fuse_init_in init = {.major = 7, .minor = 31};
	char name[] = "test";
	char *argv[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	int fds[2];

	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	kernel.fd = fds[0];
	kernel.daemon_fd = fds[1];
	kernel.unique = 2;
	kernel.fuse = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	fuse_opt_free_args(&args);
	assert_non_null(kernel.fuse);
	assert_int_equal(fuse_session_custom_io(kernel.fuse, &io, fds[1]), 0);
	loop_init(&kernel.loop, kernel.fuse, 2);
	assert_int_equal(pthread_create(&kernel.thread, NULL, serve, &kernel), 0);
	/* As much of it as kernels sent before they had more flags. */
	ask_on(kernel.fd, FUSE_INIT, 0, kernel.unique, &init,
		offsetof(struct fuse_init_in, flags2));
	*state = &kernel;
	return 0;
}

static int teardown(void **state)
{
	struct kernel *kernel = *state;

	loop_stop(&kernel->loop);
	assert_int_equal(pthread_join(kernel->thread, NULL), 0);
	assert_int_equal(kernel->result, 0);
	loop_destroy(&kernel->loop);
	fuse_session_destroy(kernel->fuse);
	close(kernel->fd);
	return 0;
}

static bool near_serves(struct kernel *kernel)
{
	return atomic_load(&kernel->loop.near_serves);
}

/* Asks until it does, or does not; between two requests the client takes so long. */
static void ask_until(struct kernel *kernel, bool wanted, useconds_t pause)
{
	int64_t end = clock_now_ms() + DEADLINE_MS;

	while (near_serves(kernel) != wanted) {
		assert_true(clock_now_ms() < end);
		if (pause)
			usleep(pause);
		ask(kernel);
	}
}

static void is_wanted_where_requests_come_slowly(void **state)
{
	struct kernel *kernel = *state;

	ask_until(kernel, true, 100);
	for (int i = 0; i < 1000; i++)
		ask(kernel);
}

static void gives_its_place_back_at_rest(void **state)
{
	struct kernel *kernel = *state;
	int64_t end = clock_now_ms() + DEADLINE_MS;

	for (int i = 0; i < 3; i++) {
		ask_until(kernel, true, 100);
		while (near_serves(kernel)) {
			assert_true(clock_now_ms() < end);
			usleep(1000);
		}
		ask(kernel);
	}
	assert_int_equal(atomic_load(&kernel->loop.active), 1);
}

static void ends_behind_a_request_that_wants_no_signals(void **state)
{
	struct kernel *kernel = *state;
	const struct fuse_getattr_in in = {0};
	int64_t end = clock_now_ms() + DEADLINE_MS;
	const struct timespec deadline = {.tv_sec = time(NULL) + DEADLINE_MS / 1000};

	has_begun = false;
	send_on(kernel->fd, FUSE_GETATTR, SHY_INO, kernel->unique += 2, &in, sizeof(in));
	while (!has_begun)
		assert_true(clock_now_ms() < end);
	loop_stop(&kernel->loop);
	assert_int_equal(pthread_timedjoin_np(kernel->thread, NULL, &deadline), 0);
	assert_int_equal(pthread_create(&kernel->thread, NULL, serve_nothing, kernel), 0);
}

static void is_replaced_where_a_request_takes_long(void **state)
{
	struct kernel *kernel = *state;

	ask_until(kernel, true, 100);
	ask_for(kernel, SLOW_INO);
	assert_false(near_serves(kernel));
	ask(kernel);
}

/* What takes the time is not the wake-ups. */
static void is_not_wanted_where_requests_take_long(void **state)
{
	struct kernel *kernel = *state;
	int64_t end = clock_now_ms() + DEADLINE_MS;

	for (int i = 0; i < 100; i++) {
		usleep(100);
		ask_for(kernel, LONG_INO);
		assert_false(near_serves(kernel));
	}
	ask_until(kernel, true, 100);
	while (near_serves(kernel)) {
		assert_true(clock_now_ms() < end);
		ask_for(kernel, LONG_INO);
	}
	ask(kernel);
}

/* Processes that compute, more of them than processors. */
static void start_hogs(pid_t *hogs, int count)
{
	for (int i = 0; i < count; i++) {
		hogs[i] = fork();
		assert_true(hogs[i] >= 0);
		if (hogs[i] > 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
}

static void is_replaced_where_others_compute(void **state)
{
	struct kernel *kernel = *state;
	cpu_set_t allowed;
	pid_t hogs[64];
	int count;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	count = 2 * CPU_COUNT(&allowed);
	if (CPU_COUNT(&allowed) < 2 || count > 64)
		skip();
	ask_until(kernel, true, 100);
	start_hogs(hogs, count);
	ask_until(kernel, false, 0);
	for (int i = 0; i < 100; i++)
		ask(kernel);
	for (int i = 0; i < count; i++) {
		kill(hogs[i], SIGKILL);
		waitpid(hogs[i], NULL, 0);
	}
}

/* Answers go to whoever reads, so one asks for all: many requests are under way. */
static void is_replaced_where_requests_queue_up(void **state)
{
	struct kernel *kernel = *state;
	int64_t end = clock_now_ms() + DEADLINE_MS;
	struct {
		struct fuse_in_header header;
		struct fuse_getattr_in body;
	} request = {.header = {.len = sizeof(request), .opcode = FUSE_GETATTR, .nodeid = 1}};
	char answer[4096];

	ask_until(kernel, true, 100);
	for (int i = 0; i < 4; i++) {
		request.header.unique = kernel->unique += 2;
		assert_int_equal(write(kernel->fd, &request, sizeof(request)), sizeof(request));
	}
	while (near_serves(kernel)) {
		assert_true(clock_now_ms() < end);
		assert_true(read(kernel->fd, answer, sizeof(answer)) > 0);
		request.header.unique = kernel->unique += 2;
		assert_int_equal(write(kernel->fd, &request, sizeof(request)), sizeof(request));
	}
	for (int i = 0; i < 4; i++)
		assert_true(read(kernel->fd, answer, sizeof(answer)) > 0);
	ask(kernel);
}

/* Each time it serves for a short time only, others rest longer. */
static void is_tried_less_often_where_it_is_replaced(void **state)
{
	struct kernel *kernel = *state;

	for (int i = 0; i < 3; i++) {
		unsigned pause;

		ask_until(kernel, true, 100);
		pause = atomic_load(&kernel->loop.near_pause);
		ask_for(kernel, SLOW_INO);
		assert_true(atomic_load(&kernel->loop.near_pause) > pause);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_wanted_where_requests_come_slowly),
		TEST(gives_its_place_back_at_rest),
		TEST(ends_behind_a_request_that_wants_no_signals),
		TEST(is_replaced_where_a_request_takes_long),
		TEST(is_not_wanted_where_requests_take_long),
		TEST(is_replaced_where_others_compute),
		TEST(is_replaced_where_requests_queue_up),
		TEST(is_tried_less_often_where_it_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
