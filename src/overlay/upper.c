/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/upper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/call.h"
#include "overlay/lift.h"
#include "overlay/quota.h"
#include "util/cleanup.h"
#include "util/fdcache.h"

#define OPEN_DIR (O_PATH | O_DIRECTORY | O_NOFOLLOW)

/* --- an object by its name, under its parent's lock --- */

struct at_name {
	struct node_place place;
	struct dir_hold hold;
};

static void leave_name(struct overlay *ov, struct at_name *at)
{
	dir_release(&at->hold);
	node_put(ov, at->place.parent);
}

/* Locks the parent under which the node has its name now. -ENOENT for an orphan. */
static int enter_name(struct overlay *ov, struct node *node, struct at_name *at)
{
	for (;;) {
		int r = node_place(ov, node, &at->place);

		if (r < 0)
			return r;
		r = dir_hold(ov, at->place.parent, false, &at->hold);
		if (r == 0 && at->hold.pin.fd < 0)
			r = -ENOENT;
		if (r == 0 && node_is_placed(ov, node, &at->place))
			return 0;
		leave_name(ov, at);
		if (r < 0)
			return r;
	}
}

struct open_request {
	struct overlay *ov;
	struct node *node;
};

static int open_upper_dir(void *arg)
{
	struct open_request *request = arg;
	struct at_name at = {.hold = {.dir = NULL}};
	int fd = enter_name(request->ov, request->node, &at);

	if (fd < 0)
		return fd;
	fd = call_openat(at.hold.pin.fd, at.place.name, OPEN_DIR, 0);
	leave_name(request->ov, &at);
	return fd;
}

/* Whether the directory can be had without opening the one above it. */
static bool is_open(struct overlay *ov, struct node *dir)
{
	int fd;

	if (dir == ov->root || node_orphan_fd(dir) >= 0)
		return true;
	if (!fdcache_get_open(ov->fds, &dir->dir->upper_fd, &fd))
		return false;
	fdcache_put(ov->fds, &dir->dir->upper_fd);
	return true;
}

/* The directories from `dir` up to one whose parent is open, referenced. */
struct chain {
	struct node **dirs;
	size_t count;
};

static size_t chain_length(struct overlay *ov, struct node *dir) requires_lock(ov->table)
{
	size_t count = 1;

	for (; dir->names && !is_open(ov, dir->names->parent); dir = dir->names->parent)
		count++;
	return count;
}

static int collect_chain(struct overlay *ov, struct node *dir, struct chain *ret_chain)
{
	int r = 0;

	mutex_lock(&ov->table);
	ret_chain->count = chain_length(ov, dir);
	ret_chain->dirs = malloc(ret_chain->count * sizeof(struct node *));
	if (!ret_chain->dirs)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < ret_chain->count; i++) {
		ret_chain->dirs[i] = dir;
		dir->refs++;
		if (dir->names)
			dir = dir->names->parent;
	}
	mutex_unlock(&ov->table);
	return r;
}

static int pin_one(struct overlay *ov, struct node *dir, struct upper_pin *ret_pin)
{
	struct open_request request = {.ov = ov, .node = dir};
	int fd, r = fdcache_get(ov->fds, &dir->dir->upper_fd, open_upper_dir, &request, &fd);

	if (r < 0)
		return r;
	*ret_pin = (struct upper_pin){.fd = fd, .entry = &dir->dir->upper_fd};
	return 0;
}

/*
 * From the top, one after the other, for a container decides how deep a tree is. The one above
 * stays pinned while the next is opened.
 */
static int pin_from_above(struct overlay *ov, struct node *dir, struct upper_pin *ret_pin)
{
	struct upper_pin pin = {.fd = -1};
	struct chain chain;
	int r;

	if (fdcache_get_open(ov->fds, &dir->dir->upper_fd, &ret_pin->fd)) {
		ret_pin->entry = &dir->dir->upper_fd;
		return 0;
	}
	r = collect_chain(ov, dir, &chain);
	if (r < 0)
		return r;
	for (size_t i = chain.count; i-- > 0;) {
		struct upper_pin above = pin;

		if (r == 0)
			r = pin_one(ov, chain.dirs[i], &pin);
		if (r == 0)
			upper_unpin(ov, &above);
		node_put(ov, chain.dirs[i]);
	}
	free(chain.dirs);
	if (r < 0)
		upper_unpin(ov, &pin);
	else
		*ret_pin = pin;
	return r;
}

