/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/acl.h"
#include "overlay/call.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "overlay/quota.h"
#include "overlay/redirect.h"
#include "overlay/remove.h"
#include "overlay/rename.h"
#include "util/cleanup.h"

/* What the upper has there: a node that is known tells. -EAGAIN when somebody was faster. */
static int find_upper(struct renaming *rn, struct place *place)
{
	struct node *node;
	int r;

	place->probe = (struct probe){.upper = UPPER_NONE};
	if (place->node) {
		r = node_name_in_upper(rn->ov, place->node, place->dir, place->name);
		if (r > 0)
			place->probe.upper = UPPER_OBJECT;
		return r < 0 ? -EAGAIN : 0;
	}
	node = node_find(rn->ov, place->dir, place->name);
	node_put(rn->ov, node);
	return node ? -EAGAIN : probe_upper(rn->ov, place->hold, place->name, &place->probe);
}

static int probe_place(struct renaming *rn, struct place *place)
{
	int r = find_upper(rn, place);

	if (r == 0)
		r = lower_is_visible(rn->ov, place->dir, place->name);
	place->is_below = false;
	if (r <= 0)
		return r;
	r = upper_has_aufs_whiteout(rn->ov, place->hold->pin.fd, place->name);
	place->is_below = r == 0;
	return r < 0 ? r : 0;
}

/*
 * A directory that lands on a name which has something below must not merge with it, and one
 * that leaves its own parts below says where they are.
 */
static int settle_below(struct renaming *rn, const struct place *source, const struct place *target)
{
	_cleanup_close_ int fd = -1;

	if (rename_is_merged(source->node))
		return redirect_leave(rn->ov, source->node, source->hold->pin.fd, source->name,
			source->dir == target->dir);
	if (!node_is_dir(source->node) || !target->is_below)
		return 0;
	fd = call_openat(source->hold->pin.fd, source->name, O_PATH | O_NOFOLLOW, 0);
	return fd < 0 ? fd : upper_set_opaque(rn->ov, fd);
}

static int exchange(struct renaming *rn)
{
	int r = settle_below(rn, &rn->from, &rn->to);

	if (r == 0)
		r = settle_below(rn, &rn->to, &rn->from);
	if (r == 0)
		r = call_renameat2(rn->from.hold->pin.fd, rn->from.name, rn->to.hold->pin.fd,
			rn->to.name, RENAME_EXCHANGE);
	if (r == 0)
		node_swap_names(rn->ov, steal_ptr(&rn->from_name), steal_ptr(&rn->to_name));
	return r;
}

/* A directory cannot replace a whiteout: they change places, and it serves or goes there. */
static int move_over_whiteout(struct renaming *rn)
{
	int r = call_renameat2(rn->from.hold->pin.fd, rn->from.name, rn->to.hold->pin.fd,
		rn->to.name, RENAME_EXCHANGE);

	if (r == 0 && !rn->from.is_below)
		(void)call_unlinkat(rn->from.hold->pin.fd, rn->from.name, 0);
	return r;
}

static int move_leaving_whiteout(struct renaming *rn)
{
	int from_fd = rn->from.hold->pin.fd, to_fd = rn->to.hold->pin.fd;
	int r;

	if (rn->ov->writes_aufs) {
		r = whiteout_create(rn->ov, from_fd, rn->from.name);
		if (r < 0)
			return r;
		r = call_renameat2(from_fd, rn->from.name, to_fd, rn->to.name, 0);
		if (r < 0)
			whiteout_undo(rn->ov, from_fd, rn->from.name);
		return r;
	}
	r = call_renameat2(from_fd, rn->from.name, to_fd, rn->to.name, RENAME_WHITEOUT);
	if (r != -EINVAL)
		return r;
	/* A file system without it: what is below shows for a moment. */
	r = call_renameat2(from_fd, rn->from.name, to_fd, rn->to.name, 0);
	return r < 0 ? r : whiteout_create(rn->ov, from_fd, rn->from.name);
}

/* Empties what is replaced, and keeps it for those who have it open. */
static int prepare_target(struct renaming *rn)
{
	struct place *to = &rn->to;
	int r;

	if (!to->node)
		return 0;
	r = node_prepare(to->node);
	if (r < 0)
		return r;
	if (node_is_dir(to->node)) {
		r = dir_hold(rn->ov, to->node, true, &rn->target_hold);
		if (r == 0)
			r = directory_is_empty(rn->ov, &rn->target_hold);
		if (r == 0 && to->probe.upper == UPPER_OBJECT)
			r = directory_clear(rn->ov, to->node, rn->target_hold.pin.fd);
		if (r < 0)
			return r;
	}
	if (to->probe.upper != UPPER_OBJECT)
		return 0;
	return upper_open_orphan(rn->ov, to->node, to->hold, to->name, &rn->orphan_fd);
}

