/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A rename on its way: rename.c finds and locks its ends, rename-move.c changes the upper. */
#pragma once

#include "overlay/copyup.h"
#include "overlay/lookup.h"

/* One end of a rename. */
struct place {
	struct node *dir; /* borrowed */
	const char *name;
	struct node *node; /* a reference; NULL: nothing shows there */
	struct dir_hold *hold;
	struct probe probe;
	bool is_below; /* something would show if the upper had nothing */
};

struct renaming {
	struct overlay *ov;
	const struct overlay_caller *caller;
	unsigned flags;
	bool looks; /* what is at the new name was not known, but there */
	struct place from, to;
	struct dir_hold from_hold, to_hold; /* the same directory: only from_hold */
	struct dir_hold target_hold;	    /* a directory that is replaced */
	struct upper_pin target_pin;
	/* Made before the upper changes: what the nodes are called then. */
	struct node_name *from_name, *to_name;
	int orphan_fd;		/* of what is replaced */
	struct staged whiteout; /* of RENAME_WHITEOUT: what the old name becomes */
	struct stat whiteout_st;
};

/* A directory that has parts below must say where they are. */
static inline bool rename_is_merged(const struct node *node)
{
	return node_is_dir(node) && node->dir->lowers.count > 0;
}

/* Both directories are held. -EAGAIN when the names stand for something else by now. */
int rename_locked(struct renaming *rn);
/* What RENAME_WHITEOUT had made ready and did not need; idempotent. */
void rename_discard_whiteout(struct renaming *rn);