int upper_pin(struct overlay *ov, struct node *dir, struct upper_pin *ret_pin)
{
	*ret_pin = (struct upper_pin){.fd = -1};
	if (!node_is_upper(dir))
		return 0;
	ret_pin->fd = dir == ov->root ? ov->upper_fd : node_orphan_fd(dir);
	return ret_pin->fd >= 0 ? 0 : pin_from_above(ov, dir, ret_pin);
}

void upper_unpin(struct overlay *ov, struct upper_pin *pin)
{
	if (pin->entry)
		fdcache_put(ov->fds, pin->entry);
	*pin = (struct upper_pin){.fd = -1};
}

/* clang cannot follow a lock that a struct carries out of the function. */
int dir_hold(struct overlay *ov, struct node *dir, bool exclusive,
	struct dir_hold *ret_hold) no_lock_analysis
{
	int r;

	ret_hold->dir = NULL;
	if (!node_is_dir(dir))
		return -ENOTDIR;
	r = upper_pin(ov, dir, &ret_hold->pin);
	if (r < 0)
		return r;
	if (exclusive)
		rwlock_lock(&dir->dir->lock);
	else
		rwlock_lock_shared(&dir->dir->lock);
	ret_hold->ov = ov;
	ret_hold->dir = dir;
	ret_hold->is_exclusive = exclusive;
	/* Its names are about to change, and so may be what it takes up itself. */
	if (exclusive)
		(void)quota_track(ov->quota, ret_hold->pin.fd);
	return 0;
}

int dir_hold_pinned(struct overlay *ov, struct node *dir, struct dir_hold *hold) no_lock_analysis
{
	rwlock_lock(&dir->dir->lock);
	hold->ov = ov;
	hold->dir = dir;
	hold->is_exclusive = true;
	(void)quota_track(ov->quota, hold->pin.fd);
	return 0;
}

void dir_release(struct dir_hold *hold) no_lock_analysis
{
	if (!hold->dir)
		return;
	if (hold->is_exclusive) {
		quota_settle(hold->ov->quota, hold->pin.fd);
		atomic_fetch_add(&hold->dir->dir->changes, 1);
		rwlock_unlock(&hold->dir->dir->lock);
	} else {
		rwlock_unlock_shared(&hold->dir->dir->lock);
	}
	upper_unpin(hold->ov, &hold->pin);
	hold->dir = NULL;
}

/* --- objects --- */

static int open_dir_object(struct overlay *ov, struct node *node, int flags)
{
	struct upper_pin pin;
	int fd = upper_pin(ov, node, &pin);

	if (fd < 0)
		return fd;
	/* "." would take the right to search the directory. */
	fd = flags & O_PATH ? call_dup(pin.fd) : lift_reopen(pin.fd, flags | O_DIRECTORY);
	upper_unpin(ov, &pin);
	return fd;
}

/*
 * A descriptor of its own of an object without a name, -ENOENT where it has one: a link may
 * give it one, and close the node's, at any time.
 */
static int try_dup_orphan(struct overlay *ov, struct node *node)
{
	int orphan_fd, fd = -ENOENT;

	if (node_orphan_fd(node) < 0)
		return -ENOENT;
	mutex_lock(&ov->table);
	orphan_fd = node_orphan_fd(node);
	if (orphan_fd >= 0)
		fd = call_try_dup(orphan_fd);
	mutex_unlock(&ov->table);
	return fd;
}

static int dup_orphan(struct overlay *ov, struct node *node)
{
	int fd = try_dup_orphan(ov, node);

	return fd < 0 && fdcache_make_room(-fd) ? try_dup_orphan(ov, node) : fd;
}

static int open_orphan(struct overlay *ov, struct node *node, int flags)
{
	_cleanup_close_ int fd = dup_orphan(ov, node);

	if (fd < 0)
		return fd;
	return flags & O_PATH ? steal_fd(&fd) : lift_reopen(fd, flags);
}

static int stat_orphan(struct overlay *ov, struct node *node, struct stat *ret_st)
{
	_cleanup_close_ int fd = dup_orphan(ov, node);

	return fd < 0 ? fd : call_fstat(fd, ret_st);
}

static int open_by_name(struct overlay *ov, struct node *node, int flags)
{
	struct at_name at = {.hold = {.dir = NULL}};
	int fd = enter_name(ov, node, &at);

	if (fd < 0)
		return fd;
	fd = lift_openat(at.hold.pin.fd, at.place.name, flags);
	leave_name(ov, &at);
	return fd;
}

