/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/json.h>

#include "util/cleanup.h"

static int json_line(const char *time, const char *text, char **ret_line)
{
	_cleanup_free_ char *line = NULL;
	struct json_writer *writer;
	int r = json_writer_new(false, &writer);

	if (r < 0)
		return r;
	json_write_object_begin(writer);
	json_write_key(writer, "level");
	json_write_string(writer, "error");
	json_write_key(writer, "msg");
	json_write_string(writer, text);
	json_write_key(writer, "time");
	json_write_string(writer, time);
	json_write_object_end(writer);
	r = json_writer_finish(writer, &line, NULL);
	if (!r && asprintf(ret_line, "%s\n", line) < 0)
		r = -ENOMEM;
	return r;
}

int runtime_log_line(const char *format, const char *time, const char *text, char **ret_line)
{
	_cleanup_free_ char *quoted = NULL;
	int r;

	if (format && strcmp(format, "json") == 0)
		return json_line(time, text, ret_line);
	r = json_quote(text, &quoted);
	if (!r && asprintf(ret_line, "time=\"%s\" level=error msg=%s\n", time, quoted) < 0)
		r = -ENOMEM;
	return r;
}

/* crun has logs that are no files, and a prefix for those that are. */
static const char *log_file(const char *log)
{
	if (!log || !strncmp(log, "journald:", 9) || !strncmp(log, "syslog:", 7))
		return NULL;
	return strncmp(log, "file:", 5) == 0 ? log + 5 : log;
}

void runtime_report(const struct runtime_arguments *arguments, const struct error *err)
{
	const char *path = log_file(arguments->log);
	_cleanup_free_ char *line = NULL, *text = NULL;
	_cleanup_close_ int fd = -1;
	time_t now = time(NULL);
	struct tm utc;
	char stamp[40];

	dprintf(STDERR_FILENO, RUNTIME_IDENT ": %s\n", err->text);
	if (!path || !gmtime_r(&now, &utc))
		return;
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &utc);
	if (asprintf(&text, RUNTIME_IDENT ": %s", err->text) < 0) {
		text = NULL;
		return;
	}
	if (runtime_log_line(arguments->log_format, stamp, text, &line) < 0)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	if (fd < 0 || dprintf(fd, "%s", line) < 0)
		dprintf(STDERR_FILENO, RUNTIME_IDENT ": cannot write to %s\n", path);
}
