/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a server makes of how its requests come: whether they queue up, whether it waits in vain,
 * whether wake-ups are what takes the time. A client that closes a file sends a RELEASE and goes
 * on: the request behind it is mostly the same client's, was there already, and is no sign of any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A longer wait is the client's own time. */
#define PACE_PROMPT_NS 1000000
/* A turn on one processor takes less, with what most clients do between two requests. */
#define PACE_SLOW_NS 25000

struct pace {
	unsigned found_run,
		waited_run; /* requests on end that were there, or had to be waited for */
	bool goes_on;	    /* the client of the last one: it has not waited for it */
	unsigned looks;
	int64_t sum_ns;
	unsigned count; /* of waits in the sum */
	unsigned rest;	/* rounds that do not count, for it was tried in vain */
};

/* A request was taken, FUSE's `opcode`, and had to be waited for or was there. */
void pace_take(struct pace *pace, uint32_t opcode, bool waited);
/* So many on end that were there already: one server is not enough. Counts anew when it says so. */
bool pace_is_behind(struct pace *pace);
/* So many on end that had to be waited for: one server too many. The same. */
bool pace_is_idle(struct pace *pace);

/*
 * In the place of pace_take() where the client has no processor before the server waits: whether
 * another request is there has to be looked at, which costs as much as to read, so of some alone.
 */
bool pace_looks(struct pace *pace, uint32_t opcode);
void pace_look(struct pace *pace, bool found);

/*
 * After each request, with how long the server waited for it. True: requests come so promptly, but
 * so slowly, that it is wake-ups that take the time.
 */
bool pace_is_slow(struct pace *pace, int64_t wait_ns);
