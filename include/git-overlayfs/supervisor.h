/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a workspace. The *requester* (the mount command or the OCI hook)
 * starts a *supervisor*, which starts the *daemon*; they talk over a SEQPACKET
 * socket until the workspace is ready:
 *
 *   daemon     -> requester   OPENED    sandboxed, layers open, nothing mounted yet
 *   requester  -> daemon      FUSE_FD   the /dev/fuse descriptor, mounted by the requester
 *   requester  -> supervisor  READY     the mount answers; the workspace lives from here
 *   either     -> requester   FAILED    with a struct error; everything is undone
 *
 * A requester that execs the main program as supervisor (the hook) writes
 *
 *   git-overlayfs supervise --control=FD --workspace=ID --lock=FD [--userns=FD] [--pidfd=FD]
 *       [--container=ID] [--upper=FD --work=FD] [--hold=FD]... [--debug] --source=TEXT...
 *       -- OPTIONS
 *
 * where --lock is workspace.lock_fd, each --source comes from source_to_text() in the order
 * of the layers, --upper and --work are the directories of upperdir= and workdir= as they
 * were judged (O_PATH will do), so that no path is resolved twice, --hold is nothing but held to
 * the end, and OPTIONS is the text of an annotation with `owner=` in it.
 *
 * A requester that vanishes before READY undoes the workspace. The requester's
 * half of the protocol (control_*) lies in src/host and links neither FUSE nor
 * libgit2.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>
#include <git-overlayfs/source.h>
#include <git-overlayfs/workspace.h>

/* A new pair; [0] is the requester's, close-on-exec both. */
int control_pair(int ret_fds[2], struct error *err);

/* What OPENED tells. */
struct control_opened {
	char commit[65]; /* hex of the topmost git layer's commit or tree, "" without one */
	pid_t supervisor;
	pid_t daemon;
};

/* Waits for OPENED; a FAILED becomes the error, with its exit status. */
int control_wait_opened(int fd, int timeout_ms, struct control_opened *ret, struct error *err);
int control_send_fuse_fd(int fd, int fuse_fd, struct error *err);
/* Tells the supervisor to go on without us. */
int control_send_ready(int fd, struct error *err);

/* What a record says of the container is true while this is held: its namespaces. */
#define SUPERVISOR_HELD_MAX 3

struct supervisor_request {
	const struct workspace_config *config;
	struct source *sources; /* one for each layer of the configuration */
	struct workspace *workspace;
	struct workspace_info *info; /* stored by the supervisor, with ids and commit, on OPENED */
	int control_fd;		     /* the supervisor's end */
	int userns_fd;		     /* the daemon serves in this user namespace; -1: in ours */
	int init_pidfd;		     /* the container's init; -1: none */
	int upper_fd, work_fd;	     /* of config->upper and ->work, borrowed; -1: opened by path */
	int held_fds[SUPERVISOR_HELD_MAX];
	size_t held_count;
	bool unmount;	 /* unmount info->mountpoint at the end (not in a container) */
	bool plain_user; /* no namespaces to be had: Landlock and seccomp only */
	bool foreground; /* keep standard error */
	bool debug;
	int log_fd; /* where the log goes; -1: syslog, in the foreground standard error */
};

/*
 * Becomes the supervisor: starts the daemon, watches both and the container, and ends the
 * workspace. Call in a process of its own. Returns its exit status.
 */
int supervisor_run(struct supervisor_request *request);
