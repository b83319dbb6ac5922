/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <git-overlayfs/log.h>
#include <git-overlayfs/mount.h>
#include <git-overlayfs/sandbox.h>

#include "util/cleanup.h"

#define MAP_LINE_MAX 128

/* The mounts that go into the jail, with the paths that they get there. */
struct trees {
	struct jail_tree *trees;
	size_t count, capacity;
};

static void trees_release(struct trees *trees)
{
	for (size_t i = 0; i < trees->count; i++) {
		close_keep_errno(trees->trees[i].mount_fd);
		free((char *)trees->trees[i].at);
	}
	free(trees->trees);
}

static void place_release(struct layer_place *place)
{
	for (size_t i = 0; i < place->object_count; i++)
		free(place->object_dirs[i]);
	free(place->object_dirs);
	free(place->git_dir);
	free(place->path);
}

void places_release(struct places *places)
{
	for (size_t i = 0; i < places->count; i++)
		place_release(&places->layers[i]);
	free(places->layers);
	*places = (struct places){0};
}

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
	char *ret;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&ret, format, ap);
	va_end(ap);
	return n < 0 ? NULL : ret;
}

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

/* --- what belongs where --- */

/* In a jail layer N lies at /layer/N, for a plain user where the host has it. */
static char *source_at(bool in_jail, size_t layer, const struct source *source, bool is_git)
{
	if (!in_jail)
		return strdup(source->dir.path);
	return text("/layer/%zu/%s", layer, is_git ? "git" : "dir");
}

static int place_layer(struct layer_place *place, bool in_jail, size_t layer,
	const struct source *source, bool is_git, struct error *err)
{
	place->path = source_at(in_jail, layer, source, is_git);
	if (!place->path)
		return out_of_memory(err);
	if (!is_git)
		return 0;
	place->git_dir = source->git_dir && *source->git_dir
				 ? text("%s/%s", place->path, source->git_dir)
				 : strdup(place->path);
	place->object_dirs = calloc(source->alternate_count + 2, sizeof(char *));
	if (!place->git_dir || !place->object_dirs)
		return out_of_memory(err);
	place->object_dirs[place->object_count++] = text("%s/objects", place->path);
	for (size_t i = 0; i < source->alternate_count; i++)
		place->object_dirs[place->object_count++] =
			in_jail ? text("/layer/%zu/objects/%zu", layer, i)
				: strdup(source->alternates[i].path);
	for (size_t i = 0; i < place->object_count; i++)
		if (!place->object_dirs[i])
			return out_of_memory(err);
	return 0;
}

static bool is_git_layer(const struct daemon *daemon, size_t layer)
{
	return !strcmp(daemon->request->config->layers[layer].kind, "git");
}

