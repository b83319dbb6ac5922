/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on attributes, and questions about them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "file-clock.h"
#include "posix.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static long result_of(long r)
{
	return r < 0 ? -errno : r;
}

static mode_t mode_of(const char *text)
{
	return (mode_t)strtoul(text, NULL, 8);
}

static int stat_arg(struct posix_run *run, const char *arg, struct stat *ret_st)
{
	if (arg[0] == '#')
		return fstat(posix_fd(run, arg + 1), ret_st);
	return lstat(arg, ret_st);
}

/* --- changing --- */

static long op_chmod(struct posix_run *run, char **args, char *result)
{
	if (args[0][0] == '#')
		return result_of(fchmod(posix_fd(run, args[0] + 1), mode_of(args[1])));
	return result_of(chmod(args[0], mode_of(args[1])));
}

/* Not through a symlink, where the kernel has fchmodat2(2). */
static long op_lchmod(struct posix_run *run, char **args, char *result)
{
	return result_of(
		syscall(SYS_fchmodat2, AT_FDCWD, args[0], mode_of(args[1]), AT_SYMLINK_NOFOLLOW));
}

static long op_chown(struct posix_run *run, char **args, char *result)
{
	unsigned uid = posix_id(args[1]), gid = posix_id(args[2]);

	if (args[0][0] == '#')
		return result_of(fchown(posix_fd(run, args[0] + 1), uid, gid));
	return result_of(chown(args[0], uid, gid));
}

static long op_lchown(struct posix_run *run, char **args, char *result)
{
	return result_of(lchown(args[0], posix_id(args[1]), posix_id(args[2])));
}

/* now, omit, or SECONDS[.NANOSECONDS] */
static struct timespec time_of(const char *text)
{
	struct timespec ts = {0};
	char *end;

	if (strcmp(text, "now") == 0)
		ts.tv_nsec = UTIME_NOW;
	else if (strcmp(text, "omit") == 0)
		ts.tv_nsec = UTIME_OMIT;
	else {
		ts.tv_sec = strtoll(text, &end, 10);
		if (*end == '.')
			ts.tv_nsec = strtol(end + 1, NULL, 10);
	}
	return ts;
}

static long op_utimens(struct posix_run *run, char **args, char *result)
{
	const struct timespec times[2] = {time_of(args[1]), time_of(args[2])};

	if (args[0][0] == '#')
		return result_of(futimens(posix_fd(run, args[0] + 1), times));
	return result_of(utimensat(AT_FDCWD, args[0], times, 0));
}

static long op_lutimens(struct posix_run *run, char **args, char *result)
{
	const struct timespec times[2] = {time_of(args[1]), time_of(args[2])};

	return result_of(utimensat(AT_FDCWD, args[0], times, AT_SYMLINK_NOFOLLOW));
}

/* utimes(2) with a null pointer: both now */
static long op_touch(struct posix_run *run, char **args, char *result)
{
	return result_of(utimensat(AT_FDCWD, args[0], NULL, 0));
}

static long op_setxattr(struct posix_run *run, char **args, char *result)
{
	int flags = args[3] ? (args[3][0] == 'c' ? XATTR_CREATE : XATTR_REPLACE) : 0;

	return result_of(lsetxattr(args[0], args[1], args[2], strlen(args[2]), flags));
}

static long op_removexattr(struct posix_run *run, char **args, char *result)
{
	return result_of(lremovexattr(args[0], args[1]));
}

static long op_setcap(struct posix_run *run, char **args, char *result)
{
	const struct vfs_cap_data cap = {
		.magic_etc = VFS_CAP_REVISION_2, .data[0].permitted = 1 << CAP_NET_RAW};

	return result_of(setxattr(args[0], "security.capability", &cap, sizeof(cap), 0));
}

/* --- questions --- */

static long op_getxattr(struct posix_run *run, char **args, char *result)
{
	ssize_t n = lgetxattr(args[0], args[1], result, POSIX_RESULT - 1);

	if (n < 0)
		return -errno;
	if (strcmp(args[1], "security.capability") == 0)
		snprintf(result, POSIX_RESULT, "%zd", n);
	else
		result[n] = '\0';
	return n;
}

/* Those of the user namespace: others are the file system's own. */
static long op_listxattr(struct posix_run *run, char **args, char *result)
{
	char names[4096];
	ssize_t n = llistxattr(args[0], names, sizeof(names));
	size_t used = 0;

	if (n < 0)
		return -errno;
	strcpy(result, "-");
	for (const char *p = names; p < names + n; p += strlen(p) + 1)
		if (strncmp(p, "user.", 5) == 0 && used < 400)
			used += (size_t)snprintf(
				result + used, POSIX_RESULT - used, "%s%s", used ? "," : "", p);
	return 0;
}

static long op_mode(struct posix_run *run, char **args, char *result)
{
	struct stat st;

	if (stat_arg(run, args[0], &st) < 0)
		return -errno;
	snprintf(result, POSIX_RESULT, "%04o", st.st_mode & 07777);
	return 0;
}

static long op_type(struct posix_run *run, char **args, char *result)
{
	static const char types[] = "0pc3d5b7-9lBsDEF";
	struct stat st;

	if (stat_arg(run, args[0], &st) < 0)
		return -errno;
	snprintf(result, POSIX_RESULT, "%c", types[(st.st_mode & S_IFMT) >> 12]);
	return 0;
}

