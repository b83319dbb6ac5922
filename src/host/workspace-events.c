/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/workspace-events.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "util/cleanup.h"
#include "workspace-internal.h"

/* A writer that was stopped in the midst of its line holds up nobody for longer. */
#define LOCK_ATTEMPTS 100
#define LOCK_PAUSE_NS 2000000
/* What is left of a text of a line that would be too long. */
#define CUT_MAX	 200
#define TIME_MAX 32

static const char *const names[] = {
	[WORKSPACE_EVENT_MOUNTING] = "mounting",
	[WORKSPACE_EVENT_READY] = "ready",
	[WORKSPACE_EVENT_ENDING] = "ending",
	[WORKSPACE_EVENT_ENDED] = "ended",
	[WORKSPACE_EVENT_FAILED] = "failed",
	[WORKSPACE_EVENT_DAEMON_DIED] = "daemon-died",
};

/* RFC 3339, UTC, so that texts compare as times do. */
static void format_now(char ret[static TIME_MAX])
{
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(ret, TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, TIME_MAX - n, ".%03ldZ", now.tv_nsec / 1000000);
}

static void put(struct json_writer *writer, const char *key, const char *value, size_t max)
{
	_cleanup_free_ char *cut = NULL;

	if (!value || !*value)
		return;
	json_write_key(writer, key);
	if (strlen(value) > max)
		cut = strndup(value, max);
	json_write_string(writer, cut ? cut : value);
}

/* `max`: of each text. JSON escapes what could end a line. */
static int format_line(enum workspace_event event, const struct workspace_info *info,
	const char *reason, const char *upper, size_t max, char **ret_text, size_t *ret_size)
{
	struct json_writer *writer;
	char now[TIME_MAX];
	int r = json_writer_new(false, &writer);

	if (r < 0)
		return r;
	format_now(now);
	json_write_object_begin(writer);
	put(writer, "time", now, max);
	put(writer, "event", names[event], max);
	put(writer, "id", info->id, max);
	json_write_number(writer, "pid", info->supervisor);
	put(writer, "mountpoint", info->mountpoint, max);
	put(writer, "container", info->container, max);
	put(writer, "source", info->source, max);
	put(writer, "commit", info->commit, max);
	put(writer, "reason", reason, max);
	put(writer, "upper", upper, max);
	json_write_object_end(writer);
	return json_writer_finish(writer, ret_text, ret_size);
}

static bool take_lock(int fd)
{
	static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	for (int i = 0; i < LOCK_ATTEMPTS; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* Whether the file has not been renamed since it was opened. */
static bool is_current(int base_fd, const struct stat *mine)
{
	struct stat now;

	return fstatat(base_fd, WORKSPACE_EVENTS_FILE, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.st_ino == mine->st_ino && now.st_dev == mine->st_dev;
}

/* One write: O_APPEND keeps those of several writers apart even where nobody holds a lock. */
static int write_line(int fd, off_t file_size, const char *line, size_t size)
{
	struct iovec parts[] = {
		{.iov_base = (char[]){'\n'}, .iov_len = 1},
		{.iov_base = (char *)line, .iov_len = size},
		{.iov_base = (char[]){'\n'}, .iov_len = 1},
	};
	char last = '\n';
	ssize_t n;

	/* What somebody could not write to its end must not take this line along. */
	if (file_size > 0 && pread(fd, &last, 1, file_size - 1) < 0)
		return -errno;
	n = last == '\n' ? writev(fd, parts + 1, 2) : writev(fd, parts, 3);
	if (n < 0)
		return -errno;
	return (size_t)n < size + 1 ? -ENOSPC : 0;
}

/* -ESTALE: the file is another one now, try again. */
static int append_once(int base_fd, const char *line, size_t size)
{
	_cleanup_close_ int fd = openat(base_fd, WORKSPACE_EVENTS_FILE,
		O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;
	bool locked;

	if (fd < 0)
		return -errno;
	locked = take_lock(fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (locked && !is_current(base_fd, &st))
		return -ESTALE;
	if (locked && st.st_size > 0 && st.st_size + (off_t)size + 2 > WORKSPACE_EVENTS_SIZE_MAX) {
		if (renameat(base_fd, WORKSPACE_EVENTS_FILE, base_fd, WORKSPACE_EVENTS_OLD) < 0)
			return -errno;
		return -ESTALE;
	}
	/* Who may not move the file along must not let it grow either. */
	if (st.st_size > 2 * WORKSPACE_EVENTS_SIZE_MAX)
		return -EFBIG;
	return write_line(fd, st.st_size, line, size);
}

static int append(const char *line, size_t size)
{
	_cleanup_free_ char *base = NULL;
	_cleanup_close_ int base_fd = -1;
	int r = workspace_base_open(WORKSPACE_RUN, false, &base, &base_fd, NULL);

	if (r < 0)
		return r;
	do
		r = append_once(base_fd, line, size);
	while (r == -ESTALE);
	return r;
}

void workspace_event_append(enum workspace_event event, const struct workspace_info *info,
	const char *reason, const char *upper)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = format_line(event, info, reason, upper, SIZE_MAX, &line, &size);

	if (r == 0 && size + 1 > WORKSPACE_EVENT_LINE_MAX) {
		free(steal_ptr(&line));
		r = format_line(event, info, reason, upper, CUT_MAX, &line, &size);
	}
	while (r == 0 && size > 0 && line[size - 1] == '\n')
		size--;
	if (r == 0)
		r = append(line, size);
	if (r < 0)
		log_warning("the event '%s' of workspace %s is not recorded: %s", names[event],
			info->id ? info->id : "", error_name(-r));
}
