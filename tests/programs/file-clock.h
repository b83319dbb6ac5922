/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clock that file systems take their times from. It stands while all processors are idle, and
 * for a while after.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

static inline bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* Until what is changed is given a time after this one. */
static inline void file_clock_pass(const struct timespec *time)
{
	static const struct timespec pause = {.tv_nsec = 1000000};
	struct timespec now;

	do {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	} while (!is_before(time, &now));
}
