/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening files, making them open, and closing them. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>

#include "fuse/node-files.h"
#include "fuse/ops.h"
#include "fuse/passthrough.h"
#include "fuse/wire.h"

/* Twice what the kernel reads ahead: who opens a larger file need not want all of it. */
#define FILL_MAX (256u << 10)
/* So many COPY_FILE_RANGEs on end, and no READ. */
#define COPIED_RUN 8

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

static void close_file(
	struct session *session, fuse_ino_t ino, struct overlay_file *file, bool was_taken)
{
	/* First: a file that is open keeps its node's id. */
	passthrough_release(session->passthrough, ino, file, was_taken);
	overlay_release(session->overlay, file);
}

/*
 * A file of a layer that was never opened: the kernel gets its content before it asks. That spares
 * it the READs, and the GETATTR that follows them, because a READ may have moved the access time.
 * Not while files are copied and none is read, for then it does not look at it.
 */
static void fill_cache(
	fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi, struct overlay_file *file)
{
	struct fuse_bufvec content = FUSE_BUFVEC_INIT(0);
	const void *data;

	if (!fi->keep_cache || fi->flags & O_DIRECT ||
		atomic_load(&request_session(req)->copied_run) >= COPIED_RUN ||
		!overlay_begin_fill(file, FILL_MAX, &data, &content.buf[0].size))
		return;
	content.buf[0].mem = (void *)(uintptr_t)data;
	(void)fuse_lowlevel_notify_store(request_fuse(req), ino, 0, &content, FUSE_BUF_NO_SPLICE);
	overlay_end_fill(file);
}

static void reply_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	const struct passthrough_open *open, struct overlay_file *file)
{
	struct session *session = request_session(req);
	int r;

	if (!open->backing_id)
		fill_cache(req, ino, fi, file);
	/* What it knows now it believes for ever, and an answer may be under way. */
	if (open->turns_fleeting)
		(void)fuse_lowlevel_notify_inval_inode(session->fuse, ino, -1, 0);
	r = open->backing_id ? wire_reply_passed(req, fi->fh, open->backing_id)
			     : fuse_reply_open(req, fi);
	if (r == -ENOENT)
		close_file(session, ino, file, false);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct passthrough_open open;
	struct overlay_file *file;
	int r = -ENOSYS;

	if (!request_session(req)->opens_no_files)
		r = open_for(req, ino, fi->flags, &file);
	if (r == 0) {
		r = choose_way(req, ino, fi, file, &open);
		if (r < 0)
			overlay_release(request_overlay(req), file);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_open(req, ino, fi, &open, file);
}

static void reply_create(fuse_req_t req, struct fuse_file_info *fi,
	const struct passthrough_open *open, const struct overlay_entry *entry,
	struct overlay_file *file)
{
	struct session *session = request_session(req);
	struct fuse_entry_param param;
	int r;

	entry_to_param(req, entry, &param);
	r = open->backing_id ? wire_reply_passed_create(req, &param, fi->fh, open->backing_id)
			     : fuse_reply_create(req, &param, fi);
	if (r == -ENOENT) {
		close_file(session, entry->node, file, false);
		forget_node(session, entry->node, 1);
	}
}

/* The kernel gets no handle: the file is open for all that name its node. */
static void reply_create_of_node(fuse_req_t req, struct fuse_file_info *fi,
	const struct overlay_entry *entry, struct overlay_file *file)
{
	struct session *session = request_session(req);
	struct fuse_entry_param param;

	node_files_add(session->files, entry->node, file);
	fi->fh = 0;
	fi->keep_cache = 1;
	fi->noflush = 1;
	entry_to_param(req, entry, &param);
	if (fuse_reply_create(req, &param, fi) == -ENOENT)
		forget_node(session, entry->node, 1);
}

/* The kernel knows that there is no such name, and believes it for ever. */
static void take_back(fuse_req_t req, fuse_ino_t parent, const char *name,
	const struct overlay_entry *entry, struct overlay_file *file)
{
	struct overlay *ov = request_overlay(req);

	overlay_release(ov, file);
	if (!wire_current()->is_tmpfile)
		(void)overlay_unlink(ov, parent, name);
	forget_node(request_session(req), entry->node, 1);
}

/* Of a file that is open for all that name its node each may do what its own open says. */
static int make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, int flags,
	struct overlay_entry *ret_entry, struct overlay_file **ret_file)
{
	struct overlay *ov = request_overlay(req);
	struct overlay_caller caller = request_caller(req);

	if (request_session(req)->opens_no_files)
		flags = (flags & ~(O_ACCMODE | O_APPEND)) | O_RDWR;
	if (wire_current()->is_tmpfile)
		return overlay_tmpfile(ov, &caller, parent, mode, flags, ret_entry, ret_file);
	return overlay_create(ov, &caller, parent, name, mode, flags, ret_entry, ret_file);
}

static void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct passthrough_open open;
	struct overlay_entry entry;
	struct overlay_file *file;
	int r = make(req, parent, name, mode, fi->flags, &entry, &file);

	if (node_files_make_room(request_session(req)->files, r))
		r = make(req, parent, name, mode, fi->flags, &entry, &file);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (request_session(req)->opens_no_files) {
		reply_create_of_node(req, fi, &entry, file);
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

/* Without a file: it was made before the kernel knew that it need not open any. */
static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (file_of(fi))
		close_file(request_session(req), ino, file_of(fi), true);
	fuse_reply_err(req, 0);
}

void ops_add_opens(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->create = op_create;
	ops->release = op_release;
}
