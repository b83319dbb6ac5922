/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two calls on /dev/fuse of Linux 6.9, which the headers of older ones do not have, and a
 * connection to try them on.
 */
#pragma once

#include <linux/ioctl.h>
#include <linux/types.h>

#include <git-overlayfs/error.h>

struct backing_map {
	__s32 fd;
	__u32 flags;
	__u64 padding;
};

#define BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, __u32)

/*
 * Makes a mount that is attached nowhere and whose server, this process, agrees to passthrough
 * of files on `stack_depth` - 1 file systems. Takes CAP_SYS_ADMIN. -EOPNOTSUPP: the kernel has
 * none. The caller closes both; nobody must look at the mount, for nobody answers.
 */
int passthrough_connect(
	unsigned stack_depth, int *ret_fuse_fd, int *ret_mount_fd, struct error *err);

/* Whether this process may register a file: 0, or -errno, err says why and what helps. */
int passthrough_try(struct error *err);
