/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects out of packs: chains of deltas are followed to their base and applied. Any thread may
 * read. What is read is not verified here.
 */
#pragma once

#include "layer/git-pack.h"
#include "layer/git-room.h"
#include "layer/git-sink.h"
#include "layer/git-store.h"

struct unpacker;

struct unpacker *unpacker_new(void);	       /* NULL: out of memory */
void unpacker_free(struct unpacker *unpacker); /* NULL is fine */

/*
 * The object at this place. 0, or -errno and the reason. Where it and what it is made of are not
 * small it waits for room; `share`, which is empty, has at return what the object alone needs.
 */
int unpack_object(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	struct room_share *share, struct object_bytes *ret_bytes, const char **ret_fault);

/* The same into a sink, of what is no delta. */
int unpack_pieces(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	struct object_sink *sink, const char **ret_fault);

/*
 * Its size, without inflating it, and its type: GIT_OBJECT_ANY for a delta, for that is told at the
 * end of its chain, which may be fifty reads away. Who reads it learns it.
 */
int unpack_header(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	git_object_t *ret_type, uint64_t *ret_size, const char **ret_fault);
