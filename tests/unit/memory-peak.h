/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much memory a step of a test takes. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

/* The most memory since forget_peak(). */
static inline long peak(void)
{
	char line[128];
	long kibibytes = 0;
	FILE *status = fopen("/proc/self/status", "r");

	assert_non_null(status);
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %ld", &kibibytes) == 1)
			break;
	fclose(status);
	return kibibytes << 10;
}

static inline void forget_peak(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "w");

	assert_non_null(file);
	assert_true(fputs("5", file) >= 0);
	assert_int_equal(fclose(file), 0);
}
