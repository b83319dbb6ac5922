/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"

/* So often in turn another one may have the id, and be at its end by then. */
#define ATTEMPTS_MAX 20

static void release_look(struct workspace_look *look)
{
	workspace_info_release(&look->info);
}

/*
 * How long it is worth waiting for who has the id. A container that is started again has one
 * process at a time, so what still lives by its id is about to learn that it has ended; another's
 * lives on.
 */
static int patience_ms(const struct workspace_look *look, const char *container_id)
{
	/* Not written yet, or removed already. */
	if (!look->has_info)
		return HOOK_NOTICED_TIMEOUT_MS;
	if (look->info.state == WORKSPACE_ENDING)
		return HOOK_ENDED_TIMEOUT_MS;
	return strcmp(look->info.container, container_id) == 0 ? HOOK_NOTICED_TIMEOUT_MS : 0;
}

/* 1: nobody has it (any more); 0: somebody has, and keeps it; -EAGAIN: look again. */
static int look_once(
	struct workspace_watch *watch, const char *container_id, int64_t since, bool *ret_is_ending)
{
	_cleanup_(release_look) struct workspace_look look = {0};
	int64_t left;

	if (workspace_watch_look(watch, &look, NULL) < 0)
		return 0;
	if (look.gone || !look.alive)
		return 1;
	*ret_is_ending = look.has_info && look.info.state == WORKSPACE_ENDING;
	left = patience_ms(&look, container_id) - (clock_now_ms() - since);
	if (left <= 0 || clock_work_left((int)left) <= 0)
		return 0;
	workspace_watch_wait(watch, clock_work_left((int)left));
	return -EAGAIN;
}

static bool await_end(const char *id, const char *container_id, bool *ret_is_ending)
{
	_cleanup_(workspace_watch_release) struct workspace_watch watch = {
		.base_fd = -1, .run_fd = -1, .inotify_fd = -1, .pidfd = -1};
	int64_t since = clock_now_ms();
	int r = workspace_watch_open(id, &watch, NULL);

	if (r < 0)
		return r == -ENOENT;
	do
		r = look_once(&watch, container_id, since, ret_is_ending);
	while (r == -EAGAIN);
	return r > 0;
}

int record_create(const char *id, const char *container_id, struct workspace *ret_workspace,
	struct error *err)
{
	bool is_ending = false, is_free = true;
	int r = -EBUSY;

	for (int attempt = 0; r == -EBUSY && is_free && attempt < ATTEMPTS_MAX; attempt++) {
		is_free = await_end(id, container_id, &is_ending);
		r = workspace_create(id, ret_workspace, err);
	}
	if (r == -EBUSY && is_ending)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"workspace %s is ending, and does not come to its end (git-overlayfs wait "
			"--ended); start the container again then",
			id);
	if (!r)
		*err = (struct error){0};
	return r;
}
