/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whiteouts of the upper. In their native form they are all links of one device node, as they
 * are in the kernel's overlayfs: a removal takes no inode, and works where there is none left.
 */
#include <errno.h>
#include <fcntl.h>

#include <git-overlayfs/log.h>

#include "overlay/call.h"
#include "overlay/mark.h"

/* Beside the directory that is emptied at each start, so that the next mount has it already. */
#define SHARED_NAME "../#whiteout"

static int make_shared(struct overlay *ov)
{
	struct stat st;
	int r = call_mknodat(ov->work_fd, SHARED_NAME, S_IFCHR, 0);

	if (r != -EEXIST)
		return r;
	r = call_fstatat(ov->work_fd, SHARED_NAME, &st);
	if (r < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == 0))
		return r;
	r = work_remove(ov, SHARED_NAME);
	return r < 0 ? r : call_mknodat(ov->work_fd, SHARED_NAME, S_IFCHR, 0);
}

/* So that listings know its names without a look at each. */
static void note_shared(struct overlay *ov)
{
	struct stat st;

	if (call_fstatat(ov->work_fd, SHARED_NAME, &st) == 0 && is_whiteout_device(&st))
		atomic_store(&ov->whiteout_ino, st.st_ino);
}

int whiteout_prepare(struct overlay *ov)
{
	int r = make_shared(ov);

	if (r == 0)
		note_shared(ov);

	if (r != -EPERM && r != -EOPNOTSUPP && r != -EINVAL)
		return r;
	log_info("no device nodes in the upper: whiteouts are .wh. files");
	ov->writes_aufs = ov->aufs_whiteouts = true;
	return 0;
}

/* An inode has only so many names. Two who do it at once each make one that serves. */
static int renew(struct overlay *ov)
{
	char temp[TEMP_NAME_MAX];
	int r;

	work_temp_name(ov, temp);
	r = call_mknodat(ov->work_fd, temp, S_IFCHR, 0);
	if (r < 0)
		return r;
	r = call_renameat2(ov->work_fd, temp, ov->work_fd, SHARED_NAME, 0);
	if (r < 0)
		(void)work_remove(ov, temp);
	else
		note_shared(ov);
	return r;
}

int whiteout_make_device(struct overlay *ov, int dir_fd, const char *name)
{
	int r = call_link_name(ov->work_fd, SHARED_NAME, dir_fd, name);

	if (r == -EMLINK && renew(ov) == 0)
		r = call_link_name(ov->work_fd, SHARED_NAME, dir_fd, name);
	if (r == 0 || r == -EEXIST || r == -ENOSPC || r == -EDQUOT)
		return r;
	/* A file system without links, or whose rules forbid this one. */
	return call_mknodat(dir_fd, name, S_IFCHR, 0);
}

int whiteout_create(struct overlay *ov, int dir_fd, const char *name)
{
	char whiteout[NAME_MAX + 1];
	int r;

	if (!ov->writes_aufs)
		return whiteout_make_device(ov, dir_fd, name);
	if (!aufs_whiteout_name(whiteout, name))
		return -ENAMETOOLONG;
	r = call_mknodat(dir_fd, whiteout, S_IFREG | 0600, 0);
	return r == -EEXIST ? 0 : r;
}

void whiteout_undo(struct overlay *ov, int dir_fd, const char *name)
{
	char whiteout[NAME_MAX + 1];

	if (ov->writes_aufs && aufs_whiteout_name(whiteout, name))
		(void)call_unlinkat(dir_fd, whiteout, 0);
}
