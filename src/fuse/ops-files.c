/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files and their content. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "fuse/ops.h"
#include "fuse/passthrough.h"
#include "fuse/wire.h"
#include "util/cleanup.h"

/* Twice what the kernel reads ahead: who opens a larger file need not want all of it. */
#define FILL_MAX (256u << 10)

static struct overlay_file *file_of(const struct fuse_file_info *fi)
{
	return (struct overlay_file *)(uintptr_t)fi->fh;
}

/* How the kernel is to read and write it. An error leaves the file open. */
static int choose_way(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	struct overlay_file *file, struct passthrough_open *ret_open)
{
	int r = passthrough_enter(request_passthrough(req), ino, file, fi->flags, ret_open);

	if (r < 0)
		return r;
	fi->fh = (uintptr_t)file;
	/* Content changes only by writes of this kernel, which go through its page cache. */
	fi->keep_cache = ret_open->keep_cache;
	/* Writes arrive before close(2) returns, so a FLUSH would have nothing to do. */
	fi->noflush = 1;
	return 0;
}

/* A page that is written in part is read before. */
static int readable(fuse_req_t req, int flags)
{
	if ((flags & O_ACCMODE) == O_WRONLY && request_has_writeback(req))
		flags = (flags & ~O_ACCMODE) | O_RDWR;
	return flags;
}

static int open_for(fuse_req_t req, fuse_ino_t ino, int flags, struct overlay_file **ret_file)
{
	struct overlay *ov = request_overlay(req);
	struct overlay_file *file;
	int r = overlay_open(ov, ino, readable(req, flags), &file);

	if (r < 0)
		return r;
	/* The kernel leaves O_TRUNC to the open, and what a truncation takes away with it. */
	if (flags & O_TRUNC && wire_current()->kills_set_id)
		r = overlay_kill_set_id(file);
	if (r < 0)
		overlay_release(ov, file);
	else
		*ret_file = file;
	return r < 0 ? r : 0;
}

static void close_file(fuse_req_t req, fuse_ino_t ino, struct overlay_file *file, bool was_taken)
{
	/* First: a file that is open keeps its node's id. */
	passthrough_release(request_passthrough(req), ino, file, was_taken);
	overlay_release(request_overlay(req), file);
}

/*
 * A file of a layer that was never opened: the kernel gets its content before it asks. That spares
 * it the READs, and the GETATTR that follows them, because a READ may have moved the access time.
 */
static void fill_cache(
	fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi, struct overlay_file *file)
{
	struct fuse_bufvec content = FUSE_BUFVEC_INIT(0);
	const void *data;

	if (!fi->keep_cache || fi->flags & O_DIRECT ||
		!overlay_begin_fill(file, FILL_MAX, &data, &content.buf[0].size))
		return;
	content.buf[0].mem = (void *)(uintptr_t)data;
	(void)fuse_lowlevel_notify_store(request_fuse(req), ino, 0, &content, FUSE_BUF_NO_SPLICE);
	overlay_end_fill(file);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct passthrough_open open;
	struct overlay_file *file;
	int r = open_for(req, ino, fi->flags, &file);

	if (r == 0) {
		r = choose_way(req, ino, fi, file, &open);
		if (r < 0)
			overlay_release(request_overlay(req), file);
	}
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (!open.backing_id)
		fill_cache(req, ino, fi, file);
	/* What it knows now it believes for ever, and an answer may be under way. */
	if (open.turns_fleeting)
		(void)fuse_lowlevel_notify_inval_inode(request_fuse(req), ino, -1, 0);
	r = open.backing_id ? wire_reply_passed(req, fi->fh, open.backing_id)
			    : fuse_reply_open(req, fi);
	if (r == -ENOENT)
		close_file(req, ino, file, false);
}

static void reply_create(fuse_req_t req, struct fuse_file_info *fi,
	const struct passthrough_open *open, const struct overlay_entry *entry,
	struct overlay_file *file)
{
	struct fuse_entry_param param;
	int r;

