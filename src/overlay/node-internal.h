/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What node.c, the life of nodes, shares with node-names.c, what they are called. */
#pragma once

#include "overlay/node.h"

/* Gives references back. The nodes that die of it are out of the tables, chained, to be freed. */
struct node *node_drop_refs_locked(struct overlay *ov, struct node *node, uint64_t count)
	requires_lock(ov->table);
/* Not under the table's lock: layers and descriptors are given back. NULL is fine. */
void node_free_chain(struct overlay *ov, struct node *node);
/* A directory has come into `parent`, or left it. What was never counted stays so. */
void node_adjust_subdirs_locked(struct overlay *ov, struct node *parent, const struct node *node,
	int change) requires_lock(ov->table);
