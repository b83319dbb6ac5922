/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tree in memory, and the layer of kind "mem" that shows it: for tests that
 * need no file system, no owners' rights and no luck to make a layer fail.
 *
 * Build the tree first, then open layers on it; it must not be added to while
 * a layer is open. It must outlive its layers, not the files opened from them.
 * mem_tree_fail() and the counters may be called at any time, from any thread.
 *
 * Paths are relative to the root and have no leading slash: "" is the root, "a/b"
 * an entry of "a". Names may hold any byte but '/' and NUL.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct mem_tree;

/* An empty root: a directory 0755, owned by 0:0, mtime 0. NULL: out of memory. */
struct mem_tree *mem_tree_new(void);
void mem_tree_free(struct mem_tree *tree); /* NULL is fine; no layer may be open */

struct mem_entry {
	const char *path;
	mode_t mode;  /* type and permissions: S_IFREG | 0644, S_IFDIR | 0755, ... */
	uint32_t uid; /* storage ids */
	uint32_t gid;
	struct timespec mtime; /* also shown as atime and ctime */
	dev_t rdev;	       /* character and block devices */
	/* A file's content or a symlink's target; copied. */
	const void *data;
	size_t length;
	/* A file's size where it is more than `length`: the rest is a hole. */
	uint64_t size;
};

/* 0; -EEXIST; -ENOENT or -ENOTDIR (the parent); -EINVAL (a bad path or type); -ENOMEM. */
int mem_tree_add(struct mem_tree *tree, const struct mem_entry *entry);

/* Shorthands of mem_tree_add() with ids and times of 0. */
int mem_tree_add_file(
	struct mem_tree *tree, const char *path, mode_t permissions, const char *text);
int mem_tree_add_dir(struct mem_tree *tree, const char *path, mode_t permissions);
int mem_tree_add_symlink(struct mem_tree *tree, const char *path, const char *target);
/* A character device 0:0. */
int mem_tree_add_whiteout(struct mem_tree *tree, const char *path);

/* A hard link to what stands at `existing` (no directory: -EPERM). */
int mem_tree_link(struct mem_tree *tree, const char *existing, const char *path);

/* Adds an xattr, or replaces its value. */
int mem_tree_set_xattr(struct mem_tree *tree, const char *path, const char *name, const void *value,
	size_t length);

/* The flags of linux/fs.h, FS_IMMUTABLE_FL and its like. */
int mem_tree_set_flags(struct mem_tree *tree, const char *path, uint32_t flags);

/* The attributes of what is there, the root too; `mode` holds permissions only. */
int mem_tree_set_attr(struct mem_tree *tree, const char *path, mode_t permissions, uint32_t uid,
	uint32_t gid, struct timespec mtime);

/* The operations that may fail, and that are counted. */
enum mem_operation {
	MEM_LOOKUP,
	MEM_READDIR,
	MEM_GETATTR,
	MEM_READLINK,
	MEM_OPEN_FILE,
	MEM_GETXATTR,
	MEM_LISTXATTR,
	MEM_STATFS,
	MEM_IDENTIFY,
	MEM_COUNT_DIRECTORIES,
	MEM_OPERATION_COUNT,
};

/*
 * The next `times` calls of `operation` fail with `error` (EIO, not -EIO); 0
 * times: no more failures. `path` limits that to one object (for MEM_LOOKUP: to
 * lookups in this directory); NULL: any. There is one fault per operation, the
 * last one set. Returns 0, or -ENOENT for a path that is not there.
 */
int mem_tree_fail(struct mem_tree *tree, enum mem_operation operation, const char *path, int error,
	unsigned times);

/* How often the operation was called, with success or without. */
uint64_t mem_tree_calls(struct mem_tree *tree, enum mem_operation operation);

/*
 * References to nodes that were handed out and not given back, over all layers
 * of this tree. 0 when everybody has tidied up.
 */
uint64_t mem_tree_references(struct mem_tree *tree);
