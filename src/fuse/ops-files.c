/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files and their content. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "fuse/ops.h"
#include "fuse/wire.h"
#include "util/cleanup.h"

static struct overlay_file *file_of(const struct fuse_file_info *fi)
{
	return (struct overlay_file *)(uintptr_t)fi->fh;
}

static void keep_file(struct fuse_file_info *fi, struct overlay_file *file)
{
	fi->fh = (uintptr_t)file;
	/* Content changes only by writes of this kernel, which go through its page cache. */
	fi->keep_cache = 1;
	/* Writes arrive before close(2) returns, so a FLUSH would have nothing to do. */
	fi->noflush = 1;
}

/*
 * The kernel leaves O_TRUNC to the open, and what a truncation by a user takes away with it. root
 * has CAP_FSETID. Set-group-id without group execution it never takes away.
 */
static int drop_set_id(struct overlay *ov, fuse_ino_t ino, struct overlay_file *file)
{
	struct stat st;
	int r = overlay_getattr(ov, ino, file, &st);
	mode_t drops = S_ISUID | (st.st_mode & S_IXGRP ? S_ISGID : 0);

	if (r < 0 || !(st.st_mode & drops))
		return r;
	st.st_mode &= ~drops;
	return overlay_setattr(ov, ino, file, &st, OVERLAY_SET_MODE, &st);
}

static int open_for(fuse_req_t req, fuse_ino_t ino, int flags, struct overlay_file **ret_file)
{
	struct overlay *ov = request_overlay(req);
	struct overlay_file *file;
	int r = overlay_open(ov, ino, flags, &file);

	if (r < 0)
		return r;
	if (flags & O_TRUNC && fuse_req_ctx(req)->uid != 0)
		r = drop_set_id(ov, ino, file);
	if (r < 0)
		overlay_release(ov, file);
	else
		*ret_file = file;
	return r;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct overlay_file *file;
	int r = open_for(req, ino, fi->flags, &file);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	keep_file(fi, file);
	if (fuse_reply_open(req, fi) == -ENOENT)
		overlay_release(request_overlay(req), file);
}

static void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct overlay *ov = request_overlay(req);
	struct overlay_caller caller = request_caller(req);
	struct fuse_entry_param param;
	struct overlay_entry entry;
	struct overlay_file *file;
	int r;

	if (wire_current()->is_tmpfile)
		r = overlay_tmpfile(ov, &caller, parent, mode, fi->flags, &entry, &file);
	else
		r = overlay_create(ov, &caller, parent, name, mode, fi->flags, &entry, &file);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	keep_file(fi, file);
	entry_to_param(&entry, &param);
	if (fuse_reply_create(req, &param, fi) == -ENOENT) {
		overlay_release(ov, file);
		overlay_forget(ov, entry.node, 1);
	}
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	overlay_release(request_overlay(req), file_of(fi));
	fuse_reply_err(req, 0);
}

static void op_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	_cleanup_free_ char *buf = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;

	if (buf)
		n = overlay_read(request_overlay(req), file_of(fi), buf, size, offset);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

static void reply_count(fuse_req_t req, ssize_t n)
{
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	struct overlay *ov = request_overlay(req);
	ssize_t n = fi->writepage ? overlay_write_back(ov, file_of(fi), buf, size, offset)
				  : overlay_write(ov, file_of(fi), buf, size, offset);

	/* Of the page cache the kernel takes what it handed over for written, but for an error. */
	if (fi->writepage && n >= 0 && (size_t)n < size)
		n = -ENOSPC;
	reply_count(req, n);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	reply_result(req, overlay_fsync(request_overlay(req), file_of(fi), data_only));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi)
{
	reply_result(
		req, overlay_fallocate(request_overlay(req), file_of(fi), mode, offset, length));
}

static void op_lseek(
	fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	off_t at = overlay_lseek(request_overlay(req), file_of(fi), offset, whence);

	if (at < 0)
		fuse_reply_err(req, (int)-at);
	else
		fuse_reply_lseek(req, at);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in_ino, off_t in_offset,
	struct fuse_file_info *in, fuse_ino_t out_ino, off_t out_offset, struct fuse_file_info *out,
	size_t size, int flags)
{
	reply_count(req, overlay_copy_file_range(request_overlay(req), file_of(in), in_offset,
				 file_of(out), out_offset, size));
}

void ops_add_files(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->create = op_create;
	ops->release = op_release;
	ops->read = op_read;
	ops->write = op_write;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
	ops->lseek = op_lseek;
	ops->copy_file_range = op_copy_file_range;
}
