/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/log.h>

#include "util/fdcache.h"

#define PROC_PATH_MAX sizeof("/proc/self/fd/-2147483648")

static void proc_path(char path[PROC_PATH_MAX], int fd)
{
	snprintf(path, PROC_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* Must come directly behind the call. */
static ssize_t traced(const char *call, int fd, const char *name, ssize_t r)
{
	if (r < 0)
		r = -errno;
	log_debug("upper: %s %d '%s' = %s", call, fd, name, r < 0 ? error_name((int)-r) : "ok");
	return r;
}

int call_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);

	/* Directories that are open for speed alone make room. */
	if (fd < 0 && fdcache_make_room(errno))
		fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);
	return (int)traced("openat", dir_fd, name, fd);
}

int call_reopen(int fd, int flags)
{
	char path[PROC_PATH_MAX];

	proc_path(path, fd);
	return (int)traced("open", fd, path, open(path, (flags & ~O_NOFOLLOW) | O_CLOEXEC));
}

int call_dup(int fd)
{
	return (int)traced("dup", fd, "", fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int call_fstatat(int dir_fd, const char *name, struct stat *ret_st)
{
	return (int)traced(
		"fstatat", dir_fd, name, fstatat(dir_fd, name, ret_st, AT_SYMLINK_NOFOLLOW));
}

int call_fstat(int fd, struct stat *ret_st)
{
	return (int)traced("fstat", fd, "", fstat(fd, ret_st));
}

ssize_t call_readlinkat(int dir_fd, const char *name, char *buf, size_t size)
{
	return traced("readlinkat", dir_fd, name, readlinkat(dir_fd, name, buf, size));
}

int call_opendir(int dir_fd, DIR **ret_stream)
{
	int fd = call_openat(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	*ret_stream = fdopendir(fd);
	if (!*ret_stream) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

int call_mkdirat(int dir_fd, const char *name, mode_t mode)
{
	return (int)traced("mkdirat", dir_fd, name, mkdirat(dir_fd, name, mode));
}

int call_mknodat(int dir_fd, const char *name, mode_t mode, dev_t rdev)
{
	return (int)traced("mknodat", dir_fd, name, mknodat(dir_fd, name, mode, rdev));
}

int call_symlinkat(const char *target, int dir_fd, const char *name)
{
	return (int)traced("symlinkat", dir_fd, name, symlinkat(target, dir_fd, name));
}

int call_link(int fd, int dir_fd, const char *name)
{
	char path[PROC_PATH_MAX];

	/* AT_EMPTY_PATH would want CAP_DAC_READ_SEARCH in the initial user namespace. */
	proc_path(path, fd);
	return (int)traced(
		"linkat", dir_fd, name, linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW));
}

int call_unlinkat(int dir_fd, const char *name, int flags)
{
	return (int)traced("unlinkat", dir_fd, name, unlinkat(dir_fd, name, flags));
}

int call_renameat2(
	int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name, unsigned flags)
{
	return (int)traced("renameat2", new_dir_fd, new_name,
		renameat2(old_dir_fd, old_name, new_dir_fd, new_name, flags));
}

int call_chown(int fd, uint32_t uid, uint32_t gid)
{
	return (int)traced("fchownat", fd, "", fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
}

int call_chmod(int fd, mode_t mode)
{
	char path[PROC_PATH_MAX];

	proc_path(path, fd);
	return (int)traced("fchmodat", fd, path, fchmodat(AT_FDCWD, path, mode, 0));
}

int call_utimens(int fd, const struct timespec times[2])
{
	return (int)traced("utimensat", fd, "", utimensat(fd, "", times, AT_EMPTY_PATH));
}

int call_ftruncate(int fd, off_t size)
{
	return (int)traced("ftruncate", fd, "", ftruncate(fd, size));
}

int call_fsync(int fd, int data_only)
{
	return (int)traced("fsync", fd, "", data_only ? fdatasync(fd) : fsync(fd));
}

ssize_t call_getxattr(int fd, const char *name, void *buf, size_t size)
{
	char path[PROC_PATH_MAX];

	proc_path(path, fd);
	return traced("getxattr", fd, name, getxattr(path, name, buf, size));
}

ssize_t call_listxattr(int fd, char *buf, size_t size)
{
	char path[PROC_PATH_MAX];

	proc_path(path, fd);
	return traced("listxattr", fd, "", listxattr(path, buf, size));
}

int call_setxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	char path[PROC_PATH_MAX];

	proc_path(path, fd);
	return (int)traced("setxattr", fd, name, setxattr(path, name, value, size, flags));
}

int call_removexattr(int fd, const char *name)
{
	char path[PROC_PATH_MAX];

	proc_path(path, fd);
	return (int)traced("removexattr", fd, name, removexattr(path, name));
}
