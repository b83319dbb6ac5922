/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "backing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "broker.h"
#include "util/cleanup.h"

/* It takes some 100 us. */
#define ANSWER_SECONDS 5

/* The calls stay within what the sandbox of the daemon allows. */
static int send_request(int fd, struct broker_request *request, int passed_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = request, .iov_len = sizeof(*request)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	request->version = BROKER_VERSION;
	request->processor = (uint32_t)(session_processor() + 1);
	if (passed_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed_fd, sizeof(int));
	}
	do
		n = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int receive_result(int fd, int *ret_result)
{
	struct broker_reply reply;
	struct iovec iov = {.iov_base = &reply, .iov_len = sizeof(reply)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do
		n = recvmsg(fd, &message, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n != sizeof(reply) || reply.version != BROKER_VERSION || reply.result == 0)
		return n == 0 ? -EPIPE : -EPROTO;
	*ret_result = reply.result;
	return 0;
}

/* What is so for one file is so for all: not the right, no such call, too deep a stack. */
static bool is_for_good(int result)
{
	return result == -EPERM || result == -ENOTTY || result == -ENOSYS ||
	       result == -EOPNOTSUPP || result == -ELOOP;
}

static void give_up_locked(struct backing *backing, int failure) requires_lock(backing->lock)
{
	log_info("files are not passed through: %s", error_name(-failure));
	/* Who fails to answer has gone, as far as we are concerned. */
	backing->failure = is_for_good(failure) ? failure : -EPIPE;
	close_keep_errno(steal_fd(&backing->fd));
}

static int open_locked(struct backing *backing, int fd) requires_lock(backing->lock)
{
	struct broker_request request = {.operation = BROKER_OPEN};
	int result = 0, r;

	if (backing->fd < 0)
		return backing->failure;
	r = send_request(backing->fd, &request, fd);
	/* Too many descriptors are on their way somewhere else: that passes. */
	if (r == -ETOOMANYREFS)
		return r;
	if (r == 0)
		r = receive_result(backing->fd, &result);
	if (r == 0 && !is_for_good(result))
		return result;
	give_up_locked(backing, r < 0 ? r : result);
	return backing->failure;
}

static int backing_open(void *data, int fd)
{
	struct backing *backing = data;
	int r;

	mutex_lock(&backing->lock);
	r = open_locked(backing, fd);
	mutex_unlock(&backing->lock);
	return r;
}

/* Nobody waits for it; with the broker gone the kernel has forgotten the id or will. */
static int backing_close(void *data, int id)
{
	struct backing *backing = data;
	struct broker_request request = {.operation = BROKER_CLOSE, .id = id};
	int r;

	mutex_lock(&backing->lock);
	r = backing->fd < 0 ? backing->failure : send_request(backing->fd, &request, -1);
	mutex_unlock(&backing->lock);
	return r;
}

void backing_init(struct backing *backing, int fd, unsigned stack_depth)
{
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};

	/* Without it all who open a file would wait for one registration that hangs. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	*backing = (struct backing){
		.session = {.open = backing_open,
			.close = backing_close,
			.data = backing,
			.stack_depth = stack_depth},
		.fd = fd,
	};
	mutex_init(&backing->lock);
}

void backing_release(struct backing *backing)
{
	close_keep_errno(steal_fd(&backing->fd));
	mutex_destroy(&backing->lock);
}
