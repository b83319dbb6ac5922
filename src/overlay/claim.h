/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A name in a directory that a new object or a new link is to have. */
#pragma once

#include "overlay/upper.h"

struct claim {
	struct overlay *ov;
	const char *name; /* borrowed */
	struct dir_hold hold;
	bool over_whiteout; /* a device or file stands there, to be replaced */
	bool is_hidden_below;
	bool is_probed; /* the two above are known */
};

/*
 * Copies the directory up, locks it and sees that the name is free: -EEXIST. The hold is the
 * caller's to release, whatever comes out. In the upper it looks only where it must: who makes
 * the object exclusively, and finds that something stands there, asks claim_probe() and tries again
 * as *claim says then.
 */
int claim_name(struct overlay *ov, struct node *dir, const char *name, struct claim *ret_claim);
int claim_probe(struct claim *claim);

/*
 * The kernel has looked for the name, and remembers that it was not there: what it is told has
 * failed must not be there either. Nothing is held.
 */
void unmake_name(struct overlay *ov, uint64_t parent, const char *name, mode_t type);
