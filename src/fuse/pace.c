/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/pace.h"

#include <linux/fuse.h>

#define BEHIND_RUN 16
#define WAITED_RUN 4
/* One request in so many is looked at. */
#define SAMPLE 4
/* Who waits less has found the request, and nobody had to be woken. */
#define FOUND_NS 2000
/* Waits in a mean. */
#define ROUND 8

static bool client_goes_on(uint32_t opcode)
{
	return opcode == FUSE_RELEASE || opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET;
}

void pace_take(struct pace *pace, uint32_t opcode, bool waited)
{
	if (waited || !pace->goes_on) {
		pace->found_run = waited ? 0 : pace->found_run + 1;
		pace->waited_run = waited ? pace->waited_run + 1 : 0;
	}
	pace->goes_on = client_goes_on(opcode);
}

bool pace_is_behind(struct pace *pace)
{
	if (pace->found_run < BEHIND_RUN)
		return false;
	pace->found_run = 0;
	return true;
}

bool pace_is_idle(struct pace *pace)
{
	if (pace->waited_run < WAITED_RUN)
		return false;
	pace->waited_run = 0;
	return true;
}

bool pace_looks(struct pace *pace, uint32_t opcode)
{
	return !client_goes_on(opcode) && ++pace->looks % SAMPLE == 0;
}

void pace_look(struct pace *pace, bool found)
{
	pace->found_run = found ? pace->found_run + SAMPLE : 0;
}

bool pace_is_slow(struct pace *pace, int64_t wait_ns)
{
	int64_t mean;

	if (wait_ns > PACE_PROMPT_NS || wait_ns < FOUND_NS)
		return false;
	pace->sum_ns += wait_ns;
	if (++pace->count < ROUND)
		return false;
	mean = pace->sum_ns / ROUND;
	pace->sum_ns = 0;
	pace->count = 0;
	if (pace->rest > 0) {
		pace->rest--;
		return false;
	}
	return mean > PACE_SLOW_NS;
}
