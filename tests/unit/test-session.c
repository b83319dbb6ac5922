/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests and what becomes of them, where the test is the kernel, on a socket: it can have
 * abandoned a request when the answer comes, and may leave opens away.
 */
#include "overlay-fixture.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <git-overlayfs/session.h>

/* The answer to this request finds that nobody waits for it. 0: it did, or there is none. */
static _Atomic uint64_t abandoned;

ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);

/* A request has its operation, which is above 0, where an answer has its error. */
ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	const struct fuse_out_header *header = buf;

	if (size < sizeof(*header) || header->error > 0 || header->unique == 0 ||
		header->unique != atomic_load(&abandoned))
		return __real_write(fd, buf, size);
	atomic_store(&abandoned, 0);
	errno = ENOENT;
	return -1;
}

/* Within a minute, for there are machines and tools that are slow. */
#define await(condition)                                        \
	do {                                                    \
		for (int i = 0; i < 60000 && !(condition); i++) \
			usleep(1000);                           \
		assert_true(condition);                         \
	} while (0)

struct kernel {
	struct fixture fx;
	struct session_counters counters;
	struct session *session;
	pthread_t thread;
	int fd, daemon_fd, result;
	uint64_t unique;
	char answer[65536];
	struct fuse_init_out init;
};

static void *serve(void *data)
{
	struct kernel *kernel = data;
	struct error err = {0};

	kernel->result = session_serve(kernel->session, kernel->daemon_fd, &err);
	return NULL;
}

static void send_request(
	struct kernel *kernel, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	struct fuse_in_header header = {
		.len = (uint32_t)(sizeof(header) + size),
		.opcode = opcode,
		.unique = kernel->unique += 2,
		.nodeid = node,
	};
	char message[4096];

	assert_true(header.len <= sizeof(message));
	memcpy(message, &header, sizeof(header));
	if (size > 0)
		memcpy(message + sizeof(header), body, size);
	assert_int_equal(write(kernel->fd, message, header.len), header.len);
}

/* -errno, or how long the answer is, which is in kernel->answer. */
static int ask(struct kernel *kernel, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	struct fuse_out_header header;
	char message[sizeof(kernel->answer)];
	ssize_t n;

	send_request(kernel, opcode, node, body, size);
	do {
		n = read(kernel->fd, message, sizeof(message));
		assert_true(n >= (ssize_t)sizeof(header));
		memcpy(&header, message, sizeof(header));
	} while (header.unique == 0); /* that is a notification */
	assert_int_equal(header.unique, kernel->unique);
	memcpy(kernel->answer, message + sizeof(header), (size_t)n - sizeof(header));
	return header.error ? header.error : (int)((size_t)n - sizeof(header));
}

/*
 * It does not take the answer. A server that is held up is replaced by another, so that a later
 * request can be answered first.
 */
static void ask_and_go(
	struct kernel *kernel, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	atomic_store(&abandoned, kernel->unique + 2);
	send_request(kernel, opcode, node, body, size);
	await(atomic_load(&abandoned) == 0);
}

static uint64_t look_up(struct kernel *kernel, const char *name)
{
	struct fuse_entry_out out;
	int n = ask(kernel, FUSE_LOOKUP, FUSE_ROOT_ID, name, strlen(name) + 1);

	assert_true(n >= (int)sizeof(out));
	memcpy(&out, kernel->answer, sizeof(out));
	return out.nodeid;
}

/* The last that the kernel knew of it. There is no answer, so what came of it shows when. */
static void forget(struct kernel *kernel, uint64_t node)
{
	const struct fuse_forget_in in = {.nlookup = 1};
	const struct fuse_getattr_in getattr = {0};

	send_request(kernel, FUSE_FORGET, node, &in, sizeof(in));
	await(ask(kernel, FUSE_GETATTR, node, &getattr, sizeof(getattr)) == -ESTALE);
}

