/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "overlay/acl.h"
#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/mark.h"
#include "util/cleanup.h"

static int make_object(struct overlay *ov, const struct stat *st, mode_t mode, const char *target,
	const char *name)
{
	if (is_whiteout_device(st))
		return call_openat(ov->work_fd, name, O_RDWR | O_CREAT | O_EXCL, mode);
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return call_mkdirat(ov->work_fd, name, mode);
	case S_IFLNK:
		return call_symlinkat(target, ov->work_fd, name);
	case S_IFREG:
		return call_openat(ov->work_fd, name, O_RDWR | O_CREAT | O_EXCL, mode);
	default:
		return call_mknodat(ov->work_fd, name, (st->st_mode & S_IFMT) | mode, st->st_rdev);
	}
}

/* Makes it under the name that *staged has. */
static int stage_named(struct overlay *ov, const struct stat *st, mode_t mode, const char *target,
	struct staged *staged)
{
	int r = make_object(ov, st, mode, target, staged->name);

	if (r < 0) {
		staged->name[0] = '\0';
		return r;
	}
	staged->fd = r;
	if (is_whiteout_device(st)) {
		r = upper_set_mark(ov, staged->fd, MARK_DEVICE, "c0:0");
		return r == -EOPNOTSUPP ? -EPERM : r;
	}
	if (!S_ISREG(st->st_mode))
		staged->fd = call_openat(ov->work_fd, staged->name, O_PATH | O_NOFOLLOW, 0);
	return staged->fd < 0 ? staged->fd : 0;
}

int stage_object(
	struct overlay *ov, const struct stat *st, const char *target, struct staged *ret_staged)
{
	struct staged staged = {.fd = -1};
	mode_t mode = st->st_mode & 07777, needed = S_ISDIR(st->st_mode) ? 0700 : 0600;
	int r;

	/* A chown takes set-id bits away, and without these we may not work on it. */
	staged.has_mode = !(mode & 07000) && (mode & needed) == needed;
	work_temp_name(ov, staged.name);
	r = stage_named(ov, st, staged.has_mode ? mode : needed, target, &staged);
	if (r < 0)
		stage_discard(ov, &staged);
	else
		*ret_staged = staged;
	return r;
}

/* A private directory with the default ACL of another one. */
static int make_acl_dir(struct overlay *ov, int acl_dir_fd, const char *name)
{
	_cleanup_free_ void *acl = malloc(ACL_SIZE_MAX);
	_cleanup_close_ int fd = -1;
	ssize_t size = acl ? call_getxattr(acl_dir_fd, ACL_DEFAULT, acl, ACL_SIZE_MAX) : -ENOMEM;
	int r;

	if (size < 0)
		return (int)size;
	r = call_mkdirat(ov->work_fd, name, 0700);
	if (r < 0)
		return r;
	fd = call_openat(ov->work_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	return fd < 0 ? fd : call_setxattr(fd, ACL_DEFAULT, acl, (size_t)size, 0);
}

int stage_with_acl(
	struct overlay *ov, const struct stat *st, int acl_dir_fd, struct staged *ret_staged)
{
	struct staged staged = {.fd = -1};
	int r;

	work_temp_name(ov, staged.dir);
	r = make_acl_dir(ov, acl_dir_fd, staged.dir);
	if (r == 0) {
		snprintf(staged.name, sizeof(staged.name), "%s/o", staged.dir);
		r = stage_named(ov, st, st->st_mode & 07777, NULL, &staged);
	}
	if (r < 0)
		stage_discard(ov, &staged);
	else
		*ret_staged = staged;
	return r;
}

void stage_discard(struct overlay *ov, struct staged *staged)
{
	close_keep_errno(steal_fd(&staged->fd));
	if (staged->name[0])
		(void)work_remove(ov, staged->name);
	if (staged->dir[0])
		(void)work_remove(ov, staged->dir);
	staged->name[0] = staged->dir[0] = '\0';
}

int stage_owner(struct overlay *ov, const struct staged *staged, uint32_t uid, uint32_t gid)
{
	bool is_theirs = (uid == ov->work_uid || uid == (uint32_t)-1) &&
			 (gid == ov->work_gid || gid == (uint32_t)-1);

	return is_theirs ? 0 : call_chown(staged->fd, uid, gid);
}

int stage_mode_and_times(struct staged *staged, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	int r = 0;

	/* A symlink has no mode. */
	if (!S_ISLNK(st->st_mode) && !staged->has_mode)
		r = call_chmod(staged->fd, st->st_mode & 07777);
	return r < 0 ? r : call_utimens(staged->fd, times);
}

int stage_attributes(struct staged *staged, const struct stat *st)
{
	/* The owner first: chown clears suid and sgid. */
	int r = call_chown(staged->fd, st->st_uid, st->st_gid);

	return r < 0 ? r : stage_mode_and_times(staged, st);
}

static int publish_unwritable(
	struct overlay *ov, struct staged *staged, int dir_fd, const char *name, unsigned flags)
{
	struct stat st;
	int r = call_fstat(staged->fd, &st);

	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode) || (st.st_mode & 0700) == 0700)
		return -EACCES;
	r = call_chmod(staged->fd, (st.st_mode & 07777) | 0700);
	if (r == 0)
		r = call_renameat2(ov->work_fd, staged->name, dir_fd, name, flags);
	if (r == 0)
		r = call_chmod(staged->fd, st.st_mode & 07777);
	return r;
}

int stage_publish(
	struct overlay *ov, struct staged *staged, int dir_fd, const char *name, unsigned flags)
{
	int r = call_renameat2(ov->work_fd, staged->name, dir_fd, name, flags);

	if (r == -EACCES)
		r = publish_unwritable(ov, staged, dir_fd, name, flags);
	if (r == 0 && !(flags & RENAME_EXCHANGE))
		staged->name[0] = '\0';
	return r;
}
