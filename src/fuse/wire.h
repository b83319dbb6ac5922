/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says and libfuse does not pass on: requests are looked at, and some of them
 * rewritten, between the device and libfuse. Works the same on every version of libfuse 3.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/stat.h>

struct fuse_req;
struct fuse_session;

/* About the request that this thread is handling. */
struct wire_request {
	bool is_statx;	 /* GETATTR: wire_reply_statx() is its reply */
	bool is_tmpfile; /* CREATE: O_TMPFILE, and the name means nothing */
	bool kills_sgid; /* SETXATTR: the caller is not in the file's group, nor privileged */
};

const struct wire_request *wire_current(void);

/* `btime` NULL: not known. */
void wire_reply_statx(struct fuse_req *req, const struct stat *st, const struct timespec *btime,
	uint64_t valid_seconds);

/* Lets the session read and write `fuse_fd`, which it takes over on success. 0 or -errno. */
int wire_connect(struct fuse_session *session, int fuse_fd);
