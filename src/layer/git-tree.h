/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A strict and bounded reader of git's tree objects (gitformat-pack(5) does not
 * describe them; git's Documentation and tree-walk.c do): entries of "MODE NAME\0"
 * and a raw object id, sorted as if the name of a directory ended in '/'.
 *
 * No I/O, no libgit2. A view points into the bytes it was made from, and is
 * immutable: any thread may read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TREE_ID_SIZE 20
/* The type git gives to the commit of a submodule. */
#define TREE_GITLINK 0160000

struct tree_entry {
	mode_t mode;	   /* as in the tree: 0100644, 040000, TREE_GITLINK ... */
	const char *name;  /* terminated */
	const uint8_t *id; /* TREE_ID_SIZE bytes */
};

struct tree_view {
	const uint8_t *bytes; /* borrowed */
	uint32_t *offsets;    /* of the entries, sorted by their plain names */
	uint32_t count, directory_count;
	/*
	 * Left out: a name that cannot stand in a directory, all but the first of a name,
	 * and what is neither file, symlink, directory nor gitlink.
	 */
	uint32_t impossible_count, duplicate_count, unknown_count;
};

/*
 * Returns 0, -ENOMEM, or -EINVAL with the reason in *ret_fault. The caller ends
 * it with tree_view_release().
 */
int tree_view_parse(
	const void *bytes, size_t size, struct tree_view *ret_view, const char **ret_fault);
void tree_view_release(struct tree_view *view); /* idempotent */

/* `index` is less than count: the same at every parse of the same bytes. */
struct tree_entry tree_view_entry(const struct tree_view *view, uint32_t index);
bool tree_view_find(const struct tree_view *view, const char *name, uint32_t *ret_index);

bool tree_entry_is_dir(const struct tree_entry *entry); /* also a gitlink */
/* What stat shows: the exact permissions of files, 0755 for directories, 0777 for symlinks. */
mode_t tree_entry_stat_mode(const struct tree_entry *entry);
