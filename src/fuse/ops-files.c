/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The content of open files. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "fuse/node-files.h"
#include "fuse/ops.h"
#include "fuse/wire.h"
#include "util/cleanup.h"

/*
 * The open file of a request. Where the kernel opens files by itself it names none, and what is
 * open of the node serves, or is opened here.
 */
static int take_file(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi, bool writes,
	struct node_file *ret_file)
{
	*ret_file = (struct node_file){.file = file_of(fi)};
	return ret_file->file ? 0
			      : node_files_take(request_session(req)->files, ino, writes, ret_file);
}

static void give_back(fuse_req_t req, const struct fuse_file_info *fi, struct node_file *file)
{
	if (file->file && !file_of(fi))
		node_files_give_back(request_session(req)->files, file);
}

static ssize_t read_into(fuse_req_t req, fuse_ino_t ino, char *buf, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	struct node_file file;
	ssize_t n = take_file(req, ino, fi, false, &file);

	if (n < 0)
		return n;
	n = overlay_read(request_overlay(req), file.file, buf, size, offset);
	give_back(req, fi, &file);
	return n;
}

static void op_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	_cleanup_free_ char *buf = malloc(size ? size : 1);
	ssize_t n = buf ? read_into(req, ino, buf, size, offset, fi) : -ENOMEM;

	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	session_count(&request_counters(req)->read_bytes, (uint64_t)n);
	atomic_store(&request_session(req)->copied_run, 0);
	fuse_reply_buf(req, buf, (size_t)n);
}

static void reply_count(fuse_req_t req, ssize_t n)
{
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_write(req, (size_t)n);
}

static void forget_mode(fuse_req_t req, fuse_ino_t ino)
{
	(void)fuse_lowlevel_notify_inval_inode(request_fuse(req), ino, -1, 0);
}

/* Where the kernel opens files, the SETATTR of nothing before a change leaves it to the change. */
static int kill_announced(fuse_req_t req, fuse_ino_t ino, struct overlay_file *file)
{
	int r = 0;

	if (request_session(req)->opens_no_files)
		r = overlay_kill_announced(file, fuse_req_ctx(req)->uid);
	if (r > 0)
		forget_mode(req, ino);
	return r < 0 ? r : 0;
}

/* Elsewhere there is most often nothing left to take away. */
static int kill_set_id(fuse_req_t req, fuse_ino_t ino, struct overlay_file *file)
{
	int r;

	if (!wire_current()->kills_set_id)
		return 0;
	r = kill_announced(req, ino, file);
	if (r == 0)
		r = overlay_kill_set_id(file);
	if (r > 0)
		forget_mode(req, ino);
	return r < 0 ? r : 0;
}

static ssize_t write_from(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	off_t offset, const struct fuse_file_info *fi)
{
	struct overlay *ov = request_overlay(req);
	struct node_file file;
	ssize_t n = take_file(req, ino, fi, true, &file);

	if (n == 0 && !fi->writepage)
		n = kill_set_id(req, ino, file.file);
	if (n == 0)
		n = fi->writepage ? overlay_write_back(ov, file.file, buf, size, offset,
					    request_has_writeback(req))
				  : overlay_write(ov, file.file, buf, size, offset);
	give_back(req, fi, &file);
	return n;
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	struct session *session = request_session(req);
	bool is_page = fi->writepage;
	ssize_t n = write_from(req, ino, buf, size, offset, fi);

	/* Of the page cache the kernel takes what it handed over for written, but for an error. */
	if (is_page && n >= 0 && (size_t)n < size)
		n = -ENOSPC;
	/* The next write asks, and is told, instead of the one that closes the file. */
	if (is_page && n < 0 && session->has_writeback)
		(void)fuse_lowlevel_notify_inval_inode(session->fuse, ino, -1, 0);
	if (n > 0)
		session_count(&session->counters->written_bytes, (uint64_t)n);
	reply_count(req, n);
	/* What may not be stored is not shown. Now, for before the page was being written. */
	if (is_page && n == -EPERM)
		(void)fuse_lowlevel_notify_inval_inode(session->fuse, ino, offset, (off_t)size);
}

/* The kernel has handed over all that was written. */
static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	struct node_file file;
	int r = take_file(req, ino, fi, false, &file);

	if (r == 0)
		r = overlay_fsync(request_overlay(req), file.file, data_only);
	give_back(req, fi, &file);
	reply_result(req, r);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi)
{
	struct node_file file;
	int r = take_file(req, ino, fi, true, &file);

	if (r == 0)
		r = kill_announced(req, ino, file.file);
	if (r == 0)
		r = overlay_fallocate(request_overlay(req), file.file, mode, offset, length);
	give_back(req, fi, &file);
	reply_result(req, r);
}

/*
 * Where data lies is the upper's to say, so what the kernel has collected, or was stored through a
 * mapping, is to be there: it hands over what it must not keep. Another server takes it meanwhile,
 * so not all may be here. Where the kernel opens files nobody tells who writes; but what is stored
 * through a mapping of a blob fills no hole, and is no reason to give up what the kernel has read.
 */
static int collect(fuse_req_t req, fuse_ino_t ino, const struct overlay_file *file)
{
	static _Atomic unsigned collecting;
	int r = 0;

	if (overlay_file_is_immutable(file) ||
		(!overlay_file_is_written(file) && !request_session(req)->opens_no_files))
		return 0;
	if (!request_has_writeback(req) && overlay_file_is_solid(file))
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
	struct node_file file;
	off_t at = take_file(req, ino, fi, false, &file);

	if (at == 0)
		at = collect(req, ino, file.file);
	if (at == 0)
		at = overlay_lseek(request_overlay(req), file.file, offset, whence);
	give_back(req, fi, &file);
	if (at < 0)
		fuse_reply_err(req, (int)-at);
	else
		fuse_reply_lseek(req, at);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in_ino, off_t in_offset,
	struct fuse_file_info *in, fuse_ino_t out_ino, off_t out_offset, struct fuse_file_info *out,
	size_t size, int flags)
{
	struct node_file from, to = {.file = NULL};
	ssize_t n = take_file(req, in_ino, in, false, &from);

	if (n == 0)
		n = take_file(req, out_ino, out, true, &to);
	if (n == 0)
		n = kill_announced(req, out_ino, to.file);
	if (n == 0)
		n = overlay_copy_file_range(
			request_overlay(req), from.file, in_offset, to.file, out_offset, size);
	give_back(req, out, &to);
	give_back(req, in, &from);
	if (n > 0)
		atomic_fetch_add(&request_session(req)->copied_run, 1);
	reply_count(req, n);
}

void ops_add_files(struct fuse_lowlevel_ops *ops)
{
	ops->read = op_read;
	ops->write = op_write;
	ops->flush = op_flush;
	ops->fsync = op_fsync;
	ops->fallocate = op_fallocate;
	ops->lseek = op_lseek;
	ops->copy_file_range = op_copy_file_range;
}
