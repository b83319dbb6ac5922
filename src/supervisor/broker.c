/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/passthrough.h"
#include "util/cleanup.h"

/* Received at most, so that strays can be closed; the kernel closes what is beyond. */
#define FDS_MAX 2

/* One message of the daemon. */
struct message {
	struct broker_request request;
	int fds[FDS_MAX];
	size_t fd_count;
};

static void message_close(struct message *message)
{
	for (size_t i = 0; i < message->fd_count; i++)
		close_keep_errno(message->fds[i]);
	message->fd_count = 0;
}

static void take_fds(struct msghdr *header, struct message *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && ret->fd_count < FDS_MAX; i++)
			memcpy(&ret->fds[ret->fd_count++], CMSG_DATA(c) + i * sizeof(int),
				sizeof(int));
	}
}

/* 1; 0 at the end of the connection; -EPROTO for what is no message. */
static int receive(int fd, struct message *ret)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = &ret->request, .iov_len = sizeof(ret->request)};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	ret->fd_count = 0;
	if (n < 0)
		return 0;
	take_fds(&header, ret);
	/* An empty message cannot be told from the end, and is taken for it. */
	if (n == 0)
		return 0;
	if (n != sizeof(ret->request) || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
		ret->request.version != BROKER_VERSION)
		return -EPROTO;
	return 1;
}

static bool is_well_formed(const struct message *message)
{
	const struct broker_request *request = &message->request;

	if (request->operation == BROKER_OPEN)
		return message->fd_count == 1 && request->id == 0;
	return request->operation == BROKER_CLOSE && message->fd_count == 0 && request->id > 0;
}

/*
 * The kernel opens the file again for each who opens it in the mount, with the modes that they
 * ask for, and looks at no permissions: what was opened as a path alone, or for reading, would
 * come out writable. Who has it open for both could write it anyway. For appending, which is
 * how a file is opened that may only be appended to, it would lose just that. The device keeps
 * out what asks its opener's rights at every write, as files of procfs do.
 */
static int check_file(int fd, dev_t device)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if (flags & (O_PATH | O_APPEND) || (flags & O_ACCMODE) != O_RDWR)
		return -EACCES;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return st.st_dev == device ? 0 : -EXDEV;
}

static int register_file(int fuse_fd, int fd, dev_t device)
{
	struct backing_map map = {.fd = fd};
	int id, r = check_file(fd, device);

	if (r < 0)
		return r;
	id = ioctl(fuse_fd, BACKING_OPEN, &map);
	return id < 0 ? -errno : id;
}

/*
 * The kernel keeps the ids of a connection apart from those of others, and on this one nobody
 * else registers: what it does not know was not given, or is closed already.
 */
static int unregister_file(int fuse_fd, int32_t id)
{
	uint32_t value = (uint32_t)id;

	return ioctl(fuse_fd, BACKING_CLOSE, &value) < 0 ? -errno : 0;
}

static int reply(int fd, int result)
{
	const struct broker_reply text = {.version = BROKER_VERSION, .result = result};
	ssize_t n;

	do
		n = send(fd, &text, sizeof(text), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* What broker_serve() works with. */
struct service {
	int daemon_fd, fuse_fd;
	dev_t device;
	unsigned registered;
	cpu_set_t allowed;  /* processors; none: it stays where it is */
	uint32_t processor; /* as the daemon last said it */
};

/* Where it runs is no matter of right and wrong. */
static void follow(struct service *service, uint32_t processor)
{
	cpu_set_t set = service->allowed;

	if (processor == service->processor || CPU_COUNT(&set) == 0)
		return;
	service->processor = processor;
	if (processor > 0 && processor <= CPU_SETSIZE && CPU_ISSET(processor - 1, &set)) {
		CPU_ZERO(&set);
		CPU_SET(processor - 1, &set);
	}
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* 0, or -errno: the daemon has gone, or is not to be served any more (-EPROTO). */
static int handle(struct service *service, const struct message *message)
{
	int r;

	if (!is_well_formed(message))
		return -EPROTO;
	follow(service, message->request.processor);
	if (message->request.operation == BROKER_CLOSE) {
		if (unregister_file(service->fuse_fd, message->request.id) < 0)
			return -EPROTO;
		service->registered--;
		return 0;
	}
	r = service->registered < BROKER_IDS_MAX
		    ? register_file(service->fuse_fd, message->fds[0], service->device)
		    : -ENFILE;
	if (r > 0)
		service->registered++;
	return reply(service->daemon_fd, r);
}

enum broker_end broker_serve(int daemon_fd, int fuse_fd, dev_t device)
{
	struct service service = {.daemon_fd = daemon_fd, .fuse_fd = fuse_fd, .device = device};
	int r = 0;

	if (sched_getaffinity(0, sizeof(service.allowed), &service.allowed) < 0)
		CPU_ZERO(&service.allowed);

	while (r == 0) {
		_cleanup_(message_close) struct message message;

		r = receive(daemon_fd, &message);
		if (r > 0)
			r = handle(&service, &message);
		else if (r == 0)
			r = -EPIPE;
	}
	return r == -EPROTO ? BROKER_NONSENSE : BROKER_DONE;
}
