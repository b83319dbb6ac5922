/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables behind node.h: names, inode numbers, ids. All under overlay.table. */
#pragma once

#include "overlay/state.h"

int table_init(struct overlay *ov);
void table_free(struct overlay *ov);

struct node_name *table_find_name(struct overlay *ov, const struct node *parent, const char *name)
	requires_lock(ov->table);
/* Not in any table yet. NULL without memory. */
struct node_name *table_new_name(struct node *parent, struct node *node, const char *name);
/* Takes a reference on the parent. */
void table_link_name(struct overlay *ov, struct node_name *n) requires_lock(ov->table);
/* The parent's reference goes over to the caller. */
void table_unlink_name(struct overlay *ov, struct node_name *n) requires_lock(ov->table);

struct node *table_find_key(struct overlay *ov, uint64_t ino) requires_lock(ov->table);
void table_link_key(struct overlay *ov, struct node *node) requires_lock(ov->table);
void table_unlink_key(struct overlay *ov, struct node *node) requires_lock(ov->table);

/* What table_init() and table_free() are to the blocks of nodes. */
void blocks_init(struct overlay *ov);
void blocks_free(struct overlay *ov);
/* NULL for an id that is not in use. */
struct node *table_find_id(const struct overlay *ov, uint64_t id) requires_lock(ov->table);
/*
 * Gives a node, which is copied, its id and place. `wanted` 0: any id. -EEXIST when it is taken,
 * -EINVAL when it cannot be ours, -ENOMEM.
 */
int table_add_node(struct overlay *ov, uint64_t wanted, const struct node *node,
	struct node **ret_node) requires_lock(ov->table);
/* And with it the memory of the node. */
void table_give_id_back(struct overlay *ov, struct node *node) requires_lock(ov->table);
