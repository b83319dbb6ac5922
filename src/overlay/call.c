/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/call.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/log.h>

#include "overlay/lift.h"
#include "util/fdcache.h"

#define PROC_PATH_MAX sizeof("/proc/self/fd/-2147483648")

static void proc_path(char path[PROC_PATH_MAX], int fd)
{
	snprintf(path, PROC_PATH_MAX, "/proc/self/fd/%d", fd);
}

static ssize_t trace(const char *call, int fd, const char *name, ssize_t r)
{
	if (r < 0)
		r = -errno;
	log_debug("upper: %s %d '%s' = %s", call, fd, name, r < 0 ? error_name((int)-r) : "ok");
	return r;
}

/*
 * Tests build this file once more with CALL_GATED, and say at each call whether it may be
 * made: where not, they set errno. See tests/unit/fault.h.
 */
#ifdef CALL_GATED
bool call_gate(const char *call);
#else
#define call_gate(call) true
#endif

/* No program expects EINTR from a call on files: what a signal interrupted is made again. */
#define traced(call, fd, name, expression)                        \
	({                                                        \
		ssize_t r_;                                       \
                                                                  \
		do                                                \
			r_ = call_gate(call) ? (expression) : -1; \
		while (r_ < 0 && errno == EINTR);                 \
		trace(call, fd, name, r_);                        \
	})

/*
 * Reading moves no access time: of what lies below it could not, and a copy-up must not show.
 */
static int quiet(int flags)
{
	return flags & O_PATH ? 0 : O_NOATIME;
}

static int openat_quietly(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd = openat(dir_fd, name, flags | quiet(flags), mode);

	/* Only who owns a file may read it unseen. */
	return fd < 0 && errno == EPERM && quiet(flags) ? openat(dir_fd, name, flags, mode) : fd;
}

int call_openat(int dir_fd, const char *name, int flags, mode_t mode)
{
	int fd;

	flags |= O_CLOEXEC;
	fd = (int)traced("openat", dir_fd, name, openat_quietly(dir_fd, name, flags, mode));
	/* Directories that are open for speed alone make room. */
	if (fd < 0 && fdcache_make_room(-fd))
		fd = (int)traced("openat", dir_fd, name, openat_quietly(dir_fd, name, flags, mode));
	return fd;
}

int call_reopen(int fd, int flags)
{
	char path[PROC_PATH_MAX];
	int opened;

	proc_path(path, fd);
	flags = (flags & ~O_NOFOLLOW) | O_CLOEXEC;
	opened = (int)traced("open", fd, path, openat_quietly(AT_FDCWD, path, flags, 0));
	if (opened < 0 && fdcache_make_room(-opened))
		opened = (int)traced("open", fd, path, openat_quietly(AT_FDCWD, path, flags, 0));
	return opened;
}

