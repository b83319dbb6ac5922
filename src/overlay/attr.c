/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/vfs.h>
#include <time.h>

#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/file.h"
#include "overlay/heritage.h"
#include "overlay/lookup.h"
#include "overlay/privileges.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

int overlay_getattr(struct overlay *ov, uint64_t id, struct overlay_file *file, struct stat *ret_st)
{
	struct node *node = node_get(ov, id);
	int fd, r;

	if (!node)
		return -ESTALE;
	fd = file ? overlay_file_upper_fd(file) : -1;
	if (fd >= 0) {
		r = call_fstat(fd, ret_st);
		if (r == 0)
			attributes_from_upper(ov, node, ret_st);
	} else {
		r = node_attributes(ov, node, ret_st);
	}
	node_put(ov, node);
	return r;
}

static int lower_btime(const struct node *node, struct timespec *ret_btime)
{
	const struct lower_ref *ref = node_is_dir(node) ? node->dir->lowers.refs : &node->lower;
	struct layer_traits traits;
	struct stat st;
	int r = layer_get_traits(ref->layer, ref->node, false, &traits);

	if (r == 0 && traits.btime_is_mtime) {
		r = layer_getattr_with_mapping(ref->layer, ref->node, ID_VIEW_CONTAINER, &st);
		*ret_btime = st.st_mtim;
		return r;
	}
	*ret_btime = traits.btime;
	return r < 0 || traits.has_btime ? r : -ENODATA;
}

static int upper_btime(struct overlay *ov, struct node *node, struct timespec *ret_btime)
{
	_cleanup_close_ int fd = -1;
	int r = upper_open(ov, node, O_PATH, &fd);

	return r < 0 ? r : call_get_btime(fd, ret_btime);
}

int overlay_get_btime(struct overlay *ov, uint64_t id, struct timespec *ret_btime)
{
	struct node *node = node_get(ov, id);
	int r;

	if (!node)
		return -ESTALE;
	r = node_is_upper(node) ? upper_btime(ov, node, ret_btime) : lower_btime(node, ret_btime);
	node_put(ov, node);
	return r;
}

/* --- changing --- */

struct change {
	struct overlay *ov;
	struct node *node;
	struct overlay_file *file;
	const struct stat *st;
	unsigned set;
	uint32_t uid, gid; /* storage ids, -1: stays */
	bool by_owner;	   /* of what sets nothing: the caller owns the file */
	bool by_member; /* and the file's group is the caller's first; of others nothing is known */
};

/* What it does to the values that *st names. */
static unsigned values_of(const struct change *c)
{
	return c->set & (OVERLAY_SET_MTIME * 2u - 1);
}

static int translate_ids(struct change *c)
{
	int r = 0;

	c->uid = c->gid = (uint32_t)-1;
	if (c->set & OVERLAY_SET_UID)
		r = idmap_to_storage(c->ov->ids, IDMAP_UID, c->st->st_uid, &c->uid);
	if (r == 0 && c->set & OVERLAY_SET_GID)
		r = idmap_to_storage(c->ov->ids, IDMAP_GID, c->st->st_gid, &c->gid);
	return r;
}

static int truncate_counted(struct overlay *ov, int fd, off_t size)
{
	int r = quota_track(ov->quota, fd);

	if (r < 0)
		return r;
	quota_begin_shrink(ov->quota);
	r = call_ftruncate(fd, size);
	quota_end_shrink(ov->quota);
	quota_settle(ov->quota, fd);
	return r;
}

/* mtime comes with the new size; where it does not, the kernel does not see it move. */
static int truncate_unseen(const struct change *c, int fd)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;
	int r = call_fstat(fd, &st);

	if (r == 0)
		r = truncate_counted(c->ov, fd, c->st->st_size);
	if (r < 0 || c->set & OVERLAY_SET_MTIME)
		return r;
	times[1] = st.st_mtim;
	return call_utimens(fd, times);
}

static int change_size(struct change *c)
{
	_cleanup_close_ int opened = -1;
	int r = 0, fd = c->file ? overlay_file_write_fd(c->file) : -1;

	if (fd < 0) {
		r = upper_open(c->ov, c->node, O_WRONLY | O_NONBLOCK, &opened);
		fd = opened;
	}
	if (r == 0)
		r = c->set & OVERLAY_KEPT_TIMES ? truncate_unseen(c, fd)
						: truncate_counted(c->ov, fd, c->st->st_size);
	if (r == 0 && c->set & OVERLAY_KILL_SET_ID)
		r = privileges_kill(c->node, fd);
	return r < 0 ? r : 0;
}

