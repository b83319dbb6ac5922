/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/copyup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/acl.h"
#include "overlay/call.h"
#include "overlay/copydata.h"
#include "overlay/lookup.h"
#include "overlay/mark.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "overlay/table.h"
#include "util/cleanup.h"

/* One copy-up on its way through the steps. */
struct copyup {
	struct overlay *ov;
	struct node *node;
	struct lower_ref lower;
	struct stat st; /* storage ids */
	uint64_t size;
	uint64_t taken; /* of the bound, until the copy counts itself */
	struct staged staged;
	struct stat staged_st; /* only under a bound */
};

/* --- staging --- */

static int read_target(const struct lower_ref *lower, char target[PATH_MAX])
{
	ssize_t length = layer_readlink(lower->layer, lower->node, target, PATH_MAX);

	if (length < 0)
		return (int)length;
	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	target[length] = '\0';
	return 0;
}

static int stage_data(struct copyup *up)
{
	struct layer_file file;
	int r;

	if (up->size == 0)
		return 0;
	r = layer_write_file(
		up->lower.layer, up->lower.node, (uint64_t)up->st.st_size, up->staged.fd);
	if (r == 0 && up->size < (uint64_t)up->st.st_size)
		r = call_ftruncate(up->staged.fd, (off_t)up->size);
	/* What is to stay of it may well find room. */
	if ((r == -ENOSPC || r == -EDQUOT) && up->size < (uint64_t)up->st.st_size)
		r = call_ftruncate(up->staged.fd, 0) < 0 ? r : -EOPNOTSUPP;
	if (r != -EOPNOTSUPP)
		return r;
	r = layer_open_file(up->lower.layer, up->lower.node, &file);
	if (r < 0)
		return r;
	r = copy_data(up->ov, &file, &up->st, up->size, up->staged.fd);
	layer_file_release(&file);
	return r;
}

/*
 * Marks of the lower's own overlay stay behind. An attribute that the daemon may not set
 * is an error, unless nobody in the mount could have seen it.
 */
static bool copies_xattr(const char *name)
{
	char buf[XATTR_NAME_SIZE];

	return xattr_from_disk(name, buf) != NULL;
}

static bool is_unseen_xattr(const struct overlay *ov, const char *name)
{
	return strncmp(name, "trusted.", 8) == 0 || strcmp(name, "security.selinux") == 0 ||
	       (!ov->has_acls && acl_is_name(name));
}

static int copy_xattr(struct overlay *ov, const struct lower_ref *lower, int fd, const char *name)
{
	ssize_t size = layer_getxattr(lower->layer, lower->node, name, NULL, 0);
	_cleanup_free_ void *value = NULL;
	int r;

	if (size < 0)
		return size == -ENODATA ? 0 : (int)size;
	value = malloc(size ? (size_t)size : 1);
	if (!value)
		return -ENOMEM;
	size = layer_getxattr(lower->layer, lower->node, name, value, (size_t)size);
	if (size < 0)
		return (int)size;
	r = acl_is_name(name) ? acl_check_copy(value, (size_t)size) : 0;
	if (r == 0)
		r = call_setxattr(fd, name, value, (size_t)size, 0);
	return (r == -EPERM || r == -EOPNOTSUPP) && is_unseen_xattr(ov, name) ? 0 : r;
}

int copy_xattrs(struct overlay *ov, const struct lower_ref *lower, int fd)
{
	ssize_t size = layer_listxattr(lower->layer, lower->node, NULL, 0);
	_cleanup_free_ char *names = NULL;
	bool has_acl = false;

	if (size <= 0)
		return size == -EOPNOTSUPP ? 0 : (int)size;
	names = malloc((size_t)size);
	if (!names)
		return -ENOMEM;
	size = layer_listxattr(lower->layer, lower->node, names, (size_t)size);
	if (size < 0)
		return (int)size;
	for (const char *p = names; p < names + size; p += strlen(p) + 1) {
		int r = copies_xattr(p) ? copy_xattr(ov, lower, fd, p) : 0;

		if (r < 0)
			return r;
		has_acl |= acl_is_name(p);
	}
	return has_acl;
}

