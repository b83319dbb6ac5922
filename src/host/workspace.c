/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/workspace-events.h>

#include "util/cleanup.h"

/* Nobody takes longer from the directory to its lock, or has died on the way. */
#define BEGUN_MAX_S 5

static int failed(struct error *err, int r, const char *what, const char *id)
{
	return error_set_errno(err, -r, EXIT_STATUS_FAILED, "workspace %s: %s", id, what);
}

static int choose_id(const char *id, char ret[static WORKSPACE_ID_MAX + 1], struct error *err)
{
	unsigned char random[6];

	if (id) {
		if (!workspace_id_is_valid(id))
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"'%s' cannot name a workspace; write letters, digits, _.+-", id);
		strcpy(ret, id);
		return 0;
	}
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "no random numbers");
	for (size_t i = 0; i < sizeof(random); i++)
		sprintf(ret + 2 * i, "%02x", random[i]);
	return 0;
}

/* -ESTALE: the record was removed between open and lock. */
static int lock_record(int base_fd, const char *id, int *ret_fd)
{
	_cleanup_close_ int fd =
		openat(base_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat mine, now;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (fstat(fd, &mine) < 0)
		return -errno;
	if (fstatat(base_fd, id, &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_ino != mine.st_ino ||
		now.st_dev != mine.st_dev)
		return -ESTALE;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* Makes the directory and locks it. Who lists workspaces holds a lock for an instant. */
static int make_record(int base_fd, const char *id, int *ret_fd)
{
	static const struct timespec pause = {.tv_nsec = 2000000};
	int r = -ESTALE;

	for (int attempt = 0; attempt < 25; attempt++) {
		if (mkdirat(base_fd, id, 0700) < 0 && errno != EEXIST)
			return -errno;
		r = lock_record(base_fd, id, ret_fd);
		if (r != -ESTALE && r != -EWOULDBLOCK)
			return r;
		nanosleep(&pause, NULL);
	}
	return r;
}

static int open_paths(struct workspace *ws, int base_fd, const char *base, struct error *err)
{
	if (asprintf(&ws->run_dir, "%s/%s", base, ws->id) < 0) {
		ws->run_dir = NULL;
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	ws->run_fd = openat(base_fd, ws->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return ws->run_fd < 0 ? -errno : 0;
}

/* Nobody else was left to say so. */
static void note_dead(const struct workspace_info *info)
{
	const char *upper = info->keep ? "kept" : "discarded";

	workspace_event_append(WORKSPACE_EVENT_ENDED, info,
		"its supervisor had died, and what was left is cleared away",
		*info->upper ? upper : "none");
}

static bool forget_file(const struct workspace *ws, const char *name)
{
	return unlinkat(ws->run_fd, name, 0) == 0 || errno == ENOENT;
}

/* The record goes last: what is left can still be found by it. */
static int clear_files(struct workspace *ws, struct error *err)
{
	int r = workspace_was_kept(ws) ? 0 : workspace_remove_unused_upper(ws, err);

	if (r < 0)
		return r;
	if (forget_file(ws, WORKSPACE_NAMESPACES_FILE) &&
		forget_file(ws, WORKSPACE_COUNTERS_FILE) && forget_file(ws, WORKSPACE_FILE))
		return 0;
	return failed(err, -errno, "cannot clear the record of a dead one", ws->id);
}

/* What a dead workspace of this id left, an upper that was to be kept aside. */
static int clear_dead(struct workspace *ws, struct error *err)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	bool was_there = workspace_info_read(ws->run_fd, ws->id, &info, NULL) == 0;
	int r = clear_files(ws, err);

	if (r == 0 && was_there)
		note_dead(&info);
	return r;
}

int workspace_create(const char *id, struct workspace *ret_ws, struct error *err)
{
	struct workspace ws = {.run_fd = -1, .lock_fd = -1};
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;
	int r;

	r = choose_id(id, ws.id, err);
	if (r < 0)
		return r;
	r = workspace_base_open(WORKSPACE_RUN, true, &base, &base_fd, err);
	if (r < 0)
		return r;
	r = make_record(base_fd, ws.id, &ws.lock_fd);
	if (r == -EWOULDBLOCK)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"workspace %s is in use; choose another id= or unmount it", ws.id);
	if (r < 0)
		return failed(err, r, "cannot make the record", ws.id);
	r = open_paths(&ws, base_fd, base, err);
	if (r == 0)
		r = clear_dead(&ws, err);
	if (r < 0) {
		/* One that says nothing would look as if it was being made. */
		unlinkat(base_fd, ws.id, AT_REMOVEDIR);
		workspace_release(&ws);
		return r;
	}
	*ret_ws = ws;
	return 0;
}

bool workspace_is_current(const struct workspace *ws, int base_fd)
{
	struct stat mine, now;

	return fstat(ws->run_fd, &mine) == 0 &&
	       fstatat(base_fd, ws->id, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_ino == now.st_ino && mine.st_dev == now.st_dev;
}

int workspace_remove(struct workspace *ws, bool keep_upper, struct error *err)
{
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;
	int r = workspace_base_open(WORKSPACE_RUN, false, &base, &base_fd, err), r2;

	if (r < 0)
		return r;
	/* Requester and supervisor both remove; meanwhile the id may be another's. */
	if (!workspace_is_current(ws, base_fd))
		return 0;
	r = keep_upper ? 0 : workspace_remove_unused_upper(ws, err);
	/* The record goes last: as long as it is there, somebody can find the rest. */
	r2 = tree_remove(base_fd, ws->id);
	if (r < 0)
		return r;
	return r2 < 0 ? failed(err, r2, "cannot remove the record", ws->id) : 0;
}

int workspace_clear(const char *id, struct error *err)
{
	struct workspace ws;
	int r = workspace_create(id, &ws, err);

	if (r < 0)
		return r;
	r = workspace_remove(&ws, true, err);
	workspace_release(&ws);
	return r;
}

void workspace_release(struct workspace *ws)
{
	free(steal_ptr(&ws->run_dir));
	free(steal_ptr(&ws->state_dir));
	close_keep_errno(steal_fd(&ws->run_fd));
	close_keep_errno(steal_fd(&ws->lock_fd));
}

int workspace_open(const char *id, struct workspace *ret_ws, struct error *err)
{
	struct workspace ws = {.run_fd = -1, .lock_fd = -1};
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;
	int r;

	if (!workspace_id_is_valid(id))
		return error_set(err, ENOENT, EXIT_STATUS_FAILED, "no workspace '%s'", id);
	strcpy(ws.id, id);
	r = workspace_base_open(WORKSPACE_RUN, false, &base, &base_fd, NULL);
	if (r == 0)
		r = open_paths(&ws, base_fd, base, err);
	if (r == 0)
		r = workspace_find_state(&ws, err);
	if (r < 0) {
		workspace_release(&ws);
		return r == -ENOENT
			       ? error_set(err, ENOENT, EXIT_STATUS_FAILED, "no workspace '%s'", id)
			       : failed(err, r, "cannot open the record", id);
	}
	*ret_ws = ws;
	return 0;
}

int workspace_adopt(const char *id, int lock_fd, struct workspace *ret_ws, struct error *err)
{
	struct workspace ws;
	struct stat record, lock;
	int r = workspace_open(id, &ws, err);

	if (r < 0)
		return r;
	if (fstat(ws.run_fd, &record) < 0 || fstat(lock_fd, &lock) < 0 ||
		record.st_ino != lock.st_ino || record.st_dev != lock.st_dev ||
		flock(lock_fd, LOCK_EX | LOCK_NB) < 0) {
		workspace_release(&ws);
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"workspace %s: descriptor %d is not its lock", id, lock_fd);
	}
	ws.lock_fd = lock_fd;
	*ret_ws = ws;
	return 0;
}

bool workspace_is_locked(int run_fd)
{
	if (flock(run_fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(run_fd, LOCK_UN);
	return false;
}

bool workspace_is_begun(int run_fd)
{
	struct stat st;
	time_t now = time(NULL);

	return fstat(run_fd, &st) == 0 && st.st_mtim.tv_sec <= now &&
	       now - st.st_mtim.tv_sec < BEGUN_MAX_S;
}

int workspace_wait_gone(const char *id, int timeout_ms)
{
	static const struct timespec pause = {.tv_nsec = 5000000};
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;
	int r = workspace_base_open(WORKSPACE_RUN, false, &base, &base_fd, NULL);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (int waited = 0;; waited += 5) {
		_cleanup_close_ int fd =
			openat(base_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return errno == ENOENT ? 0 : -errno;
		if (!workspace_is_locked(fd))
			return 0;
		if (waited >= timeout_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}
