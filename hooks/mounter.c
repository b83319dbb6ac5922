/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>

#include "util/cleanup.h"
#include "volumes.h"

/* What the hook tells its child; anything else, and the end of file, undo the mount. */
enum order { ORDER_WAIT_READY = 'r', ORDER_COMMIT = 'c' };

/* The child's own state. It holds nothing that keeps the connection alive. */
struct mounting {
	const struct mounter_request *request;
	int channel, mntns_fd, userns_fd, rootfs_fd;
	int fuse_fd;
	int target_fd; /* what is covered by the mount */
	int mount_fd;
	size_t existing; /* components of the target that were there before */
	struct volumes volumes;
	struct error remark;
};

static int enter_and_open_fuse(struct mounting *m, struct error *err)
{
	int r = 0;

	/* The kernel takes a FUSE descriptor only in the user namespace it was opened in. */
	if (m->userns_fd >= 0)
		r = namespace_enter(m->userns_fd, CLONE_NEWUSER, err);
	/* Still as whom the engine runs: the device need not be open to the container's root. */
	if (!r)
		r = mount_open_fuse(&m->fuse_fd, err);
	if (!r && m->userns_fd >= 0)
		r = namespace_become_root(err);
	return r ? r : namespace_enter(m->mntns_fd, CLONE_NEWNS, err);
}

/* What is there and is not seen: the user may have meant otherwise, with an empty volume, too. */
static void remark_content(struct mounting *m)
{
	char name[NAME_MAX + 1];

	if (target_is_mountpoint(m->target_fd))
		error_set(&m->remark, 0, EXIT_STATUS_OK,
			"target '%s' is where a volume is mounted: the workspace hides the volume, "
			"and nothing that is written there reaches it",
			m->request->target);
	else if (target_find_content(m->target_fd, &m->volumes, name, sizeof(name)) > 0)
		error_set(&m->remark, 0, EXIT_STATUS_OK,
			"target '%s' is not empty: the workspace hides '%s' and what else is there",
			m->request->target, name);
}

static int examine_target(struct mounting *m, struct error *err)
{
	const struct mounter_request *request = m->request;
	_cleanup_free_ char *resolved = NULL;
	int r = target_examine(m->rootfs_fd, m->target_fd, &m->volumes, &resolved, err);

	if (!r && request->check)
		r = request->check(request->ctx, resolved, err);
	if (!r)
		r = volumes_open(&m->volumes, m->target_fd, err);
	if (!r)
		remark_content(m);
	return r;
}

/*
 * On a shared root the mount is shared, too, with nobody; a workspace below it could not be
 * told from one on a volume of the host. Kernels that lack the call refuse that one.
 */
static void keep_to_itself(int mount_fd)
{
	struct mount_attr attr = {.propagation = MS_PRIVATE};

	mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr));
}

static int mount_on_target(struct mounting *m, struct error *err)
{
	const struct mounter_request *request = m->request;
	int r;

	volumes_init(&m->volumes, request->target);
	m->existing = target_existing(m->rootfs_fd, request->target);
	r = mount_resolve_target(m->rootfs_fd, request->target, &m->target_fd, err);
	if (!r)
		r = examine_target(m, err);
	if (!r)
		r = mount_fuse(m->fuse_fd, m->target_fd, request->options, &m->mount_fd, err);
	if (r < 0)
		target_remove_made(m->rootfs_fd, request->target, m->existing);
	else
		keep_to_itself(m->mount_fd);
	return r;
}

