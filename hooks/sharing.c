/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several containers of a pod have one workspace when they ask for the same by the same id=. The
 * first one makes it; the others get a clone of its mount. Who counts them is the kernel: the
 * file system is there as long as a mount namespace has it, and with it the daemon.
 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/clock.h"

static void release_look(struct workspace_look *look)
{
	workspace_info_release(&look->info);
}

static int request_of(
	const struct job *job, struct workspace_request **ret_request, struct error *err)
{
	/* Each container has it where it wants. */
	return workspace_request_new(&job->config, job->places.sources, "", ret_request, err);
}

static void release_request(struct workspace_request **request)
{
	workspace_request_free(*request);
}

static int compare(const struct job *job, const struct workspace_sharing *sharing,
	const char *container_id, struct error *err)
{
	_cleanup_(release_request) struct workspace_request *asked = NULL;
	char difference[600];
	int r = request_of(job, &asked, err);

	if (r < 0 ||
		!workspace_request_differs(sharing->request, asked, difference, sizeof(difference)))
		return r;
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"id=%s is the workspace of container %s of this pod, and not as asked for: %s; "
		"ask for the same in both, or leave id= out, or choose another",
		job->config.id, container_id, difference);
}

static int clone_from_any(const struct job *job, const struct container *container,
	const struct workspace_sharing *sharing, int *ret_clone_fd, struct error *err)
{
	/* The youngest first: it is the likeliest to be there. */
	for (size_t i = sharing->count; i > 0; i--) {
		int r = member_clone_mount(
			container, sharing->members[i - 1], sharing->connection, ret_clone_fd, err);

		if (r != -ESRCH)
			return r;
	}
	return -ESTALE;
}

/* -ESTALE: no container has it any more, or it is another workspace by now. */
static int join(const struct job *job, const struct container *container, const char *container_id,
	int *ret_clone_fd, struct error *err)
{
	_cleanup_(workspace_sharing_release) struct workspace_sharing sharing = {0};
	_cleanup_(workspace_release) struct workspace ws = {.run_fd = -1, .lock_fd = -1};
	int r;

	if (workspace_open(job->id, &ws, NULL) < 0 ||
		workspace_sharing_read(&ws, &sharing, NULL) < 0)
		return -ESTALE;
	r = compare(job, &sharing, container_id, err);
	if (r < 0)
		return r;
	r = clone_from_any(job, container, &sharing, ret_clone_fd, err);
	if (r < 0)
		return r == -ESTALE ? r
				    : error_prefix(err, "id=%s, which container %s of this pod has",
					      job->config.id, container_id);
	return workspace_sharing_add(&ws, container->state.pid, err);
}

static int refuse_late(const struct job *job, const struct workspace_look *look, struct error *err)
{
	const char *what = "is being made, and does not become ready";

	if (look->has_info && look->info.state == WORKSPACE_ENDING)
		what = "is ending, and does not come to its end (git-overlayfs wait --ended)";
	else if (look->has_info && look->info.state == WORKSPACE_READY)
		what = "is there, and no container shows it that it could be had from";
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"workspace %s of the pod %s; start the container again, or choose another id",
		job->id, what);
}

static int patience_ms(const struct workspace_look *look)
{
	return look->has_info && look->info.state == WORKSPACE_READY ? HOOK_NOTICED_TIMEOUT_MS
								     : HOOK_ENDED_TIMEOUT_MS;
}

/* 1: it was joined; -EAGAIN: look again, and make it if it has gone. */
static int look_once(const struct job *job, const struct container *container,
	struct workspace_watch *watch, int64_t since, int *ret_clone_fd, struct error *err)
{
	_cleanup_(release_look) struct workspace_look look = {0};
	int64_t left;
	int r = workspace_watch_look(watch, &look, err);

	if (r < 0)
		return r;
	if (look.gone || !look.alive)
		return -EAGAIN;
	if (look.has_info && look.info.state == WORKSPACE_READY) {
		r = join(job, container, look.info.container, ret_clone_fd, err);
		if (r != -ESTALE)
			return r < 0 ? r : 1;
	}
	left = patience_ms(&look) - (clock_now_ms() - since);
	if (left <= 0 || clock_work_left((int)left) <= 0)
		return refuse_late(job, &look, err);
	workspace_watch_wait(watch, clock_work_left((int)left));
	return -EAGAIN;
}

static int find(const struct job *job, const struct container *container, int64_t since,
	int *ret_clone_fd, struct error *err)
{
	_cleanup_(workspace_watch_release) struct workspace_watch watch = {
		.base_fd = -1, .run_fd = -1, .inotify_fd = -1, .pidfd = -1};
	int r = workspace_watch_open(job->id, &watch, err);

	if (r == -ENOENT)
		return -EAGAIN;
	return r < 0 ? r : look_once(job, container, &watch, since, ret_clone_fd, err);
}

int sharing_enter(const struct job *job, const struct container *container,
	struct workspace *ret_workspace, int *ret_clone_fd, struct error *err)
{
	int64_t since = clock_now_ms();
	int r;

	/* The lock on the record decides who of several makes it. */
	do {
		r = workspace_create(job->id, ret_workspace, err);
		if (r == -EBUSY)
			r = find(job, container, since, ret_clone_fd, err);
	} while (r == -EAGAIN && clock_work_left(1) > 0);
	if (r == -EAGAIN)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"workspace %s of the pod comes and goes; start the container again",
			job->id);
	if (r >= 0)
		*err = (struct error){0};
	return r;
}

int sharing_offer(
	const struct job *job, const struct container *container, int mount_fd, struct error *err)
{
	_cleanup_(workspace_sharing_release) struct workspace_sharing sharing = {
		.count = 1, .members = {container->state.pid}};
	struct statx st;
	int r = request_of(job, &sharing.request, err);

	if (r < 0)
		return r;
	/* Nothing but the device, which who is in no namespace of the mount's is told, too. */
	if (statx(mount_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "statx of the workspace");
	sharing.connection = st.stx_dev_minor;
	return workspace_sharing_store(&job->workspace, &sharing, err);
}
