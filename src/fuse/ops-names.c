/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names: lookup and forget, and what makes, moves and removes entries. */
#include <errno.h>
#include <stdio.h> /* RENAME_EXCHANGE */

#include "fuse/node-files.h"
#include "fuse/ops.h"
#include "fuse/passthrough.h"

void forget_node(struct session *session, fuse_ino_t ino, uint64_t count)
{
	/* First: a file that is open keeps its node. */
	if (session->files)
		node_files_drop(session->files, ino);
	passthrough_forget(session->passthrough, session->overlay, ino, count);
}

void entry_to_param(
	fuse_req_t req, const struct overlay_entry *entry, struct fuse_entry_param *ret_param)
{
	*ret_param = (struct fuse_entry_param){
		.ino = entry->node,
		.generation = entry->generation,
		.attr = entry->st,
		.attr_timeout =
			entry->is_unreadable
				? 0
				: passthrough_attr_timeout(request_passthrough(req), entry->node),
		.entry_timeout = VALID_FOREVER,
	};
}

void reply_result(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

void reply_entry(fuse_req_t req, int r, const struct overlay_entry *entry)
{
	struct session *session = request_session(req);
	struct fuse_entry_param param;

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	entry_to_param(req, entry, &param);
	/* An interrupted request never learns of its reference. */
	if (fuse_reply_entry(req, &param) == -ENOENT)
		forget_node(session, entry->node, 1);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct overlay_entry entry;
	int r = overlay_lookup(request_overlay(req), parent, name, &entry);

	if (r == -ENOENT) {
		/* Node 0 is a negative entry: the kernel need not ask again. */
		struct fuse_entry_param none = {.entry_timeout = VALID_FOREVER};

		fuse_reply_entry(req, &none);
		return;
	}
	reply_entry(req, r, &entry);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	forget_node(request_session(req), ino, nlookup);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget_node(request_session(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct overlay_caller caller = request_caller(req);
	struct overlay_entry entry;

	reply_entry(req,
		overlay_mknod(request_overlay(req), &caller, parent, name, mode, rdev, &entry),
		&entry);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct overlay_caller caller = request_caller(req);
	struct overlay_entry entry;

	reply_entry(req, overlay_mkdir(request_overlay(req), &caller, parent, name, mode, &entry),
		&entry);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct overlay_caller caller = request_caller(req);
	struct overlay_entry entry;

	reply_entry(req,
		overlay_symlink(request_overlay(req), &caller, parent, name, target, &entry),
		&entry);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct overlay_entry entry;

	reply_entry(req, overlay_link(request_overlay(req), ino, parent, name, &entry), &entry);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	int r = overlay_unlink(request_overlay(req), parent, name);

	if (node_files_make_room(request_session(req)->files, r))
		r = overlay_unlink(request_overlay(req), parent, name);
	reply_result(req, r);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	int r = overlay_rmdir(request_overlay(req), parent, name);

	if (node_files_make_room(request_session(req)->files, r))
		r = overlay_rmdir(request_overlay(req), parent, name);
	reply_result(req, r);
}

/*
 * The listing that the kernel keeps of a directory holds "..", and the kernel keeps it when the
 * directory moves. No lock that a rename holds is needed to drop it.
 */
static void drop_listing(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct session *session = fuse_req_userdata(req);
	struct overlay_entry entry;

	if (overlay_lookup(session->overlay, parent, name, &entry) < 0)
		return;
	if (S_ISDIR(entry.st.st_mode))
		(void)fuse_lowlevel_notify_inval_inode(session->fuse, entry.node, 0, 0);
	overlay_forget(session->overlay, entry.node, 1);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned flags)
{
	struct overlay_caller caller = request_caller(req);
	struct overlay *ov = request_overlay(req);
	int r = overlay_rename(ov, &caller, parent, name, new_parent, new_name, flags);

	if (node_files_make_room(request_session(req)->files, r))
		r = overlay_rename(ov, &caller, parent, name, new_parent, new_name, flags);
	if (r == 0 && parent != new_parent) {
		drop_listing(req, new_parent, new_name);
		if (flags & RENAME_EXCHANGE)
			drop_listing(req, parent, name);
	}
	reply_result(req, r);
}

void ops_add_names(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->mknod = op_mknod;
	ops->mkdir = op_mkdir;
	ops->symlink = op_symlink;
	ops->link = op_link;
	ops->unlink = op_unlink;
	ops->rmdir = op_rmdir;
	ops->rename = op_rename;
}
