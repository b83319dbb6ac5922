/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/mount.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/cleanup.h"

/* openat2(2) gives up with EAGAIN whenever a rename anywhere races with a "..". */
#define RESOLVE_RETRIES	     128
#define TARGET_DEPTH_MAX     256
#define TARGET_COMPONENT_MAX 255

static int open_dir(int dirfd, const char *path, uint64_t resolve)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	for (int i = 0; i < RESOLVE_RETRIES; i++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

static int identify(int fd, struct statx *ret)
{
	/* AT_NO_AUTOMOUNT and no sync: nothing of a network or FUSE server is waited for. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		    STATX_TYPE | STATX_INO | STATX_MNT_ID, ret) < 0)
		return -errno;
	return 0;
}

static bool is_same_dir(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}

/* The same directory of the same mount. */
static bool is_same_place(const struct statx *a, const struct statx *b)
{
	return is_same_dir(a, b) && a->stx_mnt_id == b->stx_mnt_id;
}

static const char *const system_dirs[] = {"/proc", "/sys", "/dev"};
#define SYSTEM_DIR_COUNT (sizeof(system_dirs) / sizeof(system_dirs[0]))

struct boundary {
	struct statx root;
	struct statx system[SYSTEM_DIR_COUNT];
	bool exists[SYSTEM_DIR_COUNT];
};

static int find_boundary(int root_fd, struct boundary *ret)
{
	int r = identify(root_fd, &ret->root);

	for (size_t i = 0; !r && i < SYSTEM_DIR_COUNT; i++) {
		_cleanup_close_ int fd = open_dir(root_fd, system_dirs[i], RESOLVE_IN_ROOT);

		ret->exists[i] = fd >= 0;
		if (fd >= 0)
			r = identify(fd, &ret->system[i]);
	}
	return r;
}

static int refuse_system_dir(const char *path, const char *dir, struct error *err)
{
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"target '%s' lies in %s, which belongs to the system", path, dir);
}

static int refuse_root(const char *path, struct error *err)
{
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"target '%s': the root itself cannot be a target", path);
}

static int check_filesystem(int fd, const char *path, struct error *err)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "target '%s'", path);
	if (fs.f_type == PROC_SUPER_MAGIC)
		return refuse_system_dir(path, "a proc file system", err);
	if (fs.f_type == SYSFS_MAGIC)
		return refuse_system_dir(path, "a sysfs file system", err);
	return 0;
}

/*
 * Climbs from `fd` to the root by "..", which needs no /proc and cannot be lied to by
 * a path: says where the directory lies now, whatever names led to it.
 */
static int check_place(int fd, const struct boundary *bounds, const char *path, struct error *err)
{
	_cleanup_close_ int at = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	struct statx here = {0}, above = {0};
	int r = at < 0 ? -errno : identify(at, &here);

	for (int depth = 0; !r && depth < PATH_MAX; depth++) {
		int parent;

		if (is_same_place(&here, &bounds->root))
			return 0;
		for (size_t i = 0; i < SYSTEM_DIR_COUNT; i++)
			if (bounds->exists[i] && is_same_dir(&here, &bounds->system[i]))
				return refuse_system_dir(path, system_dirs[i], err);
		parent = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (parent < 0)
			return error_set_errno(
				err, errno, EXIT_STATUS_MACHINE, "target '%s'", path);
		close(at);
		at = parent;
		r = identify(at, &above);
		if (!r && is_same_place(&above, &here))
			break;
		here = above;
	}
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "target '%s'", path);
	return error_set(err, EXDEV, EXIT_STATUS_FAILED,
		"target '%s' was moved out of the root while it was being resolved", path);
}

/* The components of a path, in a buffer of their own. */
struct components {
	char text[PATH_MAX];
	size_t count;
	const char *names[TARGET_DEPTH_MAX];
	size_t ends[TARGET_DEPTH_MAX]; /* where each ends in the original */
};