static int change_times(struct change *c, int fd)
{
	const struct timespec omit = {.tv_nsec = UTIME_OMIT};
	const struct timespec times[2] = {
		c->set & OVERLAY_SET_ATIME ? c->st->st_atim : omit,
		c->set & OVERLAY_SET_MTIME ? c->st->st_mtim : omit,
	};

	return call_utimens(fd, times);
}

/* Else it is chown(2) to nobody. */
static bool may_be_write(const struct change *c)
{
	const struct node_use *use = node_use(c->node);

	if (c->set & OVERLAY_BY_CHOWN)
		return false;
	return c->set & OVERLAY_OPENS_UNKNOWN || (use && atomic_load(&use->write_opens) > 0);
}

/*
 * The kernel does not say why. A write by root takes set-id bits away only with a capability, which
 * has gone just before, and then they stay. Set-group-id without group execution is nothing
 * to a member of the group, so where it is alone somebody writes who is none.
 */
static mode_t doomed_bits(const struct change *c, mode_t mode)
{
	struct node_use *use = node_use(c->node);
	bool lost = atomic_exchange(&use->lost_capability, false);
	bool writes = may_be_write(c);

	if (!(c->set & OVERLAY_KILL_SET_ID) || S_ISDIR(mode))
		return 0;
	if (c->set & OVERLAY_BY_ROOT)
		return lost && writes ? 0 : privileges_doomed(mode);
	/* Who owns the file may take them, and whoever else writes does so when he does. */
	if (c->set & OVERLAY_OPENS_UNKNOWN) {
		privileges_announce(c->node, c->st->st_uid, !c->by_member);
		return c->by_owner ? privileges_doomed(mode) : 0;
	}
	return writes && !lost && !c->by_member ? privileges_doomed_when_told(mode)
						: privileges_doomed(mode);
}

/*
 * A request that sets nothing moves the time of the last change: chown(2) to nobody, or a write
 * that takes privileges away. A real chown would clear set-id bits whoever asks.
 */
static int change_nothing(const struct change *c, int fd)
{
	struct stat st;
	int r;

	if (S_ISLNK(c->node->type))
		return call_chown(fd, (uint32_t)-1, (uint32_t)-1);
	r = call_fstat(fd, &st);
	return r < 0 ? r : call_chmod(fd, st.st_mode & 07777 & ~doomed_bits(c, st.st_mode));
}

static int change_mode(const struct change *c, int fd)
{
	int r;

	privileges_change(c->node);
	r = call_chmod(fd, c->st->st_mode & 07777);
	privileges_change(c->node);
	return r;
}

/* Size, owner, mode, times: each step would change what a later one sets. */
static int apply(struct change *c)
{
	struct upper_loan loan = {.fd = -1};
	unsigned values = values_of(c);
	int r = 0;

	if (values & OVERLAY_SET_SIZE)
		r = change_size(c);
	if (r == 0 && values != OVERLAY_SET_SIZE)
		r = upper_borrow(c->ov, c->node, &loan);
	if (r == 0 && !values)
		r = change_nothing(c, loan.fd);
	if (r == 0 && (c->uid != (uint32_t)-1 || c->gid != (uint32_t)-1))
		r = call_chown(loan.fd, c->uid, c->gid);
	if (r == 0 && c->set & OVERLAY_SET_MODE)
		r = change_mode(c, loan.fd);
	if (r == 0 && c->set & (OVERLAY_SET_ATIME | OVERLAY_SET_MTIME))
		r = change_times(c, loan.fd);
	upper_give_back(c->ov, &loan);
	return r;
}

/* Who keeps mtime says which time it is. */
static bool is_now(const struct change *c, const struct timespec *ts)
{
	struct timespec now;

	if (ts->tv_nsec == UTIME_NOW || !(c->set & OVERLAY_KEPT_TIMES))
		return ts->tv_nsec == UTIME_NOW;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - ts->tv_sec <= 1 && ts->tv_sec <= now.tv_sec;
}

/* Two times of now are a touch, which an append-only file takes. */
static bool is_touch(const struct change *c)
{
	return values_of(c) == (OVERLAY_SET_ATIME | OVERLAY_SET_MTIME) &&
	       c->st->st_atim.tv_nsec == UTIME_NOW && is_now(c, &c->st->st_mtim);
}

/*
 * The kernel tells mtime of a file whose ctime alone has moved, too: that is no change, no
 * reason to copy it up, and nothing that may fail: whoever closes the file would be told.
 */
static bool is_known(const struct change *c, struct stat *ret_st)
{
	const struct timespec *told = &c->st->st_mtim;
	struct stat st;

	if (!(c->set & OVERLAY_KEPT_TIMES) || values_of(c) != OVERLAY_SET_MTIME ||
		!S_ISREG(c->node->type) || node_attributes(c->ov, c->node, &st) < 0 ||
		st.st_mtim.tv_sec != told->tv_sec || st.st_mtim.tv_nsec != told->tv_nsec)
		return false;
	*ret_st = st;
	return true;
}

