/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The request handlers: each translates, calls the overlay once, and replies. */
#pragma once

#include <fuse_lowlevel.h>

#include <git-overlayfs/session.h>

/*
 * How long the kernel may believe what it was told: for ever. Nothing changes but by requests
 * of the same kernel, which keeps its caches right with its own changes.
 */
#define VALID_FOREVER 1e9

struct session {
	struct overlay *overlay;
	struct fuse_session *fuse;
	unsigned threads;
};

static inline struct overlay *request_overlay(fuse_req_t req)
{
	return ((struct session *)fuse_req_userdata(req))->overlay;
}

static inline struct fuse_session *request_fuse(fuse_req_t req)
{
	return ((struct session *)fuse_req_userdata(req))->fuse;
}

static inline struct overlay_caller request_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct overlay_caller){
		.uid = ctx->uid, .gid = ctx->gid, .pid = ctx->pid, .umask = ctx->umask};
}

void entry_to_param(const struct overlay_entry *entry, struct fuse_entry_param *ret_param);
/* `r` 0: the entry; else the error. */
void reply_entry(fuse_req_t req, int r, const struct overlay_entry *entry);
/* `r` 0 or -errno. */
void reply_result(fuse_req_t req, int r);

/* Each file of handlers fills in its own. */
void ops_add_names(struct fuse_lowlevel_ops *ops);
void ops_add_dirs(struct fuse_lowlevel_ops *ops);
void ops_add_files(struct fuse_lowlevel_ops *ops);
void ops_add_attributes(struct fuse_lowlevel_ops *ops);
void ops_add_flags(struct fuse_lowlevel_ops *ops);
