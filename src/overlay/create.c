/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "overlay/call.h"
#include "overlay/claim.h"
#include "overlay/copyup.h"
#include "overlay/create.h"
#include "overlay/heritage.h"
#include "overlay/lookup.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "overlay/privileges.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

/* A new object on its way into a directory. */
struct creation {
	struct overlay *ov;
	const char *name;
	const char *target; /* of a symlink */
	struct stat st;	    /* type, mode, owner (storage ids), device */
	struct claim claim; /* of an unnamed one only the hold */
	bool has_acl;	    /* the directory has a default ACL, which says what may be */
	bool sheds_acl;	    /* it has one that the mount does not show */
	bool is_unnamed;
	struct stat made_st; /* as it was made */
	int flags;	     /* of open(2), for an unnamed file */
	int fd;		     /* of a regular file, -1 for anything else */
	bool is_made;	     /* the name is on disk */
};

/* --- what it is to be --- */

/* What the directory hands on, as on any Linux file system. */
static int inherit(struct creation *c, mode_t umask)
{
	struct heritage heritage;
	int r = heritage_of(&c->claim.hold, &heritage);

	if (r < 0)
		return r;
	if (heritage.gives_group) {
		c->st.st_gid = heritage.gid;
		if (S_ISDIR(c->st.st_mode))
			c->st.st_mode |= S_ISGID;
	}
	if (S_ISLNK(c->st.st_mode))
		return 0;
	c->has_acl = heritage.has_acl && c->ov->has_acls;
	c->sheds_acl = heritage.has_acl && !c->ov->has_acls;
	/* The umask does not count where there is a default ACL. */
	if (!c->has_acl)
		c->st.st_mode &= ~(umask & 07777);
	return 0;
}

static int decide_owner(struct creation *c, const struct overlay_caller *caller)
{
	int r = idmap_to_storage(c->ov->ids, IDMAP_UID, caller->uid, &c->st.st_uid);

	if (r == 0)
		r = idmap_to_storage(c->ov->ids, IDMAP_GID, caller->gid, &c->st.st_gid);
	return r < 0 ? r : inherit(c, caller->umask);
}

/* --- making it --- */

/* Whether what the daemon makes belongs to whom it should. */
static bool is_own(const struct creation *c)
{
	const struct overlay *ov = c->ov;

	return (c->st.st_uid == ov->own_uid || c->st.st_uid == (uid_t)-1) &&
	       (c->st.st_gid == ov->own_gid || c->st.st_gid == (gid_t)-1);
}

/* Whether an object that is simply made in the directory comes out right, owner and all. */
static bool can_make_in_place(const struct creation *c)
{
	return !c->claim.over_whiteout && !c->sheds_acl && !is_whiteout_device(&c->st) &&
	       !(S_ISDIR(c->st.st_mode) && c->claim.is_hidden_below) && is_own(c);
}

static int make_in_place(struct creation *c)
{
	int dir_fd = c->claim.hold.pin.fd, r;

	switch (c->st.st_mode & S_IFMT) {
	case S_IFDIR:
		return call_mkdirat(dir_fd, c->name, c->st.st_mode & 07777);
	case S_IFLNK:
		return call_symlinkat(c->target, dir_fd, c->name);
	case S_IFREG:
		r = call_openat(dir_fd, c->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW,
			c->st.st_mode & 07777);
		if (r < 0)
			return r;
		c->fd = r;
		return 0;
	default:
		return call_mknodat(dir_fd, c->name, c->st.st_mode, c->st.st_rdev);
	}
}

static int swap_in(struct creation *c, struct staged *staged)
{
	/* A directory cannot replace a device: they change places, the whiteout goes. */
	unsigned over = S_ISDIR(c->st.st_mode) ? RENAME_EXCHANGE : 0;

	return stage_publish(c->ov, staged, c->claim.hold.pin.fd, c->name,
		c->claim.over_whiteout ? over : RENAME_NOREPLACE);
}

/*
 * Special bits go with a change of owner, and mkdir(2) gives none. The permissions are an ACL's
 * where one was inherited: they are as they were made.
 */
static int give_mode(const struct creation *c, int fd)
{
	mode_t mode = c->st.st_mode & 07777;
	struct stat st;
	int r;

	if (S_ISLNK(c->st.st_mode))
		return 0;
	if (c->has_acl) {
		r = call_fstat(fd, &st);
		if (r < 0 || (st.st_mode & 07000) == (mode & 07000))
			return r;
		mode = (st.st_mode & 0777) | (mode & 07000);
	}
	return call_chmod(fd, mode);
}

