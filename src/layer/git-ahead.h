/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading ahead of a walk (git-walk.h): a thread loads the trees that come next, looks up the sizes
 * of what is in them, and, where files are read one after the other, inflates the next small ones.
 * On another processor, so that they are there when they are asked for; with one processor nothing
 * is read ahead.
 */
#pragma once

#include "layer/git-cache.h"
#include "layer/git-load.h"
#include "layer/git-walk.h"

struct read_ahead;

/* All are borrowed for its life. NULL: out of memory. */
struct read_ahead *read_ahead_new(
	struct object_cache *trees, struct object_cache *blobs, struct object_loader *loader);
void read_ahead_free(struct read_ahead *ahead); /* NULL is fine */

/*
 * A directory is listed, or the content of a file in it wanted. From any thread; the first one
 * that walks and has the usual scheduling starts the thread, which inherits that.
 */
void read_ahead_list(struct read_ahead *ahead, const struct walk_place *place);
void read_ahead_open(struct read_ahead *ahead, const git_oid *tree, uint32_t entry);
/* The walk is over: lets go of all objects. */
void read_ahead_rest(struct read_ahead *ahead);
