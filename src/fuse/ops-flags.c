/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few ioctls that a file system answers. */
#include <errno.h>
#include <linux/fs.h>

#include "fuse/node-files.h"
#include "fuse/ops.h"

static void reply_value(fuse_req_t req, int r, const void *value, size_t size)
{
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_ioctl(req, 0, value, size);
}

static void get_flags(fuse_req_t req, fuse_ino_t ino)
{
	uint32_t flags;
	int r = overlay_get_flags(request_overlay(req), ino, &flags);

	reply_value(req, r, &flags, sizeof(flags));
}

static void get_fsxattr(fuse_req_t req, fuse_ino_t ino)
{
	struct fsxattr attributes;
	int r = overlay_get_fsxattr(request_overlay(req), ino, &attributes);

	reply_value(req, r, &attributes, sizeof(attributes));
}

/* The number is declared as a long, and is an int. */
static void get_generation(fuse_req_t req, fuse_ino_t ino)
{
	uint32_t generation;
	int r = overlay_get_generation(request_overlay(req), ino, &generation);

	reply_value(req, r, &generation, sizeof(generation));
}

/*
 * Owner and capabilities are the kernel's to check, which it does since 5.13: requests that it has
 * checked name no address. What came straight from a process is not taken.
 */
static int set(struct overlay *ov, fuse_ino_t ino, unsigned command, const void *process_address,
	const void *value, size_t size)
{
	if (process_address)
		return -ENOTTY;
	if (command == FS_IOC_SETFLAGS)
		return size < sizeof(uint32_t)
			       ? -EINVAL
			       : overlay_set_flags(ov, ino, *(const uint32_t *)value);
	return size < sizeof(struct fsxattr) ? -EINVAL : overlay_set_fsxattr(ov, ino, value);
}

static void change_flags(fuse_req_t req, fuse_ino_t ino, int r)
{
	const struct session *session = request_session(req);

	/* What is open was opened under other rules. */
	if (r == 0 && session->files)
		node_files_drop(session->files, ino);
	/*
	 * The kernel does not know that an ioctl(2) moves ctime; and where it collects writes, who
	 * has it open already is to be refused: see op_getattr().
	 */
	if (r == 0)
		(void)fuse_lowlevel_notify_inval_inode(request_fuse(req), ino, -1, 0);
	reply_value(req, r, NULL, 0);
}

static void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned command, void *arg,
	struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	switch (command) {
	case FS_IOC_GETFLAGS:
		get_flags(req, ino);
		break;
	case FS_IOC_FSGETXATTR:
		get_fsxattr(req, ino);
		break;
	case FS_IOC_GETVERSION:
		get_generation(req, ino);
		break;
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		change_flags(req, ino, set(request_overlay(req), ino, command, arg, in, in_size));
		break;
	default:
		fuse_reply_err(req, ENOTTY);
	}
}

void ops_add_flags(struct fuse_lowlevel_ops *ops)
{
	ops->ioctl = op_ioctl;
}
