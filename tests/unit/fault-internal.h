/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the sources of faults share. */
#pragma once

#include <stddef.h>

#include "fault.h"

/* Counts a step. 0, or the error with which it is to fail. */
int fault_take(enum fault_source source, const char *step);

bool call_gate(const char *call);

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *text);
