/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "workspace-internal.h"

/*
 * The death of whoever holds the lock shows nowhere but in the lock. A supervisor has a pidfd;
 * before there is one, and where it lies in another pid namespace, the lock is looked at now and
 * then.
 */
#define LOOK_AGAIN_MS	     1000
#define LOOK_AGAIN_RARELY_MS 30000

static int add_watch(int inotify_fd, int dir_fd, uint32_t mask)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	return inotify_add_watch(inotify_fd, link, mask | IN_ONLYDIR) < 0 ? -errno : 0;
}

int workspace_watch_open(const char *id, struct workspace_watch *ret_watch, struct error *err)
{
	_cleanup_(workspace_watch_release) struct workspace_watch watch = {
		.base_fd = -1, .run_fd = -1, .inotify_fd = -1, .pidfd = -1};
	_cleanup_free_ char *base = NULL;
	int r;

	if (!workspace_id_is_valid(id))
		return error_set(err, ENOENT, EXIT_STATUS_FAILED, "no workspace '%s'", id);
	strcpy(watch.id, id);
	r = workspace_base_open(WORKSPACE_RUN, false, &base, &watch.base_fd, NULL);
	if (r == 0) {
		watch.run_fd =
			openat(watch.base_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = watch.run_fd < 0 ? -errno : 0;
	}
	if (r == -ENOENT)
		return error_set(err, ENOENT, EXIT_STATUS_FAILED, "no workspace '%s'", id);
	if (r == 0) {
		watch.inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		r = watch.inotify_fd < 0 ? -errno : 0;
	}
	/* That a directory is removed which is open shows in the one above it alone. */
	if (r == 0)
		r = add_watch(watch.inotify_fd, watch.base_fd, IN_DELETE);
	if (r == 0)
		r = add_watch(watch.inotify_fd, watch.run_fd, IN_MOVED_TO);
	if (r < 0)
		return error_set_errno(
			err, -r, EXIT_STATUS_MACHINE, "cannot watch workspace %s", id);
	*ret_watch = watch;
	watch.base_fd = watch.run_fd = watch.inotify_fd = -1;
	return 0;
}

void workspace_watch_release(struct workspace_watch *watch)
{
	close_keep_errno(steal_fd(&watch->base_fd));
	close_keep_errno(steal_fd(&watch->run_fd));
	close_keep_errno(steal_fd(&watch->inotify_fd));
	close_keep_errno(steal_fd(&watch->pidfd));
}

static bool is_removed(const struct workspace_watch *watch)
{
	struct stat mine, now;

	if (fstatat(watch->base_fd, watch->id, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return fstat(watch->run_fd, &mine) == 0 &&
	       (mine.st_ino != now.st_ino || mine.st_dev != now.st_dev);
}

static void follow_supervisor(struct workspace_watch *watch, pid_t supervisor)
{
	if (supervisor == watch->supervisor)
		return;
	close_keep_errno(steal_fd(&watch->pidfd));
	watch->supervisor = supervisor;
	if (supervisor > 0)
		watch->pidfd = pidfd_open(supervisor, 0);
}

int workspace_watch_look(
	struct workspace_watch *watch, struct workspace_look *ret_look, struct error *err)
{
	struct workspace_look look = {0};
	struct error why = {0};
	int r = workspace_info_read(watch->run_fd, watch->id, &look.info, &why);

	if (r < 0 && r != -ENOENT) {
		if (err)
			*err = why;
		return r;
	}
	look.has_info = r == 0;
	if (look.has_info)
		follow_supervisor(watch, look.info.supervisor);
	/* After the pidfd is there: a supervisor that ends from here on shows by it. */
	look.alive = workspace_is_locked(watch->run_fd);
	look.begun = !look.has_info && workspace_is_begun(watch->run_fd);
	look.gone = is_removed(watch);
	*ret_look = look;
	return 0;
}

int workspace_watch_wait(struct workspace_watch *watch, int timeout_ms)
{
	struct pollfd fds[] = {
		{.fd = watch->inotify_fd, .events = POLLIN},
		{.fd = watch->pidfd, .events = POLLIN},
	};
	int limit = watch->pidfd >= 0 ? LOOK_AGAIN_RARELY_MS : LOOK_AGAIN_MS, n;
	char buffer[4096];

	if (timeout_ms >= 0 && timeout_ms < limit)
		limit = timeout_ms;
	n = poll(fds, 2, limit);
	if (n < 0 && errno != EINTR)
		return -errno;
	while (read(watch->inotify_fd, buffer, sizeof(buffer)) > 0)
		;
	/* It has ended, and the lock with it, unless the pid was another's. */
	if (n > 0 && fds[1].revents)
		close_keep_errno(steal_fd(&watch->pidfd));
	return n == 0 && limit == timeout_ms ? -ETIMEDOUT : 0;
}