static int stage_xattrs(struct copyup *up)
{
	int r = copy_xattrs(up->ov, &up->lower, up->staged.fd);

	if (r > 0)
		up->staged.has_mode = false;
	return r < 0 ? r : 0;
}

static bool is_last_name(const struct node *node)
{
	const struct node_use *use = node_use(node);

	return use->lower_links <= 1 || use->hidden_links + 1 >= use->lower_links;
}

/* What protects the layer's object protects the copy; the flags of the file itself stay clear. */
static int stage_protection(struct copyup *up)
{
	int flags = protection_of(up->ov, up->node);

	return flags <= 0 ? flags : protect_mark(up->ov, up->staged.fd, flags);
}

/*
 * Data, owner, xattrs, mode, times: each step would undo what a later one sets. A chown takes
 * security.capability away.
 */
static int stage_copy(struct copyup *up)
{
	char target[PATH_MAX] = "";
	int r = 0;

	if (S_ISLNK(up->st.st_mode))
		r = read_target(&up->lower, target);
	if (r == 0)
		r = stage_object(up->ov, &up->st, target, &up->staged);
	if (r == 0 && S_ISREG(up->st.st_mode))
		r = stage_data(up);
	if (r == 0)
		r = stage_owner(up->ov, &up->staged, up->st.st_uid, up->st.st_gid);
	if (r == 0)
		r = stage_xattrs(up);
	if (r == 0)
		r = stage_protection(up);
	/* A name that stays behind in the layer keeps the number. */
	if (r == 0 && !S_ISDIR(up->st.st_mode) && is_last_name(up->node)) {
		r = upper_set_origin_ino(up->ov, up->staged.fd, up->node->ino);
		r = r == -EOPNOTSUPP || r == -EPERM ? 0 : r;
	}
	if (r == 0)
		r = stage_mode_and_times(&up->staged, &up->st);
	if (r == 0 && S_ISREG(up->st.st_mode) && !up->ov->is_volatile)
		r = call_fsync(up->staged.fd, 0);
	return r;
}

/* --- publishing --- */

/* From here on the node is an upper one. Files that are open on its lower follow. */
static void mark_upper(struct copyup *up, int orphan_fd)
{
	struct overlay *ov = up->ov;
	struct node *node = up->node;
	struct node_use *use = node_use(node);
	bool is_counted = quota_open(ov->quota, up->staged.fd) == 0;

	(void)quota_open(ov->quota, orphan_fd); /* as upper_keep_orphan() */
	mutex_lock(&ov->table);
	if (orphan_fd >= 0)
		node_keep_fd(ov, &use->orphan_fd, orphan_fd);
	if (use->lower_opens > 0)
		node_keep_fd(ov, &use->coherent_fd, steal_fd(&up->staged.fd));
	/*
	 * Further names of the layer are found by the node's inode number: it stays for the life
	 * of the mount, or they would show the old content again. To an object without a name in
	 * the upper no further one can be given.
	 */
	if (orphan_fd >= 0) {
		table_unlink_key(ov, node);
		use->lower_links = 0;
	} else if (use->lower_links) {
		use->hidden_links++;
		node_keep_locked(ov, node);
	}
	atomic_store_explicit(&node->has_upper, true, memory_order_release);
	mutex_unlock(&ov->table);
	/* Those who have it open on the layer keep it, name or not. */
	if (is_counted)
		quota_close(ov->quota, up->staged.fd);
	close_keep_errno(steal_fd(&up->staged.fd));
}

/* It is published: a directory with a newer time is no reason to fail. */
static void restore_times(int dir_fd, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	(void)call_utimens(dir_fd, times);
}

/* The name appears; the directory's own times stay as they are. */
static int publish_name(struct copyup *up, struct node *dir, int dir_fd, const char *name)
{
	struct stat st;
	int r = call_fstat(dir_fd, &st);

	if (r == 0 && is_whiteout_device(&up->st))
		r = upper_mark_impure(up->ov, dir, dir_fd);
	if (r == 0)
		r = stage_publish(up->ov, &up->staged, dir_fd, name, RENAME_NOREPLACE);
	if (r == 0)
		restore_times(dir_fd, &st);
	return r;
}

