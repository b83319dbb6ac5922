/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The request handlers: each translates, calls the overlay once, and replies. */
#pragma once

#include <fuse_lowlevel.h>
#include <stdbool.h>

#include <git-overlayfs/session.h>

#include "fuse/loop.h"

/*
 * How long the kernel may believe what it was told: for ever. Nothing changes but by requests
 * of the same kernel, which keeps its caches right with its own changes.
 */
#define VALID_FOREVER 1e9

struct session {
	struct overlay *overlay;
	struct fuse_session *fuse;
	const struct session_backing *backing; /* borrowed; NULL: none */
	struct passthrough *passthrough;
	struct node_files *files; /* where the kernel is to open files by itself; else NULL */
	struct loop loop;
	bool wants_writeback;
	bool has_selinux;
	bool has_writeback; /* from INIT on: the kernel collects writes, and owns size and times */
	bool opens_no_directories;	   /* from INIT on: the kernel can do without OPENDIR */
	bool opens_no_files;		   /* from INIT on: and without OPEN */
	_Atomic unsigned copied_run;	   /* COPY_FILE_RANGEs on end without a READ */
	struct session_counters *counters; /* borrowed, or own_counters */
	struct session_counters own_counters;
};

static inline struct session *request_session(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct overlay *request_overlay(fuse_req_t req)
{
	return request_session(req)->overlay;
}

static inline struct passthrough *request_passthrough(fuse_req_t req)
{
	return ((struct session *)fuse_req_userdata(req))->passthrough;
}

static inline struct session_counters *request_counters(fuse_req_t req)
{
	return request_session(req)->counters;
}

/* Whether the kernel collects writes, and owns size and times of files. */
static inline bool request_has_writeback(fuse_req_t req)
{
	return request_session(req)->has_writeback;
}

static inline struct fuse_session *request_fuse(fuse_req_t req)
{
	return request_session(req)->fuse;
}

/* NULL where the kernel names none. */
static inline struct overlay_file *file_of(const struct fuse_file_info *fi)
{
	return fi ? (struct overlay_file *)(uintptr_t)fi->fh : NULL;
}

static inline struct overlay_caller request_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct overlay_caller){
		.uid = ctx->uid, .gid = ctx->gid, .pid = ctx->pid, .umask = ctx->umask};
}

/* Gives the kernel's references to a node back. Not by the request: one that was answered is gone.
 */
void forget_node(struct session *session, fuse_ino_t ino, uint64_t count);
void entry_to_param(
	fuse_req_t req, const struct overlay_entry *entry, struct fuse_entry_param *ret_param);
/* `r` 0: the entry; else the error. */
void reply_entry(fuse_req_t req, int r, const struct overlay_entry *entry);
/* `r` 0 or -errno. */
void reply_result(fuse_req_t req, int r);

/* Each file of handlers fills in its own. */
void ops_add_names(struct fuse_lowlevel_ops *ops);
void ops_add_dirs(struct fuse_lowlevel_ops *ops);
void ops_add_opens(struct fuse_lowlevel_ops *ops);
void ops_add_files(struct fuse_lowlevel_ops *ops);
void ops_add_attributes(struct fuse_lowlevel_ops *ops);
void ops_add_flags(struct fuse_lowlevel_ops *ops);
