/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of all sizes, in up to four pieces, arrive as what they are, each in one message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "fuse/answer.h"

/* From well below to well above what goes out as one piece. */
#define SIZE_MAX_TRIED 1200

static void arrives_whole(void **state)
{
	char sent[SIZE_MAX_TRIED], received[SIZE_MAX_TRIED + 1];
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7 + i / 256);
	for (size_t size = 1; size <= sizeof(sent); size++) {
		size_t first = size < 16 ? size : 16, rest = size - first;
		/* One is empty, as libfuse has them. */
		struct iovec iov[] = {
			{sent, first},
			{sent + first, rest / 3},
			{NULL, 0},
			{sent + first + rest / 3, rest - rest / 3},
		};

		assert_int_equal(answer_write(fds[0], iov, 4), size);
		assert_int_equal(read(fds[1], received, sizeof(received)), size);
		assert_memory_equal(received, sent, size);
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(arrives_whole)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