static int make_staged(struct creation *c)
{
	struct staged staged = {.fd = -1};
	int r = c->has_acl ? stage_with_acl(c->ov, &c->st, c->claim.hold.pin.fd, &staged)
			   : stage_object(c->ov, &c->st, c->target, &staged);

	if (r < 0)
		return r;
	r = stage_owner(c->ov, &staged, c->st.st_uid, c->st.st_gid);
	if (r == 0 && !staged.has_mode)
		r = give_mode(c, staged.fd);
	if (r == 0 && S_ISDIR(c->st.st_mode) &&
		(c->claim.over_whiteout || c->claim.is_hidden_below))
		r = upper_set_opaque(c->ov, staged.fd);
	if (r == 0 && is_whiteout_device(&c->st))
		r = upper_mark_impure(c->ov, c->claim.hold.dir, c->claim.hold.pin.fd);
	if (r == 0)
		r = swap_in(c, &staged);
	if (r == 0 && S_ISREG(c->st.st_mode))
		c->fd = steal_fd(&staged.fd);
	stage_discard(c->ov, &staged);
	return r;
}

static int make(struct creation *c)
{
	return can_make_in_place(c) ? make_in_place(c) : make_staged(c);
}

static int make_claimed(struct creation *c)
{
	int r = make(c);

	if (r != -EEXIST || c->claim.is_probed)
		return r;
	r = claim_probe(&c->claim);
	return r < 0 ? r : make(c);
}

/* What is known of it, so that nobody need ask. */
static void know_new(struct creation *c, struct node *node)
{
	protection_is(node, 0);
	privileges_of_new(node, c->made_st.st_mode);
	if (!node_is_dir(node))
		return;
	node_set_subdirs(c->ov, node, 0);
	heritage_is(node, &c->made_st, c->has_acl);
}

/* A node for what was made; the name on disk is there whether or not that works. */
static int register_new(struct creation *c, uint64_t taken, struct node **ret_node)
{
	struct node_spec spec = {
		.parent = c->claim.hold.dir,
		.name = c->name,
		.type = c->st.st_mode & S_IFMT,
		.has_upper = true,
	};
	int r = c->fd >= 0 ? call_fstat(c->fd, &c->made_st)
			   : call_fstatat(c->claim.hold.pin.fd, c->name, &c->made_st);

	if (r < 0) {
		quota_give_back(c->ov->quota, taken, 1);
		return r;
	}
	quota_add(c->ov->quota, &c->made_st, taken);
	spec.ino = ino_of_upper(c->made_st.st_ino);
	r = node_add(c->ov, &spec, ret_node);
	if (r == 0)
		know_new(c, *ret_node);
	return r;
}

/* Makes it within the bound of the upper. */
static int make_counted(struct creation *c, struct node **ret_node)
{
	struct quota *quota = c->ov->quota;
	uint64_t taken =
		quota_object_bytes(quota, c->st.st_mode, c->target ? strlen(c->target) : 0);
	int r = quota_take(quota, taken, 1);

	if (r < 0)
		return r;
	r = make_claimed(c);
	if (r < 0) {
		quota_give_back(quota, taken, 1);
		return r;
	}
	c->is_made = true;
	if (S_ISDIR(c->st.st_mode))
		node_add_subdir(c->ov, c->claim.hold.dir);
	return register_new(c, taken, ret_node);
}

static int create_object(struct creation *c, const struct overlay_caller *caller, struct node *dir,
	struct node **ret_node)
{
	int r;

	c->fd = -1;
	r = claim_name(c->ov, dir, c->name, &c->claim);
	if (r == 0)
		r = decide_owner(c, caller);
	if (r == 0)
		r = make_counted(c, ret_node);
	dir_release(&c->claim.hold);
	return r;
}

/* --- files without a name --- */

static int make_unnamed(struct creation *c)
{
	/* An ACL that does not show is not for it: the work directory has none to hand on. */
	int dir_fd = c->sheds_acl ? c->ov->work_fd : c->claim.hold.pin.fd;
	int r = call_openat(
		dir_fd, ".", O_TMPFILE | O_RDWR | (c->flags & O_EXCL), c->st.st_mode & 07777);

	if (r < 0)
		return r;
	c->fd = r;
	if (is_own(c) && !c->sheds_acl)
		return 0;
	r = call_chown(c->fd, c->st.st_uid, c->st.st_gid);
	return r < 0 ? r : give_mode(c, c->fd);
}

