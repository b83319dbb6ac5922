/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/git-layer.h>
#include <git-overlayfs/layer.h>
#include <git-overlayfs/sandbox.h>
#include <git-overlayfs/session.h>

#include "util/cleanup.h"

struct fd_list {
	int *fds;
	size_t count;
};

static void fd_list_release(struct fd_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		close_keep_errno(list->fds[i]);
	free(list->fds);
}

int daemon_load(const struct daemon *daemon, struct error *err)
{
	const struct workspace_config *config = daemon->request->config;
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->layer_count; i++) {
		const struct source *source = &daemon->request->sources[i];
		_cleanup_close_ int git_dir_fd = -1;

		if (strcmp(config->layers[i].kind, "git") != 0)
			continue;
		git_dir_fd = openat(source->dir.fd, *source->git_dir ? source->git_dir : ".",
			O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = git_layer_prepare(git_dir_fd, config->layers[i].rev, err);
	}
	return r;
}

/* Says what a bare EACCES would not: whose the directory is, and what helps. */
static int refuse_unreadable(const struct source_dir *dir, struct error *err)
{
	return error_set(err, EACCES, EXIT_STATUS_SOURCE,
		"%s: the daemon may not read it (it belongs to %u:%u); chmod -R a+rX it, or map "
		"its owner into the user namespace",
		dir->path, dir->uid, dir->gid);
}

/* `path` is where `dir` lies in the jail, or "objects" in it. */
static int add_directory(
	struct fd_list *list, const char *path, const struct source_dir *dir, struct error *err)
{
	_cleanup_close_ int probe = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	/* A repository without objects of its own has no such directory. */
	if (probe < 0 && errno == ENOENT)
		return 0;
	if (probe < 0 && errno == EACCES)
		return refuse_unreadable(dir, err);
	fd = probe < 0 ? -1 : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_SOURCE, "%s", dir->path);
	list->fds[list->count++] = fd;
	return 0;
}

/* What objects lie in: "pack", and the directories named by two hex digits. */
static bool holds_objects(const char *name)
{
	return !strcmp(name, "pack") ||
	       (strlen(name) == 2 && strspn(name, "0123456789abcdef") == 2);
}

/*
 * An id-mapped mount turns the owner of the repository into the container's root, and only
 * that one. A directory of somebody else that root may not search would be an EIO of some
 * file, long after READY.
 */
static int probe_objects(const char *path, const struct source_dir *source, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		int mode = *entry->d_name == 'p' ? R_OK | X_OK : X_OK;

		if (!holds_objects(entry->d_name) ||
			faccessat(dirfd(dir), entry->d_name, mode, AT_EACCESS) == 0 ||
			errno != EACCES)
			continue;
		return error_set(err, EACCES, EXIT_STATUS_SOURCE,
			"%s: the daemon may not search its objects' directory '%s', which belongs "
			"to somebody else than the repository (%u:%u); chown -R the repository "
			"to one owner, or chmod -R a+rX it",
			source->path, entry->d_name, source->uid, source->gid);
	}
	return 0;
}

static int add_layer(struct fd_list *list, const struct layer_place *place,
	const struct source *source, struct error *err)
{
	int r = add_directory(list, place->path, &source->dir, err);

	/* The first is the repository's own, the others are its alternates. */
	for (size_t i = 0; r == 0 && i < place->object_count; i++) {
		const struct source_dir *dir = i == 0 ? &source->dir : &source->alternates[i - 1];

		r = add_directory(list, place->object_dirs[i], dir, err);
		if (r == 0)
			r = probe_objects(place->object_dirs[i], dir, err);
	}
	return r;
}

static int open_read_dirs(const struct daemon *daemon, const struct places *places,
	struct fd_list *list, struct error *err)
{
	size_t capacity = 0;
	int r = 0;

	for (size_t i = 0; i < places->count; i++)
		capacity += 1 + places->layers[i].object_count;
	list->fds = calloc(capacity, sizeof(int));
	if (!list->fds)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	for (size_t i = 0; r == 0 && i < places->count; i++)
		r = add_layer(list, &places->layers[i], &daemon->request->sources[i], err);
	return r;
}

/*
 * Marks of the kernel's overlayfs are trusted.* where its mounter is root; git layers have
 * none, and an ephemeral upper has no other reader.
 */
static bool wants_trusted_marks(const struct daemon *daemon)
{
	const struct workspace_config *config = daemon->request->config;

	if (!daemon->is_host_root)
		return false;
	if (config->upper)
		return true;
	for (size_t i = 0; i < config->layer_count; i++)
		if (!strcmp(config->layers[i].kind, "dir"))
			return true;
	return false;
}

