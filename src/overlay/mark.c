/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/call.h"
#include "overlay/lift.h"
#include "util/cleanup.h"

static const char *const prefixes[] = {
	"trusted.overlay.",
	"user.overlay.",
	"user.fuseoverlayfs.",
};
#define PREFIX_COUNT (sizeof(prefixes) / sizeof(prefixes[0]))
/* What stands between prefix and name of an attribute that only looks like a mark. */
#define ESCAPE "overlay."

static enum opaque_state opaque_from_value(const char *value, ssize_t length)
{
	if (length == 1 && value[0] == 'y')
		return OPAQUE_YES;
	return length == 1 && value[0] == 'x' ? OPAQUE_XATTR_WHITEOUTS : OPAQUE_NO;
}

static void mark_name(char name[XATTR_NAME_SIZE], const char *prefix, const char *mark)
{
	snprintf(name, XATTR_NAME_SIZE, "%s%s", prefix, mark);
}

/*
 * A file system without attributes has no marks. Nor has an object that a daemon without
 * rights over it may not read (-EACCES): stat must go on working on a directory of mode 0.
 */
static bool is_absent(ssize_t r)
{
	return r == -ENODATA || r == -EOPNOTSUPP || r == -EPERM || r == -EACCES;
}

#define NAMES_SIZE 1024 /* of a usual list of attributes */

static void note_mark(struct mark_set *marks, const char *name)
{
	for (size_t i = 0; i < PREFIX_COUNT; i++) {
		size_t length = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], length) != 0)
			continue;
		marks->opaque |= strcmp(name + length, MARK_OPAQUE) == 0;
		marks->impure |= strcmp(name + length, MARK_IMPURE) == 0 ||
				 strcmp(name + length, MARK_OWN_IMPURE) == 0;
		marks->redirect |= strcmp(name + length, MARK_REDIRECT) == 0;
	}
}

typedef ssize_t (*list_fn)(const void *object, char *buf, size_t size);

static int note_marks(const char *names, ssize_t size, struct mark_set *ret_marks)
{
	struct mark_set marks = {0};

	if (size < 0 && !is_absent(size))
		return (int)size;
	for (const char *p = names; p < names + size; p += strlen(p) + 1)
		note_mark(&marks, p);
	*ret_marks = marks;
	return 0;
}

static int read_marks(list_fn list, const void *object, struct mark_set *ret_marks)
{
	char names[NAMES_SIZE];
	_cleanup_free_ char *more = NULL;
	ssize_t size = list(object, names, sizeof(names));

	if (size != -ERANGE)
		return note_marks(names, size, ret_marks);
	more = malloc(XATTR_LIST_MAX);
	if (!more)
		return -ENOMEM;
	return note_marks(more, list(object, more, XATTR_LIST_MAX), ret_marks);
}

/* A mark that is listed but cannot be read is not one that is not there. */
static ssize_t listed(ssize_t r)
{
	return r == -ENODATA ? -EACCES : r;
}

/* --- lower layers --- */

static ssize_t list_lower(const void *object, char *buf, size_t size)
{
	const struct lower_ref *ref = object;

	return layer_listxattr(ref->layer, ref->node, buf, size);
}

int lower_marks(const struct lower_ref *ref, struct mark_set *ret_marks)
{
	return read_marks(list_lower, ref, ret_marks);
}

ssize_t lower_get_mark(const struct lower_ref *ref, const char *mark, char *buf, size_t size)
{
	for (size_t i = 0; i < PREFIX_COUNT; i++) {
		char name[XATTR_NAME_SIZE];
		ssize_t r;

		mark_name(name, prefixes[i], mark);
		r = layer_getxattr(ref->layer, ref->node, name, buf, size);
		/* Longer than any value we know is not one of them. */
		if (r == -ERANGE)
			return 0;
		if (!is_absent(r))
			return r;
	}
	return -ENODATA;
}

