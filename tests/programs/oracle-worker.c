/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that executes steps in one of the two trees. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANG_SECONDS 60

struct order {
	size_t from, to;
};

static const struct {
	uid_t uid;
	gid_t gid, group;
} identities[WHO_COUNT] = {{0, 0, 0}, {1000, 1000, 2000}, {1001, 1001, 2000}, {1002, 1002, 1002}};

/* The saved user id stays root's, so that it can be taken back. */
static void become(unsigned who)
{
	static unsigned current;

	if (who == current)
		return;
	if (setresuid(0, 0, 0) < 0 || setgroups(1, &identities[who].group) < 0 ||
		setresgid(identities[who].gid, identities[who].gid, 0) < 0 ||
		setresuid(identities[who].uid, identities[who].uid, 0) < 0)
		die("becoming %s: %m", who_names[who]);
	current = who;
}

static bool has_streams(const struct side *side)
{
	for (size_t i = 0; i < STREAMS; i++)
		if (side->streams[i].dir)
			return true;
	return false;
}

static void execute(struct side *side, const struct sequence *seq, const struct order *order)
{
	for (size_t i = order->from; i < order->to; i++) {
		struct outcome *out = &side->board->outcomes[side->index][i - order->from];

		side->board->current[side->index] = (unsigned)i;
		side->other = side->index == 1 ? &side->board->outcomes[0][i - order->from] : NULL;
		*out = (struct outcome){0};
		become(seq->steps[i].who);
		seq->steps[i].op->execute(side, &seq->steps[i], out);
		if (has_streams(side)) {
			become(0);
			streams_observe(side);
		}
	}
}

__attribute__((noreturn)) static void serve(
	struct side *side, const struct sequence *seq, const char *root)
{
	struct order order;

	umask(0);
	/* Of a FIFO without a reader: EPIPE says it. */
	signal(SIGPIPE, SIG_IGN);
	/* The other worker's socket, among others, which would never see its end. */
	side->socket = dup2(side->socket, 3);
	if (side->socket != 3 || close_range(4, ~0u, 0) < 0)
		die("closing: %m");
	if (chdir(root) < 0 || chroot(".") < 0)
		die("entering %s: %m", root);
	for (size_t i = 0; i < SLOTS; i++)
		side->slots[i] = -1;
	while (read(side->socket, &order, sizeof(order)) == sizeof(order)) {
		execute(side, seq, &order);
		if (write(side->socket, &order, sizeof(order)) != sizeof(order))
			break;
	}
	_exit(0);
}

void worker_start(struct side *side, const struct sequence *seq, const char *root)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair: %m");
	fflush(NULL);
	side->pid = fork();
	if (side->pid < 0)
		die("fork: %m");
	if (side->pid == 0) {
		side->socket = pair[1];
		serve(side, seq, root);
	}
	close(pair[1]);
	side->socket = pair[0];
}

bool worker_execute(struct side *side, size_t from, size_t to)
{
	struct order order = {from, to};
	struct pollfd wait = {.fd = side->socket, .events = POLLIN};

	if (write(side->socket, &order, sizeof(order)) != sizeof(order))
		return false;
	if (poll(&wait, 1, HANG_SECONDS * 1000) != 1)
		return false;
	return read(side->socket, &order, sizeof(order)) == sizeof(order);
}

void worker_stop(struct side *side)
{
	if (side->pid <= 0)
		return;
	close(side->socket);
	waitpid(side->pid, NULL, 0);
	side->pid = 0;
}
