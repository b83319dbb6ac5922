/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries that a directory shows: upper and lowers merged, whiteouts taken out. */
#pragma once

#include "overlay/upper.h"

#define MERGED_PLACE_MIN 3u

struct merged_entry {
	const char *name; /* the list's */
	uint64_t place;	  /* follows from the name alone: the same in every list that has it */
	mode_t type;
	uint64_t ino;	/* the overlay's; 0 where only a lookup can tell */
	bool is_hiding; /* a whiteout, or of an upper directory: while the list is filled */
};

/* While it is filled, in the order in which they were found; then by their places. */
struct merged_list {
	struct merged_entry *entries;
	size_t count, room;
	struct merged_names *names; /* malloc'ed, many at once */
	size_t *table; /* open addressing, entry index + 1; made for the first who looks for a name
			*/
	size_t table_size;
};

/* Fills an empty list. The directory is held. On failure the list is released. */
int merge_directory(struct overlay *ov, const struct dir_hold *hold, struct merged_list *ret_list);
/* The first entry behind a place; the count when there is none. */
size_t merged_list_behind(const struct merged_list *list, uint64_t place);
void merged_list_release(struct merged_list *list); /* idempotent */

/* What is kept for those who read it goes, with its directory for one (readdir.c). */
void directory_drop_listing(struct overlay *ov, struct node_dir *dir);
