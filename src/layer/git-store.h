/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The objects of a repository and its alternates, read with libgit2's backends,
 * but not through its git_odb: that one holds a lock while a backend inflates
 * (odb_read_1() of libgit2 1.2 and later), so that two threads never would.
 *
 * Packs are opened when the store is, and stay open: pack.c of libgit2 keeps the
 * descriptor of a pack once it has looked into it (mwindow.c closes descriptors
 * only above GIT_OPT_SET_MWINDOW_FILE_LIMIT, which is 0, "no limit") and the index
 * stays mapped. So they can be read after the host's gc has unlinked them. When an
 * object is missing, new packs are looked for once.
 *
 * Any thread may read. Ids are verified on every read.
 */
#pragma once

#include <git2.h>

#include <git-overlayfs/error.h>

struct object_store;

/* Why an object cannot be read, for the log line of who wanted it. */
struct object_cause {
	char text[256];
};

/* Bytes that belong to libgit2. */
struct object_bytes {
	void *data;
	size_t size;
	git_object_t type;
	struct git_odb_backend *backend;
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
void object_bytes_release(struct object_bytes *bytes); /* idempotent; before the store is closed */

/*
 * The id that begins with the `length` digits of `prefix`: 0, GIT_ENOTFOUND or
 * GIT_EAMBIGUOUS.
 */
int object_store_find_prefix(
	struct object_store *store, const git_oid *prefix, size_t length, git_oid *ret_id);

/* The size, without inflating the object, and without verifying its id. */
int object_store_read_size(struct object_store *store, const git_oid *id, git_object_t type,
	uint64_t *ret_size, struct object_cause *ret_cause);
