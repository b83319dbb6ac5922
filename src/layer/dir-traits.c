/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a layer of kind dir knows besides: when an object was made, and its flags. */
#include "layer/dir-node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "util/cleanup.h"

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
static void read_flags(struct dir_layer *layer, struct dir_node *object, uint32_t *flags)
{
	char path[PROC_FD_MAX];
	_cleanup_close_ int path_fd = dir_node_open_path(layer, object), fd = -1;
	unsigned all;

	if (path_fd < 0)
		return;
	dir_proc_path(path_fd, path);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && TEMP_FAILURE_RETRY(ioctl(fd, FS_IOC_GETFLAGS, &all)) == 0)
		*flags = all;
}

static int statx_node(struct dir_layer *layer, struct dir_node *object, struct statx *ret_stx)
{
	int fd, r = dir_node_get_fd(layer, dir_node_above(object), &fd);

	if (r < 0)
		return r;
	if (TEMP_FAILURE_RETRY(
		    statx(fd, object->name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			    STATX_BASIC_STATS | STATX_BTIME, ret_stx)) < 0)
		r = dir_node_stale(errno);
	dir_node_put_fd(layer, dir_node_above(object));
	return r;
}

int dir_get_traits(
	struct layer *layer, layer_node_t node, bool all_flags, struct layer_traits *ret_traits)
{
	struct dir_layer *self = dir_layer_of(layer);
	struct dir_node *object = dir_node_of(node);
	const uint64_t protects = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
	struct statx stx;
	int r = statx_node(self, object, &stx);

	if (r < 0)
		return r;
	*ret_traits = (struct layer_traits){.flags = flags_of_statx(&stx)};
	ret_traits->has_btime = stx.stx_mask & STATX_BTIME;
	ret_traits->btime = (struct timespec){stx.stx_btime.tv_sec, stx.stx_btime.tv_nsec};
	if (!S_ISREG(object->type) && !S_ISDIR(object->type))
		return 0;
	if (all_flags || (stx.stx_attributes_mask & protects) != protects)
		read_flags(self, object, &ret_traits->flags);
	return 0;
}
