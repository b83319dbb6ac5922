/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries that a directory shows: upper and lowers merged, whiteouts taken out. */
#pragma once

#include "overlay/upper.h"

struct merged_entry {
	char *name;
	mode_t type;
	uint64_t ino;	/* the overlay's; 0 where only a lookup can tell */
	bool is_hiding; /* a whiteout, or of an upper directory: in the table only */
};

/* In the order in which they were found: the upper's, then each layer's. */
struct merged_list {
	struct merged_entry *entries;
	size_t count, room;
	size_t *table; /* open addressing, entry index + 1 */
	size_t table_size;
};

/* Fills an empty list. The directory is held. On failure the list is released. */
int merge_directory(struct overlay *ov, const struct dir_hold *hold, struct merged_list *ret_list);
void merged_list_release(struct merged_list *list); /* idempotent */
