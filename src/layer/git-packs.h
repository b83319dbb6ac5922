/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The packs of a repository and its alternates, held open from when they are found, so that they
 * can be read after the host's gc has unlinked them.
 *
 * Any thread may look at a list while another one looks for new packs.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "layer/git-pack.h"
#include "util/lock.h"

/* Sorted by path. Never changed: who finds new packs publishes a new one. */
struct pack_list {
	struct pack_list *older; /* what readers may still look at; freed at the end */
	size_t count;
	struct held_pack *packs[];
};

struct packs {
	_Atomic(struct pack_list *) list;
	struct mutex lock; /* one thread at a time looks for new packs */
};

/* None yet. -ENOMEM; then, too, there is to be a packs_release(). */
int packs_init(struct packs *packs);
void packs_release(struct packs *packs); /* closes all of them */

/* What there is; good until packs_release(). */
const struct pack_list *packs_now(struct packs *packs);

/*
 * Holds those in `object_dirs`, NULL-terminated, that have come since `seen`, unless another thread
 * has found some meanwhile. 0, or what kept it from listing a directory or from holding a pack
 * (-EMFILE, -ENFILE, -ENOMEM); what is held stays. A corrupt pack is logged and left out.
 */
int packs_look_again(struct packs *packs, char *const *object_dirs, const struct pack_list *seen);