	entry_to_param(req, entry, &param);
	r = open->backing_id ? wire_reply_passed_create(req, &param, fi->fh, open->backing_id)
			     : fuse_reply_create(req, &param, fi);
	if (r == -ENOENT) {
		close_file(req, entry->node, file, false);
		passthrough_forget(request_passthrough(req), request_overlay(req), entry->node, 1);
	}
}

/* The kernel knows that there is no such name, and believes it for ever. */
static void take_back(fuse_req_t req, fuse_ino_t parent, const char *name,
	const struct overlay_entry *entry, struct overlay_file *file)
{
	struct overlay *ov = request_overlay(req);

	overlay_release(ov, file);
	if (!wire_current()->is_tmpfile)
		(void)overlay_unlink(ov, parent, name);
	passthrough_forget(request_passthrough(req), ov, entry->node, 1);
}

static void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct overlay *ov = request_overlay(req);
	struct overlay_caller caller = request_caller(req);
	struct passthrough_open open;
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
	r = choose_way(req, entry.node, fi, file, &open);
	if (r < 0) {
		take_back(req, parent, name, &entry, file);
		fuse_reply_err(req, -r);
		return;
	}
	reply_create(req, fi, &open, &entry, file);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	close_file(req, ino, file_of(fi), true);
	fuse_reply_err(req, 0);
}

static void op_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	_cleanup_free_ char *buf = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;

	if (buf)
		n = overlay_read(request_overlay(req), file_of(fi), buf, size, offset);
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	session_count(&request_counters(req)->read_bytes, (uint64_t)n);
	fuse_reply_buf(req, buf, (size_t)n);
}

static void reply_count(fuse_req_t req, ssize_t n)
{
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

/* Most often a SETATTR of nothing came before, and there is nothing left to take away. */
static int kill_set_id(fuse_req_t req, fuse_ino_t ino, struct overlay_file *file)
{
	int r = wire_current()->kills_set_id ? overlay_kill_set_id(file) : 0;

	if (r > 0)
		(void)fuse_lowlevel_notify_inval_inode(request_fuse(req), ino, -1, 0);
	return r < 0 ? r : 0;
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	struct overlay *ov = request_overlay(req);
	ssize_t n = fi->writepage ? 0 : kill_set_id(req, ino, file_of(fi));

	if (n == 0)
		n = fi->writepage ? overlay_write_back(ov, file_of(fi), buf, size, offset)
				  : overlay_write(ov, file_of(fi), buf, size, offset);

	/* Of the page cache the kernel takes what it handed over for written, but for an error. */
	if (fi->writepage && n >= 0 && (size_t)n < size)
		n = -ENOSPC;
	/* The next write asks, and is told, instead of the one that closes the file. */
	if (fi->writepage && n < 0 && request_has_writeback(req))
		(void)fuse_lowlevel_notify_inval_inode(request_fuse(req), ino, -1, 0);
	if (n > 0)
		session_count(&request_counters(req)->written_bytes, (uint64_t)n);
	reply_count(req, n);
}

/* The kernel has handed over all that was written. */
static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
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

/*
 * Where data lies is the upper's to say, so what the kernel has collected is to be there: it hands
 * over what it must not keep. Another server takes it meanwhile, so not all may be here.
 */
static int collect(fuse_req_t req, fuse_ino_t ino, const struct overlay_file *file)
{
	static _Atomic unsigned collecting;
	int r = 0;

	if (!request_has_writeback(req) || !overlay_file_is_written(file))
		return 0;
	if (atomic_fetch_add(&collecting, 1) < LOOP_SERVERS_MAX / 2)
		r = fuse_lowlevel_notify_inval_inode(request_fuse(req), ino, 0, 0);
	else
		r = -EAGAIN;
	atomic_fetch_sub(&collecting, 1);
	return r == -ENOENT ? 0 : r;
}

static void op_lseek(
	fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	off_t at = collect(req, ino, file_of(fi));

	if (at == 0)
		at = overlay_lseek(request_overlay(req), file_of(fi), offset, whence);
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
	ops->flush = op_flush;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
	ops->lseek = op_lseek;
	ops->copy_file_range = op_copy_file_range;
}
