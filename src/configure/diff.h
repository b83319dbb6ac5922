/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/*
 * A unified diff of one hunk, for texts that differ in one place, as an edit of ours does. A text
 * NULL is a file that is not there. NULL: out of memory; the caller frees it. Both names are those
 * of the file.
 */
char *diff_unified(const char *path, const char *before, size_t before_size, const char *after,
	size_t after_size);