int upper_open(struct overlay *ov, struct node *node, int flags, int *ret_fd)
{
	int fd = open_orphan(ov, node, flags);

	if (fd == -ENOENT)
		fd = node_is_dir(node) ? open_dir_object(ov, node, flags)
				       : open_by_name(ov, node, flags);
	/* The last name may have gone after we looked. */
	if (fd == -ENOENT)
		fd = open_orphan(ov, node, flags);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static int stat_dir(struct overlay *ov, struct node *node, struct stat *ret_st)
{
	struct upper_pin pin;
	int r = upper_pin(ov, node, &pin);

	if (r < 0)
		return r;
	r = call_fstat(pin.fd, ret_st);
	upper_unpin(ov, &pin);
	return r;
}

int upper_stat(struct overlay *ov, struct node *node, struct stat *ret_st)
{
	struct at_name at = {.hold = {.dir = NULL}};
	int r = stat_orphan(ov, node, ret_st);

	if (r != -ENOENT)
		return r;
	if (node_is_dir(node))
		return stat_dir(ov, node, ret_st);
	r = enter_name(ov, node, &at);
	if (r == -ENOENT)
		return stat_orphan(ov, node, ret_st);
	if (r < 0)
		return r;
	r = call_fstatat(at.hold.pin.fd, at.place.name, ret_st);
	leave_name(ov, &at);
	return r;
}

int upper_check_nameless(const struct overlay *ov, bool is_dir)
{
	size_t max = is_dir ? ov->nameless_dirs_max : ov->nameless_max;

	return atomic_load(&ov->open_count) < max ? 0 : -ENFILE;
}

int upper_open_orphan(struct overlay *ov, struct node *node, const struct dir_hold *hold,
	const char *name, int *ret_fd)
{
	int fd, r;

	*ret_fd = -1;
	if (!node_is_upper(node) || node_orphan_fd(node) >= 0)
		return 0;
	/* A descriptor for each of many links would use them all up. */
	if (node_has_other_name(ov, node, hold->dir, name))
		return 0;
	r = upper_check_nameless(ov, node_is_dir(node));
	if (r < 0)
		return r;
	fd = call_openat(hold->pin.fd, name, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	(void)quota_track(ov->quota, fd);
	*ret_fd = fd;
	return 0;
}

void upper_keep_orphan(struct overlay *ov, struct node *node, int fd)
{
	if (fd < 0)
		return;
	mutex_lock(&ov->table);
	node_keep_fd(ov, &node_use(node)->orphan_fd, fd);
	mutex_unlock(&ov->table);
	/* Whoever knows the node, by O_PATH too, keeps what it takes up. */
	(void)quota_open(ov->quota, fd);
}

void upper_drop_orphan(struct overlay *ov, struct node *node)
{
	int fd;

	mutex_lock(&ov->table);
	fd = node_take_fd(ov, &node_use(node)->orphan_fd);
	mutex_unlock(&ov->table);
	quota_close(ov->quota, fd);
	close_keep_errno(fd);
}

/* --- the work directory --- */

void work_temp_name(struct overlay *ov, char name[TEMP_NAME_MAX])
{
	snprintf(name, TEMP_NAME_MAX, "#%" PRIx64, atomic_fetch_add(&ov->temp_counter, 1));
}

static int remove_below(int dir_fd, const char *name, unsigned depth);

static int empty_directory(int fd, unsigned depth)
{
	_cleanup_closedir_ DIR *stream = NULL;
	struct dirent *entry;
	int r = lift_opendir(fd, &stream);

	while (r == 0 && (r = call_readdir(stream, &entry)) > 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			r = 0;
		else
			r = remove_below(fd, entry->d_name, depth + 1);
	}
	return r;
}

static int remove_below(int dir_fd, const char *name, unsigned depth)
{
	_cleanup_close_ int fd = -1;
	int r = call_unlinkat(dir_fd, name, 0);

	if (r != -EISDIR && r != -EPERM)
		return r == -ENOENT ? 0 : r;
	/* What is thrown away holds whiteouts and copied-up directories, nothing deep. */
	if (depth > 64)
		return -ELOOP;
	fd = call_openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	r = empty_directory(fd, depth);
	return r < 0 ? r : call_unlinkat(dir_fd, name, AT_REMOVEDIR);
}

int work_remove(struct overlay *ov, const char *name)
{
	return remove_below(ov->work_fd, name, 0);
}
