/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log comes to its supervisor by a pipe: a socket of syslog, made in the host's
 * network namespace, would let a daemon in foreign hands write any line as anybody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_LINE_MAX 2048

struct relay {
	int fd; /* the reading end, -1: closed */
	size_t used;
	char line[RELAY_LINE_MAX];
	int64_t window; /* the seconds when this window began */
	unsigned in_window, dropped;
};

/* Makes the pipe; neither end blocks. Returns the writing end or -errno. */
int relay_open(struct relay *relay);
/* Forwards what there is. A stream of lines costs no more than one read a call. */
void relay_read(struct relay *relay);
/* What is left when the writer has gone. */
void relay_finish(struct relay *relay);
