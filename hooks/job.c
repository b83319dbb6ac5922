/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/supervisor.h>

#include "host/control.h"
#include "util/cleanup.h"

/* A path sorts before all that it is the beginning of. */
int job_compare(const void *a, const void *b)
{
	return strcmp(
		((const struct job *)a)->config.target, ((const struct job *)b)->config.target);
}

void job_init(struct job *job, const struct oci_wish *wish)
{
	memset(job, 0, sizeof(*job));
	job->wish = wish;
	job->control_fd = -1;
	job->mounter.channel = -1;
	wish_places_init(&job->places);
	config_init(&job->config);
}

void job_release(struct job *job)
{
	wish_places_release(&job->places);
	if (job->has_workspace)
		workspace_release(&job->workspace);
	close_keep_errno(job->control_fd);
	config_release(&job->config);
	job_init(job, NULL);
}

/*
 * Images and pods choose annotations: an id of theirs is put behind the container's, so
 * that nobody can name another's workspace.
 */
static int choose_id(struct job *job, const struct job_context *context, struct error *err)
{
	const struct container *container = context->container;
	const char *own = job->config.id ? job->config.id : job->wish->name;
	size_t taken = strlen(container->state.id) + 1;
	char name[WORKSPACE_ID_MAX + 1];
	int n;

	if (job->wish->trusted && !job->config.id && context->by_target &&
		taken < WORKSPACE_ID_MAX &&
		entries_name_target(
			job->config.target, WORKSPACE_ID_MAX - taken, name, sizeof(name)) == 0)
		own = name;
	if (job->config.id && job->wish->trusted)
		n = snprintf(job->id, sizeof(job->id), "%s", job->config.id);
	else
		n = own[0] ? snprintf(job->id, sizeof(job->id), "%s%c%s", container->state.id,
				     WORKSPACE_ID_SEPARATOR, own)
			   : snprintf(job->id, sizeof(job->id), "%s", container->state.id);
	if (n >= 0 && (size_t)n < sizeof(job->id) && workspace_id_is_valid(job->id))
		return 0;
	return error_set(err, ENAMETOOLONG, EXIT_STATUS_USAGE,
		"the workspace's id (container id and name) is longer than %d bytes",
		WORKSPACE_ID_MAX);
}

static struct policy_asker asker_of(const struct container *container, char *user, size_t size)
{
	struct policy_asker asker = {.user = engine_user_name(user, size)};

	oci_asker(&container->state, &container->config, &asker);
	return asker;
}

/* An entry may narrow the targets: a symlink of the image must not lead around it. */
struct target_check {
	const struct job *job;
	const struct job_context *context;
};

static int check_resolved_target(void *ctx, const char *resolved, struct error *err)
{
	const struct target_check *check = ctx;
	const struct job *job = check->job;
	char user[64];
	struct policy_asker asker = asker_of(check->context->container, user, sizeof(user));
	struct policy_request request = wish_request(&job->config, &job->places, resolved, &asker);

	return job->wish->trusted ? 0 : policy_check(check->context->policy, &request, err);
}

static int judge_wish(struct job *job, const struct job_context *context, struct error *err)
{
	const struct container *container = context->container;
	char user[64];
	struct policy_asker asker = asker_of(container, user, sizeof(user));
	int r = wish_parse(job->wish->options, container->config.uid, container->config.gid,
		&job->config, err);

	if (!r)
		r = choose_id(job, context, err);
	if (r < 0)
		return r;
	if (job->wish->trusted)
		return wish_open(&job->config, &job->places, err);
	return wish_judge(context->policy, &job->config, &asker, &job->places, err);
}

/*
 * A workspace is one container's. An annotation's id= is a name within its container, but who
 * writes what the administrator calls another container's workspace (by a --mount with id=, or it
 * would begin with that container's id) means that one; what a stranger is called is an accident.
 * (In a pod: pod.c.)
 */
static int check_id_is_no_others(
	const struct job *job, const struct container *container, struct error *err)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	struct workspace ws;
	bool is_other;
	int r;

	if (!job->config.id || workspace_open(job->config.id, &ws, NULL) < 0)
		return 0;
	r = workspace_read_info(&ws, &info, NULL);
	workspace_release(&ws);
	is_other = r == 0 && *info.container && strcmp(info.container, container->state.id) != 0 &&
		   (job->wish->trusted || !workspace_id_is_of(info.id, info.container));
	/* One that is ending is waited for. */
	if (!is_other || !info.alive || info.state == WORKSPACE_ENDING)
		return 0;
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"id=%s is the workspace of container %s, and a workspace is one container's; leave "
		"id= out, or choose another, and share files by a volume",
		job->config.id, info.container);
}

