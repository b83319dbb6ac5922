/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system calls on the upper and the work directory, one traced wrapper each. They
 * return what the call returns, or -errno, but never -EINTR. Nothing else in src/overlay
 * touches the file system.
 *
 * `fd` of the calls by descriptor may be O_PATH: they go by AT_EMPTY_PATH where the
 * kernel has it, else by /proc/self/fd, which must be there.
 */
#pragma once

#include <stdio.h> /* RENAME_NOREPLACE and its like */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

int call_openat(int dir_fd, const char *name, int flags, mode_t mode);
/* Opens what an O_PATH descriptor stands for. */
int call_reopen(int fd, int flags);
int call_dup(int fd);
/* Closes no cached directory to make room: for who holds a lock. */
int call_try_dup(int fd);
/* Whether O_DIRECT is possible on an open file. */
bool call_has_direct(int fd);
int call_fstatat(int dir_fd, const char *name, struct stat *ret_st);
int call_fstat(int fd, struct stat *ret_st);
/* With what a mode is lifted by, as the two above and call_chmod() have it not: for lift.c. */
int call_fstat_as_it_is(int fd, struct stat *ret_st);
int call_chmod_as_it_is(int fd, mode_t mode);
/* How it was opened. */
int call_getfl(int fd);
/* When it was made; -ENODATA where the file system does not know. */
int call_get_btime(int fd, struct timespec *ret_btime);
ssize_t call_readlinkat(int dir_fd, const char *name, char *buf, size_t size);

/* A stream of its own over a directory that may be O_PATH. */
int call_opendir(int dir_fd, DIR **ret_stream);
/* 1 and the next entry, 0 at the end. */
int call_readdir(DIR *stream, struct dirent **ret_entry);

int call_mkdirat(int dir_fd, const char *name, mode_t mode);
int call_mknodat(int dir_fd, const char *name, mode_t mode, dev_t rdev);
int call_symlinkat(const char *target, int dir_fd, const char *name);
int call_link(int fd, int dir_fd, const char *name);
int call_link_name(int old_dir_fd, const char *old_name, int dir_fd, const char *name);
int call_unlinkat(int dir_fd, const char *name, int flags);
int call_renameat2(
	int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name, unsigned flags);

int call_chown(int fd, uint32_t uid, uint32_t gid);
int call_chmod(int fd, mode_t mode);
int call_utimens(int fd, const struct timespec times[2]);
int call_ftruncate(int fd, off_t size);
/* The first stretch in a range that takes up room, written or not: 1, or 0 without one. */
int call_next_extent(
	int fd, uint64_t start, uint64_t length, uint64_t *ret_start, uint64_t *ret_length);
int call_fsync(int fd, int data_only);
int call_syncfs(int fd);
int call_fstatvfs(int fd, struct statvfs *ret_st);

ssize_t call_pread(int fd, void *buf, size_t size, off_t offset);
ssize_t call_pwrite(int fd, const void *buf, size_t size, off_t offset);
off_t call_lseek(int fd, off_t offset, int whence);
int call_fallocate(int fd, int mode, off_t offset, off_t length);
/* What chattr(1) and project quotas are about; `fd` must not be O_PATH. */
struct fsxattr;
int call_get_flags(int fd, uint32_t *ret_flags);
int call_set_flags(int fd, uint32_t flags);
int call_get_fsxattr(int fd, struct fsxattr *ret_attributes);
int call_set_fsxattr(int fd, const struct fsxattr *attributes);
int call_get_generation(int fd, uint32_t *ret_generation);
/* All of `in` becomes the content of `out`, shared on disk: FICLONE. */
int call_clone(int in, int out);
ssize_t call_copy_range(int in, off_t in_offset, int out, off_t out_offset, size_t size);

ssize_t call_getxattr(int fd, const char *name, void *buf, size_t size);
ssize_t call_listxattr(int fd, char *buf, size_t size);
int call_setxattr(int fd, const char *name, const void *value, size_t size, int flags);
int call_removexattr(int fd, const char *name);
