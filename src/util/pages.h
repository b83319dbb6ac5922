/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* A file that is mapped read-only, and for long. Embedded in what owns it. */
struct pages_map {
	struct pages_map *next;
	void *start;
	size_t size;
};

/* Its pages are given back, too, from here on; until it is removed, before it is unmapped. */
void pages_add_map(struct pages_map *map, void *start, size_t size);
void pages_remove_map(struct pages_map *map);

/*
 * From here on a page of such a file that cannot be read, because somebody has cut the file off or
 * its disk fails, reads as zeros, and is no end of the process: a handler of SIGBUS, for all
 * threads. Before the process locks itself in. 0 or -errno.
 */
int pages_guard(void);

/*
 * Gives back the pages of programs, libraries and maps that were read to get started, or for much
 * work at once, and with them most of what an idle process takes up. What is needed again comes
 * from the page cache, at the price of a minor fault. Any thread, any time.
 */
void pages_release(void);
