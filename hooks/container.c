/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <git-overlayfs/log.h>
#include <git-overlayfs/mount.h>

#include "util/cleanup.h"

void container_init(struct container *container)
{
	memset(container, 0, sizeof(*container));
	container->pidfd = container->rootfs_fd = -1;
	container->mntns_fd = container->userns_fd = -1;
}

void container_release(struct container *container)
{
	oci_state_release(&container->state);
	oci_config_release(&container->config);
	free(container->rootfs);
	close_keep_errno(container->pidfd);
	close_keep_errno(container->rootfs_fd);
	close_keep_errno(container->mntns_fd);
	close_keep_errno(container->userns_fd);
	container_init(container);
}

static int set_rootfs(struct container *container, const char *root_path, struct error *err)
{
	bool is_absolute = root_path[0] == '/';

	if (asprintf(&container->rootfs, "%s%s%s", is_absolute ? "" : container->state.bundle,
		    is_absolute ? "" : "/", root_path) >= 0)
		return 0;
	container->rootfs = NULL;
	return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

static int read_config_text(
	const char *bundle, char **ret_text, size_t *ret_size, struct error *err)
{
	_cleanup_close_ int fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "bundle %s", bundle);
	r = input_read_file(
		fd, "config.json", O_NOFOLLOW, OCI_CONFIG_MAX, ret_text, ret_size, NULL, err);
	return r < 0 ? error_prefix(err, "bundle %s", bundle) : 0;
}

int container_read_config(struct container *container, struct error *err)
{
	const struct oci_state *state = &container->state;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = read_config_text(state->bundle, &text, &size, err);

	/* Some releases of crun say that the bundle is "/"; they also say where the root is. */
	if (r == -ENOENT && state->root && state->root[0] == '/') {
		log_warning("bundle %s has no config.json: root %s is taken from the state, and "
			    "files belong to the container's root",
			state->bundle, state->root);
		return set_rootfs(container, state->root, err);
	}
	if (!r)
		r = oci_config_parse(text, size, &container->config, err);
	return r < 0 ? r : set_rootfs(container, container->config.root_path, err);
}

static int check_pid(const struct container *container, struct error *err)
{
	pid_t pid = container->state.pid;

	if (pid <= 0)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"the runtime named no process (pid %d): it must run the hook at "
			"createRuntime or prestart",
			(int)pid);
	if (pid == 1 || pid == getpid() || pid == getppid())
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"pid %d is no container's process", (int)pid);
	return 0;
}

static int open_namespace(pid_t pid, const char *name, int *ret_fd, struct error *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*ret_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s", path);
	return 0;
}

static int open_pidfd(struct container *container, struct error *err)
{
	pid_t pid = container->state.pid;
	int r;

	container->pidfd = pidfd_open(pid, 0);
	if (container->pidfd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED,
			"the container's process, pid %d", (int)pid);
	r = namespace_is_shared(pid, "mnt");
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"mount namespace of the container's process, pid %d", (int)pid);
	if (r > 0)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"pid %d is in the host's mount namespace, so it is no container's "
			"process",
			(int)pid);
	return open_namespace(pid, "mnt", &container->mntns_fd, err);
}

/* What `id` of the container is for us; `map` is "uid_map" or "gid_map". -ENOENT: nothing. */
static int map_id(const struct container *container, const char *map, uint32_t id, uint32_t *ret_id)
{
	unsigned inside, outside, count;
	char path[64];
	int r = -ENOENT;
	FILE *file;

	if (container->userns_fd < 0) {
		*ret_id = id;
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)container->state.pid, map);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fscanf(file, "%u %u %u", &inside, &outside, &count) ==
		3) { /* NOLINT(cert-err34-c) */
		if (id < inside || id - inside >= count)
			continue;
		*ret_id = outside + (id - inside);
		r = 0;
	}
	fclose(file);
	return r;
}

