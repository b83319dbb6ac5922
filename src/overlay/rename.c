/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/acl.h"
#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/lookup.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "overlay/redirect.h"
#include "overlay/remove.h"
#include "util/cleanup.h"

/* One end of a rename. */
struct place {
	struct node *dir; /* borrowed */
	const char *name;
	struct node *node; /* a reference; NULL: nothing shows there */
	struct dir_hold *hold;
	struct probe probe;
	bool is_below; /* something would show if the upper had nothing */
};

struct renaming {
	struct overlay *ov;
	const struct overlay_caller *caller;
	unsigned flags;
	struct place from, to;
	struct dir_hold from_hold, to_hold; /* the same directory: only from_hold */
	struct dir_hold target_hold;	    /* a directory that is replaced */
	struct upper_pin target_pin;
	/* Made before the upper changes: what the nodes are called then. */
	struct node_name *from_name, *to_name;
	int orphan_fd;		/* of what is replaced */
	struct staged whiteout; /* of RENAME_WHITEOUT: what the old name becomes */
	struct stat whiteout_st;
};

/* --- what may be --- */

/* A directory that has parts below must say where they are. */
static bool is_merged(const struct node *node)
{
	return node_is_dir(node) && node->dir->lowers.count > 0;
}

static bool can_move(const struct renaming *rn, const struct node *node)
{
	return !is_merged(node) || rn->ov->redirect_dir == OVERLAY_REDIRECT_ON;
}

