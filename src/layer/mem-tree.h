/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the tree in memory: shared by its builder and its layer. */
#pragma once

#include <git-overlayfs/mem-layer.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/lock.h"

/* Content that open files hold on to. */
struct mem_content {
	atomic_uint references;
	size_t length;
	char bytes[];
};

struct mem_xattr {
	char *name;
	void *value;
	size_t length;
};

struct mem_child {
	char *name;
	struct mem_inode *inode;
};

struct mem_inode {
	uint64_t number; /* its place in the table */
	mode_t mode;
	nlink_t links;
	uint32_t uid, gid;
	struct timespec mtime;
	dev_t rdev;
	uint32_t flags; /* FS_IMMUTABLE_FL... */
	uint64_t size;
	struct mem_content *content; /* files and symlinks */
	struct mem_child *children;  /* directories; sorted by name */
	size_t child_count, child_space;
	struct mem_xattr *xattrs;
	size_t xattr_count;
	atomic_ullong references; /* that layers have handed out */
};

struct mem_fault {
	struct mem_inode *inode; /* NULL: any */
	int error;
	unsigned times;
};

struct mem_tree {
	struct mem_inode **inodes; /* [0] is the root */
	size_t count, space;
	struct mutex lock;
	struct mem_fault faults[MEM_OPERATION_COUNT] guarded_by(lock);
	atomic_ullong calls[MEM_OPERATION_COUNT];
};

/* The index of `name`, or where it would have to be inserted. */
size_t mem_find_child(const struct mem_inode *dir, const char *name, bool *ret_found);
void mem_content_unref(struct mem_content *content); /* NULL is fine */

/* Counts a call; -errno when a fault is set for it. */
int mem_tree_enter(struct mem_tree *tree, enum mem_operation operation, struct mem_inode *inode);
