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
	/*
	 * SETATTR, OPEN, CREATE, WRITE: the caller has no CAP_FSETID, or it is a chown(2); so the
	 * set-id bits go. A SETATTR of nothing comes before a write that is to take them away.
	 */
	bool kills_set_id;
	bool has_ctime; /* SETATTR: also of the time of the last change */
	bool has_file;	/* SETATTR, GETATTR: of an open file */
	uint64_t file;	/* its handle */
};

const struct wire_request *wire_current(void);

/* `btime` NULL: not known. */
void wire_reply_statx(struct fuse_req *req, const struct stat *st, const struct timespec *btime,
	uint64_t valid_seconds);

/*
 * The replies to OPEN and CREATE for a file that is registered, each as fuse_reply_buf(). Timeouts
 * are whole seconds.
 */
struct fuse_entry_param;
int wire_reply_passed(struct fuse_req *req, uint64_t handle, int backing_id);
int wire_reply_passed_create(struct fuse_req *req, const struct fuse_entry_param *entry,
	uint64_t handle, int backing_id);

/* Whether the kernel was asked for passthrough: not before it has offered it at INIT. */
bool wire_has_passthrough(void);

/*
 * Lets the session read and write `fuse_fd`, which it takes over on success. 0 or -errno. A
 * `stack_depth` above 0 asks for passthrough to files of as many file systems on top of each other.
 */
int wire_connect(struct fuse_session *session, int fuse_fd, unsigned stack_depth);
