/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/copyup.h"
#include "overlay/lookup.h"
#include "overlay/protect.h"
#include "overlay/remove.h"
#include "overlay/rename.h"
#include "util/cleanup.h"

/* --- what may be --- */

static bool can_move(const struct renaming *rn, const struct node *node)
{
	return !rename_is_merged(node) || rn->ov->redirect_dir == OVERLAY_REDIRECT_ON;
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

/*
 * A new name that is no node's is free in nearly all cases, for the kernel has just looked it up;
 * if not, that is seen when the directory is held.
 */
static int find_target(struct renaming *rn)
{
	int r;

	rn->to.node = node_find(rn->ov, rn->to.dir, rn->to.name);
	if (rn->to.node || !(rn->looks || rn->flags & RENAME_EXCHANGE))
		return 0;
	r = lookup_node(rn->ov, rn->to.dir, rn->to.name, &rn->to.node);
	return r == -ENOENT ? 0 : r;
}

static int find_ends(struct renaming *rn)
{
	int r = lookup_node(rn->ov, rn->from.dir, rn->from.name, &rn->from.node);

	if (r < 0)
		return r;
	r = check_name(rn->ov, rn->to.name);
	if (r < 0)
		return r;
	return node_is_dir(rn->to.dir) ? find_target(rn) : -ENOTDIR;
}

/*
 * Before anything is copied up: where the rename fails no copy stays, whose ctime would be another
 * one. Looked at again under the locks.
 */
static int check_target(const struct renaming *rn)
{
	struct node *target = rn->to.node;

	if (!target || !node_is_dir(target) || rn->flags & RENAME_EXCHANGE)
		return 0;
	if (node_is_upper(rn->from.node) && node_is_upper(rn->from.dir) &&
		node_is_upper(rn->to.dir))
		return 0;
	return directory_check_empty(rn->ov, target);
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

static void release_all(struct renaming *rn)
{
	dir_release(&rn->target_hold);
	upper_unpin(rn->ov, &rn->target_pin);
	dir_release(&rn->to_hold);
	dir_release(&rn->from_hold);
	rename_discard_whiteout(rn);
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
		r = check_target(rn);
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
