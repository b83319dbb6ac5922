/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/sandbox.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Only mountpoints lie in the root: a few directories for each layer. */
#define ROOT_SIZE   "1m"
#define ROOT_INODES "65536"

static int enter_namespaces(struct error *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_MACHINE, "jail: cannot make namespaces (unshare)");
	/* Otherwise what is mounted and unmounted below would happen on the host too. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_MACHINE, "jail: cannot make the mounts private");
	return 0;
}

static int create_tmpfs(int *ret_fd)
{
	_cleanup_close_ int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 ||
		fsconfig(context, FSCONFIG_SET_STRING, "source", "git-overlayfs-jail", 0) < 0 ||
		fsconfig(context, FSCONFIG_SET_STRING, "size", ROOT_SIZE, 0) < 0 ||
		fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", ROOT_INODES, 0) < 0 ||
		fsconfig(context, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
		fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(
		context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int attach(int mount_fd, int target_fd)
{
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

	return move_mount(mount_fd, "", target_fd, "", flags) < 0 ? -errno : 0;
}

/*
 * On top of the old root, which is everywhere: mounts can be attached to a file
 * system only when it is attached itself (before Linux 6.15).
 */
static int make_root(int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1, old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = old < 0 ? -errno : create_tmpfs(&fd);

	if (!r)
		r = attach(fd, old);
	if (r)
		return error_set_errno(
			err, -r, EXIT_STATUS_MACHINE, "jail: cannot make its root (tmpfs)");
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* Opens the directory `path` in the root, making what is missing. */
static int make_directory(int root_fd, const char *path, int *ret_fd)
{
	_cleanup_close_ int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);

	for (path += strspn(path, "/"); fd >= 0 && *path; path += strspn(path, "/")) {
		char name[NAME_MAX + 1];
		size_t n = strcspn(path, "/");
		int next;

		if (n >= sizeof(name))
			return -ENAMETOOLONG;
		memcpy(name, path, n);
		name[n] = '\0';
		if (mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		close(fd);
		fd = next;
		path += n;
	}
	if (fd < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int attach_at(int root_fd, int mount_fd, const char *path, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = make_directory(root_fd, path, &fd);

	if (!r)
		r = attach(mount_fd, fd);
	if (r)
		return error_set_errno(
			err, -r, EXIT_STATUS_MACHINE, "jail: cannot mount '%s'", path);
	return 0;
}

/*
 * What is below is this process's own list of descriptors, and shows those of
 * its threads too: paths "/proc/self/fd/N" mean the same as before.
 */
static int attach_proc_fd(int root_fd, struct error *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
		.propagation = MS_PRIVATE,
	};
	_cleanup_close_ int fd =
		open_tree(AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			"jail: cannot clone /proc/self/fd (is /proc mounted?)");
	return attach_at(root_fd, fd, "/proc/self/fd", err);
}

static int enter_root(int root_fd, struct error *err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (mount_setattr(root_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_MACHINE, "jail: cannot make its root read-only");
	/* The old root ends up on top of the new one, and then is gone. */
	if (fchdir(root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "jail: pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_MACHINE, "jail: cannot leave the old root");
	if (chdir("/") < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "jail: chdir");
	return 0;
}

static int build(const struct jail_tree *trees, size_t count, struct error *err)
{
	_cleanup_close_ int root_fd = -1;
	int r = make_root(&root_fd, err);

	/* First, while "/proc" still is what it was: paths begin at the old root. */
	if (!r)
		r = attach_proc_fd(root_fd, err);
	for (size_t i = 0; !r && i < count; i++)
		r = attach_at(root_fd, trees[i].mount_fd, trees[i].at, err);
	return r ? r : enter_root(root_fd, err);
}

int jail_enter(const struct jail_tree *trees, size_t count, struct error *err)
{
	mode_t mask = umask(022);
	int r = enter_namespaces(err);

	if (!r)
		r = build(trees, count, err);
	umask(mask);
	return r;
}
