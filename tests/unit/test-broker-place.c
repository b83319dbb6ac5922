/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker goes to the processor that the daemon names, and nothing that it names does any harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "supervisor/broker.h"

/* Where the broker may be by now. */
static int processors_of(pid_t pid)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(pid, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

/* Any descriptor: without a connection the kernel registers none, and says so. */
static void ask(int socket_fd, uint32_t processor)
{
	const struct broker_request request = {
		.version = BROKER_VERSION, .operation = BROKER_OPEN, .processor = processor};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {(void *)(uintptr_t)&request, sizeof(request)};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct broker_reply reply;

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &socket_fd, sizeof(int));
	assert_int_equal(sendmsg(socket_fd, &message, 0), sizeof(request));
	assert_int_equal(recv(socket_fd, &reply, sizeof(reply), 0), sizeof(reply));
	assert_true(reply.result < 0);
}

static void goes_where_it_is_told(void **state)
{
	static const uint32_t nowhere[] = {0, CPU_SETSIZE, CPU_SETSIZE + 1, UINT32_MAX};
	int fds[2], all = processors_of(0), status;
	uint32_t here = (uint32_t)sched_getcpu() + 1;
	pid_t broker;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	broker = fork();
	assert_true(broker >= 0);
	if (broker == 0) {
		close(fds[0]);
		_exit(broker_serve(fds[1], -1, 0));
	}
	close(fds[1]);
	for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		ask(fds[0], here);
		assert_int_equal(processors_of(broker), 1);
		ask(fds[0], nowhere[i]);
		assert_int_equal(processors_of(broker), all);
	}
	close(fds[0]);
	assert_int_equal(waitpid(broker, &status, 0), broker);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == BROKER_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(goes_where_it_is_told)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