static int check_types(const struct renaming *rn)
{
	const struct node *from = rn->from.node, *to = rn->to.node;

	if (rn->flags & RENAME_EXCHANGE) {
		if (!to)
			return -ENOENT;
		return can_move(rn, from) && can_move(rn, to) ? 0 : -EXDEV;
	}
	if (to && rn->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (to && node_is_dir(from) && !node_is_dir(to))
		return -ENOTDIR;
	if (to && !node_is_dir(from) && node_is_dir(to))
		return -EISDIR;
	return can_move(rn, from) ? 0 : -EXDEV;
}

static int check_topology(const struct renaming *rn)
{
	if (node_is_dir(rn->from.node) && node_is_below(rn->ov, rn->to.dir, rn->from.node))
		return -EINVAL;
	if (rn->to.node && node_is_dir(rn->to.node) &&
		node_is_below(rn->ov, rn->from.dir, rn->to.node))
		return rn->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

/* --- finding and locking --- */

static int find_ends(struct renaming *rn)
{
	int r = lookup_node(rn->ov, rn->from.dir, rn->from.name, &rn->from.node);

	if (r < 0)
		return r;
	r = check_name(rn->ov, rn->to.name);
	if (r < 0)
		return r;
	r = lookup_node(rn->ov, rn->to.dir, rn->to.name, &rn->to.node);
	return r == -ENOENT ? 0 : r;
}

static int copy_ends_up(struct renaming *rn)
{
	int r = copyup_node(rn->ov, rn->to.dir, COPYUP_ALL);

	if (r == 0)
		r = copyup_node(rn->ov, rn->from.dir, COPYUP_ALL);
	if (r == 0)
		r = copyup_node(rn->ov, rn->from.node, COPYUP_ALL);
	/* A replaced file that is an upper one by another name keeps all of its names there. */
	if (r == 0 && rn->to.node && (rn->flags & RENAME_EXCHANGE || node_is_upper(rn->to.node)))
		r = copyup_node(rn->ov, rn->to.node, COPYUP_ALL);
	/* Pinned before the locks. */
	if (r == 0 && rn->to.node && node_is_dir(rn->to.node))
		r = upper_pin(rn->ov, rn->to.node, &rn->target_pin);
	return r;
}

/* Ancestors first; the rename lock keeps the tree as it is meanwhile. */
static int lock_directories(struct renaming *rn)
{
	struct place *first = &rn->from, *second = &rn->to;
	int r;

	rn->from.hold = &rn->from_hold;
	rn->to.hold = &rn->to_hold;
	if (rn->from.dir == rn->to.dir) {
		rn->to.hold = &rn->from_hold;
		return dir_hold(rn->ov, rn->from.dir, true, &rn->from_hold);
	}
	if (node_is_below(rn->ov, rn->from.dir, rn->to.dir) ||
		(!node_is_below(rn->ov, rn->to.dir, rn->from.dir) &&
			rn->to.dir->id < rn->from.dir->id)) {
		first = &rn->to;
		second = &rn->from;
	}
	r = upper_pin(rn->ov, second->dir, &second->hold->pin);
	if (r < 0)
		return r;
	r = dir_hold(rn->ov, first->dir, true, first->hold);
	if (r == 0)
		r = dir_hold_pinned(rn->ov, second->dir, second->hold);
	else
		upper_unpin(rn->ov, &second->hold->pin);
	return r;
}

static int probe_place(struct renaming *rn, struct place *place)
{
	struct node *node = node_find(rn->ov, place->dir, place->name);
	int r = probe_upper(rn->ov, place->hold, place->name, &place->probe);

	node_put(rn->ov, node);
	if (r < 0)
		return r;
	/* Somebody was faster: the caller looks again. */
	if (node != place->node)
		return -EAGAIN;
	r = lower_is_visible(rn->ov, place->dir, place->name);
	if (r < 0)
		return r;
	if (r > 0) {
		r = upper_has_aufs_whiteout(rn->ov, place->hold->pin.fd, place->name);
		place->is_below = r == 0;
	}
	return r < 0 ? r : 0;
}

/* --- doing it --- */

/*
 * A directory that lands on a name which has something below must not merge with it, and one
 * that leaves its own parts below says where they are.
 */
static int settle_below(struct renaming *rn, const struct place *source, const struct place *target)
{
	_cleanup_close_ int fd = -1;

	if (is_merged(source->node))
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

static void discard_whiteout(struct renaming *rn)
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
		quota_settle(rn->ov->quota, atomic_load(&rn->to.node->orphan_fd));
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

static int rename_locked(struct renaming *rn)
{
	int r = probe_place(rn, &rn->from);

	if (r == 0)
		r = probe_place(rn, &rn->to);
	if (r < 0)
		return r;
	/* Two names of one file: nothing happens, says POSIX. */
	if (rn->from.node == rn->to.node)
		return 0;
	r = prepare(rn);
	if (r < 0)
		return r;
	return rn->flags & RENAME_EXCHANGE ? exchange(rn) : move(rn);
}

static void release_all(struct renaming *rn)
{
	dir_release(&rn->target_hold);
	upper_unpin(rn->ov, &rn->target_pin);
	dir_release(&rn->to_hold);
	dir_release(&rn->from_hold);
	discard_whiteout(rn);
	free(steal_ptr(&rn->from_name));
	free(steal_ptr(&rn->to_name));
	close_keep_errno(steal_fd(&rn->orphan_fd));
	node_put(rn->ov, rn->from.node);
	node_put(rn->ov, rn->to.node);
	rn->from.node = rn->to.node = NULL;
}

static int rename_in_place(struct renaming *rn)
{
	int r = check_topology(rn);

	if (r == 0)
		r = lock_directories(rn);
	return r < 0 ? r : rename_locked(rn);
}

/* Two directories: nothing may move while the order of their locks is found. */
static int rename_across(struct renaming *rn)
{
	int r;

	mutex_lock(&rn->ov->rename_lock);
	r = rename_in_place(rn);
	dir_release(&rn->target_hold);
	dir_release(&rn->to_hold);
	dir_release(&rn->from_hold);
	mutex_unlock(&rn->ov->rename_lock);
	return r;
}

/* What goes from its place, and what it lands on. */
static int check_protection(struct renaming *rn)
{
	int r = protect_check_removal(rn->ov, rn->from.dir, rn->from.node);

	if (r < 0)
		return r;
	if (rn->to.node)
		return protect_check_removal(rn->ov, rn->to.dir, rn->to.node);
	return protect_check(rn->ov, rn->to.dir, FS_IMMUTABLE_FL);
}

static int rename_once(struct renaming *rn)
{
	int r = find_ends(rn);

	if (r == 0)
		r = check_types(rn);
	if (r == 0)
		r = check_protection(rn);
	if (r == 0)
		r = copy_ends_up(rn);
	if (r == 0 && rn->from.dir == rn->to.dir)
		r = rename_in_place(rn);
	else if (r == 0)
		r = rename_across(rn);
	release_all(rn);
	return r;
}

static bool are_flags_known(unsigned flags)
{
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return false;
	return !(flags & RENAME_EXCHANGE) || flags == RENAME_EXCHANGE;
}

int overlay_rename(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, uint64_t new_parent, const char *new_name, unsigned flags)
{
	struct node *from = node_get(ov, parent), *to = node_get(ov, new_parent);
	struct renaming rn = {
		.ov = ov,
		.caller = caller,
		.flags = flags,
		.from = {.dir = from, .name = name},
		.to = {.dir = to, .name = new_name},
		.target_pin = {.fd = -1},
		.orphan_fd = -1,
		.whiteout = {.fd = -1},
	};
	int r = from && to ? 0 : -ESTALE;

	if (!are_flags_known(flags))
		r = -EINVAL;
	else if (r == 0 && ov->upper_fd < 0)
		r = -EROFS;
	if (r == 0) {
		do
			r = rename_once(&rn);
		while (r == -EAGAIN);
	}
	node_put(ov, from);
	node_put(ov, to);
	return r;
}
