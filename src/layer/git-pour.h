/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A large object on its way from a place that has it into a sink. It is hashed as it passes, and
 * in memory as a whole only where it is made of deltas, or where libgit2 is to hash it. Large
 * objects do not wait for each other, but for room in memory.
 */
#pragma once

#include <stdbool.h>

#include "layer/git-hash.h"
#include "layer/git-room.h"
#include "layer/git-sink.h"

struct held_pack;
struct unpacker;

struct pour {
	struct object_sink base;  /* what the places put pieces into */
	struct object_sink *sink; /* borrowed */
	struct room *room;	  /* borrowed */
	/* Of what came last, as the next. NULL: nothing did. */
	struct object_hasher *hasher;
	git_object_t type;
	int failure; /* what the sink said, which is the fault of no place */
};

void pour_init(struct pour *pour, struct object_sink *sink, struct room *room);
void pour_release(struct pour *pour);

/* As unpack_object() and loose_read() return; what has come is not verified yet. */
int pour_packed(struct pour *pour, struct unpacker *unpacker, const struct held_pack *pack,
	uint64_t offset, const char **ret_fault);
int pour_loose(
	struct pour *pour, const char *objects_dir, const git_oid *id, const char **ret_fault);

/* Whether what has come is what the id says. */
bool pour_is_sound(struct pour *pour, const git_oid *id);
