/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/answer.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Of what most requests are answered with. A power of two, so that it is within one page. */
#define SMALL 256

static size_t sum_sizes(const struct iovec *iov, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

ssize_t answer_write(int fd, const struct iovec *iov, int count)
{
	_Alignas(SMALL) char answer[SMALL];
	size_t n = 0;

	if (sum_sizes(iov, count) > sizeof(answer))
		return writev(fd, iov, count);
	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > 0)
			memcpy(answer + n, iov[i].iov_base, iov[i].iov_len);
		n += iov[i].iov_len;
	}
	return write(fd, answer, n);
}
