/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a workspace counts, in a page that its daemon writes and whoever may read its record reads:
 * the file "counters" there. Neither side asks the other, so a daemon that hangs can be looked
 * at, and one in foreign hands can do no more than lie about numbers. It has the page, and not
 * the file: it cannot change its size.
 */
#pragma once

#include <stdint.h>

#include <git-overlayfs/session.h>

/* Whether files are passed through, as the supervisor decided before the daemon began. */
enum counters_passing {
	COUNTERS_MAY_PASS = 1,
	COUNTERS_OPTION,    /* passthrough=off */
	COUNTERS_READ_ONLY, /* there is no upper */
	COUNTERS_BOUND,	    /* size= or inodes= */
	COUNTERS_RIGHTS,    /* not root of the initial user namespace */
	COUNTERS_NO_BROKER, /* it could not be started */
	COUNTERS_OPENS,	    /* opens=kernel: whoever opens a file by itself passes none through */
};

/* Whether the kernel collects writes before the daemon gets them, as the daemon decided. */
enum counters_collecting {
	COUNTERS_NOT_ASKED, /* writeback=off */
	COUNTERS_MAY_COLLECT,
	COUNTERS_COLLECT_READ_ONLY,
	COUNTERS_COLLECT_BOUND, /* who writes is to be told at once: size= or inodes= */
	COUNTERS_COLLECT_ROOM,	/* or there was little room when it began */
	COUNTERS_COLLECT_OPENS, /* opens=kernel: nobody tells who writes */
};

struct counters_page {
	uint32_t version;	     /* COUNTERS_VERSION, written last */
	uint32_t passing;	     /* enum counters_passing */
	uint32_t collecting, unused; /* enum counters_collecting */
	struct session_counters session;
};

#define COUNTERS_VERSION 0x676f6332u /* "goc2" */

/* Makes it in the record, all 0. NULL where it cannot be: then nothing is counted for others. */
struct counters_page *counters_create(int run_fd);

/* -ENOENT: there is none, or it is another version's. */
int counters_read(int run_fd, struct counters_page *ret_page);
