/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One pack of a repository, opened and held: its descriptor, and its index in memory. What is read
 * of the pack is read with pread(2): pages of a mapping would count as ours, and a file that is cut
 * off meanwhile would be a SIGBUS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer/git-index.h"
#include "layer/git-store.h"
#include "util/pages.h"

struct held_pack {
	char *index_path;
	int fd;		      /* -1: there is nothing to be read in it */
	uint64_t end;	      /* where the last object must have ended */
	struct pages_map map; /* of the index */
	struct pack_index index;
	uint32_t number; /* no other pack of this process has it */
};

/*
 * Opens the pack of the index at `index_path`. A pack that is corrupt or may not be read is held as
 * one without a descriptor, and said so in *ret_cause (else ""). -ENOENT when it has gone
 * meanwhile; -EMFILE, -ENFILE or -ENOMEM when this process can hold no more.
 */
int held_pack_open(
	const char *index_path, struct held_pack **ret_pack, struct object_cause *ret_cause);
/* NULL is fine. */
void held_pack_close(struct held_pack *pack);
