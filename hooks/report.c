/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#define IDENT	 "git-overlayfs-hook"
#define SHORT_ID 12

static int open_log_file(const struct report *report)
{
	if (!report->log)
		return -1;
	return open(report->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

void report_open_log(const struct report *report)
{
	if (log_open(LOG_TARGET_SYSLOG, -1, IDENT, LOG_LEVEL_INFO) < 0)
		log_open(LOG_TARGET_FD, open_log_file(report), IDENT, LOG_LEVEL_INFO);
}

static void say(const struct report *report, enum log_level level, const char *text)
{
	const char *id = report->container_id ? report->container_id : "";
	/* The log keeps the pointer. */
	static char ident[64];

	snprintf(ident, sizeof(ident), IDENT "%s%.*s%s", id[0] ? "[" : "", SHORT_ID, id,
		id[0] ? "]" : "");
	dprintf(STDERR_FILENO, "%s: %s%s\n", ident, level == LOG_LEVEL_WARNING ? "warning: " : "",
		text);
	if (log_open(LOG_TARGET_SYSLOG, -1, ident, LOG_LEVEL_INFO) == 0)
		log_message(level, "%s", text);
	if (log_open(LOG_TARGET_FD, open_log_file(report), ident, LOG_LEVEL_INFO) == 0)
		log_message(level, "%s", text);
}

void report_failure(const struct report *report, const char *text)
{
	say(report, LOG_LEVEL_ERROR, text);
}

void report_warning(const struct report *report, const char *text)
{
	say(report, LOG_LEVEL_WARNING, text);
}
