/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/overlay-backing.h>

#include <fcntl.h>

#include "overlay/call.h"
#include "overlay/file.h"
#include "overlay/lift.h"
#include "overlay/node.h"
#include "overlay/protect.h"

enum overlay_passing overlay_file_passing(const struct overlay_file *file)
{
	if (!node_is_upper(file->node) || file->fd < 0)
		return OVERLAY_IS_LOWER;
	if (!file->ov->may_pass || protection_of(file->ov, file->node) != 0)
		return OVERLAY_MUST_SEE;
	return OVERLAY_MAY_PASS;
}

uint64_t overlay_file_generation(const struct overlay_file *file)
{
	return node_generation(file->node);
}

int overlay_file_open_backing(struct overlay_file *file, int *ret_fd)
{
	int flags = call_getfl(file->fd), fd;

	file->has_backing = true;
	if (flags >= 0 && (flags & O_ACCMODE) == O_RDWR && !(flags & O_APPEND)) {
		*ret_fd = file->fd;
		return 0;
	}
	fd = lift_reopen(file->fd, O_RDWR | O_NONBLOCK);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 1;
}

bool overlay_file_has_direct(const struct overlay_file *file)
{
	return call_has_direct(overlay_file_upper_fd(file));
}

int overlay_file_size(const struct overlay_file *file, uint64_t *ret_size)
{
	struct stat st;
	int r = call_fstat(file->fd, &st);

	if (r == 0)
		*ret_size = (uint64_t)st.st_size;
	return r;
}

bool overlay_file_is_new(const struct overlay_file *file, uint64_t *ret_size)
{
	if (!(file->flags & O_CREAT) || file->fd < 0)
		return false;
	*ret_size = atomic_load_explicit(&file->end, memory_order_relaxed);
	return !file->has_backing || overlay_file_size(file, ret_size) == 0;
}
