/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>

#include "overlay/call.h"
#include "overlay/copyup.h"
#include "util/cleanup.h"

static int make_object(
	struct overlay *ov, const struct stat *st, const char *target, const char *name)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return call_mkdirat(ov->work_fd, name, 0700);
	case S_IFLNK:
		return call_symlinkat(target, ov->work_fd, name);
	case S_IFREG:
		return call_openat(ov->work_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	default:
		return call_mknodat(ov->work_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev);
	}
}

int stage_object(
	struct overlay *ov, const struct stat *st, const char *target, struct staged *ret_staged)
{
	struct staged staged = {.fd = -1};
	int r;

	work_temp_name(ov, staged.name);
	r = make_object(ov, st, target, staged.name);
	if (r < 0)
		return r;
	staged.fd = r;
	if (!S_ISREG(st->st_mode))
		staged.fd = call_openat(ov->work_fd, staged.name, O_PATH | O_NOFOLLOW, 0);
	if (staged.fd < 0) {
		r = staged.fd;
		(void)work_remove(ov, staged.name);
		return r;
	}
	*ret_staged = staged;
	return 0;
}

void stage_discard(struct overlay *ov, struct staged *staged)
{
	close_keep_errno(steal_fd(&staged->fd));
	if (staged->name[0])
		(void)work_remove(ov, staged->name);
	staged->name[0] = '\0';
}

int stage_attributes(struct staged *staged, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	/* The mode after the owner: chown clears suid and sgid. A symlink has no mode. */
	int r = call_chown(staged->fd, st->st_uid, st->st_gid);

	if (r == 0 && !S_ISLNK(st->st_mode))
		r = call_chmod(staged->fd, st->st_mode & 07777);
	return r < 0 ? r : call_utimens(staged->fd, times);
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
