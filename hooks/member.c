/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clone of a workspace's mount, out of the mount namespace of a container that has it. */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>

#include "host/mountinfo.h"
#include "util/cleanup.h"

/* A container that has the workspace. */
struct member {
	pid_t pid;
	int pidfd, mntns_fd;
	unsigned connection;
	char *path; /* of the mount, in its mount namespace */
};

static void member_release(struct member *member)
{
	free(member->path);
	close_keep_errno(member->pidfd);
	close_keep_errno(member->mntns_fd);
}

static bool is_workspace_root(int fd, unsigned connection)
{
	struct statx st;

	/* Nothing but the device: the daemon is not asked, and whoever asks is answered. */
	return statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, 0, &st) == 0 &&
	       st.stx_dev_major == 0 && st.stx_dev_minor == connection &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* In the child: the container chose what lies at the path, so what was opened is looked at. */
static int clone_inside(const struct container *container, const struct member *member, int *ret_fd,
	struct error *err)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	_cleanup_close_ int fd = -1;
	int r = 0;

	/* A workspace on the way lets nobody else through. */
	if (container->userns_fd >= 0)
		r = namespace_enter(container->userns_fd, CLONE_NEWUSER, err);
	if (!r && container->userns_fd >= 0)
		r = namespace_become_root(err);
	if (!r)
		r = namespace_enter(member->mntns_fd, CLONE_NEWNS, err);
	if (r < 0)
		return r;
	fd = (int)syscall(SYS_openat2, AT_FDCWD, member->path, &how, sizeof(how));
	if (fd < 0 || !is_workspace_root(fd, member->connection))
		return error_set(err, ESRCH, EXIT_STATUS_BUSY, "it is covered, or unmounted");
	*ret_fd = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (*ret_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			"cannot clone the mount of the other container's workspace (open_tree)");
	return 0;
}

_Noreturn static void cloner_main(
	const struct container *container, const struct member *member, int channel)
{
	struct container ours = *container;
	struct member theirs = *member;
	int *keep[] = {&channel, &theirs.mntns_fd, &ours.userns_fd};
	struct error err = {0};
	int fd = -1, r = channel_child_keep(keep, 3);

	if (r < 0)
		error_set_errno(&err, -r, EXIT_STATUS_FAILED, "descriptors of a child");
	else
		clone_inside(&ours, &theirs, &fd, &err);
	_exit(channel_send(channel, &err, fd) < 0 ? 1 : 0);
}

static int clone_mount(const struct container *container, const struct member *member, int *ret_fd,
	struct error *err)
{
	int fds[2];
	int r = channel_pair(fds, err);
	pid_t pid;

	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		cloner_main(container, member, fds[1]);
	close(fds[1]);
	if (pid < 0)
		r = error_set_errno(err, errno, EXIT_STATUS_MACHINE, "fork");
	else
		r = channel_receive(fds[0], clock_work_left(HOOK_MOUNT_TIMEOUT_MS), ret_fd, err);
	close(fds[0]);
	if (pid > 0)
		child_explain(child_reap(pid, clock_undo_left(HOOK_UNDO_TIMEOUT_MS)), err);
	return r;
}

/* 1, 0, or -errno: one of them has ended. */
static int have_same_namespace(pid_t a, pid_t b, const char *kind)
{
	struct stat of_a, of_b;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)a, kind);
	if (stat(path, &of_a) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)b, kind);
	if (stat(path, &of_b) < 0)
		return -errno;
	return of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* An annotation anybody may write; a namespace that is not the engine's the engine has given. */
static bool are_of_one_pod(pid_t ours, pid_t theirs)
{
	static const char *const kinds[] = {"ipc", "net", "uts", "pid"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (have_same_namespace(ours, theirs, kinds[i]) == 1 &&
			namespace_is_shared(ours, kinds[i]) == 0)
			return true;
	return false;
}

static int check_member(
	const struct container *container, const struct member *member, struct error *err)
{
	pid_t ours = container->state.pid;
	bool are_related = are_of_one_pod(ours, member->pid);
	int is_same_user = have_same_namespace(ours, member->pid, "user");
	struct error why = {0};

	/* What was read by number was this process's only if it lives still; a zombie has none. */
	if (have_same_namespace(ours, member->pid, "mnt") < 0 || is_same_user < 0 ||
		pidfd_send_signal(member->pidfd, 0, NULL, 0) < 0)
		return -ESRCH;
	if (!are_related)
		error_set(&why, EBUSY, EXIT_STATUS_BUSY,
			"it shares no namespace (ipc, net, uts, pid) with this one, so nothing but "
			"an annotation says that they are of one pod; leave id= out, or choose "
			"another");
	else if (!is_same_user)
		error_set(&why, EBUSY, EXIT_STATUS_BUSY,
			"it is in another user namespace, and in that alone the files can be had; "
			"leave id= out, or choose another");
	if (err && why.code)
		*err = why;
	return -why.code;
}

static int look_at_mount(void *ctx, const struct mountinfo *info)
{
	struct member *member = ctx;

	if (info->major != 0 || info->minor != member->connection || !info->is_whole ||
		strcmp(info->type, MOUNTINFO_OURS) != 0)
		return 0;
	free(member->path);
	member->path = strdup(info->mountpoint);
	return member->path ? 0 : -ENOMEM;
}

/* The number may be another process's by now, which has no mount of this connection. */
static int open_member(struct member *member)
{
	char path[64];

	member->pidfd = pidfd_open(member->pid, 0);
	if (member->pidfd < 0 || mountinfo_for_each_of(member->pid, look_at_mount, member) < 0 ||
		!member->path)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)member->pid);
	member->mntns_fd = open(path, O_RDONLY | O_CLOEXEC);
	return member->mntns_fd < 0 ? -ESRCH : 0;
}

int member_clone_mount(const struct container *container, pid_t pid, unsigned connection,
	int *ret_clone_fd, struct error *err)
{
	_cleanup_(member_release) struct member member = {
		.pid = pid, .pidfd = -1, .mntns_fd = -1, .connection = connection};
	int r = open_member(&member);

	if (!r)
		r = check_member(container, &member, err);
	return r ? r : clone_mount(container, &member, ret_clone_fd, err);
}
