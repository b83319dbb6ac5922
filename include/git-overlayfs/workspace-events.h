/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The history of all workspaces of a user: JSON lines in the run directory, in `.events` and,
 * before it, `.events.1`. A supervisor appends a line for each thing that becomes of its
 * workspace. Each file is bounded; the older one is dropped when the newer one is full.
 *
 * A history is no reason to fail: what cannot be written is missing from it. A line that is torn
 * (by a full disk, or a crash) is left out by readers, and does not spoil the next one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/json.h>
#include <git-overlayfs/workspace.h>

#define WORKSPACE_EVENTS_FILE	  ".events"
#define WORKSPACE_EVENTS_OLD	  ".events.1"
#define WORKSPACE_EVENTS_SIZE_MAX 262144L
/* A longer line is written with its texts cut, and never read. */
#define WORKSPACE_EVENT_LINE_MAX 16384UL

enum workspace_event {
	WORKSPACE_EVENT_MOUNTING,
	WORKSPACE_EVENT_READY,
	WORKSPACE_EVENT_ENDING,
	WORKSPACE_EVENT_ENDED,
	WORKSPACE_EVENT_FAILED,
	WORKSPACE_EVENT_DAEMON_DIED,
};

/*
 * Appends a line. `reason` and `upper` ("discarded", "kept", "none", "left") may be NULL: not
 * said. Any process may call it at any time. What fails is logged as a warning.
 */
void workspace_event_append(enum workspace_event event, const struct workspace_info *info,
	const char *reason, const char *upper);

struct workspace_event_line {
	const char *text; /* one line of JSON, without its newline */
	const struct json *json;
	const char *time, *event;
};

struct workspace_events;

/* From the oldest event that is kept. Without a run directory it is made. */
int workspace_events_open(struct workspace_events **ret_events, struct error *err);
void workspace_events_free(struct workspace_events *events);
/* 1 and a line, which is borrowed until the next call; 0: there is no more at the moment; -errno.
 */
int workspace_events_next(struct workspace_events *events, struct workspace_event_line *ret_line);
/* Becomes readable when there may be more: call workspace_events_drain() then. */
int workspace_events_fd(const struct workspace_events *events);
/* -ENOENT: the run directory has been removed. */
int workspace_events_drain(struct workspace_events *events);
