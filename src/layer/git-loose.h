/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loose objects. libgit2's own reader (1.5.1) goes round for ever on a file that was cut off, and
 * inflates whatever size a header claims.
 *
 * A loose object is a file objects/12/3456...: a zlib stream of "TYPE SIZE\0" and
 * the content. Any thread may read.
 */
#pragma once

#include "layer/git-room.h"
#include "layer/git-sink.h"
#include "layer/git-store.h"

/*
 * All return 1, or 0 where there is no such object in the objects directory, or -errno and the
 * reason.
 */

/* Waits for room where the object is not small; `share`, which is empty, has it at return. */
int loose_read(const char *objects_dir, const git_oid *id, struct room_share *share,
	struct object_bytes *ret_bytes, const char **ret_fault);
/* Into a sink. */
int loose_read_pieces(const char *objects_dir, const git_oid *id, struct object_sink *sink,
	const char **ret_fault);
int loose_read_header(const char *objects_dir, const git_oid *id, git_object_t *ret_type,
	uint64_t *ret_size, const char **ret_fault);

/* How many ids begin with the `length` digits of `prefix`: 0, 1 and the id, or 2. */
int loose_find_prefix(
	const char *objects_dir, const git_oid *prefix, size_t length, git_oid *ret_id);
