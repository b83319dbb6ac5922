/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host/control.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define CONTROL_VERSION 0x676f7631u /* "gov1" */
#define FDS_MAX		4	    /* received at most, so that strays can be closed */

struct packet {
	uint32_t version;
	uint32_t type;
	union {
		struct control_opened opened;
		struct error failure;
	} body;
};

union fd_buffer {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

int control_pair(int ret_fds[2], struct error *err)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "socketpair");
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

static int send_packet(int fd, struct packet *packet, int passed_fd, struct error *err)
{
	union fd_buffer control = {.bytes = {0}};
	struct iovec iov = {.iov_base = packet, .iov_len = sizeof(*packet)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	packet->version = CONTROL_VERSION;
	if (passed_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &passed_fd, sizeof(int));
	}
	do
		n = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED,
			"the other side of the workspace cannot be reached");
	return 0;
}

int control_send_fuse_fd(int fd, int fuse_fd, struct error *err)
{
	struct packet packet = {.type = CONTROL_FUSE_FD};

	return send_packet(fd, &packet, fuse_fd, err);
}

int control_send_ready(int fd, struct error *err)
{
	struct packet packet = {.type = CONTROL_READY};

	return send_packet(fd, &packet, -1, err);
}

int control_send_opened(int fd, const struct control_opened *opened, struct error *err)
{
	struct packet packet = {.type = CONTROL_OPENED};

	packet.body.opened = *opened;
	return send_packet(fd, &packet, -1, err);
}

int control_send_failed(int fd, const struct error *failure, struct error *err)
{
	struct packet packet = {.type = CONTROL_FAILED};

	packet.body.failure = *failure;
	return send_packet(fd, &packet, -1, err);
}

static int wait_readable(int fd, int timeout_ms)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	int64_t end = clock_now_ms() + timeout_ms;

	for (;;) {
		int n = poll(&pollfd, 1, timeout_ms);
		int64_t left;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
		if (timeout_ms < 0)
			continue;
		left = end - clock_now_ms();
		timeout_ms = left > 0 ? (int)left : 0;
	}
}

/* Descriptors of one message. More than one is never right, but all must be closed. */
struct fd_list {
	int fds[FDS_MAX];
	size_t count;
};

static void fd_list_close(struct fd_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		close_keep_errno(list->fds[i]);
	list->count = 0;
}

static void collect_fds(struct msghdr *message, struct fd_list *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && ret->count < FDS_MAX; i++)
			memcpy(&ret->fds[ret->count++], CMSG_DATA(c) + i * sizeof(int),
				sizeof(int));
	}
}

/* Returns the packet's length, 0 at the end of the connection. */
static ssize_t receive_packet(
	int fd, struct packet *ret_packet, struct fd_list *ret_fds, int *ret_flags)
{
	union fd_buffer control;
	struct iovec iov = {.iov_base = ret_packet, .iov_len = sizeof(*ret_packet)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	collect_fds(&message, ret_fds);
	*ret_flags = message.msg_flags;
	return n;
}

static bool is_hex_id(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");

	return text[n] == '\0' && (n == 0 || n == 40 || n == 64);
}

static bool check_opened(struct control_opened *opened)
{
	if (!memchr(opened->commit, '\0', sizeof(opened->commit)))
		return false;
	return is_hex_id(opened->commit) && opened->supervisor >= 0 && opened->daemon >= 0;
}

/* Whatever the peer wrote, it becomes a failure with a printable text. */
static void clean_failure(const struct error *raw, struct error *ret)
{
	int code = raw->code > 0 && raw->code < 4096 ? raw->code : EIO;
	int status = (int)raw->status;
	char text[sizeof(raw->text)];

	if (status <= EXIT_STATUS_OK || status > EXIT_STATUS_BUSY)
		status = EXIT_STATUS_FAILED;
	memcpy(text, raw->text, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(ret, code, (enum exit_status)status, "%s",
		text[0] ? text : "the daemon failed and did not say why");
}

/* 0, or -EPROTO. The descriptor that belongs to the message leaves the list. */
static int check_packet(struct packet *packet, struct fd_list *fds, struct control_event *ret)
{
	struct control_event event = {.fuse_fd = -1};

	if (packet->version != CONTROL_VERSION)
		return -EPROTO;
	if (fds->count != (packet->type == CONTROL_FUSE_FD ? 1 : 0))
		return -EPROTO;
	switch (packet->type) {
	case CONTROL_OPENED:
		if (!check_opened(&packet->body.opened))
			return -EPROTO;
		event.opened = packet->body.opened;
		break;
	case CONTROL_FUSE_FD:
		event.fuse_fd = fds->fds[0];
		fds->count = 0;
		break;
	case CONTROL_READY:
		break;
	case CONTROL_FAILED:
		clean_failure(&packet->body.failure, &event.failure);
		break;
	default:
		return -EPROTO;
	}
	event.type = (enum control_type)packet->type;
	*ret = event;
	return 0;
}

int control_receive(int fd, int timeout_ms, struct control_event *ret_event, struct error *err)
{
	_cleanup_(fd_list_close) struct fd_list fds = {.count = 0};
	struct packet packet = {.type = 0};
	int flags = 0;
	ssize_t n = wait_readable(fd, timeout_ms);

	if (n == 0) {
		n = receive_packet(fd, &packet, &fds, &flags);
		if (n == 0 || n == -ECONNRESET)
			return error_set(err, EPIPE, EXIT_STATUS_FAILED,
				"the other side of the workspace ended");
	}
	if (n == -ETIMEDOUT)
		return error_set(err, ETIMEDOUT, EXIT_STATUS_FAILED,
			"no answer from the workspace within %d ms", timeout_ms);
	if (n < 0)
		return error_set_errno(err, (int)-n, EXIT_STATUS_FAILED, "control socket");
	if (n != sizeof(packet) || (flags & (MSG_TRUNC | MSG_CTRUNC)) ||
		check_packet(&packet, &fds, ret_event) < 0)
		return error_set(err, EPROTO, EXIT_STATUS_FAILED,
			"the workspace sent a message that is not valid");
	return 0;
}

int control_wait_opened(int fd, int timeout_ms, struct control_opened *ret, struct error *err)
{
	struct control_event event = {.fuse_fd = -1};
	int r = control_receive(fd, timeout_ms, &event, err);

	if (r == -EPIPE)
		return error_set(err, EPIPE, EXIT_STATUS_FAILED,
			"the daemon ended before the workspace was ready; its log may say why");
	if (r)
		return r;
	close_keep_errno(event.fuse_fd);
	if (event.type == CONTROL_FAILED) {
		if (err)
			*err = event.failure;
		return -event.failure.code;
	}
	if (event.type != CONTROL_OPENED)
		return error_set(err, EPROTO, EXIT_STATUS_FAILED,
			"the workspace sent another message than it should have");
	*ret = event.opened;
	return 0;
}
