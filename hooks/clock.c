/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <time.h>

/* Set once, before there are children. */
static int64_t started;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void clock_start(int64_t spent_ms)
{
	started = now_ms() - spent_ms;
}

static int left(int end_ms, int limit_ms)
{
	int64_t ms = started + end_ms - now_ms();

	if (ms < 0)
		return 0;
	return ms < limit_ms ? (int)ms : limit_ms;
}

int clock_work_left(int limit_ms)
{
	return left(HOOK_WORK_END_MS, limit_ms);
}

int clock_undo_left(int limit_ms)
{
	return left(HOOK_UNDO_END_MS, limit_ms);
}