int daemon_lock(struct daemon *daemon, const struct places *places, struct error *err)
{
	_cleanup_(fd_list_release) struct fd_list read_dirs = {0};
	const char *mode = daemon->request->config->seccomp;
	struct sandbox_config sandbox = {.keep_sys_admin = wants_trusted_marks(daemon)};
	int write_dirs[2];
	int r = open_read_dirs(daemon, places, &read_dirs, err);

	if (r == 0)
		r = seccomp_mode_parse(mode ? mode : "kill", &sandbox.seccomp, err);
	if (r < 0)
		return r;
	write_dirs[0] = daemon->view_upper_fd;
	write_dirs[1] = daemon->view_work_fd;
	sandbox.read_fds = read_dirs.fds;
	sandbox.read_count = read_dirs.count;
	sandbox.write_fds = write_dirs;
	sandbox.write_count = daemon->view_upper_fd < 0 ? 0 : 2;
	return sandbox_lock(&sandbox, err);
}

/* The layer knows its place in the jail, which means nothing to anybody outside. */
static void hide_place(struct error *err, const struct layer_place *place)
{
	const char *at = place->git_dir ? place->git_dir : place->path;
	char *found = strstr(err->text, at);
	size_t length = strlen(at);

	if (!found || strncmp(found + length, ": ", 2) != 0)
		return;
	memmove(found, found + length + 2, strlen(found + length + 2) + 1);
}

static int open_layer(struct daemon *daemon, size_t index, const struct layer_place *place,
	struct layer **ret_layer, struct error *err)
{
	const struct workspace_config *config = daemon->request->config;
	const struct layer_spec *spec = &config->layers[index];
	struct layer_config layer = {
		.kind = spec->kind,
		.index = (unsigned)index,
		.ids = &daemon->ids,
		.root_fd = -1,
		.git_dir = place->git_dir,
		.object_dirs = (const char *const *)place->object_dirs,
		.rev = spec->rev,
		.subdir = spec->subdir,
		.owner_uid = config->owner_uid,
		.owner_gid = config->owner_gid,
		.mtime_is_commit = config->mtime_is_commit,
		.mtime = config->mtime,
		.scratch_fd = daemon->view_work_fd,
	};
	_cleanup_close_ int root_fd = -1;
	int r;

	if (!place->git_dir) {
		root_fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (root_fd < 0)
			return error_set_errno(err, errno, EXIT_STATUS_SOURCE, "%s", spec->path);
		layer.root_fd = root_fd;
	}
	r = layer_open(&layer, ret_layer, err);
	if (r == 0)
		return 0;
	hide_place(err, place);
	return error_prefix(err, "%s", spec->path);
}

/* What the other overlays that read podman's storage cannot follow is not written there. */
static enum overlay_redirect redirect_dir(const struct workspace_config *config)
{
	switch (config->redirect_dir) {
	case CONFIG_REDIRECT_ON:
		return OVERLAY_REDIRECT_ON;
	case CONFIG_REDIRECT_FOLLOW:
		return OVERLAY_REDIRECT_FOLLOW;
	case CONFIG_REDIRECT_NOFOLLOW:
		return OVERLAY_REDIRECT_NOFOLLOW;
	default:
		return config->aufs_whiteouts ? OVERLAY_REDIRECT_FOLLOW : OVERLAY_REDIRECT_ON;
	}
}

int daemon_open(struct daemon *daemon, const struct places *places, struct error *err)
{
	const struct workspace_config *config = daemon->request->config;
	struct overlay_config overlay = {
		.layer_count = places->count,
		.ids = &daemon->ids,
		.upper_fd = daemon->view_upper_fd,
		.work_fd = daemon->view_work_fd,
		.trusted_xattrs = wants_trusted_marks(daemon),
		.aufs_whiteouts = config->aufs_whiteouts,
		.is_volatile = config->is_volatile,
		.static_nlink = config->static_nlink,
		.max_bytes = config->max_size,
		.max_inodes = config->max_inodes,
		.redirect_dir = redirect_dir(config),
		.no_acls = config->no_acls,
		.adopts_root = !config->upper,
		.spare_files = config->kernel_opens ? SESSION_FILES_KEPT : 0,
	};
	_cleanup_free_ struct layer **layers = calloc(places->count, sizeof(struct layer *));
	int r = layer_register_builtin(err);

	if (!layers)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	for (size_t i = 0; r == 0 && i < places->count; i++)
		r = open_layer(daemon, i, &places->layers[i], &layers[i], err);
	if (r < 0) {
		for (size_t i = 0; i < places->count; i++)
			layer_close(layers[i]);
		return r;
	}
	/* The topmost git layer is what the workspace shows a commit of. */
	for (size_t i = 0; i < places->count && !*daemon->commit; i++)
		if (git_layer_object_id(layers[i], daemon->commit) < 0)
			daemon->commit[0] = '\0';
	overlay.layers = layers;
	return overlay_new(&overlay, &daemon->overlay, err);
}
