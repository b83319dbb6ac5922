/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on names. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The n-th argument as a path. */
#define PATH_SIZE 1024
#define PATH_ARG(name, n)     \
	char name[PATH_SIZE]; \
	step_expand(step->arg[n].text, name, PATH_SIZE)

/* A FIFO must not block. */
static int open_path(const char *path, long flags, long mode)
{
	return open(path, (int)flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, (mode_t)mode);
}

static void op_open(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	int fd = open_path(path, step->arg[1].number, step->arg[2].number);

	outcome_set(out, fd < 0 ? -1 : 0);
	slot_keep(side, &step->arg[3], fd);
}

/* One that works more often than not. */
static void op_open_plain(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	int fd = open_path(path, O_RDWR | step->arg[1].number, 0644);

	outcome_set(out, fd < 0 ? -1 : 0);
	slot_keep(side, &step->arg[2], fd);
}

/* Relative to a directory that was opened before, wherever it is by now. */
static void op_openat(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 1);
	int fd = openat(slot_of(side, &step->arg[0]), path,
		(int)step->arg[2].number | O_NONBLOCK | O_CLOEXEC, (mode_t)step->arg[3].number);

	outcome_set(out, fd < 0 ? -1 : 0);
	slot_keep(side, &step->arg[4], fd);
}

static void op_open_directory(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	int fd = open(path, O_DIRECTORY | O_CLOEXEC);

	outcome_set(out, fd < 0 ? -1 : 0);
	slot_keep(side, &step->arg[1], fd);
}

static void op_tmpfile(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC | (int)step->arg[1].number,
		(mode_t)step->arg[2].number);

	outcome_set(out, fd < 0 ? -1 : 0);
	slot_keep(side, &step->arg[3], fd);
}

static void op_mkdir(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, mkdir(path, (mode_t)step->arg[1].number));
}

static void op_mkdirat(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 1);
	outcome_set(out, mkdirat(slot_of(side, &step->arg[0]), path, (mode_t)step->arg[2].number));
}

static void op_mknod(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	long type = step->arg[1].number;
	/* Numbers that no driver has: nothing happens when it is opened. */
	dev_t dev = type == S_IFCHR || type == S_IFBLK ? makedev(4000, 300) : 0;

	outcome_set(out, mknod(path, (mode_t)(type | step->arg[2].number), dev));
}

static void op_symlink(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 1);
	outcome_set(out, symlink(step->arg[0].text, path));
}

static void op_readlink(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	char target[PATH_SIZE];
	ssize_t n = readlink(path, target, sizeof(target));

	outcome_set(out, n);
	if (n >= 0)
		outcome_add(out, " '%.*s'", (int)n, target);
}

static void op_link(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(from, 0);
	PATH_ARG(to, 1);
	int flags = step->arg[2].number == 0 ? AT_SYMLINK_FOLLOW : 0;

	outcome_set(out, linkat(AT_FDCWD, from, AT_FDCWD, to, flags));
}

static void op_link_slot(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(to, 1);
	outcome_set(out, linkat(slot_of(side, &step->arg[0]), "", AT_FDCWD, to, AT_EMPTY_PATH));
}

static void op_unlink(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, unlink(path));
}

static void op_rmdir(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, rmdir(path));
}

static void op_unlinkat(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 1);
	outcome_set(out, unlinkat(slot_of(side, &step->arg[0]), path, 0));
}

