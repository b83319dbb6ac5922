/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attributes, extended attributes, symlink targets, statfs. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/ops.h"
#include "fuse/passthrough.h"
#include "fuse/wire.h"
#include "util/cleanup.h"

static void reply_attributes(fuse_req_t req, fuse_ino_t ino, int r, const struct stat *st)
{
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, st, passthrough_attr_timeout(request_passthrough(req), ino));
}

static void reply_statx(fuse_req_t req, fuse_ino_t ino, const struct stat *st)
{
	double valid = passthrough_attr_timeout(request_passthrough(req), ino);
	struct timespec btime;
	int r = overlay_get_btime(request_overlay(req), ino, &btime);

	if (r < 0 && r != -ENODATA)
		fuse_reply_err(req, -r);
	else
		wire_reply_statx(req, st, r == 0 ? &btime : NULL, (uint64_t)valid);
}

/*
 * Where the kernel collects writes it asks for the attributes before it takes one, if it has none
 * that are valid, and names the file; whoever stats names none. So this is where a write can be
 * refused at once.
 */
static int refuse_write(fuse_req_t req)
{
	const struct wire_request *request = wire_current();

	if (!request_has_writeback(req) || !request->has_file)
		return 0;
	return overlay_refuse_write(
		request_overlay(req), (struct overlay_file *)(uintptr_t)request->file);
}

/* libfuse 3.14 passes no handle with GETATTR; newer ones may. */
static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct overlay *ov = request_overlay(req);
	struct fuse_session *fuse = request_fuse(req);
	bool refuses = request_has_writeback(req) && overlay_refuses_writes(ov, ino);
	struct stat st;
	int r = refuse_write(req);

	if (r == 0)
		r = overlay_getattr(ov, ino, file_of(fi), &st);
	if (r == 0 && wire_current()->is_statx)
		reply_statx(req, ino, &st);
	else
		reply_attributes(req, ino, r, &st);
	/* So that the next write asks again. */
	if (refuses)
		(void)fuse_lowlevel_notify_inval_inode(fuse, ino, -1, 0);
}

static void take_time(struct timespec *ts, int to_set, int is_now)
{
	if (to_set & is_now)
		ts->tv_nsec = UTIME_NOW;
}

static unsigned translate_set(int to_set)
{
	static const struct {
		int fuse;
		unsigned overlay;
	} rows[] = {
		{FUSE_SET_ATTR_MODE, OVERLAY_SET_MODE},
		{FUSE_SET_ATTR_UID, OVERLAY_SET_UID},
		{FUSE_SET_ATTR_GID, OVERLAY_SET_GID},
		{FUSE_SET_ATTR_SIZE, OVERLAY_SET_SIZE},
		{FUSE_SET_ATTR_ATIME, OVERLAY_SET_ATIME},
		{FUSE_SET_ATTR_MTIME, OVERLAY_SET_MTIME},
	};
	unsigned set = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (to_set & rows[i].fuse)
			set |= rows[i].overlay;
	return set;
}

/* Where the kernel keeps size and times of files. */
static unsigned set_by_keeper(unsigned set)
{
	const struct wire_request *request = wire_current();

	if (set == 0 && request->has_ctime)
		return OVERLAY_KEPT_TIMES | OVERLAY_BY_CHOWN;
	if (set == OVERLAY_SET_MTIME && request->has_file)
		return OVERLAY_KEPT_TIMES | OVERLAY_IS_FLUSH;
	return OVERLAY_KEPT_TIMES;
}

/* Of what sets nothing the overlay asks whose it is. */
static unsigned killing(fuse_req_t req, unsigned set, struct stat *st)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);

	if (!(set & OVERLAY_SET_UID))
		st->st_uid = caller->uid;
	if (!(set & OVERLAY_SET_GID))
		st->st_gid = caller->gid;
	return OVERLAY_KILL_SET_ID | (caller->uid == 0 ? OVERLAY_BY_ROOT : 0) |
	       (request_session(req)->opens_no_files ? OVERLAY_OPENS_UNKNOWN : 0);
}

static void op_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set, struct fuse_file_info *fi)
{
	unsigned set = translate_set(to_set);
	struct stat result;
	int r;

	if (request_has_writeback(req))
		set |= set_by_keeper(set);
	if (wire_current()->kills_set_id)
		set |= killing(req, set, st);
	take_time(&st->st_atim, to_set, FUSE_SET_ATTR_ATIME_NOW);
	take_time(&st->st_mtim, to_set, FUSE_SET_ATTR_MTIME_NOW);
	r = overlay_setattr(request_overlay(req), ino, file_of(fi), st, set, &result);
	/* Some of it may have been done: what the kernel has is to be asked for again. */
	if (r < 0)
		(void)fuse_lowlevel_notify_inval_inode(request_fuse(req), ino, -1, 0);
	reply_attributes(req, ino, r, &result);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[PATH_MAX];
	ssize_t n = overlay_readlink(request_overlay(req), ino, target, sizeof(target) - 1);

	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int r = overlay_statfs(request_overlay(req), &st);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_statfs(req, &st);
}

static void reply_xattr(fuse_req_t req, ssize_t n, const void *buf, size_t size)
{
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	_cleanup_free_ char *buf = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;

	if (buf)
		n = overlay_getxattr(request_overlay(req), ino, name, buf, size);
	if (n == -ENODATA && !request_session(req)->has_selinux &&
		strcmp(name, "security.selinux") == 0)
		n = -EOPNOTSUPP;
	reply_xattr(req, n, buf, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	_cleanup_free_ char *buf = malloc(size ? size : 1);
	struct overlay_caller caller = request_caller(req);

	reply_xattr(req,
		buf ? overlay_listxattr(request_overlay(req), &caller, ino, buf, size) : -ENOMEM,
		buf, size);
}

static void op_setxattr(
	fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	if (wire_current()->kills_sgid)
		flags |= OVERLAY_XATTR_KILL_SGID;
	reply_result(req, overlay_setxattr(request_overlay(req), ino, name, value, size, flags));
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	reply_result(req, overlay_removexattr(request_overlay(req), ino, name));
}

void ops_add_attributes(struct fuse_lowlevel_ops *ops)
{
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->readlink = op_readlink;
	ops->statfs = op_statfs;
	ops->getxattr = op_getxattr;
	ops->listxattr = op_listxattr;
	ops->setxattr = op_setxattr;
	ops->removexattr = op_removexattr;
}
