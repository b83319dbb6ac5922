/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When the workspace that id= names is there already: docs/architecture.md, "The same request". */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <git-overlayfs/mount.h>

#include "host/mountinfo.h"
#include "mount-internal.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A workspace is made, or not, in this time: see mount-perform.c. */
#define MADE_TIMEOUT_MS 45000
/* As umount waits; a large upper takes long to remove. */
#define ENDED_TIMEOUT_MS 30000
/* Between the end of a mount, or of a daemon, and the supervisor's noticing. */
#define NOTICED_TIMEOUT_MS 5000
/* Of the root of a mount that is ready. */
#define ANSWER_TIMEOUT_MS 5000

static void release_look(struct workspace_look *look)
{
	workspace_info_release(&look->info);
}

static int busy(const char *id, const char *what, struct error *err)
{
	return error_set(err, EBUSY, EXIT_STATUS_BUSY, "workspace %s %s", id, what);
}

static int refuse_dead(const char *id, struct error *err)
{
	return busy(id,
		"has died and left its record; git-overlayfs gc clears it away, then mount again",
		err);
}

/* 0: it is what was asked for, as far as is known yet. */
static int compare(
	const struct request *request, const struct workspace_info *info, struct error *err)
{
	char difference[600];

	if (*info->container)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"workspace %s belongs to container %s; choose another id", info->id,
			info->container);
	if (!info->request)
		return busy(info->id,
			"is there already, and was mounted without an id to be asked for again; "
			"unmount it first, or choose another id",
			err);
	if (!workspace_request_differs(
		    info->request, request->asked, difference, sizeof(difference)))
		return 0;
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"workspace %s is there already, but not as asked for: %s; unmount it first "
		"(git-overlayfs umount %s), or choose another id",
		info->id, difference, info->id);
}

/* Whether its mount is on our target: it may have been detached, or be another namespace's. */
static bool is_mounted_here(const struct request *request, const struct workspace_info *info)
{
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};

	return mountinfo_find(request->target, &mount) == 0 &&
	       !strcmp(mount.type, MOUNTINFO_OURS) &&
	       (!info->connection || mount.minor == info->connection);
}

static bool stands(const struct request *request, const struct workspace_info *info)
{
	_cleanup_close_ int fd = -1;

	if (!is_mounted_here(request, info))
		return false;
	/* Bounded: a daemon that hangs must not hold up who only asks for it. */
	fd = open(request->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && mount_wait_ready(fd, ANSWER_TIMEOUT_MS, NULL) == 0;
}

/* What it did not come to in time. */
static int refuse_late(
	const struct request *request, const struct workspace_look *look, struct error *err)
{
	const char *id = request->arguments->config.id;

	if (!look->has_info || look->info.state == WORKSPACE_MOUNTING)
		return busy(
			id, "is being mounted by another command, and does not become ready", err);
	if (look->info.state == WORKSPACE_ENDING)
		return busy(id,
			"is ending, and does not come to its end (git-overlayfs wait --ended); "
			"try again, or choose another id",
			err);
	if (is_mounted_here(request, &look->info))
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"workspace %s does not answer: its daemon (pid %d) has died or hangs, and its "
			"supervisor (pid %d) does not end it; kill both, then git-overlayfs gc",
			id, (int)look->info.daemon, (int)look->info.supervisor);
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"workspace %s is there already, but its mount on %s does not show here: it is of "
		"another mount namespace, or was detached while in use; choose another id",
		id, request->target);
}

/* 0 and how long it may go on like this; 1: it is there; -errno. */
static int judge(const struct request *request, const struct workspace_look *look,
	int *ret_timeout_ms, struct error *err)
{
	int r;

	*ret_timeout_ms = MADE_TIMEOUT_MS;
	/* Not written yet, or removed already. */
	if (!look->has_info)
		return 0;
	*ret_timeout_ms = ENDED_TIMEOUT_MS;
	if (look->info.state == WORKSPACE_ENDING)
		return 0;
	r = compare(request, &look->info, err);
	if (r < 0)
		return r;
	*ret_timeout_ms = MADE_TIMEOUT_MS;
	if (look->info.state == WORKSPACE_MOUNTING)
		return 0;
	*ret_timeout_ms = NOTICED_TIMEOUT_MS;
	return stands(request, &look->info) ? 1 : 0;
}

/* One look. -EAGAIN: it has to be waited; `since` is when this began. */
static int look_once(const struct request *request, struct workspace_watch *watch, int64_t since,
	struct error *err)
{
	_cleanup_(release_look) struct workspace_look look = {0};
	int64_t waited = clock_now_ms() - since;
	int timeout_ms, r = workspace_watch_look(watch, &look, err);

	if (r < 0)
		return r;
	if (look.gone)
		return 0;
	/* An empty record of nobody is one that was begun, or left by a hook: it is made again. */
	if (!look.alive)
		return look.has_info ? refuse_dead(watch->id, err) : 0;
	r = judge(request, &look, &timeout_ms, err);
	if (r != 0)
		return r;
	if (waited >= timeout_ms)
		return refuse_late(request, &look, err);
	r = workspace_watch_wait(watch, (int)(timeout_ms - waited));
	return r == 0 || r == -ETIMEDOUT ? -EAGAIN : r;
}

int request_join(struct request *request, struct error *err)
{
	_cleanup_(workspace_watch_release) struct workspace_watch watch = {
		.base_fd = -1, .run_fd = -1, .inotify_fd = -1, .pidfd = -1};
	int64_t since = clock_now_ms();
	int r = workspace_watch_open(request->arguments->config.id, &watch, err);

	if (r == -ENOENT) {
		*err = (struct error){0};
		return 0;
	}
	if (r < 0)
		return r;
	do
		r = look_once(request, &watch, since, err);
	while (r == -EAGAIN);
	return r;
}
