/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "util/cleanup.h"

#define CHILD_DIED "a child of the hook died"

/* How long a child that was killed may take to go. */
#define KILL_GRACE_MS 500

int channel_pair(int ret_fds[2], struct error *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "socketpair");
	return 0;
}

int channel_send(int fd, const struct error *result, int passed_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)result, .iov_len = sizeof(*result)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (passed_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int)),
		};
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int receive(int fd, struct error *ret_result, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = ret_result, .iov_len = sizeof(*ret_result)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	*ret_fd = -1;
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	if (n < 0)
		return -errno;
	return n == sizeof(*ret_result) ? 0 : -EPIPE;
}

int channel_receive(int fd, int timeout_ms, int *ret_fd, struct error *err)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	_cleanup_close_ int passed = -1;
	struct error result;
	int r = poll(&poller, 1, timeout_ms);

	if (r == 0)
		return error_set(err, ETIMEDOUT, EXIT_STATUS_MACHINE, "no answer within %d seconds",
			timeout_ms / 1000);
	r = r < 0 ? -errno : receive(fd, &result, &passed);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, CHILD_DIED);
	if (err && (result.code || result.text[0]))
		*err = result;
	if (result.code)
		return -result.code;
	if (ret_fd)
		*ret_fd = steal_fd(&passed);
	return 0;
}

/*
 * Moves the descriptors to 3, 4, 5... in the order of the array, and closes the rest.
 * What others wait on for end of file must not live on in this child.
 */
int channel_child_keep(int *fds[], size_t count)
{
	int base = 3, null;

	/* First, for its descriptor is about to be another file's. */
	log_open(LOG_TARGET_FD, -1, "", LOG_LEVEL_ERROR);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return -errno;
	/* Out of the way first, so that no move overwrites another's source. */
	for (size_t i = 0; i < count; i++) {
		if (*fds[i] < 0)
			continue;
		*fds[i] = fcntl(*fds[i], F_DUPFD_CLOEXEC, 64);
		if (*fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < count; i++) {
		if (*fds[i] < 0)
			continue;
		if (dup3(*fds[i], base, O_CLOEXEC) < 0)
			return -errno;
		*fds[i] = base++;
	}
	return close_range((unsigned)base, ~0u, 0) < 0 ? -errno : 0;
}

int child_reap(pid_t pid, int timeout_ms)
{
	_cleanup_close_ int pidfd = pidfd_open(pid, 0);
	struct pollfd poller = {.fd = pidfd, .events = POLLIN};
	int status;

	if (pidfd < 0 || poll(&poller, 1, timeout_ms) != 1)
		kill(pid, SIGKILL);
	if (pidfd >= 0 && poll(&poller, 1, KILL_GRACE_MS) == 0)
		return -ETIMEDOUT;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

void child_explain(int status, struct error *err)
{
	if (!err || status < 0 || strncmp(err->text, CHILD_DIED, strlen(CHILD_DIED)) != 0)
		return;
	if (WIFSIGNALED(status))
		error_set(err, err->code, err->status, CHILD_DIED ": signal %d", WTERMSIG(status));
	else
		error_set(err, err->code, err->status, CHILD_DIED ": it ended with %d",
			WEXITSTATUS(status));
}
