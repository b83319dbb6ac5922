/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The flags of chattr(1), and the other attributes that only an ioctl(2) reaches. */
#include <errno.h>
#include <fcntl.h>

#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/lower.h"
#include "overlay/protect.h"
#include "util/cleanup.h"

static const struct {
	uint32_t flag, xflag;
} flag_rows[] = {
	{FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
	{FS_APPEND_FL, FS_XFLAG_APPEND},
	{FS_SYNC_FL, FS_XFLAG_SYNC},
	{FS_NOATIME_FL, FS_XFLAG_NOATIME},
	{FS_NODUMP_FL, FS_XFLAG_NODUMP},
	{FS_DAX_FL, FS_XFLAG_DAX},
	{FS_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT},
};

static uint32_t xflags_of(uint32_t flags)
{
	uint32_t xflags = 0;

	for (size_t i = 0; i < sizeof(flag_rows) / sizeof(flag_rows[0]); i++)
		if (flags & flag_rows[i].flag)
			xflags |= flag_rows[i].xflag;
	return xflags;
}

static uint32_t protection_in(uint32_t xflags)
{
	return (xflags & FS_XFLAG_IMMUTABLE ? FS_IMMUTABLE_FL : 0) |
	       (xflags & FS_XFLAG_APPEND ? FS_APPEND_FL : 0);
}

#define PROTECT_XFLAGS (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND)

static bool has_flags(const struct node *node)
{
	return S_ISREG(node->type) || S_ISDIR(node->type);
}

/* An ioctl wants one that is not O_PATH. */
static int open_upper(struct overlay *ov, struct node *node, int *ret_fd)
{
	return upper_open(ov, node, O_RDONLY | O_NONBLOCK, ret_fd);
}

static int lower_flags(const struct node *node, uint32_t *ret_flags)
{
	const struct lower_ref *ref = node_is_dir(node) ? node->dir->lowers.refs : &node->lower;
	struct layer_traits traits;
	int r = layer_get_traits(ref->layer, ref->node, true, &traits);

	if (r == 0)
		*ret_flags = traits.flags;
	return r;
}

/* --- reading --- */

static int get_flags(struct overlay *ov, struct node *node, uint32_t *ret_flags)
{
	_cleanup_close_ int fd = -1;
	int r, protection;

	if (!node_is_upper(node))
		return lower_flags(node, ret_flags);
	protection = protection_of(ov, node);
	r = protection < 0 ? protection : open_upper(ov, node, &fd);
	if (r == 0)
		r = call_get_flags(fd, ret_flags);
	if (r == 0)
		*ret_flags |= (uint32_t)protection;
	return r;
}

static int get_xattr_flags(struct overlay *ov, struct node *node, struct fsxattr *ret_flags)
{
	_cleanup_close_ int fd = -1;
	uint32_t flags;
	int r, protection;

	if (!node_is_upper(node)) {
		r = lower_flags(node, &flags);
		if (r == 0)
			*ret_flags = (struct fsxattr){.fsx_xflags = xflags_of(flags)};
		return r;
	}
	protection = protection_of(ov, node);
	r = protection < 0 ? protection : open_upper(ov, node, &fd);
	if (r == 0)
		r = call_get_fsxattr(fd, ret_flags);
	if (r == 0)
		ret_flags->fsx_xflags |= xflags_of((uint32_t)protection);
	return r;
}

/* What comes from below keeps its number, and so has the same generation for ever. */
static int get_generation(struct overlay *ov, struct node *node, uint32_t *ret_generation)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (!node_is_upper(node) || ino_is_lower(node->ino)) {
		*ret_generation = 0;
		return 0;
	}
	r = open_upper(ov, node, &fd);
	return r < 0 ? r : call_get_generation(fd, ret_generation);
}