static void undo(struct mounting *m)
{
	char path[40];

	volumes_give_back(&m->volumes, m->target_fd, m->mount_fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", m->mount_fd);
	/* By the descriptor, whatever lies at the target's path by now. */
	umount2(path, MNT_DETACH);
	close(m->mount_fd);
	target_remove_made(m->rootfs_fd, m->request->target, m->existing);
}

/* Only a mount that answers has places for volumes. */
static void make_ready(struct mounting *m, struct error *err)
{
	if (mount_wait_ready(m->mount_fd, clock_work_left(HOOK_READY_TIMEOUT_MS), err) == 0)
		volumes_attach(&m->volumes, m->mount_fd, err);
}

/* Serves the hook's orders until the mount is left alone or undone. */
static void obey(struct mounting *m)
{
	for (;;) {
		struct error err = {0};
		char order = 0;
		ssize_t n = read(m->channel, &order, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 1 && order == ORDER_COMMIT)
			return;
		if (n != 1 || order != ORDER_WAIT_READY) {
			undo(m);
			return;
		}
		make_ready(m, &err);
		if (channel_send(m->channel, &err, -1) < 0) {
			undo(m);
			return;
		}
	}
}

_Noreturn static void mounter_main(struct mounting *m)
{
	int *keep[] = {&m->channel, &m->mntns_fd, &m->userns_fd, &m->rootfs_fd};
	struct error err = {0};
	int r = channel_child_keep(keep, 4);

	if (r < 0)
		error_set_errno(&err, -r, EXIT_STATUS_FAILED, "descriptors of a child");
	else
		r = enter_and_open_fuse(m, &err);
	if (!r)
		r = mount_on_target(m, &err);
	if (channel_send(m->channel, r < 0 ? &err : &m->remark, r < 0 ? -1 : m->fuse_fd) < 0 &&
		!r) {
		undo(m);
		_exit(1);
	}
	/* The daemon's descriptor alone keeps the connection: it must end with the daemon. */
	close_keep_errno(m->fuse_fd);
	if (!r)
		obey(m);
	_exit(r < 0 ? 1 : 0);
}

static int end(struct mounter *mounter)
{
	int status;

	close_keep_errno(mounter->channel);
	status = child_reap(mounter->pid, clock_undo_left(HOOK_UNDO_TIMEOUT_MS));
	mounter->pid = 0;
	mounter->channel = -1;
	return status;
}

int mounter_start(const struct container *container, const struct mounter_request *request,
	struct mounter *ret_mounter, int *ret_fuse_fd, struct error *err)
{
	struct mounting mounting = {
		.request = request,
		.mntns_fd = container->mntns_fd,
		.userns_fd = container->userns_fd,
		.rootfs_fd = container->rootfs_fd,
		.fuse_fd = -1,
		.target_fd = -1,
		.mount_fd = -1,
	};
	struct error answer = {0};
	struct mounter mounter;
	int fds[2];
	int r = channel_pair(fds, err);

	if (r < 0)
		return r;
	mounting.channel = fds[1];
	mounter = (struct mounter){.pid = fork(), .channel = fds[0]};
	if (mounter.pid == 0)
		mounter_main(&mounting);
	close(fds[1]);
	if (mounter.pid < 0) {
		close(fds[0]);
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "fork");
	}
	r = channel_receive(fds[0], clock_work_left(HOOK_MOUNT_TIMEOUT_MS), ret_fuse_fd, &answer);
	if (r < 0) {
		child_explain(end(&mounter), &answer);
		if (err)
			*err = answer;
		return r;
	}
	mounter.remark = answer;
	*ret_mounter = mounter;
	return 0;
}

static int give_order(struct mounter *mounter, char order)
{
	return write(mounter->channel, &order, 1) == 1 ? 0 : -errno;
}

int mounter_wait_ready(struct mounter *mounter, struct error *err)
{
	int r = give_order(mounter, ORDER_WAIT_READY);

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "the mounting child");
	return channel_receive(
		mounter->channel, clock_work_left(HOOK_READY_TIMEOUT_MS) + 1000, NULL, err);
}

void mounter_commit(struct mounter *mounter)
{
	if (mounter->pid <= 0)
		return;
	give_order(mounter, ORDER_COMMIT);
	end(mounter);
}

void mounter_undo(struct mounter *mounter)
{
	if (mounter->pid > 0)
		end(mounter);
}
