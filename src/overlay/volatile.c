/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mark of an upper that nothing was flushed to, where the kernel's overlayfs has it: it is
 * there while a volatile overlay is in use, so what finds it at the start finds an upper that a
 * crash may have torn.
 */
#include <errno.h>
#include <fcntl.h>

#include <git-overlayfs/log.h>

#include "overlay/call.h"
#include "overlay/volatile.h"

#define MARK_DIR "incompat"
#define MARK	 MARK_DIR "/volatile"

static const char *remedy =
	"workdir: a volatile mount of this upper did not end in order, and it may be "
	"torn; if it is to be used all the same, remove work/" MARK " there";

int volatile_check(int work_fd, bool tolerates, struct error *err)
{
	struct stat st;
	int r = call_fstatat(work_fd, "work/" MARK, &st);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "workdir");
	/* A store of images has its own way to know, and drops the mark of the kernel's. */
	if (!tolerates)
		return error_set(err, EUCLEAN, EXIT_STATUS_FAILED, "%s", remedy);
	log_warning("a volatile mount of this upper did not end in order, and it may be torn");
	return 0;
}

int overlay_begin_volatile(struct overlay *ov)
{
	int r;

	if (!ov->is_volatile || ov->upper_fd < 0)
		return 0;
	r = call_mkdirat(ov->work_fd, MARK_DIR, 0700);
	return r < 0 ? r : call_mkdirat(ov->work_fd, MARK, 0700);
}

void overlay_end_volatile(struct overlay *ov)
{
	if (!ov->is_volatile || ov->upper_fd < 0)
		return;
	if (call_unlinkat(ov->work_fd, MARK, AT_REMOVEDIR) == 0)
		(void)call_unlinkat(ov->work_fd, MARK_DIR, AT_REMOVEDIR);
}