int call_try_dup(int fd)
{
	return (int)traced("dup", fd, "", fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int call_dup(int fd)
{
	int copy = call_try_dup(fd);

	return copy < 0 && fdcache_make_room(-copy) ? call_try_dup(fd) : copy;
}

int call_getfl(int fd)
{
	return (int)traced("fcntl", fd, "", fcntl(fd, F_GETFL));
}

bool call_has_direct(int fd)
{
	int flags = call_getfl(fd);

	if (flags < 0 || traced("fcntl", fd, "", fcntl(fd, F_SETFL, flags | O_DIRECT)) < 0)
		return false;
	(void)traced("fcntl", fd, "", fcntl(fd, F_SETFL, flags));
	return true;
}

int call_fstatat(int dir_fd, const char *name, struct stat *ret_st)
{
	unsigned changes;
	int r;

	do {
		changes = lift_changes();
		r = (int)traced("fstatat", dir_fd, name,
			fstatat(dir_fd, name, ret_st, AT_SYMLINK_NOFOLLOW));
	} while (r == 0 && lift_hides(ret_st, changes));
	return r;
}

int call_fstat_as_it_is(int fd, struct stat *ret_st)
{
	return (int)traced("fstat", fd, "", fstat(fd, ret_st));
}

int call_fstat(int fd, struct stat *ret_st)
{
	unsigned changes;
	int r;

	do {
		changes = lift_changes();
		r = call_fstat_as_it_is(fd, ret_st);
	} while (r == 0 && lift_hides(ret_st, changes));
	return r;
}

int call_get_btime(int fd, struct timespec *ret_btime)
{
	struct statx stx;
	int r = (int)traced("statx", fd, "", statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx));

	if (r < 0)
		return r;
	if (!(stx.stx_mask & STATX_BTIME))
		return -ENODATA;
	*ret_btime = (struct timespec){stx.stx_btime.tv_sec, stx.stx_btime.tv_nsec};
	return 0;
}

ssize_t call_readlinkat(int dir_fd, const char *name, char *buf, size_t size)
{
	return traced("readlinkat", dir_fd, name, readlinkat(dir_fd, name, buf, size));
}

/* 0 and the stream, or -1. */
static int new_stream(int fd, DIR **ret_stream)
{
	*ret_stream = fdopendir(fd);
	return *ret_stream ? 0 : -1;
}

int call_opendir(int dir_fd, DIR **ret_stream)
{
	int r, fd = call_openat(dir_fd, ".", O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	r = (int)traced("fdopendir", fd, "", new_stream(fd, ret_stream));
	if (r < 0)
		close(fd);
	return r;
}

static int next_entry(DIR *stream, struct dirent **ret_entry)
{
	errno = 0;
	*ret_entry = readdir(stream);
	return *ret_entry ? 1 : errno ? -1 : 0;
}

int call_readdir(DIR *stream, struct dirent **ret_entry)
{
	return (int)traced("readdir", dirfd(stream), "", next_entry(stream, ret_entry));
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

int call_link_name(int old_dir_fd, const char *old_name, int dir_fd, const char *name)
{
	return (int)traced("linkat", dir_fd, name, linkat(old_dir_fd, old_name, dir_fd, name, 0));
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

int call_chmod_as_it_is(int fd, mode_t mode)
{
	char path[PROC_PATH_MAX];

	proc_path(path, fd);
	return (int)traced("fchmodat", fd, path, fchmodat(AT_FDCWD, path, mode, 0));
}

int call_chmod(int fd, mode_t mode)
{
	return lift_chmod(fd, mode);
}

int call_utimens(int fd, const struct timespec times[2])
{
	return (int)traced("utimensat", fd, "", utimensat(fd, "", times, AT_EMPTY_PATH));
}

int call_ftruncate(int fd, off_t size)
{
	return (int)traced("ftruncate", fd, "", ftruncate(fd, size));
}

int call_next_extent(
	int fd, uint64_t start, uint64_t length, uint64_t *ret_start, uint64_t *ret_length)
{
	/* The map ends in an array of extents. */
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} request = {.map = {.fm_start = start, .fm_length = length, .fm_extent_count = 1}};
	int r = (int)traced("fiemap", fd, "", ioctl(fd, FS_IOC_FIEMAP, &request.map));

	if (r < 0 || request.map.fm_mapped_extents == 0)
		return r;
	*ret_start = request.map.fm_extents[0].fe_logical;
	*ret_length = request.map.fm_extents[0].fe_length;
	return 1;
}

int call_fsync(int fd, int data_only)
{
	return (int)traced("fsync", fd, "", data_only ? fdatasync(fd) : fsync(fd));
}

int call_syncfs(int fd)
{
	return (int)traced("syncfs", fd, "", syncfs(fd));
}

int call_fstatvfs(int fd, struct statvfs *ret_st)
{
	return (int)traced("fstatvfs", fd, "", fstatvfs(fd, ret_st));
}

/* --- content --- */

ssize_t call_pread(int fd, void *buf, size_t size, off_t offset)
{
	return traced("pread", fd, "", pread(fd, buf, size, offset));
}

ssize_t call_pwrite(int fd, const void *buf, size_t size, off_t offset)
{
	return traced("pwrite", fd, "", pwrite(fd, buf, size, offset));
}

off_t call_lseek(int fd, off_t offset, int whence)
{
	return traced("lseek", fd, "", lseek(fd, offset, whence));
}

int call_fallocate(int fd, int mode, off_t offset, off_t length)
{
	return (int)traced("fallocate", fd, "", fallocate(fd, mode, offset, length));
}

int call_get_flags(int fd, uint32_t *ret_flags)
{
	return (int)traced("getflags", fd, "", ioctl(fd, FS_IOC_GETFLAGS, ret_flags));
}

int call_set_flags(int fd, uint32_t flags)
{
	return (int)traced("setflags", fd, "", ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

int call_get_fsxattr(int fd, struct fsxattr *ret_attributes)
{
	return (int)traced("fsgetxattr", fd, "", ioctl(fd, FS_IOC_FSGETXATTR, ret_attributes));
}

int call_set_fsxattr(int fd, const struct fsxattr *attributes)
{
	return (int)traced("fssetxattr", fd, "", ioctl(fd, FS_IOC_FSSETXATTR, attributes));
}

int call_get_generation(int fd, uint32_t *ret_generation)
{
	return (int)traced("getversion", fd, "", ioctl(fd, FS_IOC_GETVERSION, ret_generation));
}

int call_clone(int in, int out)
{
	return (int)traced("clone", out, "", ioctl(out, FICLONE, in));
}

ssize_t call_copy_range(int in, off_t in_offset, int out, off_t out_offset, size_t size)
{
	return traced("copy_file_range", out, "",
		copy_file_range(in, &in_offset, out, &out_offset, size, 0));
}

/* --- extended attributes --- */

/*
 * An O_PATH descriptor has no such calls of its own. To go by way of /proc takes as long as the
 * rest of a call, so those that have are not sent there.
 */
#define xattr_call(verb, fd, ...)                             \
	({                                                    \
		ssize_t n_ = f##verb##xattr(fd, __VA_ARGS__); \
		char path_[PROC_PATH_MAX];                    \
                                                              \
		if (n_ < 0 && errno == EBADF) {               \
			proc_path(path_, fd);                 \
			n_ = verb##xattr(path_, __VA_ARGS__); \
		}                                             \
		n_;                                           \
	})

ssize_t call_getxattr(int fd, const char *name, void *buf, size_t size)
{
	return traced("getxattr", fd, name, xattr_call(get, fd, name, buf, size));
}

ssize_t call_listxattr(int fd, char *buf, size_t size)
{
	return traced("listxattr", fd, "", xattr_call(list, fd, buf, size));
}

int call_setxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	return (int)traced("setxattr", fd, name, xattr_call(set, fd, name, value, size, flags));
}

int call_removexattr(int fd, const char *name)
{
	return (int)traced("removexattr", fd, name, xattr_call(remove, fd, name));
}