static void start(struct kernel *kernel, bool kernel_opens)
{
	struct session_config config = {
		.overlay = kernel->fx.ov,
		.threads = 1,
		.kernel_opens = kernel_opens,
		.counters = &kernel->counters,
	};
	const struct fuse_init_in in = {
		.major = 7,
		.minor = 31,
		.flags = FUSE_NO_OPEN_SUPPORT | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES,
	};
	struct error err = {0};
	int fds[2];

	assert_int_equal(session_new(&config, &kernel->session, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	kernel->fd = fds[0];
	kernel->daemon_fd = fds[1];
	assert_int_equal(pthread_create(&kernel->thread, NULL, serve, kernel), 0);
	/* As much of it as kernels sent before they had more flags. */
	assert_true(ask(kernel, FUSE_INIT, 0, &in, offsetof(struct fuse_init_in, flags2)) > 0);
	memcpy(&kernel->init, kernel->answer, sizeof(kernel->init));
}

static int setup(void **state)
{
	static struct kernel kernel;

	kernel = (struct kernel){.unique = 2};
	atomic_store(&abandoned, 0);
	fixture_init(&kernel.fx, 1);
	fixture_file(&kernel.fx, 0, "f", 0644, "from below");
	fixture_mount(&kernel.fx);
	*state = &kernel;
	return 0;
}

static int setup_daemon_opens(void **state)
{
	setup(state);
	start(*state, false);
	return 0;
}

static int setup_kernel_opens(void **state)
{
	setup(state);
	start(*state, true);
	return 0;
}

/* The overlay ends with balanced references, which fixture_end() looks at. */
static int teardown(void **state)
{
	struct kernel *kernel = *state;

	session_stop(kernel->session);
	close(kernel->fd);
	assert_int_equal(pthread_join(kernel->thread, NULL), 0);
	session_free(kernel->session);
	fixture_end(&kernel->fx);
	return 0;
}

static size_t create_request(char *buf, const char *name)
{
	const struct fuse_create_in in = {.flags = O_WRONLY | O_CREAT, .mode = S_IFREG | 0644};

	memcpy(buf, &in, sizeof(in));
	strcpy(buf + sizeof(in), name);
	return sizeof(in) + strlen(name) + 1;
}

/* Who asked was killed meanwhile, and takes neither the node nor the open file. */
static void answers_that_nobody_takes(void **state)
{
	struct kernel *kernel = *state;
	const struct fuse_open_in open = {.flags = O_RDONLY};
	struct fuse_getattr_in getattr = {0};
	uint64_t node = look_up(kernel, "f");
	char buf[128];
	size_t size;

	ask_and_go(kernel, FUSE_LOOKUP, FUSE_ROOT_ID, "f", 2);
	ask_and_go(kernel, FUSE_OPEN, node, &open, sizeof(open));
	size = create_request(buf, "new");
	ask_and_go(kernel, FUSE_CREATE, FUSE_ROOT_ID, buf, size);
	ask_and_go(kernel, FUSE_GETATTR, node, &getattr, sizeof(getattr));
	forget(kernel, node);
	node = look_up(kernel, "new");
	assert_true(node > 1);
	forget(kernel, node);
}

static int read_at(struct kernel *kernel, uint64_t node, char text[64])
{
	const struct fuse_read_in in = {.size = 63};
	int n = ask(kernel, FUSE_READ, node, &in, sizeof(in));

	if (n >= 0) {
		memcpy(text, kernel->answer, (size_t)n);
		text[n] = '\0';
	}
	return n;
}

static int write_at(struct kernel *kernel, uint64_t node, const char *text)
{
	const struct fuse_write_in in = {.size = (uint32_t)strlen(text)};
	char buf[sizeof(in) + 64];

	memcpy(buf, &in, sizeof(in));
	memcpy(buf + sizeof(in), text, in.size);
	return ask(kernel, FUSE_WRITE, node, buf, sizeof(in) + in.size);
}

static void the_daemon_opens(void **state)
{
	struct kernel *kernel = *state;
	const struct fuse_open_in in = {.flags = O_RDONLY};
	struct fuse_release_in release = {0};
	struct fuse_open_out out;
	uint64_t node = look_up(kernel, "f");

	assert_true(kernel->init.flags & FUSE_ATOMIC_O_TRUNC);
	assert_int_equal(atomic_load(&kernel->counters.has_kernel_opens), 0);
	assert_int_equal(ask(kernel, FUSE_OPEN, node, &in, sizeof(in)), sizeof(out));
	memcpy(&out, kernel->answer, sizeof(out));
	assert_true(out.fh != 0);
	release.fh = out.fh;
	assert_int_equal(ask(kernel, FUSE_RELEASE, node, &release, sizeof(release)), 0);
	forget(kernel, node);
}

static void the_kernel_opens(void **state)
{
	struct kernel *kernel = *state;
	const struct fuse_open_in in = {.flags = O_RDWR};
	const struct fuse_fsync_in sync = {0};
	const struct fuse_lseek_in seek = {.whence = SEEK_HOLE};
	uint64_t node = look_up(kernel, "f");
	char text[64];

	/* What O_TRUNC cuts it must ask for itself then. */
	assert_false(kernel->init.flags & FUSE_ATOMIC_O_TRUNC);
	assert_int_equal(atomic_load(&kernel->counters.has_kernel_opens), 1);
	assert_int_equal(ask(kernel, FUSE_OPEN, node, &in, sizeof(in)), -ENOSYS);
	assert_int_equal(read_at(kernel, node, text), 10);
	assert_string_equal(text, "from below");
	assert_int_equal(write_at(kernel, node, "FROM"), sizeof(struct fuse_write_out));
	assert_int_equal(read_at(kernel, node, text), 10);
	assert_string_equal(text, "FROM below");
	assert_int_equal(ask(kernel, FUSE_FSYNC, node, &sync, sizeof(sync)), 0);
	assert_int_equal(
		ask(kernel, FUSE_LSEEK, node, &seek, sizeof(seek)), sizeof(struct fuse_lseek_out));
	forget(kernel, node);
	assert_int_equal(read_at(kernel, node, text), -ESTALE);
}

/* Before the kernel knows that it need not open any: a RELEASE comes, with no file in it. */
static void a_file_is_made_before_any_is_opened(void **state)
{
	struct kernel *kernel = *state;
	const struct fuse_release_in release = {0};
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	char buf[128], text[64];
	size_t size = create_request(buf, "new");

	assert_int_equal(
		ask(kernel, FUSE_CREATE, FUSE_ROOT_ID, buf, size), sizeof(entry) + sizeof(open));
	memcpy(&entry, kernel->answer, sizeof(entry));
	memcpy(&open, kernel->answer + sizeof(entry), sizeof(open));
	assert_int_equal(open.fh, 0);
	assert_int_equal(write_at(kernel, entry.nodeid, "text"), sizeof(struct fuse_write_out));
	assert_int_equal(ask(kernel, FUSE_RELEASE, entry.nodeid, &release, sizeof(release)), 0);
	assert_int_equal(read_at(kernel, entry.nodeid, text), 4);
	assert_string_equal(text, "text");
	forget(kernel, entry.nodeid);
	assert_int_equal(read_at(kernel, entry.nodeid, text), -ESTALE);
}

#define DAEMON(name) cmocka_unit_test_setup_teardown(name, setup_daemon_opens, teardown)
#define KERNEL(name) cmocka_unit_test_setup_teardown(name, setup_kernel_opens, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DAEMON(answers_that_nobody_takes),
		DAEMON(the_daemon_opens),
		KERNEL(the_kernel_opens),
		KERNEL(a_file_is_made_before_any_is_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
