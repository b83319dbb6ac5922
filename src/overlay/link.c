/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hard links. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "overlay/call.h"
#include "overlay/claim.h"
#include "overlay/copyup.h"
#include "overlay/lookup.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

/* A new link on its way into a directory. */
struct linking {
	struct overlay *ov;
	struct node *node;
	struct claim claim;
	int fd; /* of the object; -1: it has a name in the directory already, this one: */
	char old_name[NAME_MAX + 1];
	struct stat st; /* when it is linked */
	bool is_made;
};

static int link_as(struct linking *l, int dir_fd, const char *name)
{
	if (l->fd >= 0)
		return call_link(l->fd, dir_fd, name);
	return call_link_name(l->claim.hold.pin.fd, l->old_name, dir_fd, name);
}

static int try_link(struct linking *l)
{
	const struct claim *claim = &l->claim;
	struct overlay *ov = l->ov;
	char temp[TEMP_NAME_MAX];
	int r;

	if (!claim->over_whiteout)
		return link_as(l, claim->hold.pin.fd, claim->name);
	work_temp_name(ov, temp);
	r = link_as(l, ov->work_fd, temp);
	if (r < 0)
		return r;
	r = call_renameat2(ov->work_fd, temp, claim->hold.pin.fd, claim->name, 0);
	if (r < 0)
		(void)work_remove(ov, temp);
	return r;
}

static int link_into(struct linking *l)
{
	int r = try_link(l);

	if (r != -EEXIST || l->claim.is_probed)
		return r;
	r = claim_probe(&l->claim);
	return r < 0 ? r : try_link(l);
}

static int link_claimed(struct linking *l)
{
	struct overlay *ov = l->ov;
	const struct dir_hold *hold = &l->claim.hold;
	_cleanup_free_ struct node_name *name = NULL;
	/* It takes nothing, but the directory may grow. */
	int r = quota_take(ov->quota, 0, 0);

	/* What has a number from below, or stands for a device, has it under another name now. */
	if (r == 0 && (ino_is_lower(l->node->ino) || S_ISCHR(l->node->type)))
		r = upper_set_impure(ov, hold->dir, hold->pin.fd);
	if (r < 0)
		return r;
	name = node_new_name(hold->dir, l->claim.name);
	r = name ? link_into(l) : -ENOMEM;
	if (r < 0)
		return r;
	l->is_made = true;
	node_add_name(ov, l->node, steal_ptr(&name));
	upper_drop_orphan(ov, l->node);
	return call_fstatat(hold->pin.fd, l->claim.name, &l->st);
}

/* -EAGAIN: it had a name in the directory, and has it no longer. */
static int link_in(struct linking *l, struct node *dir, const char *name)
{
	int r = claim_name(l->ov, dir, name, &l->claim);

	if (r == 0 && l->fd < 0 && !node_name_in(l->ov, l->node, dir, l->old_name))
		r = -EAGAIN;
	if (r == 0)
		r = link_claimed(l);
	dir_release(&l->claim.hold);
	return r;
}

static int link_node(struct linking *l, struct node *dir, const char *name)
{
	_cleanup_close_ int fd = -1;
	int r = protect_check(l->ov, l->node, PROTECT_ALL);

	if (r == 0)
		r = copyup_node(l->ov, l->node, COPYUP_ALL);
	if (r == 0 && node_name_in(l->ov, l->node, dir, l->old_name)) {
		r = link_in(l, dir, name);
		if (r != -EAGAIN)
			return r;
		r = 0;
	}
	if (r == 0)
		r = upper_open(l->ov, l->node, O_PATH, &fd);
	if (r < 0)
		return r;
	l->fd = fd;
	return link_in(l, dir, name);
}

int overlay_link(struct overlay *ov, uint64_t id, uint64_t parent, const char *name,
	struct overlay_entry *ret_entry)
{
	struct node *node = node_get(ov, id), *dir = node_get(ov, parent);
	struct linking l = {.ov = ov, .node = node, .fd = -1};
	int r = -ESTALE;

	if (node && dir)
		r = node_is_dir(node) ? -EPERM : node_is_dir(dir) ? 0 : -ENOTDIR;
	if (r == 0)
		r = link_node(&l, dir, name);
	if (r == 0)
		fill_entry_from(ov, node, &l.st, ret_entry);
	else if (l.is_made)
		unmake_name(ov, parent, name, node->type);
	node_put(ov, dir);
	node_put(ov, node);
	return r;
}