int lower_is_whiteout(
	const struct lower_ref *parent, const struct lower_ref *ref, const struct stat *st)
{
	char value[4];
	ssize_t r;

	if (!ref->layer->has_whiteouts)
		return 0;
	if (is_whiteout_device(st))
		return 1;
	if (!may_stand_in(st))
		return 0;
	r = lower_get_mark(parent, MARK_OPAQUE, value, sizeof(value));
	if (r < 0)
		return r == -ENODATA ? 0 : (int)r;
	if (opaque_from_value(value, r) != OPAQUE_XATTR_WHITEOUTS)
		return 0;
	r = lower_get_mark(ref, MARK_WHITEOUT, value, sizeof(value));
	return r == -ENODATA ? 0 : r < 0 ? (int)r : 1;
}

static int lower_has_name(const struct lower_ref *dir, const char *name)
{
	layer_node_t node;
	int r = layer_lookup(dir->layer, dir->node, name, &node);

	if (r < 0)
		return r == -ENOENT || r == -ENAMETOOLONG ? 0 : r;
	layer_forget(dir->layer, node, 1);
	return 1;
}

int lower_opaque_state(const struct lower_ref *dir, const struct mark_set *marks)
{
	char value[4];
	ssize_t r = -ENODATA;
	int state;

	if (marks->opaque)
		r = listed(lower_get_mark(dir, MARK_OPAQUE, value, sizeof(value)));
	if (r < 0 && r != -ENODATA)
		return (int)r;
	state = r < 0 ? OPAQUE_NO : opaque_from_value(value, r);
	if (state == OPAQUE_YES)
		return state;
	r = lower_has_name(dir, WHITEOUT_OPAQUE);
	/* Where the daemon may not look no name can be looked up either: nothing shows through. */
	if (r == -EACCES)
		return state;
	return r < 0 ? (int)r : r ? OPAQUE_YES : state;
}

bool aufs_whiteout_name(char whiteout[NAME_MAX + 1], const char *name)
{
	return snprintf(whiteout, NAME_MAX + 1, WHITEOUT_PREFIX "%s", name) <= NAME_MAX;
}

int lower_has_aufs_whiteout(const struct lower_ref *dir, const char *name)
{
	char whiteout[NAME_MAX + 1];

	if (!dir->layer->has_whiteouts || !aufs_whiteout_name(whiteout, name))
		return 0;
	return lower_has_name(dir, whiteout);
}

/* --- the upper --- */

static int set_unwritable(int fd, const char *name, const char *value)
{
	struct lift lift;
	int back, r = lift_begin(fd, 0200, &lift);

	if (r < 0)
		return r;
	r = call_setxattr(fd, name, value, strlen(value), 0);
	back = lift_end(&lift);
	return r < 0 ? r : back;
}

static ssize_t get_unreadable(int fd, const char *name, char *buf, size_t size)
{
	struct lift lift;
	int back;
	ssize_t r = lift_begin(fd, 0400, &lift);

	if (r < 0)
		return r;
	r = call_getxattr(fd, name, buf, size);
	back = lift_end(&lift);
	return r < 0 ? r : back < 0 ? back : r;
}

ssize_t upper_get_mark(struct overlay *ov, int fd, const char *mark, char *buf, size_t size)
{
	for (size_t i = 0; i < PREFIX_COUNT; i++) {
		char name[XATTR_NAME_SIZE];
		ssize_t r;

		mark_name(name, prefixes[i], mark);
		r = call_getxattr(fd, name, buf, size);
		if (r == -EACCES)
			r = get_unreadable(fd, name, buf, size);
		if (r == -ERANGE)
			return 0;
		if (!is_absent(r))
			return r;
	}
	return -ENODATA;
}

int upper_set_mark(struct overlay *ov, int fd, const char *mark, const char *value)
{
	char name[XATTR_NAME_SIZE];
	int r;

	mark_name(name, ov->xattr_prefix, mark);
	r = call_setxattr(fd, name, value, strlen(value), 0);
	return r == -EACCES ? set_unwritable(fd, name, value) : r;
}

ssize_t upper_own_mark(struct overlay *ov, int fd, const char *mark, char *buf, size_t size)
{
	char name[XATTR_NAME_SIZE];
	ssize_t r;

	mark_name(name, ov->xattr_prefix, mark);
	r = call_getxattr(fd, name, buf, size);
	if (r == -EACCES)
		r = get_unreadable(fd, name, buf, size);
	return r == -ERANGE ? 0 : is_absent(r) ? -ENODATA : r;
}

