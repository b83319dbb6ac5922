/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon may ask of the kernel, as data. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum call_verdict {
	CALL_ALLOW,
	CALL_ENOSYS, /* a newer call that the C library tries and can do without */
	CALL_ENOTTY,
	CALL_EROFS,
};

enum call_test {
	TEST_NONE,
	TEST_MASKED, /* (argument & mask) == value */
	TEST_OWN_PID /* the argument is the process id of this process */
};

struct call_argument {
	enum call_test test;
	unsigned index;
	uint64_t mask;
	uint64_t value;
};

#define CALL_ARGUMENTS_MAX 2

struct call_rule {
	const char *name;
	/*
	 * For a call that is younger than the library that resolves the names. From 424
	 * on a call has the same number on every architecture. 0: none.
	 */
	int number;
	enum call_verdict verdict;
	struct call_argument arguments[CALL_ARGUMENTS_MAX]; /* all of them must hold */
};

struct call_table {
	const struct call_rule *rules;
	size_t count;
};

extern const struct call_table daemon_calls;
extern const struct call_table broker_calls; /* of who registers files for the daemon */
