/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/mount.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

/* How long a child that was killed may take to go. */
#define KILL_GRACE_MS 200

/* Where the child keeps its two descriptors. */
enum { CHILD_MOUNT = 0, CHILD_PIPE = 1 };

/* Asks the server, whatever the kernel has cached. */
static int stat_root(int mount_fd)
{
	struct statx stx;

	if (statx(mount_fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &stx) < 0)
		return errno;
	return S_ISDIR(stx.stx_mode) ? 0 : ENOTDIR;
}

/*
 * Keeps nothing open but what it needs: a copy of the FUSE descriptor would keep the
 * connection alive, and with it this child; and whoever reads our standard
 * error, as a container runtime does, would wait for its end.
 */
__attribute__((noreturn)) static void child_main(int mount_fd, int pipe_fd)
{
	unsigned char code = EIO;

	mount_fd = fcntl(mount_fd, F_DUPFD, CHILD_PIPE + 1);
	pipe_fd = fcntl(pipe_fd, F_DUPFD, CHILD_PIPE + 1);
	if (dup2(mount_fd, CHILD_MOUNT) == CHILD_MOUNT && dup2(pipe_fd, CHILD_PIPE) == CHILD_PIPE) {
		close_range(CHILD_PIPE + 1, ~0U, 0);
		code = (unsigned char)stat_root(CHILD_MOUNT);
	}
	_exit(write(CHILD_PIPE, &code, 1) == 1 ? 0 : 1);
}

/*
 * A stat on a FUSE mount whose server took the request and does not answer cannot
 * be interrupted, not even by a signal that kills; so it is left to a child which
 * the caller can walk away from. It dies when the connection is aborted.
 */
static pid_t start_stat(int mount_fd, int *ret_pipe_fd)
{
	int pipe_fds[2];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child_main(mount_fd, pipe_fds[1]);
	if (pid < 0)
		pid = -errno;
	close_keep_errno(pipe_fds[1]);
	if (pid < 0)
		close_keep_errno(pipe_fds[0]);
	else
		*ret_pipe_fd = pipe_fds[0];
	return pid;
}

static void end_child(pid_t pid)
{
	const struct timespec step = {.tv_nsec = 5000000};

	kill(pid, SIGKILL);
	for (int waited = 0; waited < KILL_GRACE_MS; waited += 5) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		nanosleep(&step, NULL);
	}
}

int mount_wait_ready(int mount_fd, int timeout_ms, struct error *err)
{
	_cleanup_close_ int pipe_fd = -1;
	pid_t pid = start_stat(mount_fd, &pipe_fd);
	struct pollfd pollfd = {.fd = pipe_fd, .events = POLLIN};
	unsigned char code = EIO;
	int n;

	if (pid < 0)
		return error_set_errno(err, -pid, EXIT_STATUS_MACHINE, "waiting for the mount");
	do
		n = poll(&pollfd, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		end_child(pid);
		return error_set(err, ETIMEDOUT, EXIT_STATUS_FAILED,
			"the mount did not answer within %d ms", timeout_ms);
	}
	if (TEMP_FAILURE_RETRY(read(pipe_fd, &code, 1)) != 1)
		code = EIO;
	/* It has said all, or is gone: nothing holds it up any more. */
	TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
	if (code == ENOTCONN || code == ECONNABORTED)
		return error_set(err, code, EXIT_STATUS_FAILED,
			"the daemon ended before the mount answered");
	if (code)
		return error_set_errno(
			err, code, EXIT_STATUS_FAILED, "the root of the mount cannot be read");
	return 0;
}
