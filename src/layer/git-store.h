/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The objects of a repository and its alternates. They are read without libgit2, whose object
 * database holds a lock while it inflates and maps packs whole (see docs/architecture.md).
 *
 * Packs are opened when the store is, and stay open. So they can be read after the host's gc has
 * unlinked them. When an object is missing, new packs are looked for once.
 *
 * Any thread may read. Ids are verified on every read.
 */
#pragma once

#include <stdbool.h>

#include <git-overlayfs/error.h>

#include "layer/git-id.h"
#include "layer/git-sink.h"

/* A blob that is larger is never in memory as a whole, unless it is made of deltas. */
#define OBJECT_SMALL_MAX (8u << 20)

struct object_store;

/* Why an object cannot be read, for the log line of who wanted it. */
struct object_cause {
	char text[256];
};

/* malloc'ed, with a NUL behind them that does not count. */
struct object_bytes {
	void *data;
	size_t size;
	git_object_t type;
	bool is_held; /* in a pack: it can be read again, whatever the host removes */
};

/*
 * `object_dirs` is NULL-terminated and borrowed for the call. Costs one open of
 * each pack and its index, whatever is in them. Fails when packs cannot be held
 * open; a corrupt pack is logged and left out.
 */
int object_store_open(
	const char *const *object_dirs, struct object_store **ret_store, struct error *err);
void object_store_close(struct object_store *store); /* NULL is fine */

/* 0, or -EIO and the cause: missing, corrupt, of another type (GIT_OBJECT_ANY: any will do). */
int object_store_read(struct object_store *store, const git_oid *id, git_object_t type,
	struct object_bytes *ret_bytes, struct object_cause *ret_cause);
void object_bytes_release(struct object_bytes *bytes); /* idempotent */

/*
 * The same of a blob of at most OBJECT_SMALL_MAX bytes. -EFBIG where nothing but a larger one could
 * be it: a place may claim any size for what another has whole.
 */
int object_store_read_small(struct object_store *store, const git_oid *id,
	struct object_bytes *ret_bytes, struct object_cause *ret_cause);

/*
 * The same into a sink, for large ones: what the sink has got counts only where this returns 0.
 * An error of the sink ends it, and is returned. Whether it can be read again, see above.
 */
int object_store_pour(struct object_store *store, const git_oid *id, git_object_t type,
	struct object_sink *sink, bool *ret_is_held, struct object_cause *ret_cause);

/*
 * The id that begins with the `length` digits of `prefix`: 0, GIT_ENOTFOUND or
 * GIT_EAMBIGUOUS.
 */
int object_store_find_prefix(
	struct object_store *store, const git_oid *prefix, size_t length, git_oid *ret_id);

/* The size, without inflating the object, and without verifying its id. */
int object_store_read_size(struct object_store *store, const git_oid *id, git_object_t type,
	uint64_t *ret_size, struct object_cause *ret_cause);
