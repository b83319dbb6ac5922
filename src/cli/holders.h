/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes keep a mount busy, as far as /proc lets this user see. */
#pragma once

#include <stddef.h>

/* "PID (NAME), PID (NAME) and N more", or "" when none was found. */
void holders_describe(const char *mountpoint, char *ret_text, size_t size);
/* The same of those whose mount namespace shows that mount of ours, by its minor device number. */
void holders_describe_namespaces(unsigned connection, char *ret_text, size_t size);
