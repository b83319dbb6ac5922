/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "counters.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/workspace-internal.h"
#include "util/cleanup.h"

#define FILE_NAME WORKSPACE_COUNTERS_FILE

struct counters_page *counters_create(int run_fd)
{
	_cleanup_close_ int fd = -1;
	struct counters_page *page;

	fd = openat(run_fd, FILE_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*page)) < 0)
		return NULL;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return NULL;
	page->version = COUNTERS_VERSION;
	return page;
}

int counters_read(int run_fd, struct counters_page *ret_page)
{
	_cleanup_close_ int fd = openat(run_fd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct counters_page page;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, &page, sizeof(page), 0);
	if (n < 0)
		return -errno;
	if (n != sizeof(page) || page.version != COUNTERS_VERSION)
		return -ENOENT;
	*ret_page = page;
	return 0;
}