int container_map_owner(const struct container *container, uint32_t uid, uint32_t gid,
	uid_t *ret_uid, gid_t *ret_gid, struct error *err)
{
	int r = map_id(container, "uid_map", uid, ret_uid);

	if (!r)
		r = map_id(container, "gid_map", gid, ret_gid);
	if (r == -ENOENT)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"owner %u:%u has no ids outside of the container's user namespace; choose "
			"an owner= that the container maps",
			uid, gid);
	if (r < 0)
		return error_set_errno(
			err, -r, EXIT_STATUS_FAILED, "id maps of the container's user namespace");
	return 0;
}

static int open_userns(struct container *container, struct error *err)
{
	pid_t pid = container->state.pid;
	int r = namespace_is_shared(pid, "user");

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"user namespace of the container's process, pid %d", (int)pid);
	return r > 0 ? 0 : open_namespace(pid, "user", &container->userns_fd, err);
}

/* In the child: the root file system as the container's mount namespace has it. */
static int open_rootfs_inside(int mntns_fd, const char *path, int *ret_fd, struct error *err)
{
	int r = namespace_enter(mntns_fd, CLONE_NEWNS, err);

	if (r < 0)
		return r;
	*ret_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED,
			"the mount namespace of the container's process shows no %s", path);
	return 0;
}

_Noreturn static void visitor_main(struct container *container, int channel)
{
	int *keep[] = {&channel, &container->mntns_fd};
	struct error err = {0};
	int fd = -1;
	int r = channel_child_keep(keep, 2);

	if (r < 0)
		error_set_errno(&err, -r, EXIT_STATUS_FAILED, "descriptors of a child");
	else
		open_rootfs_inside(container->mntns_fd, container->rootfs, &fd, &err);
	_exit(channel_send(channel, &err, fd) < 0 ? 1 : 0);
}

/*
 * Opened before the user namespace is entered: the directories above a root file
 * system are often closed to the container's own ids.
 */
static int fetch_rootfs(struct container *container, struct error *err)
{
	int fds[2];
	int r = channel_pair(fds, err);
	pid_t pid;

	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		visitor_main(container, fds[1]);
	close(fds[1]);
	if (pid < 0)
		r = error_set_errno(err, errno, EXIT_STATUS_MACHINE, "fork");
	else
		r = channel_receive(
			fds[0], clock_work_left(HOOK_MOUNT_TIMEOUT_MS), &container->rootfs_fd, err);
	close(fds[0]);
	if (pid > 0)
		child_explain(child_reap(pid, clock_undo_left(HOOK_UNDO_TIMEOUT_MS)), err);
	return r;
}

/*
 * A runtime that isolates by a virtual machine, or a pid of another container, has
 * another root there. The runtimes mount the root on itself before they run hooks, so
 * it is a mount of its own in the right namespace.
 */
static int compare_rootfs(const struct container *container, struct error *err)
{
	struct stat outside;
	struct statx inside;

	if (stat(container->rootfs, &outside) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_FAILED, "root file system %s", container->rootfs);
	if (statx(container->rootfs_fd, "", AT_EMPTY_PATH, STATX_INO, &inside) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED,
			"root file system %s in the container", container->rootfs);
	if (makedev(inside.stx_dev_major, inside.stx_dev_minor) == outside.st_dev &&
		inside.stx_ino == outside.st_ino && (inside.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0;
	return error_set(err, EINVAL, EXIT_STATUS_FAILED,
		"pid %d does not have %s as its root file system: it is no process of this "
		"container, or the runtime isolates by a virtual machine",
		(int)container->state.pid, container->rootfs);
}

int container_check_alive(const struct container *container, struct error *err)
{
	if (pidfd_send_signal(container->pidfd, 0, NULL, 0) == 0)
		return 0;
	return error_set_errno(err, errno, EXIT_STATUS_FAILED, "the container's process, pid %d",
		(int)container->state.pid);
}

int container_open(struct container *container, struct error *err)
{
	int r = check_pid(container, err);

	if (!r)
		r = open_pidfd(container, err);
	if (!r)
		r = open_userns(container, err);
	if (!r)
		r = fetch_rootfs(container, err);
	if (!r)
		r = compare_rootfs(container, err);
	return r ? r : container_check_alive(container, err);
}