/*
 * Whoever calls chown(2) to nobody has the kernel ask for set-id bits to go, and it checks nothing,
 * for a write by anybody takes them, too. Natively who does not own the file may not.
 */
static int check_kill(struct change *c)
{
	struct stat st;
	mode_t doomed;
	int r;

	if (values_of(c) || !(c->set & OVERLAY_KILL_SET_ID) || S_ISDIR(c->node->type))
		return 0;
	r = node_attributes(c->ov, c->node, &st);
	if (r < 0)
		return r;
	c->by_owner = st.st_uid == c->st->st_uid;
	c->by_member = st.st_gid == c->st->st_gid;
	if (c->set & OVERLAY_BY_ROOT || c->by_owner || may_be_write(c))
		return 0;
	doomed = privileges_doomed(st.st_mode) | (c->by_member ? 0 : st.st_mode & S_ISGID);
	if (!doomed)
		return 0;
	/* It was not lost to a write of root's. */
	if (node_use(c->node))
		atomic_store(&node_use(c->node)->lost_capability, false);
	return -EPERM;
}

static int check_change(struct change *c)
{
	int r = 0;

	if (c->ov->upper_fd < 0)
		return -EROFS;
	if (values_of(c) && !(c->set & OVERLAY_IS_FLUSH))
		r = protect_check(c->ov, c->node, is_touch(c) ? FS_IMMUTABLE_FL : PROTECT_ALL);
	if (r == 0)
		r = check_kill(c);
	if (r < 0 || !(c->set & OVERLAY_SET_SIZE))
		return r;
	return S_ISREG(c->node->type) ? 0 : S_ISDIR(c->node->type) ? -EISDIR : -EINVAL;
}

/*
 * A copy-up into a directory gives it its own times back, under the directory's lock: times
 * that are set meanwhile must not be lost.
 */
static int apply_locked(struct change *c)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	int r = node_is_dir(c->node) ? dir_hold(c->ov, c->node, true, &hold) : 0;

	if (r < 0)
		return r;
	r = apply(c);
	heritage_forget(c->node);
	return r;
}

static int change(struct change *c, struct stat *ret_st)
{
	uint64_t size = c->set & OVERLAY_SET_SIZE ? (uint64_t)c->st->st_size : COPYUP_ALL;
	int r = translate_ids(c);

	if (r == 0)
		r = copyup_node(c->ov, c->node, size);
	if (r == 0)
		r = apply_locked(c);
	return r < 0 ? r : node_attributes(c->ov, c->node, ret_st);
}

int overlay_setattr(struct overlay *ov, uint64_t id, struct overlay_file *file,
	const struct stat *st, unsigned set, struct stat *ret_st)
{
	struct change c = {.ov = ov, .file = file, .st = st, .set = set};
	int r;

	c.node = node_get(ov, id);
	if (!c.node)
		return -ESTALE;
	r = check_change(&c);
	/* First: a write back may be under way, and sets what it knows last. */
	if (r == 0 && set & OVERLAY_KEPT_TIMES && set & OVERLAY_SET_MTIME)
		overlay_file_keep_mtime(ov, c.node, &st->st_mtim);
	if ((r == 0 || r == -EPERM) && is_known(&c, ret_st))
		r = 0;
	else if (r == 0)
		r = change(&c, ret_st);
	node_put(ov, c.node);
	return r;
}

ssize_t overlay_readlink(struct overlay *ov, uint64_t id, char *buf, size_t size)
{
	struct node *node = node_get(ov, id);
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (!node)
		return -ESTALE;
	if (!S_ISLNK(node->type)) {
		n = -EINVAL;
	} else if (node_is_upper(node)) {
		n = upper_open(ov, node, O_PATH, &fd);
		if (n == 0)
			n = call_readlinkat(fd, "", buf, size);
	} else {
		n = layer_readlink(node->lower.layer, node->lower.node, buf, size);
	}
	node_put(ov, node);
	return n > (ssize_t)size ? (ssize_t)size : n;
}

int overlay_statfs(struct overlay *ov, struct statvfs *ret_st)
{
	int r;

	if (ov->upper_fd < 0)
		return layer_statfs(ov->layers[0], ret_st);
	r = call_fstatvfs(ov->upper_fd, ret_st);
	if (r < 0)
		return r;
	quota_statfs(ov->quota, ret_st);
	if (ov->aufs_whiteouts)
		ret_st->f_namemax -= WHITEOUT_PREFIX_LEN;
	return 0;
}
