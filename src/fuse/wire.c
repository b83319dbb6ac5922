/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/wire.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fuse/answer.h"
#include "fuse/ops.h"

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

/* Passthrough, since 6.9. */
#define INIT_PASSTHROUGH     (UINT64_C(1) << 37)
#define OPEN_PASSTHROUGH     (1u << 7)
#define INIT_STACK_DEPTH_AT  36 /* in struct fuse_init_out: behind flags2 */
#define INIT_STACK_DEPTH_END (INIT_STACK_DEPTH_AT + sizeof(uint32_t))

struct create_reply {
	struct fuse_entry_out entry;
	struct fuse_open_out open;
};

/*
 * One connection in a process. INIT is alone: the kernel sends nothing else before it is answered,
 * so what is learnt there is constant afterwards.
 */
static struct {
	_Atomic uint64_t init_unique; /* 0: answered, or not come yet */
	_Atomic uint64_t asked;	      /* what libfuse does not ask for, and we do */
	unsigned stack_depth;	      /* 0: no passthrough is wanted */
} connection;

/*
 * What is asked of every kernel that has it. Look-ups in one directory at a time are what
 * libfuse 3.14 leaves the kernel at, though it says otherwise.
 */
#define INIT_WANTED (FUSE_SETXATTR_EXT | FUSE_HANDLE_KILLPRIV_V2 | FUSE_PARALLEL_DIROPS)

static bool has_asked(uint64_t flag)
{
	return atomic_load(&connection.asked) & flag;
}

bool wire_has_passthrough(void)
{
	return has_asked(INIT_PASSTHROUGH);
}

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
	uint64_t offered;

	if (message->body_size < offsetof(struct fuse_init_in, flags2))
		return;
	offered = in->flags;
	if (in->flags & FUSE_INIT_EXT && message->body_size >= sizeof(*in))
		offered |= (uint64_t)in->flags2 << 32;
	atomic_store(&connection.asked,
		offered & (INIT_WANTED | (connection.stack_depth ? INIT_PASSTHROUGH : 0)));
	atomic_store(&connection.init_unique, message->header->unique);
}

/* The extended form becomes the old one, which is all that libfuse 3.14 knows. */
static void take_setxattr(struct message *message)
{
	const struct fuse_setxattr_in *in =
		(const struct fuse_setxattr_in *)(const void *)message->body;
	size_t extra = sizeof(*in) - FUSE_COMPAT_SETXATTR_IN_SIZE;

	if (!has_asked(FUSE_SETXATTR_EXT) || message->body_size < sizeof(*in))
		return;
	current.kills_sgid = in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID;
	message->body_size -= extra;
	memmove(message->body + FUSE_COMPAT_SETXATTR_IN_SIZE, message->body + sizeof(*in),
		message->body_size - FUSE_COMPAT_SETXATTR_IN_SIZE);
	message->header->len -= (uint32_t)extra;
}

/* Older kernels do not say it with O_TRUNC: root has CAP_FSETID. */
static void take_open(const struct message *message)
{
	const struct fuse_open_in *in = (const struct fuse_open_in *)(const void *)message->body;

	if (!has_asked(FUSE_HANDLE_KILLPRIV_V2))
		current.kills_set_id = message->header->uid != 0;
	else if (message->body_size >= sizeof(*in))
		current.kills_set_id = in->open_flags & FUSE_OPEN_KILL_SUIDGID;
}

static void take_write(const struct message *message)
{
	const struct fuse_write_in *in = (const struct fuse_write_in *)(const void *)message->body;

	if (has_asked(FUSE_HANDLE_KILLPRIV_V2) && message->body_size >= sizeof(*in))
		current.kills_set_id = in->write_flags & FUSE_WRITE_KILL_SUIDGID;
}

static void take_getattr(const struct message *message)
{
	const struct fuse_getattr_in *in =
		(const struct fuse_getattr_in *)(const void *)message->body;

	if (message->body_size < sizeof(*in))
		return;
	current.has_file = in->getattr_flags & FUSE_GETATTR_FH;
	current.file = in->fh;
}

