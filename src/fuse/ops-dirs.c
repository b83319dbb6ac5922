/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directory listings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/ops.h"
#include "util/cleanup.h"

/*
 * A listing needs no handle, so the kernel is told not to ask for one: it opens directories by
 * itself then, and keeps their listings until it changes them itself. Without a request nothing is
 * wrong either (before 5.1).
 */
static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (request_session(req)->opens_no_directories) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	reply_result(req, overlay_fsyncdir(request_overlay(req), ino, data_only));
}

/* A reply that is being filled. */
struct listing {
	fuse_req_t req;
	fuse_ino_t parent;
	char *buf;
	size_t size, used;
};

static int add_plain(void *ctx, const struct overlay_dirent *entry)
{
	struct listing *l = ctx;
	struct stat st = {.st_ino = entry->ino, .st_mode = entry->type};
	size_t size = fuse_add_direntry(
		l->req, l->buf + l->used, l->size - l->used, entry->name, &st, (off_t)entry->next);

	if (size > l->size - l->used)
		return 1;
	l->used += size;
	return 0;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static size_t add_entry(
	struct listing *l, const struct overlay_dirent *entry, const struct fuse_entry_param *param)
{
	return fuse_add_direntry_plus(l->req, l->buf + l->used, l->size - l->used, entry->name,
		param, (off_t)entry->next);
}

/* With attributes, and with a reference for each entry but the dots. */
static int add_plus(void *ctx, const struct overlay_dirent *entry)
{
	struct listing *l = ctx;
	struct fuse_entry_param param = {.attr = {.st_ino = entry->ino, .st_mode = entry->type}};
	struct overlay_entry found;
	int r = -ENOENT;

	/* The size depends on the name alone: no reference is handed out in vain. */
	if (fuse_add_direntry_plus(l->req, NULL, 0, entry->name, &param, 0) > l->size - l->used)
		return 1;
	if (!is_dot(entry->name))
		r = overlay_lookup(request_overlay(l->req), l->parent, entry->name, &found);
	/*
	 * One that has gone since the listing began, or whose attributes cannot be had, is named
	 * without a node: who asks for it by name gets the error.
	 */
	if (r == 0)
		entry_to_param(l->req, &found, &param);
	l->used += add_entry(l, entry, &param);
	return 0;
}

static void reply_listing(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, overlay_emit_fn add)
{
	_cleanup_free_ char *buf = malloc(size);
	struct listing l = {.req = req, .parent = ino, .buf = buf, .size = size};
	int r = buf ? overlay_readdir(request_overlay(req), ino, (uint64_t)offset, add, &l)
		    : -ENOMEM;

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buf, l.used);
}

static void op_readdir(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	reply_listing(req, ino, size, offset, add_plain);
}

static void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	reply_listing(req, ino, size, offset, add_plus);
}

void ops_add_dirs(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = op_opendir;
	ops->fsyncdir = op_fsyncdir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
}
