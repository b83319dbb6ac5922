/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/remove.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "overlay/call.h"
#include "overlay/lift.h"
#include "overlay/copyup.h"
#include "overlay/lookup.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "overlay/merge.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

int directory_is_empty(struct overlay *ov, const struct dir_hold *hold)
{
	struct merged_list list = {0};
	int r = merge_directory(ov, hold, &list);

	if (r == 0 && list.count > 0)
		r = -ENOTEMPTY;
	merged_list_release(&list);
	return r;
}

int directory_check_empty(struct overlay *ov, struct node *dir)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	int r = dir_hold(ov, dir, false, &hold);

	return r < 0 ? r : directory_is_empty(ov, &hold);
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_entry(int dir_fd, const char *name)
{
	int r = call_unlinkat(dir_fd, name, 0);

	return r == -ENOENT ? 0 : r;
}

static int remove_entries(int dir_fd)
{
	_cleanup_closedir_ DIR *stream = NULL;
	struct dirent *entry;
	int r = call_opendir(dir_fd, &stream);

	while (r == 0 && (r = call_readdir(stream, &entry)) > 0)
		r = is_dot(entry->d_name) ? 0 : remove_entry(dir_fd, entry->d_name);
	return r;
}

int directory_clear(struct overlay *ov, struct node *dir, int dir_fd)
{
	struct lift lift;
	int back, r = upper_set_opaque(ov, dir_fd);

	if (r < 0)
		return r;
	node_set_cleared(dir);
	r = remove_entries(dir_fd);
	if (r != -EACCES)
		return r;
	r = lift_begin(dir_fd, 0700, &lift);
	if (r < 0)
		return r;
	r = remove_entries(dir_fd);
	back = lift_end(&lift);
	return r < 0 ? r : back;
}

/* One removal on its way. */
struct removal {
	struct overlay *ov;
	const char *name;
	struct dir_hold hold; /* of the directory that the name is in */
	bool is_upper;	      /* the upper has an object under the name */
	bool needs_whiteout;
	/* A directory that goes, held; NULL: no directory. */
	const struct dir_hold *inner;
	bool is_empty; /* it was looked at: what it has in the upper are whiteouts */
};

/* A directory that moves to another one must be writable: it goes, so its mode does not matter. */
static int swap_directory(struct removal *rm, const char *temp, int inner_fd)
{
	struct lift lift;
	int r = call_renameat2(rm->ov->work_fd, temp, rm->hold.pin.fd, rm->name, RENAME_EXCHANGE);

	if (r != -EACCES)
		return r;
	r = lift_begin(inner_fd, 0700, &lift);
	if (r < 0)
		return r;
	r = call_renameat2(rm->ov->work_fd, temp, rm->hold.pin.fd, rm->name, RENAME_EXCHANGE);
	if (r < 0)
		(void)lift_end(&lift);
	else
		lift_leave(&lift);
	return r;
}

static int inner_fd_of(const struct removal *rm)
{
	return rm->inner ? rm->inner->pin.fd : -1;
}

/* Puts a whiteout where an upper object stands, in one step. */
static int replace_by_whiteout(struct removal *rm)
{
	int inner_fd = inner_fd_of(rm);
	char temp[TEMP_NAME_MAX];
	int r;

	work_temp_name(rm->ov, temp);
	r = whiteout_make_device(rm->ov, rm->ov->work_fd, temp);
	if (r < 0)
		return r;
	if (inner_fd >= 0)
		r = swap_directory(rm, temp, inner_fd);
	else
		r = call_renameat2(rm->ov->work_fd, temp, rm->hold.pin.fd, rm->name, 0);
	if (r < 0 || inner_fd >= 0)
		(void)work_remove(rm->ov, temp);
	return r;
}

static int unlink_upper(struct removal *rm, struct node *node)
{
	int flags = rm->inner ? AT_REMOVEDIR : 0;
	int r = call_unlinkat(rm->hold.pin.fd, rm->name, flags);

	if (r != -ENOTEMPTY || !rm->inner)
		return r;
	r = rm->is_empty ? 0 : directory_is_empty(rm->ov, rm->inner);
	/* Whiteouts are in it. */
	if (r == 0)
		r = directory_clear(rm->ov, node, inner_fd_of(rm));
	return r < 0 ? r : call_unlinkat(rm->hold.pin.fd, rm->name, flags);
}

static int remove_upper(struct removal *rm, struct node *node)
{
	int r = 0;

	if (rm->needs_whiteout && !rm->ov->writes_aufs)
		return replace_by_whiteout(rm);
	/* In AUFS form the whiteout stands beside the object: first it, then the removal. */
	if (rm->needs_whiteout)
		r = whiteout_create(rm->ov, rm->hold.pin.fd, rm->name);
	if (r < 0)
		return r;
	r = unlink_upper(rm, node);
	if (r < 0 && rm->needs_whiteout)
		whiteout_undo(rm->ov, rm->hold.pin.fd, rm->name);
	return r;
}

/* Whether something below would show without the object in the upper. */
static int find_below(struct removal *rm, struct node *dir)
{
	int r = lower_is_visible(rm->ov, dir, rm->name);

	if (r <= 0)
		return r;
	/*
	 * An opaque directory hides what is below it only while it stands; a .wh.NAME
	 * beside it goes on hiding.
	 */
	r = upper_has_aufs_whiteout(rm->ov, rm->hold.pin.fd, rm->name);
	return r < 0 ? r : !r;
}