/* An object that was unlinked while in use lives on without a name. */
static int publish_orphan(struct copyup *up)
{
	_cleanup_close_ int fd = -1;
	int r = upper_check_nameless(up->ov, node_is_dir(up->node));

	if (r < 0)
		return r;
	fd = call_dup(up->staged.fd);
	if (fd < 0)
		return fd;
	r = call_unlinkat(
		up->ov->work_fd, up->staged.name, node_is_dir(up->node) ? AT_REMOVEDIR : 0);
	if (r < 0)
		return r;
	up->staged.name[0] = '\0';
	mark_upper(up, steal_fd(&fd));
	return 0;
}

static int publish(struct copyup *up)
{
	for (;;) {
		_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
		struct node_place place;
		int r = node_place(up->ov, up->node, &place);

		if (r == -ENOENT)
			return publish_orphan(up);
		r = dir_hold(up->ov, place.parent, true, &hold);
		if (r == 0 && node_is_placed(up->ov, up->node, &place)) {
			r = publish_name(up, place.parent, hold.pin.fd, place.name);
			if (r == 0) {
				node_name_set_upper(up->ov, place.parent, place.name);
				mark_upper(up, -1);
			}
			dir_release(&hold);
			node_put(up->ov, place.parent);
			return r;
		}
		dir_release(&hold);
		node_put(up->ov, place.parent);
		if (r < 0)
			return r;
	}
}

/* --- within the bound of the upper --- */

/* What the data will take up, as far as can be known. */
static int data_room(struct copyup *up, uint64_t *ret_bytes)
{
	uint64_t size = (uint64_t)up->st.st_size < up->size ? (uint64_t)up->st.st_size : up->size;
	struct layer_file file;
	int r;

	*ret_bytes = size;
	/* Only holes make it less. */
	if (size == 0 || (uint64_t)up->st.st_blocks * 512 >= size)
		return 0;
	r = layer_open_file(up->lower.layer, up->lower.node, &file);
	if (r < 0)
		return r;
	r = copy_data_room(&file, size, quota_block(up->ov->quota), ret_bytes);
	layer_file_release(&file);
	return r;
}

/* Refused before anything is made. */
static int take_room(struct copyup *up)
{
	struct quota *quota = up->ov->quota;
	int r = 0;

	up->taken = quota_object_bytes(quota, up->st.st_mode, (size_t)up->st.st_size);
	if (quota && S_ISREG(up->st.st_mode))
		r = data_room(up, &up->taken);
	if (r == 0 && up->size == COPYUP_FOR_REMOVAL)
		quota_take_anyway(quota, up->taken, 1);
	else if (r == 0)
		r = quota_take(quota, up->taken, 1);
	return r;
}

/* The copy counts from here on: before others can see it, and change it. */
static int stage_counted(struct copyup *up)
{
	struct quota *quota = up->ov->quota;
	int r = take_room(up);

	if (r < 0)
		return r;
	r = stage_copy(up);
	if (r == 0 && quota)
		r = call_fstat(up->staged.fd, &up->staged_st);
	if (r == 0)
		quota_add(quota, &up->staged_st, up->taken);
	else
		quota_give_back(quota, up->taken, 1);
	return r;
}

static int publish_counted(struct copyup *up)
{
	int r = publish(up);

	if (r < 0)
		quota_remove(up->ov->quota, &up->staged_st);
	return r;
}

/* --- one at a time for each node --- */

/* True when the caller is to copy, false when it is done already. */
static bool begin(struct overlay *ov, struct node *node)
{
	bool is_ours;

	mutex_lock(&ov->table);
	while (node->is_copying || node->is_filling)
		mutex_wait(&ov->table, &ov->copied);
	is_ours = !node_is_upper(node);
	if (is_ours)
		node->is_copying = true;
	mutex_unlock(&ov->table);
	return is_ours;
}

static void end(struct overlay *ov, struct node *node)
{
	mutex_lock(&ov->table);
	node->is_copying = false;
	pthread_cond_broadcast(&ov->copied);
	mutex_unlock(&ov->table);
}

