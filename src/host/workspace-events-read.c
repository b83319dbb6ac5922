/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/workspace-events.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "workspace-internal.h"

#define ROOM (2 * WORKSPACE_EVENT_LINE_MAX)

struct workspace_events {
	int base_fd, inotify_fd;
	int fd; /* the file that is being read; -1: none yet */
	char buffer[ROOM + 1];
	size_t start, end; /* what of it is read, and not handed out */
	bool skipping;	   /* within a line that is too long */
	struct json *json; /* of the line that was handed out */
};

int workspace_events_open(struct workspace_events **ret_events, struct error *err)
{
	struct workspace_events *events = calloc(1, sizeof(*events));
	_cleanup_free_ char *base = NULL;
	char link[64];
	int r;

	if (!events)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	events->base_fd = events->inotify_fd = events->fd = -1;
	r = workspace_base_open(WORKSPACE_RUN, true, &base, &events->base_fd, err);
	if (r == 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", events->base_fd);
		events->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (events->inotify_fd < 0 ||
			inotify_add_watch(events->inotify_fd, link,
				IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_ONLYDIR) < 0)
			r = error_set_errno(err, errno, EXIT_STATUS_MACHINE,
				"cannot watch %s (fs.inotify.max_user_instances)", base);
	}
	if (r < 0) {
		workspace_events_free(events);
		return r;
	}
	*ret_events = events;
	return 0;
}

void workspace_events_free(struct workspace_events *events)
{
	if (!events)
		return;
	close_keep_errno(events->base_fd);
	close_keep_errno(events->inotify_fd);
	close_keep_errno(events->fd);
	json_free(events->json);
	free(events);
}

int workspace_events_fd(const struct workspace_events *events)
{
	return events->inotify_fd;
}

int workspace_events_drain(struct workspace_events *events)
{
	_Alignas(struct inotify_event) char buffer[4096];
	bool removed = false;
	ssize_t n;

	while ((n = read(events->inotify_fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const void *)(buffer + at);

			removed |= (event->mask & IN_IGNORED) != 0;
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
	return removed ? -ENOENT : 0;
}

/* Whether `name` is there, and the file that is being read. */
static bool is_at(const struct workspace_events *events, const char *name)
{
	struct stat mine, there;

	return events->fd >= 0 && fstat(events->fd, &mine) == 0 &&
	       fstatat(events->base_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

static int open_file(const struct workspace_events *events, const char *name)
{
	_cleanup_close_ int fd =
		openat(events->base_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	return steal_fd(&fd);
}

/*
 * The file behind the one that has been read to its end: of the older one the newer one, and of
 * one that is neither of them any more (or of none) the older one. 0: there is none.
 */
static int next_file(struct workspace_events *events)
{
	int fd = -ENOENT;

	if (!is_at(events, WORKSPACE_EVENTS_OLD))
		fd = open_file(events, WORKSPACE_EVENTS_OLD);
	if (fd == -ENOENT)
		fd = open_file(events, WORKSPACE_EVENTS_FILE);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	close_keep_errno(events->fd);
	events->fd = fd;
	events->start = events->end = 0;
	events->skipping = false;
	return 1;
}

/* 1: there is more in the buffer; 0: not now. */
static int fill(struct workspace_events *events)
{
	/* Asked before the read, so that nothing comes between the last read and the change. */
	bool is_last = is_at(events, WORKSPACE_EVENTS_FILE);
	ssize_t n = 0;

	memmove(events->buffer, events->buffer + events->start, events->end - events->start);
	events->end -= events->start;
	events->start = 0;
	if (events->fd >= 0)
		n = read(events->fd, events->buffer + events->end, ROOM - events->end);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	events->end += (size_t)n;
	if (n > 0)
		return 1;
	return is_last ? 0 : next_file(events);
}

/* The next whole line of the buffer, NULL when there is none. */
static char *take_line(struct workspace_events *events)
{
	char *line = events->buffer + events->start;
	char *newline = memchr(line, '\n', events->end - events->start);

	if (!newline) {
		if (events->end - events->start >= WORKSPACE_EVENT_LINE_MAX) {
			events->start = events->end;
			events->skipping = true;
		}
		return NULL;
	}
	events->start += (size_t)(newline - line) + 1;
	if (events->skipping) {
		events->skipping = false;
		return take_line(events);
	}
	*newline = '\0';
	return line;
}

/* Whether a line is an event; a torn one is not. */
static bool parse_line(
	struct workspace_events *events, const char *text, struct workspace_event_line *ret)
{
	json_free(steal_ptr(&events->json));
	if (json_parse(text, strlen(text), &events->json, NULL) < 0)
		return false;
	ret->text = text;
	ret->json = events->json;
	ret->time = json_member_string(events->json, "time");
	ret->event = json_member_string(events->json, "event");
	return ret->time && ret->event;
}

int workspace_events_next(struct workspace_events *events, struct workspace_event_line *ret_line)
{
	for (;;) {
		char *line = take_line(events);
		int r;

		if (line && parse_line(events, line, ret_line))
			return 1;
		if (line)
			continue;
		r = fill(events);
		if (r <= 0)
			return r;
	}
}
