/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "passthrough.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>

#include "util/cleanup.h"

/* Names of our own: older headers have neither. The second word of flags begins at bit 32. */
#define FLAG_INIT_EXT	   (1u << 30)
#define FLAG2_PASSTHROUGH  (1u << (37 - 32))
#define STACK_DEPTH_OFFSET 36

/* What a kernel reads requests into is at least this large. */
#define REQUEST_SIZE 8192

static int answer_init(int fuse_fd, const struct fuse_in_header *request, unsigned stack_depth)
{
	struct fuse_init_out body = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FLAG_INIT_EXT,
		.flags2 = FLAG2_PASSTHROUGH,
		.max_write = 4096,
	};
	struct fuse_out_header header = {
		.len = sizeof(header) + sizeof(body), .unique = request->unique};
	struct iovec iov[] = {
		{.iov_base = &header, .iov_len = sizeof(header)},
		{.iov_base = &body, .iov_len = sizeof(body)},
	};
	uint32_t depth = stack_depth;

	memcpy((char *)&body + STACK_DEPTH_OFFSET, &depth, sizeof(depth));
	return writev(fuse_fd, iov, 2) < 0 ? -errno : 0;
}

/* INIT is the first request, and there before the mount is. */
static int agree(int fuse_fd, unsigned stack_depth)
{
	_Alignas(8) char buf[REQUEST_SIZE];
	const struct fuse_in_header *header = (const void *)buf;
	const struct fuse_init_in *init = (const void *)(buf + sizeof(*header));
	ssize_t n = read(fuse_fd, buf, sizeof(buf));

	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(*header) + offsetof(struct fuse_init_in, unused) ||
		header->opcode != FUSE_INIT || !(init->flags2 & FLAG2_PASSTHROUGH))
		return -EOPNOTSUPP;
	return answer_init(fuse_fd, header, stack_depth);
}

int passthrough_connect(
	unsigned stack_depth, int *ret_fuse_fd, int *ret_mount_fd, struct error *err)
{
	const struct fuse_mount_options options = {.source = "passthrough", .read_only = true};
	_cleanup_close_ int fuse_fd = -1, mount_fd = -1;
	int r = mount_open_fuse(&fuse_fd, err);

	if (r == 0)
		r = mount_fuse_detached(fuse_fd, &options, &mount_fd, err);
	if (r < 0)
		return r;
	r = agree(fuse_fd, stack_depth);
	if (r == -EOPNOTSUPP)
		return error_set(err, EOPNOTSUPP, EXIT_STATUS_MACHINE, "the kernel has none");
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "INIT of FUSE");
	*ret_fuse_fd = steal_fd(&fuse_fd);
	*ret_mount_fd = steal_fd(&mount_fd);
	return 0;
}

int passthrough_try(struct error *err)
{
	_cleanup_close_ int fuse_fd = -1, mount_fd = -1, file = -1;
	struct backing_map map = {.fd = -1};
	int r = passthrough_connect(1, &fuse_fd, &mount_fd, err);

	if (r < 0)
		return r;
	file = memfd_create("passthrough", MFD_CLOEXEC);
	map.fd = file;
	if (file < 0 || ioctl(fuse_fd, BACKING_OPEN, &map) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_MACHINE, "a file cannot be registered");
	return 0;
}
