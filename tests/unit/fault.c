/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault-internal.h"

static struct fault armed;
static uint64_t steps;
static unsigned failures;
static const char *failed_step = "";

void fault_arm(const struct fault *fault)
{
	armed = *fault;
	steps = 0;
	failures = 0;
	failed_step = "";
}

uint64_t fault_disarm(void)
{
	armed.sources = 0;
	return steps;
}

const char *fault_step(void)
{
	return failed_step;
}

unsigned fault_count(void)
{
	return failures;
}

int fault_take(enum fault_source source, const char *step)
{
	if (!(armed.sources & source))
		return 0;
	steps++;
	if (armed.first == 0 || steps < armed.first || steps > armed.last)
		return 0;
	if (armed.is_crash)
		_exit(FAULT_CRASHED);
	failed_step = step;
	failures++;
	return armed.error;
}

/* --- system calls --- */

static bool devices_are_refused;

void fault_refuse_devices(bool refuses)
{
	devices_are_refused = refuses;
}

bool call_gate(const char *call)
{
	int error = fault_take(FAULT_CALLS, call);

	if (devices_are_refused && strcmp(call, "mknodat") == 0)
		error = EPERM;
	if (error)
		errno = error;
	return !error;
}

/* --- memory: the linker sends malloc() here, and __real_malloc() to the C library --- */

static bool is_memory_short(const char *step)
{
	if (!fault_take(FAULT_MEMORY, step))
		return false;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return is_memory_short("malloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return is_memory_short("calloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return is_memory_short("realloc") ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *text)
{
	return is_memory_short("strdup") ? NULL : __real_strdup(text);
}
