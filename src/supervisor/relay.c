/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "util/cleanup.h"
#include "util/clock.h"

/* So many lines in so many seconds are passed on, the rest is counted. */
#define WINDOW_S      10
#define WINDOW_LINES  200
#define FINISH_CHUNKS 64

int relay_open(struct relay *relay)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	*relay = (struct relay){.fd = fds[0]};
	return fds[1];
}

static bool may_pass(struct relay *relay)
{
	time_t now = (time_t)(clock_now_ns() / NS_PER_S);

	if (!relay->window || now - relay->window >= WINDOW_S) {
		if (relay->dropped)
			log_warning("%u lines of the daemon were dropped", relay->dropped);
		relay->window = now;
		relay->in_window = relay->dropped = 0;
	}
	if (relay->in_window == WINDOW_LINES) {
		relay->dropped++;
		return false;
	}
	relay->in_window++;
	return true;
}

/* "<N>text", N the level; whatever else it is, it is a warning. */
static void pass_on(struct relay *relay, const char *line)
{
	enum log_level level = LOG_LEVEL_WARNING;

	if (!may_pass(relay))
		return;
	if (line[0] == '<' && line[1] >= '0' && line[1] <= '3' && line[2] == '>') {
		level = (enum log_level)(line[1] - '0');
		line += 3;
	}
	log_message(level, "daemon: %s", line);
}

static void pass_lines(struct relay *relay)
{
	char *end;

	while ((end = memchr(relay->line, '\n', relay->used))) {
		size_t length = (size_t)(end - relay->line) + 1;

		*end = '\0';
		pass_on(relay, relay->line);
		relay->used -= length;
		memmove(relay->line, relay->line + length, relay->used);
	}
	if (relay->used < sizeof(relay->line) - 1)
		return;
	relay->line[relay->used] = '\0';
	pass_on(relay, relay->line);
	relay->used = 0;
}

void relay_read(struct relay *relay)
{
	ssize_t n =
		read(relay->fd, relay->line + relay->used, sizeof(relay->line) - 1 - relay->used);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_keep_errno(steal_fd(&relay->fd));
		return;
	}
	relay->used += (size_t)n;
	pass_lines(relay);
}

void relay_finish(struct relay *relay)
{
	for (int i = 0; i < FINISH_CHUNKS && relay->fd >= 0; i++)
		relay_read(relay);
	close_keep_errno(steal_fd(&relay->fd));
	if (relay->dropped)
		log_warning("%u lines of the daemon were dropped", relay->dropped);
}
