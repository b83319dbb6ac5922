/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server on its client's processor. A client that sends one request after the other takes turns
 * with its server, and the scheduler prefers an idle processor for whichever it wakes: each turn
 * then wakes a sleeping one, which in a virtual machine takes 30 to 100 us, more than most requests
 * do. On one processor a turn takes 7 us.
 *
 * Two things bring them together. The near server keeps to the processor where its client is. And
 * it is SCHED_IDLE: where only such a thread runs, the scheduler takes a processor for idle, and
 * wakes the client where it was before. That has a price: who needs the processor comes first, and
 * a server that is interrupted in a request has to wait, some 25 ms for each who computes there. So
 * it serves only while one client asks promptly and processors are idle, which is the loop's to
 * see; and there is no way back from SCHED_IDLE without privileges, so it is a thread of its own.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct near {
	cpu_set_t allowed;    /* where it may be at all */
	bool is_off;	      /* nothing to choose, or not for us to choose */
	int cpu;	      /* where it is */
	long preempted;	      /* how often others took the processor, at the last look */
	int64_t sum_ns;	      /* of slow waits on end, or of those on a processor that is tried */
	unsigned count;	      /* of them */
	unsigned tried;	      /* processors so far; 0: none is being tried */
	int first_cpu;	      /* where the trials began */
	int64_t slow_ns;      /* the mean wait there */
	unsigned rest, pause; /* slow waits without a trial: left now, and after the next in vain */
	long (*count_preempted)(void); /* of the calling thread; for tests to replace */
};

/* Of the calling thread, which is a near server from now on; it alone uses it. */
void near_init(struct near *near);
/* Goes to a processor beside `cpu`, where the one is that served until now; -1: anywhere. */
void near_begin(struct near *near, int cpu);
/* After each request, with how long it waited for it: where that is slow it tries others. */
void near_note(struct near *near, int64_t wait_ns);
/* It serves no more. */
void near_end(struct near *near);

/* Where the calling thread is, if it is a near server that serves; else -1. */
int near_current_cpu(void);
/* The calling thread, if it is one, has left the processor to somebody else than the client. */
void near_has_yielded(void);