static int copy_one(struct overlay *ov, struct node *node, uint64_t size)
{
	struct copyup up = {.ov = ov, .node = node, .size = size, .staged = {.fd = -1}};
	int r;

	up.lower = node_is_dir(node) ? node->dir->lowers.refs[0] : node->lower;
	r = layer_getattr_with_mapping(up.lower.layer, up.lower.node, ID_VIEW_STORAGE, &up.st);
	if (r < 0)
		return r;
	stand_in_attributes(node->type, &up.st);
	if (!idmap_can_copy(ov->ids, IDMAP_UID, up.st.st_uid) ||
		!idmap_can_copy(ov->ids, IDMAP_GID, up.st.st_gid))
		return -EOVERFLOW;
	/* A squashed owner has no id in the store: the copy is the daemon's. */
	if (ov->ids->squash[IDMAP_UID])
		up.st.st_uid = (uid_t)-1;
	if (ov->ids->squash[IDMAP_GID])
		up.st.st_gid = (gid_t)-1;
	/* Cut off: what was to change it further may fail, and then it has changed all the same. */
	if (S_ISREG(up.st.st_mode) && size < (uint64_t)up.st.st_size)
		up.st.st_mtim.tv_nsec = UTIME_NOW;
	r = stage_counted(&up);
	if (r == 0)
		r = publish_counted(&up);
	stage_discard(ov, &up.staged);
	return r;
}

static int copy_exclusively(struct overlay *ov, struct node *node, uint64_t size)
{
	int r = node_prepare(node);

	if (r == 0 && begin(ov, node)) {
		r = copy_one(ov, node, size);
		end(ov, node);
	}
	return r;
}

/* The topmost directory above `node` (or itself) that is not in the upper yet, referenced. */
static struct node *next_to_copy(struct overlay *ov, struct node *node)
{
	struct node *found = node;

	mutex_lock(&ov->table);
	for (struct node *n = node; n->names; n = n->names->parent)
		if (!node_is_upper(n->names->parent))
			found = n->names->parent;
	found->refs++;
	mutex_unlock(&ov->table);
	return found;
}

/* --- hard links of a layer --- */

/* Links the upper object under one more of the names that are known. */
static int link_alias(struct overlay *ov, struct node *node, const struct node_place *place)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = copyup_node(ov, place->parent, COPYUP_ALL);

	if (r == 0)
		r = upper_open(ov, node, O_PATH, &fd);
	if (r == 0)
		r = dir_hold(ov, place->parent, true, &hold);
	if (r == 0)
		r = call_fstat(hold.pin.fd, &st);
	/* It moved meanwhile: the caller asks again. */
	if (r < 0 || !node_is_placed(ov, node, place))
		return r;
	r = call_link(fd, hold.pin.fd, place->name);
	if (r < 0)
		return r;
	restore_times(hold.pin.fd, &st);
	node_name_set_upper(ov, place->parent, place->name);
	node_hide_link(ov, node);
	/* With the last of them nothing in the layer shows the number any more. */
	if (node_use(node)->hidden_links == node_use(node)->lower_links)
		(void)upper_set_origin_ino(ov, fd, node->ino);
	return 0;
}

/* All names of the node that are known, so that whichever was meant has what is written. */
static int link_aliases(struct overlay *ov, struct node *node)
{
	struct node_place place;
	int r = 0;

	while (r == 0 && node_alias(ov, node, &place) == 0) {
		r = link_alias(ov, node, &place);
		node_put(ov, place.parent);
	}
	return r;
}

int copyup_node(struct overlay *ov, struct node *node, uint64_t size)
{
	while (!node_is_upper(node)) {
		struct node *next;
		int r;

		if (ov->upper_fd < 0)
			return -EROFS;
		next = next_to_copy(ov, node);
		if (next != node && size != COPYUP_FOR_REMOVAL)
			r = copy_exclusively(ov, next, COPYUP_ALL);
		else
			r = copy_exclusively(ov, next, size);
		node_put(ov, next);
		if (r < 0)
			return r;
	}
	return node_use(node)->lower_links ? link_aliases(ov, node) : 0;
}