static bool is_directory(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Where directories of the layers do not move, nothing happens on the other side either. */
static bool may_follow(
	const struct side *side, const struct step *step, const char *from, const char *to)
{
	if (!side->other || side->other->error != EXDEV || !(side->without & FEATURE_REDIRECT))
		return false;
	return is_directory(from) ||
	       (step->op->args[2] && step->arg[2].number & RENAME_EXCHANGE && is_directory(to));
}

static void op_rename(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(from, 0);
	PATH_ARG(to, 1);
	unsigned flags = step->op->args[2] ? (unsigned)step->arg[2].number : RENAME_WHITEOUT;

	/* ext4 touches the directory when it fails to leave a whiteout: it fails without one. */
	if (flags == RENAME_WHITEOUT && side->other && side->other->error &&
		side->other->error != EPERM)
		flags = 0;
	if (may_follow(side, step, from, to))
		*out = *side->other;
	else
		outcome_set(out, renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

static void op_stat(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	struct stat st;
	int r = fstatat(AT_FDCWD, path, &st, (int)step->arg[1].number);

	outcome_set(out, r);
	if (r == 0)
		outcome_add_stat(out, side, &st);
}

static void op_access(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, access(path, (int)step->arg[1].number));
}

static void op_faccessat(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, faccessat(AT_FDCWD, path, (int)step->arg[1].number,
				 AT_EACCESS | (int)step->arg[2].number));
}

static void op_truncate(struct side *side, const struct step *step, struct outcome *out)
{
	struct stat st;

	PATH_ARG(path, 0);
	if (side->without & FEATURE_SAMESIZE && stat(path, &st) == 0 &&
		st.st_size == step->arg[1].number)
		outcome_set(out, 0);
	else
		outcome_set(out, truncate(path, step->arg[1].number));
}

static void op_statfs(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	struct statvfs st;
	int r = statvfs(path, &st);

	outcome_set(out, r);
	if (r == 0)
		outcome_add(out, " names to %lu", st.f_namemax);
}

static void tell_directory(struct outcome *out, int r)
{
	char cwd[PATH_SIZE];

	outcome_set(out, r);
	outcome_add(out, " %s", getcwd(cwd, sizeof(cwd)) ? cwd : strerrorname_np(errno));
}

static void op_chdir(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	tell_directory(out, chdir(path));
}

static void op_chdir_root(struct side *side, const struct step *step, struct outcome *out)
{
	tell_directory(out, chdir("/"));
}

static void op_fchdir(struct side *side, const struct step *step, struct outcome *out)
{
	tell_directory(out, fchdir(slot_of(side, &step->arg[0])));
}

const struct operation name_operations[] = {
	{"open", 40, op_open, {&kind_path, &kind_open, &kind_create_mode, &kind_slot}},
	{"open-plain", 20, op_open_plain, {&kind_path, &kind_write, &kind_slot}},
	{"openat", 6, op_openat,
		{&kind_slot, &kind_path, &kind_open, &kind_create_mode, &kind_slot}},
	{"open-directory", 5, op_open_directory, {&kind_path, &kind_slot}},
	{"tmpfile", 4, op_tmpfile, {&kind_path, &kind_tmpfile, &kind_create_mode, &kind_slot},
		FEATURE_TMPFILE},
	{"mkdir", 30, op_mkdir, {&kind_path, &kind_create_mode}},
	{"mkdirat", 2, op_mkdirat, {&kind_slot, &kind_path, &kind_create_mode}},
	{"mknod", 6, op_mknod, {&kind_path, &kind_special, &kind_create_mode}},
	{"symlink", 8, op_symlink, {&kind_target, &kind_path}},
	{"readlink", 4, op_readlink, {&kind_path}},
	{"link", 12, op_link, {&kind_path, &kind_path, &kind_follow}},
	{"link-slot", 3, op_link_slot, {&kind_slot, &kind_path}},
	{"unlink", 12, op_unlink, {&kind_path}},
	{"unlinkat", 2, op_unlinkat, {&kind_slot, &kind_path}},
	{"rmdir", 8, op_rmdir, {&kind_path}},
	{"rename", 28, op_rename, {&kind_path, &kind_path, &kind_rename}},
	{"rename-whiteout", 2, op_rename, {&kind_path, &kind_path}, FEATURE_WHITEOUT},
	{"stat", 14, op_stat, {&kind_path, &kind_follow}},
	{"access", 4, op_access, {&kind_path, &kind_access}},
	{"faccessat", 4, op_faccessat, {&kind_path, &kind_access, &kind_follow}},
	{"truncate", 8, op_truncate, {&kind_path, &kind_length}},
	{"statfs", 1, op_statfs, {&kind_path}},
	{"chdir", 2, op_chdir, {&kind_path}},
	{"chdir-root", 4, op_chdir_root, {NULL}},
	{"fchdir", 1, op_fchdir, {&kind_slot}},
	{NULL},
};
