/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The system calls on the upper and the work directory, one traced wrapper each. They
 * return what the call returns, or -errno. Nothing else in src/overlay
 * touches the file system.
 *
 * `fd` of the calls by descriptor may be O_PATH: they go by AT_EMPTY_PATH where the
 * kernel has it, else by /proc/self/fd, which must be there.
 */
#pragma once

#include <stdio.h> /* RENAME_NOREPLACE and its like */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

int call_openat(int dir_fd, const char *name, int flags, mode_t mode);
/* Opens what an O_PATH descriptor stands for. */
int call_reopen(int fd, int flags);
int call_dup(int fd);
int call_fstatat(int dir_fd, const char *name, struct stat *ret_st);
int call_fstat(int fd, struct stat *ret_st);
ssize_t call_readlinkat(int dir_fd, const char *name, char *buf, size_t size);

/* A stream of its own over a directory that may be O_PATH. */
int call_opendir(int dir_fd, DIR **ret_stream);

int call_mkdirat(int dir_fd, const char *name, mode_t mode);
int call_mknodat(int dir_fd, const char *name, mode_t mode, dev_t rdev);
int call_symlinkat(const char *target, int dir_fd, const char *name);
int call_link(int fd, int dir_fd, const char *name);
int call_unlinkat(int dir_fd, const char *name, int flags);
int call_renameat2(
	int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name, unsigned flags);

int call_chown(int fd, uint32_t uid, uint32_t gid);
int call_chmod(int fd, mode_t mode);
int call_utimens(int fd, const struct timespec times[2]);
int call_ftruncate(int fd, off_t size);
int call_fsync(int fd, int data_only);

ssize_t call_getxattr(int fd, const char *name, void *buf, size_t size);
ssize_t call_listxattr(int fd, char *buf, size_t size);
int call_setxattr(int fd, const char *name, const void *value, size_t size, int flags);
int call_removexattr(int fd, const char *name);
