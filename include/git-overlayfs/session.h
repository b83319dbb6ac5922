/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE session: requests of the kernel, translated into calls of one overlay,
 * on libfuse's low-level interface, by as few threads as keep up. It decides timeouts and
 * cache flags and nothing else.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/overlay.h>

struct session;

/*
 * Who registers files with the kernel, which then reads and writes them without us
 * (FUSE_DEV_IOC_BACKING_OPEN on the session's own connection; only a process with CAP_SYS_ADMIN in
 * the initial user namespace may). Both functions may be called from any thread, also at the same
 * time, and no lock of the overlay is held meanwhile.
 */
struct session_backing {
	/* An id above 0, or -errno. `fd` is borrowed, and was opened O_RDWR. */
	int (*open)(void *data, int fd);
	int (*close)(void *data, int id);
	void *data;
	/* Of file systems on top of each other: 1, or 2 where the upper lies on an overlayfs. */
	unsigned stack_depth;
};

/* Why the data of an open file goes through the daemon. */
enum session_plain {
	SESSION_PLAIN_OFF,     /* no backing was given, or the kernel has no passthrough */
	SESSION_PLAIN_LOWER,   /* a file of a layer */
	SESSION_PLAIN_FILE,    /* the overlay must see what is done to it: a bound, a protection */
	SESSION_PLAIN_CACHED,  /* it is open so already, and the kernel takes no mixture */
	SESSION_PLAIN_REFUSED, /* it could not be registered */
	SESSION_PLAIN_NEW,     /* it is new, and new files have been small of late */
	SESSION_PLAIN_SMALL,   /* it is small, and opened for reading alone */
	SESSION_PLAIN_REASONS,
};

#define SESSION_REQUESTS 64

/* So many files are kept open where the kernel opens them by itself. */
#define SESSION_FILES_KEPT 64

/*
 * What a session counts, from 0 on. It may lie in memory that others read: plain numbers, that a
 * daemon in foreign hands may set to anything.
 */
struct session_counters {
	_Atomic uint64_t requests[SESSION_REQUESTS]; /* by FUSE's opcode; others are the last */
	_Atomic uint64_t read_bytes, written_bytes;  /* through the daemon */
	/* The kernel agreed to it. */
	_Atomic uint64_t has_passthrough, has_writeback, has_kernel_opens;
	_Atomic uint64_t passthrough_error; /* the errno for which registering was given up */
	_Atomic uint64_t passthrough_opens;
	_Atomic uint64_t plain_opens[SESSION_PLAIN_REASONS];
	_Atomic uint64_t registrations, unregistrations; /* of files; the rest is registered */
};

static inline void session_count(_Atomic uint64_t *counter, uint64_t by)
{
	atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

struct session_config {
	struct overlay *overlay; /* borrowed for the life of the session */
	unsigned threads;	 /* that serve at once; 0: as the processors, at most 4 */
	bool debug;		 /* libfuse's own trace, to standard error */
	/* Borrowed for the life of the session. NULL: all data goes through the daemon. */
	const struct session_backing *backing;
	/* The kernel may collect writes before it hands them over, where it passes none through. */
	bool writeback;
	/*
	 * The kernel opens files by itself, which costs no request. Not with `backing`; and it
	 * collects no writes then. A file is copied up at the first write or cut, where an error is
	 * told.
	 */
	bool kernel_opens;
	/*
	 * SELinux is on. Where it is not, security.selinux that a file does not have is EOPNOTSUPP
	 * instead of ENODATA: ls(1) then asks once, and not for each file.
	 */
	bool has_selinux;
	struct session_counters *counters; /* the same; NULL: nobody looks at them */
};

/* Builds the session; nothing is opened or mounted yet. */
int session_new(
	const struct session_config *config, struct session **ret_session, struct error *err);

/*
 * Serves until the mount is gone (ENODEV), or session_stop(). Takes `fuse_fd`, an
 * open /dev/fuse that is mounted already or about to be. Returns 0 at the
 * end of the mount, -errno when serving failed.
 */
int session_serve(struct session *session, int fuse_fd, struct error *err);

/*
 * The processor that the calling thread keeps to because its client is there, or -1. Whoever is
 * waited for is best there, too.
 */
int session_processor(void);

/* Async-signal-safe: makes session_serve() return. */
void session_stop(struct session *session);
void session_free(struct session *session);
