/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* write(2) until all of it is written. */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

/* 0 or -errno. */
static inline int write_fully(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return 0;
}
