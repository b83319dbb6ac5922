/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every operation of overlay.h, in the cases that take different ways, on the tree of fault-tree.h.
 */
#pragma once

#include "fault-tree.h"

struct attempt;

/* What is known before the operation begins, as the kernel knows it. */
enum operation_needs {
	NEEDS_PARENT = 1 << 0, /* the directory of `path` */
	NEEDS_NODE = 1 << 1,   /* `path` */
	NEEDS_TO = 1 << 2,     /* the directory of `to` */
	NEEDS_READER = 1 << 3, /* `path`, open for reading */
	NEEDS_WRITER = 1 << 4, /* `path`, open for writing */
};

struct operation {
	const char *name;
	int (*run)(struct attempt *attempt);
	unsigned needs;
	const char *path, *to;
	long value; /* a mode, flags, a size */
	/*
	 * Half done it may change inode numbers: hard links of a layer break at a remount, and a
	 * merged directory that is emptied before it is replaced is one of the upper's own.
	 */
	bool any_numbers;
	bool needs_root; /* makes things for others */
};

extern const struct operation operations[];
extern const size_t operation_count;

/* One operation on a tree of its own. */
struct attempt {
	struct fixture fx;
	enum fault_format format;
	const struct operation *op;
	uint64_t node, parent, to_parent;
	const char *leaf, *to_leaf;
	struct overlay_file *reader, *writer;
	FILE *out; /* what the operation showed */
	char *output;
	size_t output_size;
};

void attempt_init(struct attempt *attempt, const struct operation *op, enum fault_format format);
void attempt_end(struct attempt *attempt);
/* Mounts the tree, and gets what the operation needs. Before that the operation cannot run. */
void attempt_begin(struct attempt *attempt);
/* Gives it back, and unmounts. */
void attempt_finish(struct attempt *attempt);
/* Returns 0 or -errno; `output` is what was shown, NULL before. */
int attempt_run(struct attempt *attempt);
