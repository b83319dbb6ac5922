/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Uppers that are made for workspaces: below the state directory, by the id. */
#include "workspace-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

#define HELD_MAX_MS 500

static int failed(struct error *err, int r, const char *what, const char *id)
{
	return error_set_errno(err, -r, EXIT_STATUS_FAILED, "workspace %s: %s", id, what);
}

/* The state directory's base and, if there is one, the workspace's own path. */
static int find_state(struct workspace *ws, bool create, int *ret_base_fd, struct error *err)
{
	_cleanup_free_ char *base = NULL;
	int r = workspace_base_open(WORKSPACE_STATE, create, &base, ret_base_fd, err);
	struct stat st;

	if (r < 0)
		return r;
	if (!create && fstatat(*ret_base_fd, ws->id, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		close(*ret_base_fd);
		*ret_base_fd = -1;
		return -ENOENT;
	}
	free(steal_ptr(&ws->state_dir));
	if (asprintf(&ws->state_dir, "%s/%s", base, ws->id) < 0) {
		ws->state_dir = NULL;
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	return 0;
}

bool workspace_state_is_kept(int base_fd, const char *id)
{
	char path[WORKSPACE_ID_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", id, WORKSPACE_KEEP_MARK);
	return faccessat(base_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int make_owned_dir(int fd, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	_cleanup_close_ int dir = -1;

	if (mkdirat(fd, name, mode) < 0)
		return errno == EEXIST ? 0 : -errno;
	dir = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	/* The umask is the caller's; these modes are not for it to decide. */
	if (fchown(dir, uid, gid) < 0 || fchmod(dir, mode) < 0)
		return -errno;
	return 0;
}

int workspace_make_upper(struct workspace *ws, uid_t uid, gid_t gid, struct error *err)
{
	_cleanup_close_ int base_fd = -1, state_fd = -1;
	int r = find_state(ws, true, &base_fd, err);

	if (r < 0)
		return r;
	if (mkdirat(base_fd, ws->id, 0700) < 0 && errno != EEXIST)
		return failed(err, -errno, "cannot make the state directory", ws->id);
	state_fd = openat(base_fd, ws->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (state_fd < 0)
		return failed(err, -errno, "cannot open the state directory", ws->id);
	/* A daemon of other ids passes through, by a mount of its own; the base keeps others out.
	 */
	if (fchmod(state_fd, 0711) < 0)
		return failed(err, -errno, "cannot open the state directory to the daemon", ws->id);
	r = make_owned_dir(state_fd, "upper", 0755, uid, gid);
	if (r == 0)
		r = make_owned_dir(state_fd, "work", 0700, uid, gid);
	return r < 0 ? failed(err, r, "cannot make the upper directory", ws->id) : 0;
}

/*
 * Takes a lock that who serves from the upper holds. Of the two there are the work directory's
 * will do where it lets us in. *ret_fd is -1 where there is nothing to serve from.
 */
static int hold_upper(int base_fd, const char *id, int *ret_fd)
{
	static const char *const names[] = {"work", "upper"};
	int r = 0;

	*ret_fd = -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[WORKSPACE_ID_MAX + 16];
		_cleanup_close_ int fd = -1;

		snprintf(path, sizeof(path), "%s/%s", id, names[i]);
		fd = openat(base_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			if (flock(fd, LOCK_EX | LOCK_NB) < 0)
				return -errno;
			*ret_fd = steal_fd(&fd);
			return 0;
		}
		if (errno == ENOENT)
			return 0;
		r = -errno;
	}
	return r;
}

bool workspace_upper_is_held(int base_fd, const char *id)
{
	_cleanup_close_ int fd = -1;

	return hold_upper(base_fd, id, &fd) == -EWOULDBLOCK;
}

/* A daemon outlives its supervisor for a moment. */
static int await_upper(int base_fd, const char *id, int *ret_fd, struct error *err)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	int r;

	for (int waited = 0; (r = hold_upper(base_fd, id, ret_fd)) == -EWOULDBLOCK; waited += 10) {
		if (waited >= HELD_MAX_MS)
			return error_set(err, EADDRINUSE, EXIT_STATUS_BUSY,
				"workspace %s: its upper is in use, by a daemon that does not end, "
				"or by a workspace whose record is in another run directory (set "
				"XDG_RUNTIME_DIR as it was then); choose another id",
				id);
		nanosleep(&pause, NULL);
	}
	return r < 0 ? failed(err, r, "cannot tell whether its upper is in use", id) : 0;
}

/* Nobody has it, or the caller holds its lock. */
static int remove_state(struct workspace *ws, int base_fd, struct error *err)
{
	int r = tree_remove(base_fd, ws->id);

	free(steal_ptr(&ws->state_dir));
	return r < 0 && r != -ENOENT ? failed(err, r, "cannot remove the upper directory", ws->id)
				     : 0;
}

/* 1 and the directory of all of them, where this one has its own; 0: it has none. */
static int open_own(struct workspace *ws, int *ret_base_fd, struct error *err)
{
	int r = find_state(ws, false, ret_base_fd, NULL);

	if (r < 0)
		return r == -ENOENT ? 0 : failed(err, r, "state directory", ws->id);
	return 1;
}

int workspace_leave_upper(struct workspace *ws, struct error *err)
{
	_cleanup_close_ int base_fd = -1;
	int r = open_own(ws, &base_fd, err);

	if (r <= 0)
		return r;
	return error_set(err, ESTALE, EXIT_STATUS_FAILED,
		"workspace %s: somebody removed its record, so its upper is left to git-overlayfs "
		"gc, or to who has the id now",
		ws->id);
}

int workspace_remove_upper(struct workspace *ws, struct error *err)
{
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1, state_fd = -1;
	int r = workspace_base_open(WORKSPACE_RUN, false, &base, &base_fd, err);

	if (r < 0)
		return r;
	if (!workspace_is_current(ws, base_fd))
		return workspace_leave_upper(ws, err);
	r = open_own(ws, &state_fd, err);
	return r <= 0 ? r : remove_state(ws, state_fd, err);
}

int workspace_remove_unused_upper(struct workspace *ws, struct error *err)
{
	_cleanup_close_ int base_fd = -1, upper_fd = -1;
	int r = open_own(ws, &base_fd, err);

	if (r <= 0)
		return r;
	r = await_upper(base_fd, ws->id, &upper_fd, err);
	return r < 0 ? r : remove_state(ws, base_fd, err);
}

bool workspace_was_kept(struct workspace *ws)
{
	_cleanup_close_ int state_fd = -1;

	return find_state(ws, false, &state_fd, NULL) == 0 &&
	       workspace_state_is_kept(state_fd, ws->id);
}

int workspace_find_state(struct workspace *ws, struct error *err)
{
	_cleanup_close_ int state_fd = -1;
	int r = find_state(ws, false, &state_fd, err);

	return r == -ENOENT ? 0 : r;
}
