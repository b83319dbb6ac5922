/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors of set-up code: the command line, mounting, opening layers, the OCI
 * hook, the sandbox. A function that can fail returns 0 or a count, or -errno;
 * set-up code also fills a struct error, which its callers extend with what
 * they were doing, and which main prints once, as one line. Request paths
 * (src/overlay, src/fuse) take no struct error: -errno is all they return.
 *
 * A struct error belongs to one thread. It holds no pointers: copy it, drop it,
 * send it over a socket.
 */
#pragma once

/* The exit codes of every program of this project. */
enum exit_status {
	EXIT_STATUS_OK = 0,
	EXIT_STATUS_FAILED = 1,
	EXIT_STATUS_USAGE = 2,
	/* The repository, revision or layer cannot be used. */
	EXIT_STATUS_SOURCE = 3,
	/* The machine cannot do it; `git-overlayfs doctor` says why. */
	EXIT_STATUS_MACHINE = 4,
	/* The workspace or the mountpoint is in use. */
	EXIT_STATUS_BUSY = 5,
};

struct error {
	int code; /* positive errno, 0 while nothing has failed */
	enum exit_status status;
	char text[1000]; /* one line, without a newline, always terminated */
};

/*
 * Records a failure and returns -code, so that a caller can write
 * `return error_set(err, ENOENT, EXIT_STATUS_SOURCE, "%s: ...", path)`.
 * `err` may be NULL. Bytes that are not printable become '?': the text may
 * quote names that an attacker chose.
 */
int error_set(struct error *err, int code, enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same, with ": " and the system's words for `code` at the end. */
int error_set_errno(struct error *err, int code, enum exit_status status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts context in front of the text. Returns -err->code. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name of an errno ("ENOENT"), or "E?" where there is none. Static storage. */
const char *error_name(int code);
