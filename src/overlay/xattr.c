/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "overlay/acl.h"
#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/heritage.h"
#include "overlay/mark.h"
#include "overlay/privileges.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

/* As the kernel bounds them (XATTR_LIST_MAX). */
#define LIST_MAX    65536
#define SMALL_VALUE 64

static const struct lower_ref *lower_of(const struct node *node)
{
	return node_is_dir(node) ? node->dir->lowers.refs : &node->lower;
}

static bool is_capability(const char *name)
{
	return strcmp(name, PRIVILEGES_CAPABILITY) == 0;
}

static ssize_t get_by_disk_name(
	struct overlay *ov, struct node *node, const char *name, void *buf, size_t size)
{
	struct upper_loan loan;
	ssize_t n;

	if (!node_is_upper(node))
		return layer_getxattr(lower_of(node)->layer, lower_of(node)->node, name, buf, size);
	/* The kernel asks before the first write after each stat. */
	if (is_capability(name) && privileges_are_none(node))
		return -ENODATA;
	n = upper_borrow(ov, node, &loan);
	if (n == 0)
		n = call_getxattr(loan.fd, name, buf, size);
	upper_give_back(ov, &loan);
	return n;
}

static ssize_t list_on_disk(struct overlay *ov, struct node *node, char *buf, size_t size)
{
	struct upper_loan loan;
	ssize_t n;

	if (!node_is_upper(node))
		return layer_listxattr(lower_of(node)->layer, lower_of(node)->node, buf, size);
	n = upper_borrow(ov, node, &loan);
	if (n == 0)
		n = call_listxattr(loan.fd, buf, size);
	upper_give_back(ov, &loan);
	return n;
}

/* What the mount does not enforce it does not show either: a program would believe in it. */
static bool is_hidden(const struct overlay *ov, const char *name)
{
	return !ov->has_acls && acl_is_name(name);
}