static int split(const char *path, struct components *ret, struct error *err)
{
	size_t length = strlen(path), at = 0;

	ret->count = 0;
	if (length >= sizeof(ret->text))
		return error_set(err, ENAMETOOLONG, EXIT_STATUS_USAGE,
			"target: longer than %d bytes", PATH_MAX - 1);
	memcpy(ret->text, path, length + 1);
	while (at < length) {
		size_t n = strcspn(path + at, "/");
		const char *name = ret->text + at;

		ret->text[at + n] = '\0';
		at += n + 1;
		if (n == 0 || strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"target '%s': '..' is not allowed", path);
		if (n > TARGET_COMPONENT_MAX || ret->count == TARGET_DEPTH_MAX)
			return error_set(err, ENAMETOOLONG, EXIT_STATUS_USAGE,
				"target '%s': a name is too long, or there are too many", path);
		ret->names[ret->count] = name;
		ret->ends[ret->count++] = at - 1;
	}
	if (ret->count == 0)
		return refuse_root(path, err);
	return 0;
}

/* The longest part of `path` that exists; *ret_done: how many components that are. */
static int open_existing(
	int root_fd, const char *path, const struct components *parts, size_t *ret_done)
{
	char prefix[PATH_MAX];

	for (size_t n = parts->count; n > 0; n--) {
		size_t length = parts->ends[n - 1];
		int fd;

		memcpy(prefix, path, length);
		prefix[length] = '\0';
		fd = open_dir(root_fd, prefix, RESOLVE_IN_ROOT);
		if (fd != -ENOENT) {
			*ret_done = n;
			return fd;
		}
	}
	*ret_done = 0;
	return fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
}

static int make_component(int dirfd, const char *name, const char *path, struct error *err)
{
	/* The mode is 0755 whatever the umask; one thread only runs at this time. */
	mode_t mask = umask(022);
	int r = mkdirat(dirfd, name, 0755) < 0 ? -errno : 0;
	int fd;

	umask(mask);
	if (r == -EROFS)
		return error_set(err, EROFS, EXIT_STATUS_FAILED,
			"target '%s': '%s' is missing and the file system is read-only", path,
			name);
	if (r && r != -EEXIST)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"target '%s': cannot make the directory '%s'", path, name);
	fd = open_dir(dirfd, name, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (fd == -ELOOP)
		return error_set(err, ELOOP, EXIT_STATUS_FAILED,
			"target '%s': '%s' is a symbolic link that leads nowhere, or became one",
			path, name);
	if (fd < 0)
		return error_set_errno(err, -fd, EXIT_STATUS_FAILED,
			"target '%s': cannot open the directory '%s'", path, name);
	return fd;
}

static int check_result(int fd, const struct boundary *bounds, const char *path, struct error *err)
{
	struct statx here;
	int r = identify(fd, &here);

	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "target '%s'", path);
	if (is_same_dir(&here, &bounds->root))
		return refuse_root(path, err);
	r = check_place(fd, bounds, path, err);
	return r ? r : check_filesystem(fd, path, err);
}

int mount_resolve_target(int root_fd, const char *path, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct components parts;
	struct boundary bounds = {.exists = {false}};
	size_t done;
	int r = split(path, &parts, err);

	if (r)
		return r;
	r = find_boundary(root_fd, &bounds);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "the root of the target");
	fd = open_existing(root_fd, path, &parts, &done);
	if (fd == -ENOTDIR)
		return error_set(
			err, ENOTDIR, EXIT_STATUS_FAILED, "target '%s': not a directory", path);
	if (fd < 0)
		return error_set_errno(err, -fd, EXIT_STATUS_FAILED, "target '%s'", path);
	r = check_place(fd, &bounds, path, err);
	for (size_t i = done; !r && i < parts.count; i++) {
		int next = make_component(fd, parts.names[i], path, err);

		if (next < 0)
			return next;
		close(fd);
		fd = next;
	}
	if (!r)
		r = check_result(fd, &bounds, path, err);
	if (r)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}
