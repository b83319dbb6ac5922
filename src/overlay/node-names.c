/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/node-internal.h"
#include "overlay/table.h"
#include "util/cleanup.h"

struct node_name *node_new_name(struct node *parent, const char *name)
{
	struct node_name *n = table_new_name(parent, NULL, name);

	if (n)
		n->in_upper = true;
	return n;
}

void node_add_name(struct overlay *ov, struct node *node, struct node_name *name)
{
	name->node = node;
	mutex_lock(&ov->table);
	table_link_name(ov, name);
	table_link_key(ov, node);
	mutex_unlock(&ov->table);
}

/* Returns the chain of nodes that die with the name. */
static struct node *drop_name_locked(struct overlay *ov, struct node *parent, const char *name)
	requires_lock(ov->table)
{
	struct node_name *n = table_find_name(ov, parent, name);

	if (!n)
		return NULL;
	node_adjust_subdirs_locked(ov, parent, n->node, -1);
	table_unlink_name(ov, n);
	free(n);
	return node_drop_refs_locked(ov, parent, 1);
}

void node_drop_name(struct overlay *ov, struct node *parent, const char *name)
{
	struct node *dead;

	mutex_lock(&ov->table);
	dead = drop_name_locked(ov, parent, name);
	mutex_unlock(&ov->table);
	node_free_chain(ov, dead);
}

void node_move_name(
	struct overlay *ov, struct node *parent, const char *name, struct node_name *new_name)
{
	struct node *dead = NULL, *dead_too = NULL;
	struct node_name *old;

	mutex_lock(&ov->table);
	old = table_find_name(ov, parent, name);
	if (old) {
		new_name->node = old->node;
		dead = drop_name_locked(ov, new_name->parent, new_name->name);
		node_adjust_subdirs_locked(ov, new_name->parent, old->node, 1);
		table_link_name(ov, steal_ptr(&new_name));
		dead_too = drop_name_locked(ov, parent, name);
	}
	mutex_unlock(&ov->table);
	free(new_name);
	node_free_chain(ov, dead);
	node_free_chain(ov, dead_too);
}

void node_swap_names(struct overlay *ov, struct node_name *a, struct node_name *b)
{
	mutex_lock(&ov->table);
	a->node = table_find_name(ov, b->parent, b->name)->node;
	b->node = table_find_name(ov, a->parent, a->name)->node;
	/* The caller holds both parents and both nodes: nobody dies here. */
	drop_name_locked(ov, a->parent, a->name);
	node_adjust_subdirs_locked(ov, a->parent, a->node, 1);
	table_link_name(ov, a);
	drop_name_locked(ov, b->parent, b->name);
	node_adjust_subdirs_locked(ov, b->parent, b->node, 1);
	table_link_name(ov, b);
	mutex_unlock(&ov->table);
}

void node_name_set_upper(struct overlay *ov, struct node *parent, const char *name)
{
	struct node_name *n;

	mutex_lock(&ov->table);
	n = table_find_name(ov, parent, name);
	if (n) {
		n->in_upper = true;
		n->node->name_version++;
	}
	mutex_unlock(&ov->table);
}

int node_name_in_upper(
	struct overlay *ov, const struct node *node, struct node *parent, const char *name)
{
	struct node_name *n;
	int r = -ENOENT;

	mutex_lock(&ov->table);
	n = table_find_name(ov, parent, name);
	if (n && n->node == node)
		r = n->in_upper;
	mutex_unlock(&ov->table);
	return r;
}

static int take_place(struct overlay *ov, struct node *node, bool in_upper, bool any,
	struct node_place *ret_place)
{
	struct node_name *n;

	mutex_lock(&ov->table);
	n = node->names;
	while (n && !any && n->in_upper != in_upper)
		n = n->node_next;
	if (n) {
		ret_place->parent = n->parent;
		ret_place->parent->refs++;
		ret_place->version = node->name_version;
		strcpy(ret_place->name, n->name);
	}
	mutex_unlock(&ov->table);
	return n ? 0 : -ENOENT;
}

int node_place(struct overlay *ov, struct node *node, struct node_place *ret_place)
{
	return take_place(ov, node, true, !node_is_upper(node), ret_place);
}

int node_alias(struct overlay *ov, struct node *node, struct node_place *ret_place)
{
	return take_place(ov, node, false, false, ret_place);
}

bool node_has_other_name(
	struct overlay *ov, struct node *node, struct node *parent, const char *name)
{
	bool has_other = false;

	mutex_lock(&ov->table);
	for (struct node_name *n = node->names; n && !has_other; n = n->node_next)
		has_other = n->in_upper && (n->parent != parent || strcmp(n->name, name) != 0);
	mutex_unlock(&ov->table);
	return has_other;
}

bool node_name_in(
	struct overlay *ov, struct node *node, const struct node *dir, char name[NAME_MAX + 1])
{
	struct node_name *n;

	mutex_lock(&ov->table);
	n = node->names;
	while (n && !(n->in_upper && n->parent == dir))
		n = n->node_next;
	if (n)
		strcpy(name, n->name);
	mutex_unlock(&ov->table);
	return n != NULL;
}

void node_keep_locked(struct overlay *ov, struct node *node) requires_lock(ov->table)
{
	if (!node->is_kept)
		node->refs++;
	node->is_kept = true;
}

void node_hide_link(struct overlay *ov, struct node *node)
{
	struct node_use *use = node_use(node);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	atomic_store(&use->hidden_at, now.tv_sec * 1000000000ll + now.tv_nsec);
	mutex_lock(&ov->table);
	if (++use->hidden_links < use->lower_links) {
		node_keep_locked(ov, node);
	} else if (node->is_kept && !node_is_upper(node)) {
		node->refs--;
		node->is_kept = false;
	}
	mutex_unlock(&ov->table);
}

bool node_is_placed(struct overlay *ov, struct node *node, const struct node_place *place)
{
	bool is_placed;

	mutex_lock(&ov->table);
	is_placed = node->name_version == place->version;
	mutex_unlock(&ov->table);
	return is_placed;
}

bool node_is_below(struct overlay *ov, struct node *node, struct node *ancestor)
{
	bool is_below;

	mutex_lock(&ov->table);
	while (node != ancestor && node->names)
		node = node->names->parent;
	is_below = node == ancestor;
	mutex_unlock(&ov->table);
	return is_below;
}
