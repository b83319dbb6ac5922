/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* At most `size` bytes of a name, without what steers a terminal or ends a line. NULL: memory. */
char *printable(const char *text, size_t size);
