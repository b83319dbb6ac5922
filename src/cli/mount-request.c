/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>

#include "host/mountinfo.h"
#include "mount-internal.h"
#include "util/cleanup.h"

void mount_arguments_init(struct mount_arguments *arguments)
{
	*arguments = (struct mount_arguments){0};
	config_init(&arguments->config);
}

void mount_arguments_release(struct mount_arguments *arguments)
{
	config_release(&arguments->config);
}

void request_release(struct request *request)
{
	for (size_t i = 0; request->sources && i < request->arguments->config.layer_count; i++)
		source_release(&request->sources[i]);
	free(request->sources);
	if (request->has_workspace)
		workspace_release(&request->workspace);
	workspace_info_release(&request->info);
	workspace_request_free(request->asked);
	close_keep_errno(request->target_fd);
	close_keep_errno(request->fuse_fd);
	close_keep_errno(request->log_fd);
	close_keep_errno(request->control_fd);
}

/* Asks the mount nothing: it may be one that is still being made. */
int request_check_not_ours(const struct request *request, struct error *err)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};

	if (mountinfo_find(request->target, &mount) < 0 || strcmp(mount.type, MOUNTINFO_OURS))
		return 0;
	if (workspace_find(request->target, &info, NULL) < 0)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"%s is a mount of git-overlayfs already; unmount it or choose another "
			"directory",
			request->target);
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"%s is the mountpoint of workspace %s already; unmount it (git-overlayfs umount %s) "
		"or choose another directory",
		request->target, info.id, info.id);
}

static int check_not_dead(const struct request *request, struct error *err)
{
	if (!mountinfo_is_dead(request->target))
		return 0;
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"%s is a mount whose daemon has died; git-overlayfs umount %s removes it",
		request->target, request->target);
}

int request_open_target(struct request *request, struct error *err)
{
	const char *path = request->arguments->mountpoint;
	char link[64];
	ssize_t n;

	close_keep_errno(steal_fd(&request->target_fd));
	request->target_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (request->target_fd < 0 && errno == ENOENT)
		return error_set(err, ENOENT, EXIT_STATUS_FAILED,
			"mountpoint %s: no such directory; make it first (mkdir)", path);
	if (request->target_fd < 0 && errno == ENOTDIR)
		return error_set(err, ENOTDIR, EXIT_STATUS_FAILED,
			"mountpoint %s: not a directory; name one", path);
	if (request->target_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "mountpoint %s", path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", request->target_fd);
	n = readlink(link, request->target, sizeof(request->target) - 1);
	if (n < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_MACHINE, "%s (is /proc there?)", link);
	request->target[n] = '\0';
	if (!strcmp(request->target, "/"))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"mountpoint %s: the root directory would hide everything; name another",
			path);
	return 0;
}

int request_check_free(const struct request *request, struct error *err)
{
	int r = check_not_dead(request, err);

	return r == 0 ? request_check_not_ours(request, err) : r;
}

static int make_absolute(const char *option, char **path, struct error *err)
{
	char *resolved;

	if (!*path)
		return 0;
	resolved = realpath(*path, NULL);
	if (!resolved && errno == ENOENT)
		return error_set(err, ENOENT, EXIT_STATUS_FAILED,
			"%s=%s: no such directory; make it first (mkdir)", option, *path);
	if (!resolved)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s=%s", option, *path);
	free(*path);
	*path = resolved;
	return 0;
}

/* "Permission denied" alone does not say who has to do what. */
static int open_source(const struct layer_spec *layer, struct source *source, struct error *err)
{
	size_t used;
	int r = source_open(layer, source, err);

	if (r != -EACCES)
		return r;
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used,
		"; make it readable for user %u (chmod -R a+rX), or mount as its owner", geteuid());
	return r;
}

static int open_sources(struct request *request, struct error *err)
{
	const struct workspace_config *config = &request->arguments->config;
	int r = 0;

	request->sources = calloc(config->layer_count, sizeof(*request->sources));
	if (!request->sources)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < config->layer_count; i++)
		request->sources[i].dir.fd = -1;
	for (size_t i = 0; r == 0 && i < config->layer_count; i++)
		r = open_source(&config->layers[i], &request->sources[i], err);
	return r;
}

/* A mount would hide what it needs itself, and what somebody may need to end it. */
int request_check_not_above(
	const struct request *request, const char *what, const char *path, struct error *err)
{
	size_t length = strlen(request->target);

	if (!path || strncmp(path, request->target, length) ||
		(path[length] && path[length] != '/'))
		return 0;
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		path[length] ? "mountpoint %s holds %s %s; choose a directory beside it"
			     : "mountpoint %s is %s %s itself; choose another directory",
		request->target, what, path);
}

static int check_hides_nothing(const struct request *request, struct error *err)
{
	const struct workspace_config *config = &request->arguments->config;
	int r = request_check_not_above(request, "the upperdir", config->upper, err);

	if (r == 0)
		r = request_check_not_above(request, "the workdir", config->work, err);
	for (size_t i = 0; r == 0 && i < config->layer_count; i++) {
		const struct source *source = &request->sources[i];
		bool is_git = !strcmp(config->layers[i].kind, "git");

		r = request_check_not_above(
			request, is_git ? "the repository" : "the layer", source->dir.path, err);
		for (size_t k = 0; r == 0 && k < source->alternate_count; k++)
			r = request_check_not_above(request, "the repository's alternate",
				source->alternates[k].path, err);
	}
	return r;
}

static int open_log(struct request *request, struct error *err)
{
	const char *path = request->arguments->log;

	if (!path)
		return 0;
	request->log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (request->log_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "--log=%s", path);
	return 0;
}

int request_prepare(struct request *request, struct error *err)
{
	struct workspace_config *config = &request->arguments->config;
	int r = config_validate(config, err);

	if (r == 0)
		r = request_open_target(request, err);
	/* With an id it may be the very mount that is asked for. */
	if (r == 0 && !config->id)
		r = request_check_free(request, err);
	if (r == 0)
		r = make_absolute("upperdir", &config->upper, err);
	if (r == 0)
		r = make_absolute("workdir", &config->work, err);
	if (r == 0)
		r = open_sources(request, err);
	if (r == 0)
		r = check_hides_nothing(request, err);
	if (r == 0)
		r = open_log(request, err);
	if (r == 0 && request->way == MOUNT_WAY_DIRECT)
		r = mount_open_fuse(&request->fuse_fd, err);
	if (r == 0 && !config->owner_is_set) {
		config->owner_is_set = true;
		config->owner_uid = geteuid();
		config->owner_gid = getegid();
	}
	if (r == 0 && config->id)
		r = workspace_request_new(
			config, request->sources, request->target, &request->asked, err);
	return r;
}
