/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's half of the broker's protocol, as what the session asks. */
#pragma once

#include <git-overlayfs/session.h>

#include "util/lock.h"

struct backing {
	struct session_backing session; /* what session_config wants; its data is this */
	struct mutex lock;		/* an open waits for its answer under it */
	int fd;				/* protected by lock; -1: given up */
	int failure;			/* protected by lock; what every open is answered then */
};

/* Takes over `fd`, the daemon's end of the socket. Before the process locks itself in. */
void backing_init(struct backing *backing, int fd, unsigned stack_depth);
/* No thread may use it any more. */
void backing_release(struct backing *backing);