int job_prepare(struct job *job, const struct job_context *context, struct error *err)
{
	int r = judge_wish(job, context, err);

	/* Only now: who may have nothing here learns nothing of others. */
	return r ? r : check_id_is_no_others(job, context->container, err);
}

/* Before all else, so that the janitor finds the container's when we are killed. */
static int store_first_record(
	const struct job *job, const struct container *container, struct error *err)
{
	const struct workspace_config *config = &job->config;
	struct workspace_info info = {
		.id = (char *)job->workspace.id,
		.source = config->layers[0].path,
		.container = container->state.id,
		.keep = config->upper || config->keep == CONFIG_KEEP_KEEP,
		.created = time(NULL),
	};

	return workspace_store(&job->workspace, &info, err);
}

int job_reserve(struct job *job, const struct job_context *context, struct error *err)
{
	const struct container *container = context->container;
	int r = record_create(job->id, container->state.id, &job->workspace, err);

	if (r < 0)
		return r;
	job->has_workspace = true;
	job->has_kept_upper = job->workspace.state_dir;
	return store_first_record(job, container, err);
}

/* What the hook's own arguments name is nobody else's. */
const char *job_name_in_pod(const struct job *job)
{
	return job->wish->trusted ? NULL : job->config.id;
}

static int make_upper(struct job *job, const struct container *container, struct error *err)
{
	const struct workspace_config *config = &job->config;
	uid_t uid;
	gid_t gid;
	int r = container_map_owner(
		container, config->owner_uid, config->owner_gid, &uid, &gid, err);

	if (r < 0)
		return r;
	/* The root of the workspace is the upper's: it belongs to whom the files belong to. */
	if (config->upper || config->read_only)
		return 0;
	return workspace_make_upper(&job->workspace, uid, gid, err);
}

static int mount_workspace(struct job *job, const struct job_context *context, struct error *err)
{
	const struct workspace_config *config = &job->config;
	struct fuse_mount_options options = {
		.source = config->fsname ? config->fsname : "git-overlayfs",
		.allow_other = true,
		.read_only = config->read_only,
		.nosuid = config->suid != 1,
		.nodev = config->dev != 1,
		.noexec = config->exec == 0,
	};
	struct target_check check = {.job = job, .context = context};
	struct mounter_request request = {
		.target = config->target,
		.options = &options,
		.check = check_resolved_target,
		.ctx = &check,
	};
	_cleanup_close_ int fuse_fd = -1;
	int r = mounter_start(context->container, &request, &job->mounter, &fuse_fd, err);

	if (!r)
		r = control_send_fuse_fd(job->control_fd, fuse_fd, err);
	if (r < 0)
		return r;
	/* A copy of ours would keep the mount waiting if the daemon died now. */
	close(steal_fd(&fuse_fd));
	return mounter_wait_ready(&job->mounter, err);
}

int job_start(struct job *job, const struct job_context *context, struct error *err)
{
	struct supervise_request request = {
		.program = context->options->program,
		.container = context->container,
		.config = &job->config,
		.sources = job->places.sources,
		.workspace = &job->workspace,
		.pod = context->pod,
		.upper_fd = job->places.upper.fd,
		.work_fd = job->places.work.fd,
	};
	struct control_opened opened;
	int r = make_upper(job, context->container, err);

	if (!r)
		r = supervise_start(&request, &job->supervisor, &job->control_fd, err);
	if (!r)
		r = control_wait_opened(
			job->control_fd, clock_work_left(HOOK_OPENED_TIMEOUT_MS), &opened, err);
	return r ? r : mount_workspace(job, context, err);
}

int job_release_workspace(struct job *job, struct error *err)
{
	return control_send_ready(job->control_fd, err);
}

void job_undo(struct job *job, const struct error *why)
{
	/* While the daemon still serves: it has what was made for volumes, and takes it out again.
	 */
	mounter_undo(&job->mounter);
	/* For the history: it sees that we go, and not why. It ends the daemon. */
	if (job->control_fd >= 0)
		control_send_failed(job->control_fd, why, NULL);
	/* The supervisor undoes what is its own when we vanish before READY. */
	close_keep_errno(steal_fd(&job->control_fd));
	if (job->supervisor > 0)
		child_reap(job->supervisor, clock_undo_left(HOOK_UNDO_TIMEOUT_MS));
	job->supervisor = 0;
	if (job->has_workspace)
		workspace_remove(&job->workspace, job->has_kept_upper, NULL);
}
