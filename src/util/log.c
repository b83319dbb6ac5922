/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/log.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

#define LOG_LINE_MAX 4096
#define SYSLOG_PATH  "/dev/log"
/* RFC 3164: facility daemon (3). */
#define SYSLOG_FACILITY (3 << 3)

/* Set by log_open() before threads start, read-only from then on. */
static struct {
	enum log_target target;
	int fd;
	const char *ident;
	enum log_level max;
} log_state = {LOG_TARGET_STDERR, STDERR_FILENO, "git-overlayfs", LOG_LEVEL_WARNING};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int level_syslog[] = {3, 4, 6, 7};

static int syslog_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = SYSLOG_PATH};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return steal_fd(&fd);
}

int log_open(enum log_target target, int fd, const char *ident, enum log_level max)
{
	if (target == LOG_TARGET_SYSLOG) {
		fd = syslog_connect();
		if (fd < 0)
			return fd;
	} else if (target == LOG_TARGET_STDERR) {
		fd = STDERR_FILENO;
	}
	/* A process that relays has no business with the socket any more. */
	if (log_state.target == LOG_TARGET_SYSLOG)
		close_keep_errno(log_state.fd);
	log_state.target = target;
	log_state.fd = fd;
	log_state.ident = ident;
	log_state.max = max;
	return 0;
}

bool log_enabled(enum log_level level)
{
	return level <= log_state.max && log_state.fd >= 0;
}

/* Writes `text` so that no byte of it can end the line or steer a terminal. */
static size_t escape(char *out, size_t size, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (const unsigned char *p = (const unsigned char *)text; *p && n + 5 < size; p++) {
		if (*p >= 0x20 && *p < 0x7f) {
			out[n++] = (char)*p;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[*p >> 4];
		out[n++] = hex[*p & 15];
	}
	return n;
}

static size_t write_header(char *line, size_t size, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	char stamp[32];

	if (log_state.target == LOG_TARGET_SYSLOG)
		return (size_t)snprintf(line, size,
			"<%d>%s[%d]: ", SYSLOG_FACILITY | level_syslog[level], log_state.ident,
			(int)getpid());
	if (log_state.target == LOG_TARGET_RELAY)
		return (size_t)snprintf(line, size, "<%d>", (int)level);
	if (log_state.target == LOG_TARGET_STDERR)
		return (size_t)snprintf(
			line, size, "%s: %s: ", log_state.ident, level_names[level]);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return (size_t)snprintf(
		line, size, "%s %s: %s: ", stamp, log_state.ident, level_names[level]);
}

void log_message(enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_MAX / 2], line[LOG_LINE_MAX];
	int saved = errno;
	va_list ap;
	size_t n;

	if (!log_enabled(level))
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	n = write_header(line, sizeof(line) / 2, level);
	if (n > sizeof(line) / 2)
		n = sizeof(line) / 2;
	n += escape(line + n, sizeof(line) - n - 1, text);
	if (log_state.target != LOG_TARGET_SYSLOG)
		line[n++] = '\n';
	/* A log that cannot be written has nowhere to be reported. */
	if (write(log_state.fd, line, n) < 0)
		errno = saved;
	errno = saved;
}
