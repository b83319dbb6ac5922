/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mount in the making: what mount-request.c has checked and opened, and mount-perform.c carries
 * out. */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include <git-overlayfs/source.h>
#include <git-overlayfs/workspace.h>

#include "mount-request.h"

struct request {
	struct mount_arguments *arguments;
	enum mount_way way;
	int target_fd;
	char target[PATH_MAX]; /* its absolute path */
	int fuse_fd, log_fd, control_fd;
	struct source *sources;
	struct workspace workspace;
	struct workspace_info info;
	struct workspace_request *asked; /* NULL: without an id, so nobody can ask for it again */
	bool has_workspace;
	bool has_kept_upper; /* of an earlier workspace of this id: not ours to undo */
	bool lost_id;	     /* another request has made the workspace of this id meanwhile */
	bool is_mounted;
	pid_t supervisor;
};

/*
 * Checks what was asked for and opens what it names: the target, the sources, the log,
 * /dev/fuse. Nothing is made yet.
 */
int request_prepare(struct request *request, struct error *err);
void request_release(struct request *request); /* idempotent, of a half-built one too */

/* Again where time has passed: what is mounted there may have gone, or come. */
int request_open_target(struct request *request, struct error *err);
/* -EBUSY when a workspace of ours is mounted on the target; the second, when it is dead. */
int request_check_not_ours(const struct request *request, struct error *err);
int request_check_free(const struct request *request, struct error *err);
/*
 * Looks for the workspace that id= names. 0: there is none, it may be made; 1: it is there,
 * ready, and as asked for. One that is being made, or that ends, is waited for. Another one
 * is -EBUSY, one that has died too; err says what to do.
 */
int request_join(struct request *request, struct error *err);
/* -EINVAL when the mount would hide `path`, which `what` names. */
int request_check_not_above(
	const struct request *request, const char *what, const char *path, struct error *err);
