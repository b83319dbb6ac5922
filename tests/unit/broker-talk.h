/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a daemon says to a broker, rightly or not, and what is seen of the broker then. */
#pragma once

#include "broker-fixture.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

/* Longer than the broker takes on any machine. */
#define PATIENCE_MS 10000
#define FDS_MAX	    300

/* Any bytes, with any descriptors. */
static inline ssize_t try_send(
	int fd, const void *bytes, size_t size, const int *fds, size_t count, int flags)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | flags);
}

static inline void send_raw(int fd, const void *bytes, size_t size, const int *fds, size_t count)
{
	assert_int_equal(try_send(fd, bytes, size, fds, count, 0), (ssize_t)size);
}

static inline void send_request(
	int fd, uint32_t operation, int32_t id, const int *fds, size_t count)
{
	struct broker_request request = {
		.version = BROKER_VERSION, .operation = operation, .id = id};

	send_raw(fd, &request, sizeof(request), fds, count);
}

/* 1 if there is something to read, or the end, within the time. */
static inline int wait_for(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	return poll(&pollfd, 1, PATIENCE_MS);
}

static inline int hear(struct place *place)
{
	struct broker_reply reply = {0};
	ssize_t n;

	assert_int_equal(wait_for(place->socket_fd), 1);
	n = recv(place->socket_fd, &reply, sizeof(reply), 0);
	if (n != sizeof(reply))
		fail_msg("an answer of %zd bytes, wanted %zu", n, sizeof(reply));
	assert_int_equal(reply.version, BROKER_VERSION);
	return reply.result;
}

static inline int ask(struct place *place, int fd)
{
	send_request(place->socket_fd, BROKER_OPEN, 0, &fd, 1);
	return hear(place);
}

static inline void expect_end(struct place *place, enum broker_end wanted, const char *what)
{
	enum broker_end end;

	if (wait_for(place->broker.pidfd) != 1)
		fail_msg("%s: the broker goes on", what);
	end = broker_wait(&place->broker);
	if (end != wanted)
		fail_msg("%s: the broker ended with %d, wanted %d", what, end, wanted);
}

static inline void read_status(pid_t pid, const char *key, char *ret, size_t size)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	ret[0] = '\0';
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			snprintf(ret, size, "%s", line + strlen(key));
	fclose(file);
	ret[strcspn(ret, "\n")] = '\0';
}
