/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/supervisor.h>

#include "util/cleanup.h"

void job_init(struct job *job, const struct oci_wish *wish)
{
	memset(job, 0, sizeof(*job));
	job->wish = wish;
	job->control_fd = -1;
	job->mounter.channel = -1;
	source_dir_init(&job->upper);
	source_dir_init(&job->work);
	config_init(&job->config);
}

void job_release(struct job *job)
{
	for (size_t i = 0; i < job->source_count; i++)
		source_release(&job->sources[i]);
	free(job->sources);
	source_dir_release(&job->upper);
	source_dir_release(&job->work);
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
static int choose_id(struct job *job, const struct container *container, struct error *err)
{
	const char *own = job->config.id ? job->config.id : job->wish->name;
	int n;

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

static int check_target(char *target, struct error *err)
{
	if (!target)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"target= is missing; add target=/workspace");
	for (const char *p = target; *(p += strspn(p, "/"));) {
		size_t n = strcspn(p, "/");

		if (n == 2 && strncmp(p, "..", 2) == 0)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"target '%s': '..' is not allowed", target);
		p += n;
	}
	target_normalize(target);
	return 0;
}

/*
 * Opened once: the descriptor tells the policy where the directory really is, and goes to
 * the supervisor, so that what lies at the path by then does not matter.
 */
static int open_given(
	const char *option, const char *path, struct source_dir *ret, struct error *err)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int fd = -1;
	int r;

	if (!path)
		return 0;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	r = fd < 0 ? -errno : source_dir_adopt(fd, ret);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "%s=%s", option, path);
	steal_fd(&fd);
	return 0;
}

static int parse_wish(struct job *job, const struct container *container, struct error *err)
{
	struct workspace_config *config = &job->config;
	int r = config_parse_options(config, job->wish->options, CONFIG_ORIGIN_ANNOTATION, err);

	if (!r)
		r = config_validate(config, err);
	if (!r)
		r = check_target(config->target, err);
	if (!r)
		r = choose_id(job, container, err);
	if (!r && !config->owner_is_set) {
		config->owner_is_set = true;
		config->owner_uid = container->config.uid;
		config->owner_gid = container->config.gid;
	}
	return r;
}

static const char *annotation_of(const struct container *container, const char *key)
{
	const struct json *objects[] = {container->state.json, container->config.json};

	for (size_t i = 0; i < 2; i++) {
		const char *text = json_member_string(json_member(objects[i], "annotations"), key);

		if (text)
			return text;
	}
	return NULL;
}

/* `opened`: by where things are, and the target by `target`; else by the paths as written. */
static int ask_policy(const struct job *job, const struct job_context *context, bool opened,
	const char *target, struct error *err)
{
	static const char *const keys[] = {
		"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"};
	const char *namespaces[3] = {NULL};
	char user[64];
	struct policy_request request = {
		.config = &job->config,
		.sources = opened ? job->sources : NULL,
		.upper = opened ? job->upper.path : NULL,
		.work = opened ? job->work.path : NULL,
		.target = target,
		.user = hook_engine_user(user, sizeof(user)),
		.namespaces = namespaces,
	};
	size_t count = 0;
	int r;

	if (job->wish->trusted)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		const char *name = annotation_of(context->container, keys[i]);

		if (name)
			namespaces[count++] = name;
	}
	r = policy_check(context->policy, &request, err);
	return r < 0 ? error_prefix(err, "policy %s", context->options->policy) : 0;
}

/* An entry may narrow the targets: a symlink of the image must not lead around it. */
struct target_check {
	const struct job *job;
	const struct job_context *context;
};

static int check_resolved_target(void *ctx, const char *resolved, struct error *err)
{
	const struct target_check *check = ctx;

	return ask_policy(check->job, check->context, true, resolved, err);
}

static int open_directories(struct job *job, struct error *err)
{
	int r;

	job->sources = calloc(job->config.layer_count, sizeof(struct source));
	if (!job->sources)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < job->config.layer_count; i++) {
		r = source_open(&job->config.layers[i], &job->sources[i], err);

		if (r < 0)
			return r;
		job->source_count++;
	}
	r = open_given("upperdir", job->config.upper, &job->upper, err);
	return r ? r : open_given("workdir", job->config.work, &job->work, err);
}

int job_prepare(struct job *job, const struct job_context *context, struct error *err)
{
	struct error refusal = {0};
	int r = parse_wish(job, context->container, err);

	if (r < 0)
		return r;
	/* Who may not have a path anyway must not learn from the error whether it exists. */
	if (ask_policy(job, context, false, NULL, &refusal) < 0) {
		if (open_directories(job, NULL) == 0 &&
			ask_policy(job, context, true, NULL, NULL) == 0)
			return 0;
		*err = refusal;
		return -refusal.code;
	}
	r = open_directories(job, err);
	return r ? r : ask_policy(job, context, true, NULL, err);
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

static int make_workspace(struct job *job, const struct container *container, struct error *err)
{
	const struct workspace_config *config = &job->config;
	uid_t uid;
	gid_t gid;
	int r = container_map_owner(
		container, config->owner_uid, config->owner_gid, &uid, &gid, err);

	if (!r)
		r = workspace_create(job->id, &job->workspace, err);
	if (r < 0)
		return r;
	job->has_workspace = true;
	job->has_kept_upper = job->workspace.state_dir;
	r = store_first_record(job, container, err);
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
		.sources = job->sources,
		.workspace = &job->workspace,
		.upper_fd = job->upper.fd,
		.work_fd = job->work.fd,
	};
	struct control_opened opened;
	int r = make_workspace(job, context->container, err);

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

void job_undo(struct job *job)
{
	mounter_undo(&job->mounter);
	/* The supervisor undoes what is its own when we vanish before READY. */
	close_keep_errno(steal_fd(&job->control_fd));
	if (job->supervisor > 0)
		child_reap(job->supervisor, clock_undo_left(HOOK_UNDO_TIMEOUT_MS));
	job->supervisor = 0;
	if (job->has_workspace)
		workspace_remove(&job->workspace, job->has_kept_upper, NULL);
}
