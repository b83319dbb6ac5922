/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/redirect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/call.h"
#include "overlay/mark.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

/* --- reading --- */

static bool is_component(const char *start, size_t length)
{
	return length > 0 && length <= NAME_MAX && strncmp(start, ".", length) != 0 &&
	       strncmp(start, "..", length) != 0;
}

/* A name, or a path of names that begins with '/'. */
static bool is_redirect(const char *value, size_t length)
{
	const char *p = value;

	if (length == 0 || strlen(value) != length)
		return false;
	if (*p != '/')
		return !strchr(p, '/') && is_component(p, length);
	while (*p == '/') {
		size_t n = strcspn(++p, "/");

		if (!is_component(p, n))
			return false;
		p += n;
	}
	return true;
}

static int finish(char *value, ssize_t length, char **ret_redirect)
{
	/* It was listed: then it is there, and cannot be read. */
	if (length < 0)
		return length == -ENODATA ? -EACCES : (int)length;
	value[length] = '\0';
	if (!is_redirect(value, (size_t)length))
		return -EIO;
	*ret_redirect = strdup(value);
	return *ret_redirect ? 0 : -ENOMEM;
}

int lower_redirect(const struct lower_ref *dir, char **ret_redirect)
{
	_cleanup_free_ char *value = malloc(REDIRECT_MAX + 1);

	if (!value)
		return -ENOMEM;
	return finish(value, lower_get_mark(dir, MARK_REDIRECT, value, REDIRECT_MAX), ret_redirect);
}

int upper_redirect(struct overlay *ov, int fd, char **ret_redirect)
{
	_cleanup_free_ char *value = malloc(REDIRECT_MAX + 1);

	if (!value)
		return -ENOMEM;
	return finish(
		value, upper_get_mark(ov, fd, MARK_REDIRECT, value, REDIRECT_MAX), ret_redirect);
}

/* --- writing --- */

/* What the layers below know a directory by: its mark, else its name. */
static const char *known_as(const struct node *dir)
{
	return dir->dir->redirect ? dir->dir->redirect : dir->names->name;
}

/* Puts a component before what the buffer's end holds; without one only counts. */
static size_t prepend(char *path, size_t at, const char *component)
{
	size_t length = strlen(component), slash = component[0] != '/';

	if (path) {
		memcpy(path + at - length, component, length);
		if (slash)
			path[at - length - 1] = '/';
	}
	return length + slash;
}

static size_t put_path(const struct node *dir, char *path, size_t size)
{
	size_t used = 0;

	for (; dir->names; dir = dir->names->parent) {
		used += prepend(path, size - used, known_as(dir));
		if (known_as(dir)[0] == '/')
			break;
	}
	return used;
}

/* A new string, NULL without memory. */
static char *known_path(struct overlay *ov, const struct node *dir)
{
	size_t size;
	char *path;

	mutex_lock(&ov->table);
	size = put_path(dir, NULL, 0);
	path = malloc(size + 1);
	if (path) {
		put_path(dir, path, size);
		path[size] = '\0';
	}
	mutex_unlock(&ov->table);
	return path;
}

static bool is_marked(struct overlay *ov, const struct node *dir, bool same_parent)
{
	bool is_marked;

	mutex_lock(&ov->table);
	is_marked = dir->dir->redirect && (same_parent || dir->dir->redirect[0] == '/');
	mutex_unlock(&ov->table);
	return is_marked;
}

/* What an attribute cannot be, or cannot hold. */
static bool is_no_place(int r)
{
	return r == -EOPNOTSUPP || r == -EPERM || r == -E2BIG || r == -ERANGE;
}

int redirect_leave(
	struct overlay *ov, struct node *dir, int parent_fd, const char *name, bool same_parent)
{
	_cleanup_free_ char *redirect = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (ov->redirect_dir != OVERLAY_REDIRECT_ON)
		return -EXDEV;
	if (is_marked(ov, dir, same_parent))
		return 0;
	redirect = same_parent ? strdup(name) : known_path(ov, dir);
	if (!redirect)
		return -ENOMEM;
	/* The kernel's lookup reads no more. */
	if (strlen(redirect) >= PATH_MAX)
		return -EXDEV;
	fd = call_openat(parent_fd, name, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd;
	/* A long path may take a block. */
	(void)quota_track(ov->quota, fd);
	r = upper_set_mark(ov, fd, MARK_REDIRECT, redirect);
	quota_settle(ov->quota, fd);
	if (r < 0)
		return is_no_place(r) ? -EXDEV : r;
	node_set_redirect(ov, dir, steal_ptr(&redirect));
	return 0;
}
