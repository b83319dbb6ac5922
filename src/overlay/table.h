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

/* `wanted` 0: any. -EEXIST when it is taken, -EINVAL when it cannot be ours. */
int table_take_id(struct overlay *ov, uint64_t wanted, struct node *node) requires_lock(ov->table);
void table_give_id_back(struct overlay *ov, struct node *node) requires_lock(ov->table);
