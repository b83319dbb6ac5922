/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "overlay/node.h"

/*
 * Creates a regular file: a reference to its node, and a descriptor of it that is open for
 * reading and writing.
 */
int overlay_create_node(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, struct overlay_entry *ret_entry, int *ret_fd,
	struct node **ret_node);
/* The same without a name; `flags` as open(2). */
int overlay_create_unnamed(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	mode_t mode, int flags, struct overlay_entry *ret_entry, int *ret_fd,
	struct node **ret_node);