/* Layers know no names that no file system has, and would only say that there is no value. */
static int check_xattr_name(const struct overlay *ov, const char *name)
{
	static const char *const namespaces[] = {"user.", "trusted.", "security."};

	if (acl_is_name(name))
		return is_hidden(ov, name) ? -EOPNOTSUPP : 0;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		if (strncmp(name, namespaces[i], strlen(namespaces[i])) == 0)
			return name[strlen(namespaces[i])] ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

static int begin(struct overlay *ov, uint64_t id, const char *name, char disk_name[XATTR_NAME_SIZE],
	struct node **ret_node)
{
	int r = check_xattr_name(ov, name);

	if (r == 0)
		r = xattr_to_disk(name, disk_name);
	if (r < 0)
		return r;
	*ret_node = node_get(ov, id);
	return *ret_node ? 0 : -ESTALE;
}

/* The whole value first: fewer entries may show than there are. */
static ssize_t get_acl(
	struct overlay *ov, struct node *node, const char *name, void *buf, size_t size)
{
	_cleanup_free_ void *acl = NULL;
	ssize_t n = get_by_disk_name(ov, node, name, NULL, 0);

	if (n <= 0)
		return n;
	acl = malloc(ACL_SIZE_MAX);
	n = acl ? get_by_disk_name(ov, node, name, acl, ACL_SIZE_MAX) : -ENOMEM;
	if (n >= 0)
		n = acl_to_container(ov->ids, acl, (size_t)n);
	if (n < 0 || size == 0)
		return n;
	if ((size_t)n > size)
		return -ERANGE;
	memcpy(buf, acl, (size_t)n);
	return n;
}

ssize_t overlay_getxattr(struct overlay *ov, uint64_t id, const char *name, void *buf, size_t size)
{
	char disk_name[XATTR_NAME_SIZE];
	struct node *node;
	ssize_t n = begin(ov, id, name, disk_name, &node);

	if (n < 0)
		return n;
	if (acl_is_name(name))
		n = get_acl(ov, node, name, buf, size);
	else
		n = get_by_disk_name(ov, node, disk_name, buf, size);
	node_put(ov, node);
	return n;
}

static bool is_listed(
	const struct overlay *ov, const struct overlay_caller *caller, const char *name)
{
	return !is_hidden(ov, name) &&
	       (caller->uid == 0 || strncmp(name, "trusted.", strlen("trusted.")) != 0);
}

/* Copies what is to be seen. Returns the length that all of it has. */
static ssize_t filter(const struct overlay *ov, const struct overlay_caller *caller,
	const char *names, size_t length, char *buf, size_t size)
{
	size_t n = 0;

	for (const char *p = names; p < names + length; p += strlen(p) + 1) {
		char shown[XATTR_NAME_SIZE];
		const char *name = is_listed(ov, caller, p) ? xattr_from_disk(p, shown) : NULL;
		size_t room;

		if (!name)
			continue;
		room = strlen(name) + 1;
		if (size > 0 && n + room > size)
			return -ERANGE;
		if (size > 0)
			memcpy(buf + n, name, room);
		n += room;
	}
	return (ssize_t)n;
}

ssize_t overlay_listxattr(struct overlay *ov, const struct overlay_caller *caller, uint64_t id,
	char *buf, size_t size)
{
	_cleanup_free_ char *names = malloc(LIST_MAX);
	struct node *node = node_get(ov, id);
	ssize_t n;

	if (!node)
		return -ESTALE;
	n = names ? list_on_disk(ov, node, names, LIST_MAX) : -ENOMEM;
	node_put(ov, node);
	return n < 0 ? n : filter(ov, caller, names, (size_t)n, buf, size);
}

/* An upper object whose xattrs are about to change. */
struct xattr_change {
	struct node *node;
	struct upper_loan loan;
	char disk_name[XATTR_NAME_SIZE];
};

/* The caller ends it, also where it fails. */
static int begin_change(
	struct overlay *ov, uint64_t id, const char *name, struct xattr_change *change)
{
	struct node *node = NULL;
	int r = begin(ov, id, name, change->disk_name, &node);

	change->loan = (struct upper_loan){.fd = -1};
	change->node = r < 0 ? NULL : node;
	if (r < 0)
		return r;
	r = ov->upper_fd < 0 ? -EROFS : protect_check(ov, node, PROTECT_ALL);
	if (r == 0)
		r = copyup_node(ov, node, COPYUP_ALL);
	if (r == 0 && acl_is_name(name))
		heritage_distrust(node);
	if (r == 0)
		r = upper_borrow(ov, node, &change->loan);
	return r;
}

static void end_change(struct overlay *ov, struct xattr_change *change)
{
	upper_give_back(ov, &change->loan);
	if (change->node)
		node_put(ov, change->node);
}

/* Set-group-id is for members of the group: a file system has this of the one who asks. */
static int kill_sgid(int fd)
{
	struct stat st;
	int r = call_fstat(fd, &st);

	return r < 0 || !(st.st_mode & S_ISGID) ? r : call_chmod(fd, st.st_mode & 05777);
}

static int set_acl(
	struct overlay *ov, int fd, const char *name, const void *value, size_t size, int flags)
{
	_cleanup_free_ void *acl = malloc(size ? size : 1);
	int r = acl ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	memcpy(acl, value, size);
	r = acl_to_storage(ov->ids, acl, size);
	if (r == 0)
		r = call_setxattr(fd, name, acl, size, flags & ~OVERLAY_XATTR_KILL_SGID);
	if (r == 0 && flags & OVERLAY_XATTR_KILL_SGID && strcmp(name, ACL_ACCESS) == 0)
		r = kill_sgid(fd);
	return r;
}

/* What fails needs no copy-up: it would move the time of the last change. */
static int check_flags(struct overlay *ov, uint64_t id, const char *name, int flags)
{
	ssize_t n;

	if (!(flags & (XATTR_CREATE | XATTR_REPLACE)))
		return 0;
	n = overlay_getxattr(ov, id, name, NULL, 0);
	if (n >= 0)
		return flags & XATTR_CREATE ? -EEXIST : 0;
	return n == -ENODATA && !(flags & XATTR_REPLACE) ? 0 : (int)n;
}

/* A capability comes, or has gone. */
static void note_capability(struct overlay *ov, uint64_t id, const char *name, bool is_lost)
{
	struct node *node = is_capability(name) ? node_get(ov, id) : NULL;

	if (!node)
		return;
	privileges_change(node);
	if (node_use(node))
		atomic_store(&node_use(node)->lost_capability, is_lost);
	node_put(ov, node);
}

static int set_on_disk(struct overlay *ov, int fd, const char *disk_name, const void *value,
	size_t size, int flags)
{
	if (acl_is_name(disk_name))
		return set_acl(ov, fd, disk_name, value, size, flags);
	return call_setxattr(fd, disk_name, value, size, flags & ~OVERLAY_XATTR_KILL_SGID);
}

/* Small ones have room beside the inode; where not, they take a block. */
static int set_counted(
	struct overlay *ov, int fd, const char *name, const void *value, size_t size, int flags)
{
	uint64_t taken = size > SMALL_VALUE ? size : 0;
	int r = quota_track(ov->quota, fd);

	if (r == 0)
		r = quota_take(ov->quota, taken, 0);
	if (r < 0)
		return r;
	r = set_on_disk(ov, fd, name, value, size, flags);
	quota_settle(ov->quota, fd);
	quota_give_back(ov->quota, taken, 0);
	return r;
}

int overlay_setxattr(struct overlay *ov, uint64_t id, const char *name, const void *value,
	size_t size, int flags)
{
	struct xattr_change change;
	int r = check_flags(ov, id, name, flags);

	if (r < 0)
		return r;
	r = begin_change(ov, id, name, &change);
	if (r == 0) {
		note_capability(ov, id, name, false);
		r = set_counted(ov, change.loan.fd, change.disk_name, value, size, flags);
		note_capability(ov, id, name, false);
	}
	end_change(ov, &change);
	return r;
}

int overlay_removexattr(struct overlay *ov, uint64_t id, const char *name)
{
	struct xattr_change change;
	/* What is not there needs no copy-up to be taken away. */
	ssize_t n = overlay_getxattr(ov, id, name, NULL, 0);
	int r;

	/* Nor is there an ACL that cannot be taken away: it is a part of the mode. */
	if (n == -ENODATA && acl_is_name(name))
		return 0;
	if (n < 0)
		return (int)n;
	r = begin_change(ov, id, name, &change);
	if (r == 0)
		r = quota_track(ov->quota, change.loan.fd);
	if (r == 0)
		r = call_removexattr(change.loan.fd, change.disk_name);
	if (r == 0)
		note_capability(ov, id, name, true);
	quota_settle(ov->quota, change.loan.fd);
	end_change(ov, &change);
	return r;
}