static void take_setattr(const struct message *message)
{
	const uint32_t changes =
		FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME;
	const struct fuse_setattr_in *in =
		(const struct fuse_setattr_in *)(const void *)message->body;

	if (message->body_size < sizeof(*in))
		return;
	current.has_ctime = in->valid & FATTR_CTIME;
	current.has_file = in->valid & FATTR_FH;
	current.file = in->fh;
	if (has_asked(FUSE_HANDLE_KILLPRIV_V2))
		current.kills_set_id = in->valid & FATTR_KILL_SUIDGID || !(in->valid & changes);
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

/* --- files that the kernel reads and writes itself --- */

static struct fuse_open_out passed(uint64_t handle, int backing_id)
{
	/* Newer headers call what was the padding backing_id. */
	return (struct fuse_open_out){
		handle, OPEN_PASSTHROUGH | FOPEN_NOFLUSH, (uint32_t)backing_id};
}

int wire_reply_passed(struct fuse_req *req, uint64_t handle, int backing_id)
{
	struct fuse_open_out out = passed(handle, backing_id);

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static struct fuse_attr attributes_of(const struct stat *st)
{
	return (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

int wire_reply_passed_create(
	struct fuse_req *req, const struct fuse_entry_param *entry, uint64_t handle, int backing_id)
{
	struct create_reply reply = {
		.entry =
			{
				.nodeid = entry->ino,
				.generation = entry->generation,
				.entry_valid = (uint64_t)entry->entry_timeout,
				.attr_valid = (uint64_t)entry->attr_timeout,
				.attr = attributes_of(&entry->attr),
			},
		.open = passed(handle, backing_id),
	};

	return fuse_reply_buf(req, (const char *)&reply, sizeof(reply));
}

static void take_request(struct message *message)
{
	current = (struct wire_request){0};
	switch (message->header->opcode) {
	case FUSE_INIT:
		note_init(message);
		break;
	case FUSE_OPEN:
		take_open(message);
		break;
	case FUSE_WRITE:
		take_write(message);
		break;
	case FUSE_GETATTR:
		take_getattr(message);
		break;
	case FUSE_SETATTR:
		take_setattr(message);
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

static void count_request(const struct session *session, uint32_t opcode)
{
	uint32_t index = opcode < SESSION_REQUESTS ? opcode : SESSION_REQUESTS - 1;

	session_count(&session->counters->requests[index], 1);
}

static ssize_t wire_read(int fd, void *buf, size_t size, void *userdata)
{
	struct message message = {.header = buf};
	ssize_t n = read(fd, buf, size);

	if (n < (ssize_t)sizeof(*message.header))
		return n;
	message.body = (char *)buf + sizeof(*message.header);
	message.body_size = (size_t)n - sizeof(*message.header);
	count_request(userdata, message.header->opcode);
	take_request(&message);
	return (ssize_t)(sizeof(*message.header) + message.body_size);
}

/* Asks the kernel for what libfuse does not know, or knows by another name. */
static void patch_init(const struct iovec *iov, int count)
{
	const struct fuse_out_header *header = iov[0].iov_base;
	struct fuse_init_out *out = count > 1 ? iov[1].iov_base : NULL;
	uint64_t asked;

	if (header->unique != atomic_load(&connection.init_unique) || header->error || !out ||
		iov[1].iov_len < offsetof(struct fuse_init_out, flags2))
		return;
	atomic_store(&connection.init_unique, 0);
	if (iov[1].iov_len < INIT_STACK_DEPTH_END)
		atomic_fetch_and(&connection.asked, UINT32_MAX);
	asked = atomic_load(&connection.asked);
	out->flags |= (uint32_t)asked;
	if (!(asked >> 32))
		return;
	out->flags |= FUSE_INIT_EXT;
	out->flags2 |= (uint32_t)(asked >> 32);
	memcpy((char *)out + INIT_STACK_DEPTH_AT, &connection.stack_depth, sizeof(uint32_t));
}

static void answer_init(const struct iovec *iov, int count, const struct session *session)
{
	patch_init(iov, count);
	atomic_store(&session->counters->has_passthrough, wire_has_passthrough() ? 1 : 0);
}

static ssize_t wire_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	if (atomic_load(&connection.init_unique))
		answer_init(iov, count, userdata);
	return answer_write(fd, iov, count);
}

int wire_connect(struct fuse_session *session, int fuse_fd, unsigned stack_depth)
{
	/* No splice: copying through a pipe gains nothing here, and costs pipes. */
	static const struct fuse_custom_io io = {.writev = wire_writev, .read = wire_read};

	connection.stack_depth = stack_depth;
	return fuse_session_custom_io(session, &io, fuse_fd) == 0 ? 0 : -EIO;
}