static long op_device(struct posix_run *run, char **args, char *result)
{
	struct stat st;

	if (stat_arg(run, args[0], &st) < 0)
		return -errno;
	snprintf(result, POSIX_RESULT, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

static long op_owner(struct posix_run *run, char **args, char *result)
{
	struct stat st;

	if (stat_arg(run, args[0], &st) < 0)
		return -errno;
	snprintf(result, POSIX_RESULT, "%u:%u", st.st_uid, st.st_gid);
	return 0;
}

static long op_size(struct posix_run *run, char **args, char *result)
{
	struct stat st;

	return stat_arg(run, args[0], &st) < 0 ? -errno : st.st_size;
}

/* Of files: a directory's means nothing in an overlay. */
static long op_nlink(struct posix_run *run, char **args, char *result)
{
	struct stat st;

	return stat_arg(run, args[0], &st) < 0 ? -errno : (long)st.st_nlink;
}

static long op_same(struct posix_run *run, char **args, char *result)
{
	struct stat a, b;

	if (stat_arg(run, args[0], &a) < 0 || stat_arg(run, args[1], &b) < 0)
		return -errno;
	strcpy(result, a.st_ino == b.st_ino && a.st_dev == b.st_dev ? "yes" : "no");
	return 0;
}

static long op_readlink(struct posix_run *run, char **args, char *result)
{
	char target[4096];
	ssize_t n = readlink(args[0], target, sizeof(target));

	if (n < 0)
		return -errno;
	snprintf(result, POSIX_RESULT, "%zd:%.*s", n, (int)(n < 64 ? n : 64), target);
	return 0;
}

static int access_mode(const char *letters)
{
	return (strchr(letters, 'r') ? R_OK : 0) | (strchr(letters, 'w') ? W_OK : 0) |
	       (strchr(letters, 'x') ? X_OK : 0);
}

static long op_access(struct posix_run *run, char **args, char *result)
{
	return result_of(faccessat(AT_FDCWD, args[0], access_mode(args[1]), 0));
}

static long op_eaccess(struct posix_run *run, char **args, char *result)
{
	return result_of(faccessat(AT_FDCWD, args[0], access_mode(args[1]), AT_EACCESS));
}

/* --- times --- */

static void show_time(char *result, const struct timespec *ts)
{
	snprintf(result, POSIX_RESULT, "%lld.%09ld", (long long)ts->tv_sec, ts->tv_nsec);
}

static long op_atime(struct posix_run *run, char **args, char *result)
{
	struct stat st;

	if (stat_arg(run, args[0], &st) < 0)
		return -errno;
	show_time(result, &st.st_atim);
	return 0;
}

static long op_mtime(struct posix_run *run, char **args, char *result)
{
	struct stat st;

	if (stat_arg(run, args[0], &st) < 0)
		return -errno;
	show_time(result, &st.st_mtim);
	return 0;
}

/* mark PATH...: remembers the times of those that are there */
static long op_mark(struct posix_run *run, char **args, char *result)
{
	struct timespec marked;
	long r = 0;

	run->mark_count = 0;
	for (size_t i = 0; args[i] && i < POSIX_MARKS; i++) {
		struct stat st;

		if (stat_arg(run, args[i], &st) < 0) {
			r = -errno;
			continue;
		}
		snprintf(run->marks[run->mark_count].path, sizeof(run->marks[0].path), "%s",
			args[i]);
		run->marks[run->mark_count++].st = st;
	}
	clock_gettime(CLOCK_REALTIME, &marked);
	file_clock_pass(&marked);
	return r;
}

static char *show_move(char *out, char letter, const struct timespec *a, const struct timespec *b)
{
	int64_t before = a->tv_sec * 1000000000ll + a->tv_nsec;
	int64_t after = b->tv_sec * 1000000000ll + b->tv_nsec;

	/* A capital: backwards. */
	if (after != before)
		*out++ = after > before ? letter : (char)(letter - 'a' + 'A');
	return out;
}

/* moved PATH [MARK]: which of its times have changed since the mark: m, c, or - */
static long op_moved(struct posix_run *run, char **args, char *result)
{
	const char *mark = args[1] ? args[1] : args[0];
	struct stat st;
	char *out = result;

	if (stat_arg(run, args[0], &st) < 0)
		return -errno;
	for (size_t i = 0; i < run->mark_count; i++) {
		if (strcmp(run->marks[i].path, mark) != 0)
			continue;
		out = show_move(out, 'm', &run->marks[i].st.st_mtim, &st.st_mtim);
		out = show_move(out, 'c', &run->marks[i].st.st_ctim, &st.st_ctim);
		strcpy(out, out == result ? "-" : "");
		return 0;
	}
	strcpy(result, "unmarked");
	return 0;
}

const struct posix_op posix_stat_ops[] = {
	{"chmod", 2, false, op_chmod},
	{"lchmod", 2, false, op_lchmod},
	{"chown", 3, false, op_chown},
	{"lchown", 3, false, op_lchown},
	{"utimens", 3, false, op_utimens},
	{"lutimens", 3, false, op_lutimens},
	{"touch", 1, false, op_touch},
	{"setxattr", 3, false, op_setxattr},
	{"removexattr", 2, false, op_removexattr},
	{"setcap", 1, false, op_setcap},
	{"getxattr", 2, true, op_getxattr},
	{"listxattr", 1, true, op_listxattr},
	{"mode", 1, true, op_mode},
	{"type", 1, true, op_type},
	{"device", 1, true, op_device},
	{"owner", 1, true, op_owner},
	{"size", 1, true, op_size},
	{"nlink", 1, true, op_nlink},
	{"same", 2, true, op_same},
	{"readlink", 1, true, op_readlink},
	{"access", 2, false, op_access},
	{"eaccess", 2, false, op_eaccess},
	{"atime", 1, true, op_atime},
	{"mtime", 1, true, op_mtime},
	{"mark", 1, false, op_mark},
	{"moved", 1, true, op_moved},
	{NULL},
};