int upper_remove_mark(struct overlay *ov, int fd, const char *mark)
{
	char name[XATTR_NAME_SIZE];
	int r;

	mark_name(name, ov->xattr_prefix, mark);
	r = call_removexattr(fd, name);
	return r == -ENODATA ? 0 : r;
}

int upper_is_whiteout(struct overlay *ov, int dir_fd, const char *name, const struct stat *st)
{
	_cleanup_close_ int fd = -1;
	struct mark_set marks;
	char value[4];
	ssize_t r;

	if (is_whiteout_device(st))
		return 1;
	if (!may_stand_in(st))
		return 0;
	r = upper_marks(dir_fd, &marks);
	if (r < 0 || !marks.opaque)
		return (int)r;
	r = listed(upper_get_mark(ov, dir_fd, MARK_OPAQUE, value, sizeof(value)));
	if (r < 0)
		return (int)r;
	if (opaque_from_value(value, r) != OPAQUE_XATTR_WHITEOUTS)
		return 0;
	fd = call_openat(dir_fd, name, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	r = upper_get_mark(ov, fd, MARK_WHITEOUT, value, sizeof(value));
	return r == -ENODATA ? 0 : r < 0 ? (int)r : 1;
}

static int upper_has_name(int dir_fd, const char *name)
{
	struct stat st;
	int r = call_fstatat(dir_fd, name, &st);

	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static ssize_t list_upper(const void *object, char *buf, size_t size)
{
	return call_listxattr(*(const int *)object, buf, size);
}

int upper_marks(int fd, struct mark_set *ret_marks)
{
	return read_marks(list_upper, &fd, ret_marks);
}

int upper_opaque_state(struct overlay *ov, int dir_fd, const struct mark_set *marks)
{
	char value[4];
	ssize_t r = -ENODATA;
	int state;

	if (marks->opaque)
		r = listed(upper_get_mark(ov, dir_fd, MARK_OPAQUE, value, sizeof(value)));
	if (r < 0 && r != -ENODATA)
		return (int)r;
	state = r < 0 ? OPAQUE_NO : opaque_from_value(value, r);
	if (state == OPAQUE_YES || !ov->aufs_whiteouts)
		return state;
	r = upper_has_name(dir_fd, WHITEOUT_OPAQUE);
	return r < 0 ? (int)r : r ? OPAQUE_YES : state;
}

int upper_has_aufs_whiteout(struct overlay *ov, int dir_fd, const char *name)
{
	char whiteout[NAME_MAX + 1];

	if (!ov->aufs_whiteouts || !aufs_whiteout_name(whiteout, name))
		return 0;
	return upper_has_name(dir_fd, whiteout);
}

bool upper_marks_every_type(const struct overlay *ov)
{
	return strncmp(ov->xattr_prefix, "trusted.", strlen("trusted.")) == 0;
}

int upper_origin_ino(struct overlay *ov, int fd, uint64_t *ret_ino)
{
	char value[17] = "", name[XATTR_NAME_SIZE];
	uint64_t ino;
	ssize_t r;
	char *end;

	mark_name(name, ov->xattr_prefix, MARK_INO);
	r = call_getxattr(fd, name, value, sizeof(value) - 1);
	if (r < 0)
		return r != -EACCES && (is_absent(r) || r == -ERANGE) ? -ENODATA : (int)r;
	ino = strtoull(value, &end, 16);
	if (r != 16 || *end || ino == 0)
		return -ENODATA;
	*ret_ino = ino;
	return 0;
}

int upper_set_origin_ino(struct overlay *ov, int fd, uint64_t ino)
{
	char value[17];

	snprintf(value, sizeof(value), "%016" PRIx64, ino);
	return upper_set_mark(ov, fd, MARK_INO, value);
}

static int create_empty(int dir_fd, const char *name)
{
	int r = call_mknodat(dir_fd, name, S_IFREG | 0600, 0);

	return r == -EEXIST ? 0 : r;
}

int upper_set_opaque(struct overlay *ov, int dir_fd)
{
	int r = upper_set_mark(ov, dir_fd, MARK_OPAQUE, "y");

	/* Where attributes cannot be had the AUFS form serves those who read it. */
	if (is_absent(r) && ov->aufs_whiteouts)
		return create_empty(dir_fd, WHITEOUT_OPAQUE);
	return r;
}

int upper_mark_impure(struct overlay *ov, struct node *dir, int dir_fd)
{
	int r;

	if (atomic_load(&dir->dir->is_impure))
		return 0;
	/* The kernel's overlayfs knows only its own, and takes it away where it sees no reason. */
	r = upper_set_mark(ov, dir_fd, MARK_OWN_IMPURE, "y");
	if (r == 0)
		r = upper_set_mark(ov, dir_fd, MARK_IMPURE, "y");
	if (r == 0)
		atomic_store(&dir->dir->is_impure, true);
	return r;
}

int upper_set_impure(struct overlay *ov, struct node *dir, int dir_fd)
{
	int r = upper_mark_impure(ov, dir, dir_fd);

	/* Where attributes cannot be had, listings after a remount lack it. */
	if (!is_absent(r))
		return r;
	atomic_store(&dir->dir->is_impure, true);
	return 0;
}

/* --- devices 0:0 that are no whiteouts --- */

void stand_in_attributes(mode_t type, struct stat *st)
{
	if (!S_ISCHR(type) || !S_ISREG(st->st_mode))
		return;
	st->st_mode = S_IFCHR | (st->st_mode & 07777);
	st->st_rdev = 0;
}

static int stands_in_from(ssize_t r)
{
	return r >= 0 ? 1 : is_absent(r) ? 0 : (int)r;
}

int lower_stands_in(const struct lower_ref *ref, const struct stat *st)
{
	char value[8];

	if (!ref->layer->has_whiteouts || !may_stand_in(st))
		return 0;
	return stands_in_from(lower_get_mark(ref, MARK_DEVICE, value, sizeof(value)));
}

int upper_stands_in(struct overlay *ov, int fd, const struct stat *st)
{
	char value[8], name[XATTR_NAME_SIZE];
	ssize_t r;

	if (!may_stand_in(st))
		return 0;
	mark_name(name, ov->xattr_prefix, MARK_DEVICE);
	r = call_getxattr(fd, name, value, sizeof(value));
	if (r == -EACCES)
		r = get_unreadable(fd, name, value, sizeof(value));
	return stands_in_from(r);
}

int upper_name_stands_in(struct overlay *ov, int dir_fd, const char *name, const struct stat *st)
{
	_cleanup_close_ int fd = -1;

	if (!may_stand_in(st))
		return 0;
	fd = call_openat(dir_fd, name, O_PATH | O_NOFOLLOW, 0);
	return fd < 0 ? fd : upper_stands_in(ov, fd, st);
}

/* --- names of attributes --- */

static const char *mark_prefix(const char *name)
{
	for (size_t i = 0; i < PREFIX_COUNT; i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return prefixes[i];
	return NULL;
}

int xattr_to_disk(const char *name, char ret_disk_name[XATTR_NAME_SIZE])
{
	const char *prefix = mark_prefix(name);
	int n;

	if (prefix)
		n = snprintf(ret_disk_name, XATTR_NAME_SIZE, "%s" ESCAPE "%s", prefix,
			name + strlen(prefix));
	else
		n = snprintf(ret_disk_name, XATTR_NAME_SIZE, "%s", name);
	/* It would fit without the escape: an attribute that cannot be. */
	if (prefix && n > XATTR_NAME_MAX)
		return -EOPNOTSUPP;
	return n < XATTR_NAME_SIZE ? 0 : -ERANGE;
}

const char *xattr_from_disk(const char *disk_name, char buf[XATTR_NAME_SIZE])
{
	const char *prefix = mark_prefix(disk_name), *rest;

	if (!prefix)
		return disk_name;
	rest = disk_name + strlen(prefix);
	if (strncmp(rest, ESCAPE, strlen(ESCAPE)) != 0)
		return NULL;
	snprintf(buf, XATTR_NAME_SIZE, "%s%s", prefix, rest + strlen(ESCAPE));
	return buf;
}
