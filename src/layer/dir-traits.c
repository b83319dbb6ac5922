/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a layer of kind dir knows besides: when an object was made, and its flags. */
#include "layer/dir-node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "util/cleanup.h"

/* "/proc/self/fd/" and the digits of an int. */
#define PROC_FD_MAX 32

/* Those that statx(2) tells without an open. */
static uint32_t flags_of_statx(const struct statx *stx)
{
	static const struct {
		uint64_t attribute;
		uint32_t flag;
	} rows[] = {
		{STATX_ATTR_IMMUTABLE, FS_IMMUTABLE_FL},
		{STATX_ATTR_APPEND, FS_APPEND_FL},
		{STATX_ATTR_NODUMP, FS_NODUMP_FL},
		{STATX_ATTR_COMPRESSED, FS_COMPR_FL},
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (stx->stx_attributes & rows[i].attribute)
			flags |= rows[i].flag;
	return flags;
}

/* All of them; what cannot be opened, or has none, keeps those that are known. */
static void read_flags(int path_fd, uint32_t *flags)
{
	char path[PROC_FD_MAX];
	_cleanup_close_ int fd = -1;
	unsigned all;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &all) == 0)
		*flags = all;
}

int dir_get_traits(
	struct layer *layer, layer_node_t node, bool all_flags, struct layer_traits *ret_traits)
{
	struct dir_node *object = (struct dir_node *)(uintptr_t)node;
	_cleanup_close_ int fd = dir_node_open_path((struct dir_layer *)layer, object);
	const uint64_t protects = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
	struct statx stx;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx) < 0)
		return -errno;
	*ret_traits = (struct layer_traits){.flags = flags_of_statx(&stx)};
	ret_traits->has_btime = stx.stx_mask & STATX_BTIME;
	ret_traits->btime = (struct timespec){stx.stx_btime.tv_sec, stx.stx_btime.tv_nsec};
	if (!S_ISREG(object->type) && !S_ISDIR(object->type))
		return 0;
	if (all_flags || (stx.stx_attributes_mask & protects) != protects)
		read_flags(fd, &ret_traits->flags);
	return 0;
}
