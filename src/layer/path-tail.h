/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A path for a message, built from its last component to its first, as it is
 * found by going from an object to its parents. One that is too long loses its
 * beginning.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct path_tail {
	size_t start;
	bool is_cut;
	char text[1024];
};

static inline void path_tail_init(struct path_tail *path)
{
	path->start = sizeof(path->text) - 1;
	path->text[path->start] = '\0';
	path->is_cut = false;
}

static inline void path_tail_prepend(struct path_tail *path, const char *name, size_t length)
{
	bool is_first = path->text[path->start] == '\0';

	if (path->is_cut)
		return;
	/* Room for "/" behind the name, and for "..." in front of it. */
	if (length + 1 + 3 > path->start) {
		path->is_cut = true;
		path->start -= 3;
		memcpy(path->text + path->start, "...", 3);
		return;
	}
	if (!is_first)
		path->text[--path->start] = '/';
	path->start -= length;
	memcpy(path->text + path->start, name, length);
}

static inline const char *path_tail_text(const struct path_tail *path)
{
	return path->text + path->start;
}
