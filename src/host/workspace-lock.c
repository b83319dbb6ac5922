/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define MOUNTS_LOCK ".mounting"

/* -ESTALE: who held it has removed the file meanwhile; -EWOULDBLOCK: one holds it. */
static int take(int base_fd, const char *name, int operation, int *ret_fd)
{
	_cleanup_close_ int fd =
		openat(base_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	while (flock(fd, operation) < 0)
		if (errno != EINTR)
			return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_nlink == 0)
		return -ESTALE;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int workspace_lock_file(const char *name, int *ret_lock_fd, struct error *err)
{
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;
	int r = workspace_base_open(WORKSPACE_RUN, true, &base, &base_fd, err);

	if (r < 0)
		return r;
	do
		r = take(base_fd, name, LOCK_EX, ret_lock_fd);
	while (r == -ESTALE);
	if (r < 0)
		return error_set_errno(
			err, -r, EXIT_STATUS_FAILED, "run directory %s: %s", base, name);
	return 0;
}

int workspace_lock_file_within(
	const char *name, int timeout_ms, int *ret_lock_fd, struct error *err)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	int64_t until = clock_now_ms() + timeout_ms;
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;
	int r = workspace_base_open(WORKSPACE_RUN, true, &base, &base_fd, err);

	if (r < 0)
		return r;
	while ((r = take(base_fd, name, LOCK_EX | LOCK_NB, ret_lock_fd)) == -ESTALE ||
		(r == -EWOULDBLOCK && clock_now_ms() < until))
		if (r == -EWOULDBLOCK)
			nanosleep(&pause, NULL);
	if (r < 0 && r != -EWOULDBLOCK)
		error_set_errno(err, -r, EXIT_STATUS_FAILED, "run directory %s: %s", base, name);
	return r;
}

void workspace_unlock_file(const char *name, int lock_fd)
{
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;

	if (lock_fd < 0)
		return;
	/* While it is still locked: afterwards it may be another's. */
	if (workspace_base_open(WORKSPACE_RUN, false, &base, &base_fd, NULL) == 0)
		unlinkat(base_fd, name, 0);
	close_keep_errno(lock_fd);
}

int workspace_lock_mounts(int *ret_lock_fd, struct error *err)
{
	return workspace_lock_file(MOUNTS_LOCK, ret_lock_fd, err);
}

void workspace_unlock_mounts(int lock_fd)
{
	workspace_unlock_file(MOUNTS_LOCK, lock_fd);
}
