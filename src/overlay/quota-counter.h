/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A number that several threads count in, and that never goes below nought or past a bound. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool counter_take(_Atomic uint64_t *counter, uint64_t amount, uint64_t max)
{
	uint64_t used = atomic_load(counter);

	do
		if (used > max || amount > max - used)
			return false;
	while (!atomic_compare_exchange_weak(counter, &used, used + amount));
	return true;
}

/* A count that is wrong already, because the upper changes behind our back, stays a count. */
static inline void counter_subtract(_Atomic uint64_t *counter, uint64_t amount)
{
	uint64_t used = atomic_load(counter);

	while (!atomic_compare_exchange_weak(counter, &used, used > amount ? used - amount : 0))
		;
}

static inline void counter_replace(_Atomic uint64_t *counter, uint64_t old, uint64_t new)
{
	if (new > old)
		atomic_fetch_add(counter, new - old);
	else
		counter_subtract(counter, old - new);
}
