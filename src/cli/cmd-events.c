/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/workspace-events.h>

#include "command.h"
#include "printable.h"
#include "util/cleanup.h"

enum { KEY_FOLLOW = 'f', KEY_JSON = 'j', KEY_SINCE = 256 };

struct words {
	bool follow, json;
	char since[32]; /* without its Z; "": from the first */
};

static const struct cli_option events_options[] = {
	{KEY_FOLLOW, "follow", NULL, "go on with what happens, until interrupted"},
	{KEY_JSON, "json", NULL, "as JSON, one object a line, on a terminal too"},
	{KEY_SINCE, "since", "TIME", "only from this time on: YYYY-MM-DDThh:mm:ssZ"},
	{0},
};

/* Times are compared as texts; without the Z a second comes before its fractions. */
static int take_since(struct words *words, const char *value, struct error *err)
{
	static const char shape[] = "0000-00-00T00:00:00";
	size_t n = sizeof(shape) - 1, length = strlen(value);
	bool is_time = length > n && length < sizeof(words->since) && value[length - 1] == 'Z' &&
		       (length == n + 1 || value[n] == '.');

	for (size_t i = 0; is_time && i < n; i++)
		is_time =
			shape[i] == '0' ? value[i] >= '0' && value[i] <= '9' : value[i] == shape[i];
	if (is_time && length > n + 1)
		is_time = strspn(value + n + 1, "0123456789") == length - n - 2;
	if (!is_time)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"--since=%s: write a time in UTC, as in 2026-11-30T12:00:00Z", value);
	memcpy(words->since, value, length - 1);
	return 0;
}

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	struct words *words = ctx;

	if (key == KEY_SINCE)
		return take_since(words, value, err);
	words->follow |= key == KEY_FOLLOW;
	words->json |= key == KEY_JSON;
	return 0;
}

/* For people: what a line says, without the names. */
static int print_text(const struct workspace_event_line *line)
{
	static const char *const keys[] = {
		"id", "mountpoint", "container", "source", "upper", "reason"};

	printf("%-24s  %-11s", line->time, line->event);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = json_member_string(line->json, keys[i]);
		_cleanup_free_ char *text = value ? printable(value, SIZE_MAX) : NULL;

		if (value && !text)
			return -ENOMEM;
		if (value)
			printf("  %s%s", !strcmp(keys[i], "upper") ? "upper " : "", text);
	}
	putchar('\n');
	return 0;
}

static int print_new(const struct words *words, struct workspace_events *events, struct error *err)
{
	struct workspace_event_line line;
	int r;

	while ((r = workspace_events_next(events, &line)) > 0) {
		if (strcmp(line.time, words->since) < 0)
			continue;
		if (words->json)
			puts(line.text);
		else
			r = print_text(&line);
		if (r < 0)
			break;
	}
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "events");
	if (fflush(stdout) != 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "standard output");
	return 0;
}

/* 1: nobody reads any more. */
static int wait_for_more(struct workspace_events *events, struct error *err)
{
	struct pollfd fds[] = {
		{.fd = workspace_events_fd(events), .events = POLLIN},
		{.fd = STDOUT_FILENO},
	};
	int r = 0;

	if (poll(fds, 2, -1) < 0)
		r = errno == EINTR ? 0 : -errno;
	else if (fds[1].revents & (POLLERR | POLLNVAL))
		return 1;
	if (r == 0)
		r = workspace_events_drain(events);
	return r < 0 ? error_set_errno(err, -r, EXIT_STATUS_FAILED, "the run directory") : 0;
}

static void release_events(struct workspace_events **events)
{
	workspace_events_free(*events);
}

static int show(const struct words *words, struct error *err)
{
	_cleanup_(release_events) struct workspace_events *events = NULL;
	int r = workspace_events_open(&events, err);

	if (r == 0)
		r = print_new(words, events, err);
	while (r == 0 && words->follow) {
		r = wait_for_more(events, err);
		if (r == 0)
			r = print_new(words, events, err);
	}
	return r;
}

static int run_events(int argc, char **argv, struct error *err)
{
	struct words words = {0};
	int first, r = cli_parse(argc, argv, &command_events, take_option, &words, &first, err);

	if (r == 0 && first < argc)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE, "events takes no '%s'", argv[first]);
	words.json |= !isatty(STDOUT_FILENO);
	if (r == 0)
		r = show(&words, err);
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_events = {
	.name = "events",
	.arguments = "",
	.help = "show what became of workspaces, as JSON lines",
	.options = events_options,
	.run = run_events,
};
