/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into a copy of the program that is never installed, with --wrap=read: a kernel that does
 * not say in FUSE_INIT that it has passthrough, as those before 6.9.
 */
#include <linux/fuse.h>
#include <stddef.h>
#include <unistd.h>

#define PASSTHROUGH (1u << (37 - 32)) /* of flags2 */

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);

ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	ssize_t n = __real_read(fd, buf, size);
	struct fuse_in_header *header = buf;
	struct fuse_init_in *init = (void *)(header + 1);

	if (n >= (ssize_t)(sizeof(*header) + sizeof(*init)) && header->len == (uint32_t)n &&
		header->opcode == FUSE_INIT)
		init->flags2 &= ~PASSTHROUGH;
	return n;
}
