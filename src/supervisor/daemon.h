/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon: the process that serves the mount. It is the only one in which git's objects
 * are read and FUSE runs, in the sandbox.
 */
#pragma once

#include <sys/types.h>

#include <git-overlayfs/overlay.h>
#include <git-overlayfs/supervisor.h>

#include "backing.h"
#include "counters.h"
#include "upper.h"

struct daemon {
	const struct supervisor_request *request;
	struct upper_dirs *upper;
	int control_fd;			/* to the supervisor */
	struct counters_page *counters; /* NULL: nobody looks */
	int broker_fd;			/* to who registers files; -1: nobody */
	pid_t supervisor;

	struct idmap ids;  /* the configuration's, and what the user namespace adds */
	bool is_host_root; /* root in a user namespace that maps everything */
	int view_upper_fd,
		view_work_fd; /* upper and work as the sandbox sees them; -1: read-only */
	struct overlay *overlay;
	struct backing backing; /* where there is a broker */
	char commit[65];
};

/* One layer as the daemon reaches it, in its jail or at its place on the host. */
struct layer_place {
	char *path;	    /* git: the common directory; dir: the directory */
	char *git_dir;	    /* git: that, or the worktree's directory below it */
	char **object_dirs; /* git: NULL-terminated */
	size_t object_count;
};

struct places {
	struct layer_place *layers;
	size_t count;
};

void places_release(struct places *places);

/* Serves until the mount is gone. Returns the exit status. In a child of the supervisor. */
int daemon_run(struct daemon *daemon);

/*
 * Takes the process to where it serves: the container's user namespace, and a jail in
 * which nothing but layers and upper is to be seen; for a plain user neither.
 */
int daemon_enter(struct daemon *daemon, struct places *ret_places, struct error *err);

/* Loads what the layers will need, while the libraries are the host's. */
int daemon_load(const struct daemon *daemon, struct error *err);

/* Locks the process in and opens the overlay. */
int daemon_lock(struct daemon *daemon, const struct places *places, struct error *err);
int daemon_open(struct daemon *daemon, const struct places *places, struct error *err);
