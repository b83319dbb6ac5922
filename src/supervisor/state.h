/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor knows of its workspace, for its start and for the loop that it lives in. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <git-overlayfs/supervisor.h>

#include "broker.h"
#include "counters.h"
#include "relay.h"
#include "upper.h"
#include "util/cleanup.h"

enum phase {
	PHASE_STARTING, /* until READY: a failure goes to the requester */
	PHASE_LIVE,
	PHASE_ENDING,	  /* the end has been asked for; at the deadline SIGTERM */
	PHASE_TERMINATED, /* SIGTERM was sent; at the deadline SIGKILL */
};

struct supervisor {
	struct supervisor_request *request;
	struct upper_dirs upper;
	enum phase phase;
	bool has_opened; /* the daemon said so, which it does once */
	pid_t daemon;
	int control_fd; /* to the requester; -1: it has gone, or the workspace is live */
	int daemon_fd;	/* to the daemon; -1: closed */
	int daemon_pidfd;
	int broker_fds[2]; /* of the socket between broker and daemon, until both have theirs */
	struct broker broker;
	struct counters_page *counters; /* the daemon's to write; NULL: none */
	int init_pidfd;			/* -1: none, or it has ended already */
	int signal_fd;
	struct relay relay; /* of the daemon's log, where ours goes to syslog */
	int64_t deadline;   /* CLOCK_MONOTONIC in ms, -1: none */
	bool daemon_has_ended;
	int daemon_status;
	unsigned mount_minor; /* of the mount, where it is ours to unmount; 0: none */
	bool was_ready;
	char reason[sizeof(((struct error *)NULL)->text)]; /* of the end: the first one counts */
};

static inline void close_fd(int *fd)
{
	close_keep_errno(steal_fd(fd));
}

static inline void note_passing(struct supervisor *s, enum counters_passing passing)
{
	if (s->counters)
		s->counters->passing = passing;
}

/* Until the daemon runs, and the broker where there is one. After a failure the caller ends what
 * there is. */
int supervisor_start(struct supervisor *s, struct error *err);
