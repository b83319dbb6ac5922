/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE session: requests of the kernel, translated into calls of one overlay,
 * on libfuse's low-level interface with several threads. It decides timeouts and
 * cache flags and nothing else.
 */
#pragma once

#include <stdbool.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/overlay.h>

struct session;

struct session_config {
	struct overlay *overlay; /* borrowed for the life of the session */
	unsigned threads;	 /* 0: as many as there are processors, at most 4 */
	bool debug;		 /* libfuse's own trace, to standard error */
};

/* Builds the session; nothing is opened or mounted yet. */
int session_new(
	const struct session_config *config, struct session **ret_session, struct error *err);

/*
 * Loads what a worker thread would otherwise load lazily (libgcc's unwinder):
 * after the seccomp filter is on, that is a forbidden call. Before the sandbox.
 */
int session_preload(struct error *err);

/*
 * Serves until the mount is gone (ENODEV), or session_stop(). Takes `fuse_fd`, an
 * open /dev/fuse that is mounted already or about to be. Returns 0 at the
 * end of the mount, -errno when serving failed.
 */
int session_serve(struct session *session, int fuse_fd, struct error *err);

/* Async-signal-safe: makes session_serve() return. */
void session_stop(struct session *session);
void session_free(struct session *session);