int overlay_get_flags(struct overlay *ov, uint64_t id, uint32_t *ret_flags)
{
	struct node *node = node_get(ov, id);
	int r;

	if (!node)
		return -ESTALE;
	r = has_flags(node) ? get_flags(ov, node, ret_flags) : -ENOTTY;
	node_put(ov, node);
	return r;
}

int overlay_get_fsxattr(struct overlay *ov, uint64_t id, struct fsxattr *ret_flags)
{
	struct node *node = node_get(ov, id);
	int r;

	if (!node)
		return -ESTALE;
	r = has_flags(node) ? get_xattr_flags(ov, node, ret_flags) : -ENOTTY;
	node_put(ov, node);
	return r;
}

int overlay_get_generation(struct overlay *ov, uint64_t id, uint32_t *ret_generation)
{
	struct node *node = node_get(ov, id);
	int r;

	if (!node)
		return -ESTALE;
	r = has_flags(node) ? get_generation(ov, node, ret_generation) : -ENOTTY;
	node_put(ov, node);
	return r;
}

/* --- changing --- */

/* The file in the upper has all flags but those that protect: they are its mark. */
static int set_real_flags(int fd, uint32_t flags)
{
	uint32_t now;
	int r = call_get_flags(fd, &now);

	flags &= ~(uint32_t)PROTECT_ALL;
	/* How the upper maps blocks is its own affair: a layer without it was asked before. */
	flags |= r < 0 ? 0 : now & FS_EXTENT_FL;
	if (r < 0 || (now & ~(uint32_t)PROTECT_ALL) == flags)
		return r;
	return call_set_flags(fd, flags | (now & PROTECT_ALL));
}

static int set_real_fsxattr(int fd, const struct fsxattr *flags)
{
	struct fsxattr now, wanted = *flags;
	int r = call_get_fsxattr(fd, &now);

	wanted.fsx_xflags &= ~(uint32_t)PROTECT_XFLAGS;
	wanted.fsx_xflags |= now.fsx_xflags & PROTECT_XFLAGS;
	if (r < 0 || (now.fsx_xflags == wanted.fsx_xflags && now.fsx_projid == wanted.fsx_projid &&
			     now.fsx_extsize == wanted.fsx_extsize &&
			     now.fsx_cowextsize == wanted.fsx_cowextsize))
		return r;
	return call_set_fsxattr(fd, &wanted);
}

static int set_protection(struct overlay *ov, struct node *node, int fd, int protection)
{
	int now = protection_of(ov, node), r = 0;

	if (now != protection)
		r = now < 0 ? now : protect_mark(ov, fd, protection);
	if (r == 0)
		protection_is(node, protection);
	return r;
}

static int begin_change(struct overlay *ov, uint64_t id, struct node **ret_node, int *ret_fd)
{
	struct node *node = node_get(ov, id);
	int r;

	if (!node)
		return -ESTALE;
	r = has_flags(node) ? copyup_node(ov, node, COPYUP_ALL) : -ENOTTY;
	if (r == 0)
		r = open_upper(ov, node, ret_fd);
	if (r < 0)
		node_put(ov, node);
	else
		*ret_node = node;
	return r;
}

int overlay_set_flags(struct overlay *ov, uint64_t id, uint32_t flags)
{
	_cleanup_close_ int fd = -1;
	struct node *node;
	int r = begin_change(ov, id, &node, &fd);

	if (r < 0)
		return r;
	r = set_real_flags(fd, flags);
	if (r == 0)
		r = set_protection(ov, node, fd, (int)(flags & PROTECT_ALL));
	node_put(ov, node);
	return r;
}

int overlay_set_fsxattr(struct overlay *ov, uint64_t id, const struct fsxattr *flags)
{
	_cleanup_close_ int fd = -1;
	struct node *node;
	int r = begin_change(ov, id, &node, &fd);

	if (r < 0)
		return r;
	r = set_real_fsxattr(fd, flags);
	if (r == 0)
		r = set_protection(ov, node, fd, (int)protection_in(flags->fsx_xflags));
	node_put(ov, node);
	return r;
}