/*
 * Holds the directory. What stands under the name the node tells: as long as it has the name,
 * either the upper has it there, or has nothing and a layer shows it.
 */
static int prepare(struct removal *rm, struct node *dir, struct node *node)
{
	struct overlay *ov = rm->ov;
	int r = node_prepare(node);

	if (r == 0)
		r = copyup_node(ov, dir, COPYUP_FOR_REMOVAL);
	if (r == 0)
		r = dir_hold(ov, dir, true, &rm->hold);
	if (r < 0)
		return r;
	r = node_name_in_upper(ov, node, dir, rm->name);
	if (r < 0)
		return r;
	rm->is_upper = r > 0;
	r = rm->is_upper ? find_below(rm, dir) : 1;
	rm->needs_whiteout = r > 0;
	return r < 0 ? r : 0;
}

/* Whoever has the object open, or stands in it, keeps it. */
static int open_for_holders(struct removal *rm, struct node *node, int *ret_fd)
{
	if (!rm->is_upper)
		return 0;
	return upper_open_orphan(rm->ov, node, &rm->hold, rm->name, ret_fd);
}

static int commit(struct removal *rm, struct node *node)
{
	_cleanup_close_ int orphan_fd = -1;
	int r = open_for_holders(rm, node, &orphan_fd);

	if (r < 0)
		return r;
	if (rm->is_upper)
		r = remove_upper(rm, node);
	else
		r = whiteout_create(rm->ov, rm->hold.pin.fd, rm->name);
	if (r < 0)
		return r;
	upper_keep_orphan(rm->ov, node, steal_fd(&orphan_fd));
	node_set_cleared(node);
	if (!rm->is_upper)
		node_hide_link(rm->ov, node);
	quota_settle(rm->ov->quota, node_orphan_fd(node));
	node_drop_name(rm->ov, rm->hold.dir, rm->name);
	return 0;
}

static int unlink_node(struct removal *rm, struct node *dir, struct node *node)
{
	int r = node_is_dir(node) ? -EISDIR : 0;

	/* The other names of a layer's hard link must have what was written, before this one goes.
	 */
	if (r == 0 && node_is_upper(node))
		r = copyup_node(rm->ov, node, COPYUP_ALL);
	if (r == 0)
		r = prepare(rm, dir, node);
	if (r == 0)
		r = commit(rm, node);
	dir_release(&rm->hold);
	return r;
}

static int unlink_in(struct removal *rm, struct node *dir)
{
	struct node *node;
	int r = lookup_node(rm->ov, dir, rm->name, &node);

	if (r < 0)
		return r;
	r = rm->ov->upper_fd < 0 ? -EROFS : protect_check_removal(rm->ov, dir, node);
	if (r == 0)
		r = unlink_node(rm, dir, node);
	node_put(rm->ov, node);
	return r;
}

/* One that is the upper's alone: rmdir(2) tells whether it is empty. */
static bool is_told_by_rmdir(const struct removal *rm, const struct node *node)
{
	return rm->is_upper && !rm->needs_whiteout && node->dir->lowers.count == 0;
}

/* The directory that goes is held while it is seen to be empty, and until it is gone. */
static int rmdir_held(struct removal *rm, struct node *node)
{
	_cleanup_hold_ struct dir_hold inner = {.dir = NULL};
	int r = node_is_dir(node) ? dir_hold(rm->ov, node, true, &inner) : -ENOTDIR;

	if (r < 0)
		return r;
	rm->inner = &inner;
	if (!is_told_by_rmdir(rm, node)) {
		r = directory_is_empty(rm->ov, &inner);
		rm->is_empty = true;
	}
	return r < 0 ? r : commit(rm, node);
}

/*
 * A descriptor is pinned before any lock: the node is looked up, and its directory opened,
 * before the parent is locked for good.
 */
static int rmdir_in(struct removal *rm, struct node *dir)
{
	struct upper_pin pin = {.fd = -1};
	struct node *node;
	int r = lookup_node(rm->ov, dir, rm->name, &node);

	if (r < 0)
		return r;
	r = rm->ov->upper_fd < 0 ? -EROFS : protect_check_removal(rm->ov, dir, node);
	if (r == 0)
		r = node_is_dir(node) ? upper_pin(rm->ov, node, &pin) : -ENOTDIR;
	/* Where it fails the parent is not copied up. */
	if (r == 0 && !node_is_upper(dir))
		r = directory_check_empty(rm->ov, node);
	if (r == 0)
		r = prepare(rm, dir, node);
	if (r == 0)
		r = rmdir_held(rm, node);
	dir_release(&rm->hold);
	upper_unpin(rm->ov, &pin);
	node_put(rm->ov, node);
	return r;
}

typedef int (*removal_fn)(struct removal *rm, struct node *dir);

static int remove_with(struct overlay *ov, uint64_t parent, const char *name, removal_fn fn)
{
	struct removal rm = {.ov = ov, .name = name};
	struct node *dir = node_get(ov, parent);
	int r;

	if (!dir)
		return -ESTALE;
	r = node_is_dir(dir) ? fn(&rm, dir) : -ENOTDIR;
	node_put(ov, dir);
	return r;
}

int overlay_unlink(struct overlay *ov, uint64_t parent, const char *name)
{
	return remove_with(ov, parent, name, unlink_in);
}

int overlay_rmdir(struct overlay *ov, uint64_t parent, const char *name)
{
	return remove_with(ov, parent, name, rmdir_in);
}