/* What the container is to see at the old name: a device 0:0 that is no whiteout of ours. */
static int stage_whiteout(struct renaming *rn)
{
	struct stat st = {.st_mode = S_IFCHR}, dir_st;
	int has_acl = 0;
	int r = idmap_to_storage(rn->ov->ids, IDMAP_UID, rn->caller->uid, &st.st_uid);

	if (r == 0)
		r = call_fstat(rn->from.hold->pin.fd, &dir_st);
	/* Group and ACL are inherited where any new object inherits them. */
	if (r == 0 && dir_st.st_mode & S_ISGID)
		st.st_gid = dir_st.st_gid;
	else if (r == 0)
		r = idmap_to_storage(rn->ov->ids, IDMAP_GID, rn->caller->gid, &st.st_gid);
	if (r == 0)
		r = has_acl = rn->ov->has_acls ? acl_has_default(rn->from.hold->pin.fd) : 0;
	if (r > 0)
		r = stage_with_acl(rn->ov, &st, rn->from.hold->pin.fd, &rn->whiteout);
	else if (r == 0)
		r = stage_object(rn->ov, &st, NULL, &rn->whiteout);
	if (r == 0)
		r = call_chown(rn->whiteout.fd, st.st_uid, st.st_gid);
	if (r == 0 && !has_acl)
		r = call_chmod(rn->whiteout.fd, 0);
	if (r == 0)
		r = upper_mark_impure(rn->ov, rn->from.dir, rn->from.hold->pin.fd);
	return r;
}

/* It counts from here on, as any object that the container made. */
static int stage_counted_whiteout(struct renaming *rn)
{
	struct quota *quota = rn->ov->quota;
	int r = quota_take(quota, 0, 1);

	if (r < 0)
		return r;
	r = stage_whiteout(rn);
	if (r == 0)
		r = call_fstat(rn->whiteout.fd, &rn->whiteout_st);
	if (r == 0)
		quota_add(quota, &rn->whiteout_st, 0);
	else
		quota_give_back(quota, 0, 1);
	return r;
}

static int publish_whiteout(struct renaming *rn)
{
	return stage_publish(rn->ov, &rn->whiteout, rn->from.hold->pin.fd, rn->from.name, 0);
}

void rename_discard_whiteout(struct renaming *rn)
{
	if (rn->whiteout.name[0] && rn->whiteout_st.st_ino)
		quota_remove(rn->ov->quota, &rn->whiteout_st);
	stage_discard(rn->ov, &rn->whiteout);
	rn->whiteout_st = (struct stat){0};
}

/* What was replaced has lost its name. */
static void settle_target(struct renaming *rn)
{
	struct node *node = rn->to.node;

	if (!node)
		return;
	upper_keep_orphan(rn->ov, node, steal_fd(&rn->orphan_fd));
	node_set_cleared(node);
	if (rn->to.probe.upper == UPPER_NONE)
		node_hide_link(rn->ov, node);
}

static int move(struct renaming *rn)
{
	bool is_over_whiteout = rn->to.probe.upper == UPPER_WHITEOUT;
	int r = prepare_target(rn);

	if (r == 0)
		r = settle_below(rn, &rn->from, &rn->to);
	if (r == 0 && rn->flags & RENAME_WHITEOUT)
		r = stage_counted_whiteout(rn);
	if (r < 0)
		return r;
	if (is_over_whiteout && node_is_dir(rn->from.node))
		r = move_over_whiteout(rn);
	else if (rn->from.is_below)
		r = move_leaving_whiteout(rn);
	else
		r = call_renameat2(
			rn->from.hold->pin.fd, rn->from.name, rn->to.hold->pin.fd, rn->to.name, 0);
	if (r < 0)
		return r;
	settle_target(rn);
	if (rn->to.node)
		quota_settle(rn->ov->quota, node_orphan_fd(rn->to.node));
	node_move_name(rn->ov, rn->from.dir, rn->from.name, steal_ptr(&rn->to_name));
	return rn->flags & RENAME_WHITEOUT ? publish_whiteout(rn) : 0;
}

/* All that must be there before the names change. */
static int prepare(struct renaming *rn)
{
	int r = upper_set_impure(rn->ov, rn->to.dir, rn->to.hold->pin.fd);

	if (r == 0 && rn->flags & RENAME_EXCHANGE)
		r = upper_set_impure(rn->ov, rn->from.dir, rn->from.hold->pin.fd);
	rn->to_name = node_new_name(rn->to.dir, rn->to.name);
	rn->from_name = node_new_name(rn->from.dir, rn->from.name);
	return r < 0 ? r : rn->to_name && rn->from_name ? 0 : -ENOMEM;
}

static bool is_taken(const struct place *place)
{
	return place->probe.upper == UPPER_OBJECT ||
	       (place->probe.upper == UPPER_NONE && place->is_below);
}

int rename_locked(struct renaming *rn)
{
	int r = probe_place(rn, &rn->from);

	if (r == 0)
		r = probe_place(rn, &rn->to);
	if (r < 0)
		return r;
	if (!rn->to.node && !rn->looks && is_taken(&rn->to)) {
		rn->looks = true;
		return -EAGAIN;
	}
	/* Two names of one file: nothing happens, says POSIX. */
	if (rn->from.node == rn->to.node)
		return 0;
	r = prepare(rn);
	if (r < 0)
		return r;
	return rn->flags & RENAME_EXCHANGE ? exchange(rn) : move(rn);
}
