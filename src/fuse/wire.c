/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/wire.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * The kernel asks for the time when something was made since 6.6, in a request of its own. Names
 * of our own: newer headers have the others.
 */
#define OPCODE_STATX 52

struct statx_time {
	int64_t seconds;
	uint32_t nanoseconds;
	int32_t reserved;
};

struct statx_reply {
	uint64_t valid;
	uint32_t valid_nanoseconds, flags;
	uint64_t spare[2];
	uint32_t mask, block_size;
	uint64_t attributes;
	uint32_t links, uid, gid;
	uint16_t mode, spare_mode;
	uint64_t ino, size, blocks, attributes_mask;
	struct statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare_end[14];
};

_Static_assert(sizeof(struct statx_reply) == 288, "the kernel's struct fuse_statx_out");

/*
 * One connection in a process. INIT is alone: the kernel sends nothing else before it is answered,
 * so what is learnt there is constant afterwards.
 */
static struct {
	_Atomic uint64_t init_unique; /* 0: answered, or not come yet */
	_Atomic bool has_setxattr_ext;
	bool may_setxattr_ext;
} connection;

/* libfuse handles a request in the thread that has read it, before that reads another. */
static _Thread_local struct wire_request current;

const struct wire_request *wire_current(void)
{
	return &current;
}

/* A request in its buffer: the header, then the body. */
struct message {
	struct fuse_in_header *header;
	char *body;
	size_t body_size;
};

static void note_init(const struct message *message)
{
	const struct fuse_init_in *in = (const struct fuse_init_in *)(const void *)message->body;

	if (message->body_size < offsetof(struct fuse_init_in, flags2))
		return;
	connection.may_setxattr_ext = in->flags & FUSE_SETXATTR_EXT;
	atomic_store(&connection.init_unique, message->header->unique);
}

/* The extended form becomes the old one, which is all that libfuse 3.14 knows. */
static void take_setxattr(struct message *message)
{
	const struct fuse_setxattr_in *in =
		(const struct fuse_setxattr_in *)(const void *)message->body;
	size_t extra = sizeof(*in) - FUSE_COMPAT_SETXATTR_IN_SIZE;

	if (!atomic_load(&connection.has_setxattr_ext) || message->body_size < sizeof(*in))
		return;
	current.kills_sgid = in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
	message->body_size -= extra;
	memmove(message->body + FUSE_COMPAT_SETXATTR_IN_SIZE, message->body + sizeof(*in),
		message->body_size - FUSE_COMPAT_SETXATTR_IN_SIZE);
	message->header->len -= (uint32_t)extra;
}

/* The same request and reply as CREATE, under a number that libfuse 3.14 does not know. */
static void take_tmpfile(struct message *message)
{
	message->header->opcode = FUSE_CREATE;
	current.is_tmpfile = true;
}

/* It begins as GETATTR does, and ends in what kind of time it wants, which is all there are. */
static void take_statx(struct message *message)
{
	message->header->opcode = FUSE_GETATTR;
	current.is_statx = true;
}

static struct statx_time time_of(const struct timespec *ts)
{
	return (struct statx_time){.seconds = ts->tv_sec, .nanoseconds = (uint32_t)ts->tv_nsec};
}

void wire_reply_statx(struct fuse_req *req, const struct stat *st, const struct timespec *btime,
	uint64_t valid_seconds)
{
	struct statx_reply reply = {
		.valid = valid_seconds,
		.mask = STATX_BASIC_STATS | (btime ? STATX_BTIME : 0),
		.block_size = (uint32_t)st->st_blksize,
		.links = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mode = (uint16_t)st->st_mode,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = time_of(&st->st_atim),
		.ctime = time_of(&st->st_ctim),
		.mtime = time_of(&st->st_mtim),
		.rdev_major = major(st->st_rdev),
		.rdev_minor = minor(st->st_rdev),
	};

	if (btime)
		reply.btime = time_of(btime);
	fuse_reply_buf(req, (const char *)&reply, sizeof(reply));
}

static void take_request(struct message *message)
{
	current = (struct wire_request){0};
	switch (message->header->opcode) {
	case FUSE_INIT:
		note_init(message);
		break;
	case FUSE_SETXATTR:
		take_setxattr(message);
		break;
	case FUSE_TMPFILE:
		take_tmpfile(message);
		break;
	case OPCODE_STATX:
		take_statx(message);
		break;
	default:
		break;
	}
}

static ssize_t wire_read(int fd, void *buf, size_t size, void *userdata)
{
	struct message message = {.header = buf};
	ssize_t n = read(fd, buf, size);

	if (n < (ssize_t)sizeof(*message.header))
		return n;
	message.body = (char *)buf + sizeof(*message.header);
	message.body_size = (size_t)n - sizeof(*message.header);
	take_request(&message);
	return (ssize_t)(sizeof(*message.header) + message.body_size);
}

/* Asks the kernel for what libfuse does not know. */
static void patch_init(const struct iovec *iov, int count)
{
	const struct fuse_out_header *header = iov[0].iov_base;
	struct fuse_init_out *out = count > 1 ? iov[1].iov_base : NULL;

	if (header->unique != atomic_load(&connection.init_unique) || header->error || !out ||
		iov[1].iov_len < offsetof(struct fuse_init_out, flags2))
		return;
	atomic_store(&connection.init_unique, 0);
	if (connection.may_setxattr_ext) {
		out->flags |= FUSE_SETXATTR_EXT;
		atomic_store(&connection.has_setxattr_ext, true);
	}
}

static ssize_t wire_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	if (atomic_load(&connection.init_unique))
		patch_init(iov, count);
	return writev(fd, iov, count);
}

int wire_connect(struct fuse_session *session, int fuse_fd)
{
	/* No splice: copying through a pipe gains nothing here, and costs pipes. */
	static const struct fuse_custom_io io = {.writev = wire_writev, .read = wire_read};

	return fuse_session_custom_io(session, &io, fuse_fd) == 0 ? 0 : -EIO;
}
