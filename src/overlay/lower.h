/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the layers below the upper show, merged. */
#pragma once

#include "overlay/node.h"

/* The overlay's inode number of an object of a layer, of the upper. */
uint64_t ino_of_lower(const struct overlay *ov, const struct layer *layer, uint64_t ino);
uint64_t ino_of_upper(uint64_t ino);
bool ino_is_lower(uint64_t ino); /* also of an object that was copied up */

/*
 * What the lower layers show under a name of a directory, or at the path from their roots
 * that a redirect gives ('/' first): as if there were no upper, an empty set when nothing.
 * For a directory all the layers that take part in it, else one. *ret_st has
 * the topmost object's type and links, and the overlay's inode number; of a layer that may have
 * whiteouts all of its attributes. Untouched without one.
 */
int lower_lookup(struct overlay *ov, struct node *dir, const char *target,
	struct lower_set *ret_set, struct stat *ret_st);
/* Whether the name would show if the upper had nothing there. 1, 0 or -errno. */
int lower_is_visible(struct overlay *ov, struct node *dir, const char *name);