static int register_unnamed(struct creation *c, struct node **ret_node)
{
	struct node_spec spec = {.type = S_IFREG, .has_upper = true};
	_cleanup_close_ int fd = call_reopen(c->fd, O_PATH);
	int r = fd < 0 ? fd : call_fstat(fd, &c->made_st);

	if (r < 0) {
		quota_give_back(c->ov->quota, 0, 1);
		return r;
	}
	quota_add(c->ov->quota, &c->made_st, 0);
	spec.ino = ino_of_upper(c->made_st.st_ino);
	r = node_add(c->ov, &spec, ret_node);
	if (r < 0) {
		quota_remove(c->ov->quota, &c->made_st);
		return r;
	}
	know_new(c, *ret_node);
	upper_keep_orphan(c->ov, *ret_node, steal_fd(&fd));
	return r;
}

static int make_unnamed_counted(struct creation *c, struct node **ret_node)
{
	int r = upper_check_nameless(c->ov, false);

	if (r == 0)
		r = quota_take(c->ov->quota, 0, 1);
	if (r < 0)
		return r;
	r = make_unnamed(c);
	if (r < 0) {
		quota_give_back(c->ov->quota, 0, 1);
		return r;
	}
	return register_unnamed(c, ret_node);
}

static int create_unnamed(struct creation *c, const struct overlay_caller *caller, struct node *dir,
	struct node **ret_node)
{
	int r = protect_check(c->ov, dir, FS_IMMUTABLE_FL);

	if (r == 0)
		r = copyup_node(c->ov, dir, COPYUP_ALL);
	if (r == 0)
		r = dir_hold(c->ov, dir, false, &c->claim.hold);
	if (r == 0)
		r = decide_owner(c, caller);
	if (r == 0)
		r = make_unnamed_counted(c, ret_node);
	dir_release(&c->claim.hold);
	return r;
}

/* --- a request --- */

/* Creates, and makes the reply. A descriptor that nobody wants is closed. */
static int create_entry(struct creation *c, const struct overlay_caller *caller, uint64_t parent,
	struct overlay_entry *ret_entry, int *ret_fd, struct node **ret_node)
{
	struct node *dir = node_get(c->ov, parent), *node = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (!dir)
		return -ESTALE;
	if (!node_is_dir(dir))
		r = -ENOTDIR;
	else if (c->is_unnamed)
		r = create_unnamed(c, caller, dir, &node);
	else
		r = create_object(c, caller, dir, &node);
	fd = c->fd;
	node_put(c->ov, dir);
	if (r == 0)
		fill_entry_from(c->ov, node, &c->made_st, ret_entry);
	else if (c->is_made)
		unmake_name(c->ov, parent, c->name, c->st.st_mode);
	if (r < 0 || !ret_node) {
		node_put(c->ov, node);
		return r;
	}
	*ret_node = node;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int overlay_mknod(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, dev_t rdev, struct overlay_entry *ret_entry)
{
	struct creation c = {
		.ov = ov, .name = name, .st = {.st_mode = mode, .st_rdev = rdev}, .fd = -1};

	if ((mode & S_IFMT) == 0)
		c.st.st_mode |= S_IFREG;
	return create_entry(&c, caller, parent, ret_entry, NULL, NULL);
}

int overlay_mkdir(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, struct overlay_entry *ret_entry)
{
	struct creation c = {
		.ov = ov, .name = name, .st = {.st_mode = S_IFDIR | (mode & 07777)}, .fd = -1};

	return create_entry(&c, caller, parent, ret_entry, NULL, NULL);
}

int overlay_symlink(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, const char *target, struct overlay_entry *ret_entry)
{
	struct creation c = {.ov = ov,
		.name = name,
		.target = target,
		.st = {.st_mode = S_IFLNK | 0777},
		.fd = -1};

	return create_entry(&c, caller, parent, ret_entry, NULL, NULL);
}

int overlay_create_node(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, struct overlay_entry *ret_entry, int *ret_fd,
	struct node **ret_node)
{
	struct creation c = {
		.ov = ov, .name = name, .st = {.st_mode = S_IFREG | (mode & 07777)}, .fd = -1};

	return create_entry(&c, caller, parent, ret_entry, ret_fd, ret_node);
}

int overlay_create_unnamed(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	mode_t mode, int flags, struct overlay_entry *ret_entry, int *ret_fd,
	struct node **ret_node)
{
	struct creation c = {.ov = ov,
		.st = {.st_mode = S_IFREG | (mode & 07777)},
		.is_unnamed = true,
		.flags = flags,
		.fd = -1};

	return create_entry(&c, caller, parent, ret_entry, ret_fd, ret_node);
}
