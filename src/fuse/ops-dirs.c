/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directory listings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/ops.h"
#include "util/cleanup.h"

static struct overlay_dir *dir_of(const struct fuse_file_info *fi)
{
	return (struct overlay_dir *)(uintptr_t)fi->fh;
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct overlay_dir *dir;
	int r = overlay_opendir(request_overlay(req), ino, &dir);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = (uintptr_t)dir;
	/* The kernel keeps the listing until it changes the directory itself. */
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		overlay_closedir(request_overlay(req), dir);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	overlay_closedir(request_overlay(req), dir_of(fi));
	fuse_reply_err(req, 0);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	reply_result(req, overlay_fsyncdir(request_overlay(req), dir_of(fi), data_only));
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
		entry_to_param(&found, &param);
	l->used += add_entry(l, entry, &param);
	return 0;
}

static void reply_listing(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	struct fuse_file_info *fi, overlay_emit_fn add)
{
	_cleanup_free_ char *buf = malloc(size);
	struct listing l = {.req = req, .parent = ino, .buf = buf, .size = size};
	int r = buf ? overlay_readdir(request_overlay(req), dir_of(fi), (uint64_t)offset, add, &l)
		    : -ENOMEM;

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buf, l.used);
}

static void op_readdir(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	reply_listing(req, ino, size, offset, fi, add_plain);
}

static void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	reply_listing(req, ino, size, offset, fi, add_plus);
}

void ops_add_dirs(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = op_opendir;
	ops->releasedir = op_releasedir;
	ops->fsyncdir = op_fsyncdir;
	ops->readdir = op_readdir;
	ops->readdirplus = op_readdirplus;
}
