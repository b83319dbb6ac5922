/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log of a process: one line a message, to standard error, to a file or to
 * syslog. Any thread may log at any time after log_open(); a message is one
 * write(2), so lines of several threads never mix. Before log_open() messages
 * of level LOG_LEVEL_WARNING and above go to standard error.
 */
#pragma once

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_target {
	LOG_TARGET_STDERR,
	LOG_TARGET_FD,	   /* `fd`, which the log takes over */
	LOG_TARGET_RELAY,  /* a descriptor whose reader logs what it gets: "<LEVEL>text" */
	LOG_TARGET_SYSLOG, /* connected at once, so that it works in a jail */
};

/*
 * `ident` is borrowed for the life of the process and stands in front of every
 * line ("git-overlayfs[3fa9c1d2e0b4]: ..."). Returns 0 or -errno; on failure
 * the log goes on as it was.
 */
int log_open(enum log_target target, int fd, const char *ident, enum log_level max);

/* True where a message of this level would be written; guards costly arguments. */
bool log_enabled(enum log_level level);

/* Control characters and bytes that are not ASCII are written as \xNN. */
void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                             \
	do {                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                  \
			log_message(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)
