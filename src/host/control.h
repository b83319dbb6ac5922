/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other half of the protocol in supervisor.h: what the supervisor and its
 * daemon send and receive. Every message is one fixed structure in one packet.
 *
 * Whoever reads a socket gets what is sent to it, whatever it is: let one
 * process read each socket at a time. The supervisor knows both process ids
 * better than its daemon, so it passes OPENED on with ids of its own.
 */
#pragma once

#include <git-overlayfs/error.h>
#include <git-overlayfs/supervisor.h>

enum control_type {
	CONTROL_OPENED = 1,
	CONTROL_FUSE_FD,
	CONTROL_READY,
	CONTROL_FAILED,
};

/* A message that was received and checked. */
struct control_event {
	enum control_type type;
	struct control_opened opened; /* CONTROL_OPENED */
	struct error failure;	      /* CONTROL_FAILED: never a success */
	int fuse_fd;		      /* CONTROL_FUSE_FD: the caller closes it; else -1 */
};

int control_send_opened(int fd, const struct control_opened *opened, struct error *err);
int control_send_failed(int fd, const struct error *failure, struct error *err);

/*
 * Waits up to `timeout_ms` (-1: for ever) for one message. -ETIMEDOUT; -EPIPE when the
 * peer has closed its end; -EPROTO for a message that is not valid, whose
 * descriptors are closed. The calls stay within what the sandbox of the daemon allows.
 */
int control_receive(int fd, int timeout_ms, struct control_event *ret_event, struct error *err);
