/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/workspace.h>

#include "command.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define TIMEOUT_MAX_S 2000000

enum { KEY_READY = 256, KEY_ENDED, KEY_TIMEOUT };

struct words {
	bool ready, ended;
	int timeout_ms; /* -1: none */
};

static const struct cli_option wait_options[] = {
	{KEY_READY, "ready", NULL, "until it can be used"},
	{KEY_ENDED, "ended", NULL, "until it has ended, with its upper gone or kept"},
	{KEY_TIMEOUT, "timeout", "SECONDS", "for so long at most, then exit status 5"},
	{0},
};

static int take_timeout(struct words *words, const char *value, struct error *err)
{
	char *end;
	double seconds = strtod(value, &end);

	if (strspn(value, "0123456789.") != strlen(value) || end == value || *end ||
		seconds > TIMEOUT_MAX_S)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"--timeout=%s: write a number of seconds, %d at most", value,
			TIMEOUT_MAX_S);
	words->timeout_ms = (int)(seconds * 1000);
	return 0;
}

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	struct words *words = ctx;

	if (key == KEY_TIMEOUT)
		return take_timeout(words, value, err);
	words->ready |= key == KEY_READY;
	words->ended |= key == KEY_ENDED;
	return 0;
}

static int check(int argc, int first, const struct words *words, struct error *err)
{
	if (argc - first == 1 && words->ready != words->ended)
		return 0;
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"write git-overlayfs wait MOUNTPOINT --ready, or --ended, or an id for MOUNTPOINT");
}

static void release_look(struct workspace_look *look)
{
	workspace_info_release(&look->info);
}

/* What can become ready no more. */
static int judge_ready(const char *id, const struct workspace_look *look, struct error *err)
{
	if (look->gone)
		return error_set(err, ENOENT, EXIT_STATUS_FAILED,
			"workspace %s has ended, or was never ready; git-overlayfs events says why",
			id);
	if (!look->alive && !look->begun)
		return error_set(err, EOWNERDEAD, EXIT_STATUS_FAILED,
			"workspace %s has died; git-overlayfs gc clears away what it left", id);
	if (look->has_info && look->info.state == WORKSPACE_ENDING)
		return error_set(err, ESHUTDOWN, EXIT_STATUS_FAILED, "workspace %s is ending", id);
	return look->has_info && look->info.state == WORKSPACE_READY ? 0 : -EAGAIN;
}

static int late(const struct words *words, const char *id, const struct workspace_look *look,
	struct error *err)
{
	return error_set(err, ETIMEDOUT, EXIT_STATUS_BUSY,
		"workspace %s has not %s within %.1f s: it is %s", id,
		words->ready ? "become ready" : "ended", words->timeout_ms / 1000.0,
		look->has_info ? workspace_state_name(look->info.state) : "being made");
}

/* -EAGAIN: it has to be waited. */
static int look_once(
	const struct words *words, struct workspace_watch *watch, int64_t since, struct error *err)
{
	_cleanup_(release_look) struct workspace_look look = {0};
	int64_t left = words->timeout_ms - (clock_now_ms() - since);
	int r = workspace_watch_look(watch, &look, err);

	if (r < 0)
		return r;
	if (words->ready)
		r = judge_ready(watch->id, &look, err);
	else
		r = look.gone || !(look.alive || look.begun) ? 0 : -EAGAIN;
	if (r != -EAGAIN)
		return r;
	if (words->timeout_ms >= 0 && left <= 0)
		return late(words, watch->id, &look, err);
	r = workspace_watch_wait(watch, words->timeout_ms < 0 ? -1 : (int)left);
	return r == 0 || r == -ETIMEDOUT
		       ? -EAGAIN
		       : error_set_errno(err, -r, EXIT_STATUS_FAILED, "workspace %s", watch->id);
}

static int wait_for(const struct words *words, const char *name, struct error *err)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	_cleanup_(workspace_watch_release) struct workspace_watch watch = {
		.base_fd = -1, .run_fd = -1, .inotify_fd = -1, .pidfd = -1};
	int64_t since = clock_now_ms();
	/* One that is being made says nothing of itself yet, and can only be found by its id. */
	int r = workspace_watch_open(name, &watch, err);

	if (r == -ENOENT) {
		r = workspace_find(name, &info, err);
		if (r == 0)
			r = workspace_watch_open(info.id, &watch, err);
	}
	/* Whoever comes late must not wait for ever, nor fail. */
	if (r == -ENOENT && words->ended)
		return 0;
	while (r == 0 && (r = look_once(words, &watch, since, err)) == -EAGAIN)
		r = 0;
	return r;
}

static int run_wait(int argc, char **argv, struct error *err)
{
	struct words words = {.timeout_ms = -1};
	int first, r = cli_parse(argc, argv, &command_wait, take_option, &words, &first, err);

	if (r == 0)
		r = check(argc, first, &words, err);
	if (r == 0)
		r = wait_for(&words, argv[first], err);
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_wait = {
	.name = "wait",
	.arguments = "MOUNTPOINT|ID",
	.help = "wait until a workspace is ready, or has ended",
	.options = wait_options,
	.run = run_wait,
};