static int place_all(const struct daemon *daemon, struct places *places, struct error *err)
{
	const struct supervisor_request *request = daemon->request;
	bool in_jail = !request->plain_user;

	places->layers = calloc(request->config->layer_count, sizeof(*places->layers));
	if (!places->layers)
		return out_of_memory(err);
	for (size_t i = 0; i < request->config->layer_count; i++) {
		int r;

		places->count++;
		r = place_layer(&places->layers[i], in_jail, i, &request->sources[i],
			is_git_layer(daemon, i), err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- the container's root, as a host id --- */

/* The id outside of a namespace's id 0, or of its lowest id. Text of /proc/PID/uid_map. */
static int root_of_map(const char *path, uint32_t *ret_id)
{
	FILE *file = fopen(path, "re");
	unsigned inside, outside, count, best = UINT32_MAX;
	char line[MAP_LINE_MAX];
	int r = -ENOENT;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%u %u %u", &inside, &outside, &count) != 3 || inside >= best)
			continue;
		best = inside;
		*ret_id = outside;
		r = 0;
	}
	fclose(file);
	return r;
}

/* A process that stays in the namespace until its end of the pipe is closed. */
static pid_t start_guest(int userns_fd, int ready_fd, int hold_fd)
{
	pid_t pid = fork();
	char byte = 0;

	if (pid != 0)
		return pid;
	if (setns(userns_fd, CLONE_NEWUSER) == 0 && write(ready_fd, &byte, 1) == 1 &&
		read(hold_fd, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

/*
 * A map is readable only through a process that lives in its namespace, and it is told in
 * the reader's ids: so a child goes in, and this process reads.
 */
static int container_root(int userns_fd, uint32_t *ret_uid, uint32_t *ret_gid)
{
	char path[64], byte;
	int ready[2], hold[2], r = -EPERM;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(hold, O_CLOEXEC) < 0) {
		close_keep_errno(ready[0]);
		close_keep_errno(ready[1]);
		return -errno;
	}
	/* The child's copies of the other ends go with it, and hold[1] is not needed there. */
	pid = start_guest(userns_fd, ready[1], hold[0]);
	close(ready[1]);
	close(hold[0]);
	if (pid > 0 && read(ready[0], &byte, 1) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		r = root_of_map(path, ret_uid);
		snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		if (r == 0)
			r = root_of_map(path, ret_gid);
	}
	close(ready[0]);
	close(hold[1]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return r;
}

/* --- cloning --- */

static int add_tree(struct trees *trees, int mount_fd, char *at, struct error *err)
{
	if (!at || trees->count == trees->capacity) {
		close_keep_errno(mount_fd);
		free(at);
		return out_of_memory(err);
	}
	trees->trees[trees->count++] = (struct jail_tree){.mount_fd = mount_fd, .at = at};
	return 0;
}

/*
 * A read-only clone of one directory. Where real root serves a container, the owner of a
 * repository is shown as the container's root, so that it can be read whatever its modes
 * are; where the kernel or the file system cannot do that, its modes decide.
 */
static int clone_source(const struct daemon *daemon, const struct source_dir *dir, bool idmap,
	struct trees *trees, char *at, struct error *err)
{
	const unsigned flags =
		CLONE_TREE_READ_ONLY | CLONE_TREE_NODEV | CLONE_TREE_NOSUID | CLONE_TREE_NOEXEC;
	_cleanup_close_ int userns_fd = -1;
	int fd, r = -ENOTSUP;
	uint32_t uid, gid;
	struct error why = {0};

	if (idmap && container_root(daemon->request->userns_fd, &uid, &gid) == 0 &&
		mount_idmap_userns(dir->uid, dir->gid, uid, gid, &userns_fd, &why) == 0)
		r = mount_clone_tree(dir->fd, "", flags, userns_fd, &fd, &why);
	if (r < 0) {
		if (idmap)
			log_debug("%s: not idmapped: %s", dir->path, why.text);
		r = mount_clone_tree(dir->fd, "", flags, -1, &fd, err);
	}
	if (r < 0) {
		free(at);
		return error_prefix(err, "%s", dir->path);
	}
	return add_tree(trees, fd, at, err);
}

static int clone_layers(const struct daemon *daemon, struct trees *trees, struct error *err)
{
	const struct supervisor_request *request = daemon->request;
	int r = 0;

	for (size_t i = 0; r == 0 && i < request->config->layer_count; i++) {
		const struct source *source = &request->sources[i];
		bool is_git = is_git_layer(daemon, i);
		/* The owners in a directory layer are shown, and must stay what they are. */
		bool idmap = is_git && request->userns_fd >= 0 && daemon->is_host_root;

		r = clone_source(daemon, &source->dir, idmap, trees,
			source_at(true, i, source, is_git), err);
		for (size_t k = 0; r == 0 && k < source->alternate_count; k++)
			r = clone_source(daemon, &source->alternates[k], idmap, trees,
				text("/layer/%zu/objects/%zu", i, k), err);
	}
	return r;
}

/*
 * One clone for both: rename and link do not pass from one mount to another. They are
 * opened here, for the daemon may have no right to search what lies above them.
 */
static int clone_upper(struct daemon *daemon, struct trees *trees, struct error *err)
{
	const struct upper_dirs *upper = daemon->upper;
	int fd, r;

	r = mount_clone_tree(upper->parent_fd, "",
		CLONE_TREE_NODEV | CLONE_TREE_NOSUID | CLONE_TREE_NOEXEC, -1, &fd, err);
	if (r < 0)
		return error_prefix(err, "upper directory");
	r = add_tree(trees, fd, strdup("/upper"), err);
	if (r < 0)
		return r;
	r = upper_open_below(fd, upper->upper_below, upper->upper_fd, &daemon->view_upper_fd);
	if (r == 0)
		r = upper_open_below(fd, upper->work_below, upper->work_fd, &daemon->view_work_fd);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "upper directory");
	return 0;
}

static int clone_all(struct daemon *daemon, struct trees *trees, struct error *err)
{
	const struct supervisor_request *request = daemon->request;
	int r;

	trees->capacity = 1;
	for (size_t i = 0; i < request->config->layer_count; i++)
		trees->capacity += 1 + request->sources[i].alternate_count;
	trees->trees = calloc(trees->capacity, sizeof(*trees->trees));
	if (!trees->trees)
		return out_of_memory(err);
	r = clone_layers(daemon, trees, err);
	if (r < 0 || daemon->upper->upper_fd < 0)
		return r;
	return clone_upper(daemon, trees, err);
}

/* --- going there --- */

/* Whether the user namespace of this process maps every id. */
static bool maps_everything(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned inside, outside, count;
	unsigned long long total = 0;
	char line[MAP_LINE_MAX];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%u %u %u", &inside, &outside, &count) == 3)
			total += count;
	fclose(file);
	return total >= UINT32_MAX;
}

static int enter_user_namespace(struct daemon *daemon, struct error *err)
{
	int r;

	if (daemon->request->userns_fd >= 0) {
		if (setns(daemon->request->userns_fd, CLONE_NEWUSER) < 0)
			return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
				"cannot enter the container's user namespace");
		r = namespace_become_root(err);
		if (r < 0)
			return r;
		daemon->is_host_root = false;
	}
	daemon->ids.overflow_is_unmapped[IDMAP_UID] = !maps_everything("/proc/self/uid_map");
	daemon->ids.overflow_is_unmapped[IDMAP_GID] = !maps_everything("/proc/self/gid_map");
	return 0;
}

static void close_fd(int *fd)
{
	close_keep_errno(steal_fd(fd));
}

/*
 * A descriptor of a directory of the host is a way out of the jail ("..") for whoever
 * takes the daemon over.
 */
static void close_host_directories(struct daemon *daemon)
{
	const struct supervisor_request *request = daemon->request;
	struct upper_dirs *upper = daemon->upper;

	for (size_t i = 0; i < request->config->layer_count; i++) {
		struct source *source = &request->sources[i];

		close_fd(&source->dir.fd);
		for (size_t k = 0; k < source->alternate_count; k++)
			close_fd(&source->alternates[k].fd);
	}
	close_fd(&upper->parent_fd);
	/* Without a jail these two are what it works with. */
	if (!request->plain_user) {
		close_fd(&upper->upper_fd);
		close_fd(&upper->work_fd);
	}
	close_keep_errno(request->userns_fd);
}

int daemon_enter(struct daemon *daemon, struct places *ret_places, struct error *err)
{
	_cleanup_(trees_release) struct trees trees = {0};
	int r = place_all(daemon, ret_places, err);

	daemon->is_host_root = geteuid() == 0 && maps_everything("/proc/self/uid_map");
	/* The clones belong to the mount namespace that is left behind, so they come first. */
	if (r == 0 && !daemon->request->plain_user) {
		r = clone_all(daemon, &trees, err);
	} else if (r == 0) {
		daemon->view_upper_fd = daemon->upper->upper_fd;
		daemon->view_work_fd = daemon->upper->work_fd;
	}
	if (r == 0)
		r = enter_user_namespace(daemon, err);
	if (r == 0 && !daemon->request->plain_user)
		r = jail_enter(trees.trees, trees.count, err);
	close_host_directories(daemon);
	return r;
}
