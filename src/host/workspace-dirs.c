/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

struct base {
	const char *env;     /* what tests set */
	const char *of_user; /* what says where a user's is */
	const char *system;  /* for root */
	const char *what;
};

static const struct base bases[] = {
	[WORKSPACE_RUN] = {"GIT_OVERLAYFS_RUN_DIR", "XDG_RUNTIME_DIR", "/run/git-overlayfs",
		"run directory"},
	[WORKSPACE_STATE] = {"GIT_OVERLAYFS_STATE_DIR", "XDG_STATE_HOME", "/var/lib/git-overlayfs",
		"state directory"},
};

/* Makes all directories above `path`; the modes of those that exist stay. */
static int make_parents(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* 0 and a descriptor, -ENOENT, -EPERM when it is somebody else's, or -errno. */
static int open_owned(const char *path, bool create, mode_t mode, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (create) {
		r = make_parents(path);
		if (r < 0)
			return r;
		if (mkdir(path, mode) < 0 && errno != EEXIST)
			return -errno;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 0022))
		return -EPERM;
	/* Root of a user namespace owns what it may all the same not write to. */
	if (create && faccessat(fd, ".", W_OK, AT_EACCESS) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static char *join(const char *a, const char *b)
{
	char *path;

	return asprintf(&path, "%s/%s", a, b) < 0 ? NULL : path;
}

static char *user_run_path(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	char path[64];
	struct stat st;

	if (xdg && xdg[0] == '/')
		return join(xdg, "git-overlayfs");
	snprintf(path, sizeof(path), "/run/user/%u", geteuid());
	if (stat(path, &st) == 0 && st.st_uid == geteuid())
		return join(path, "git-overlayfs");
	snprintf(path, sizeof(path), "/tmp/git-overlayfs-%u", geteuid());
	return strdup(path);
}

static char *user_state_path(void)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char path[64];

	if (xdg && xdg[0] == '/')
		return join(xdg, "git-overlayfs");
	if (home && home[0] == '/' && home[1])
		return join(home, ".local/state/git-overlayfs");
	snprintf(path, sizeof(path), "/var/tmp/git-overlayfs-%u", geteuid());
	return strdup(path);
}

static int base_failed(const struct base *base, const char *path, int r, struct error *err)
{
	if (r == -EPERM || r == -ELOOP || r == -ENOTDIR)
		return error_set(err, -r, EXIT_STATUS_FAILED,
			"%s %s: not a directory that belongs to this user alone; remove it, or set "
			"%s to one that does",
			base->what, path, base->of_user);
	return error_set_errno(err, -r, EXIT_STATUS_FAILED, "%s %s", base->what, path);
}

int workspace_base_open(
	enum workspace_base which, bool create, char **ret_path, int *ret_fd, struct error *err)
{
	const struct base *base = &bases[which];
	const char *env = getenv(base->env);
	_cleanup_free_ char *path = NULL;
	int r;

	if (env && !*env)
		env = NULL;
	/* Root of a user namespace has no right to the system's directory: then its own. */
	if (geteuid() == 0 && !env) {
		r = open_owned(base->system, create, which == WORKSPACE_RUN ? 0755 : 0700, ret_fd);
		if (r == 0) {
			*ret_path = strdup(base->system);
			return *ret_path ? 0 : -ENOMEM;
		}
		if (r == -ENOSPC || r == -EROFS || r == -EIO)
			return base_failed(base, base->system, r, err);
	}
	if (env)
		path = strdup(env);
	else
		path = which == WORKSPACE_RUN ? user_run_path() : user_state_path();
	if (!path)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	r = open_owned(path, create, 0700, ret_fd);
	if (r < 0)
		return base_failed(base, path, r, err);
	*ret_path = steal_ptr(&path);
	return 0;
}

int workspace_base_list(enum workspace_base base, DIR **ret_dir, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	int fd, r = workspace_base_open(base, false, &path, &fd, err);

	*ret_dir = NULL;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret_dir = fdopendir(fd);
	if (*ret_dir)
		return 0;
	close_keep_errno(fd);
	return error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s", path);
}
