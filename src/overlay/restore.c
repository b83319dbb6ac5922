/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing the table of nodes down, and binding names to their old ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/lookup.h"
#include "overlay/table.h"

struct known_name {
	uint64_t node, parent, references;
	unsigned depth;
	char *name;
};

struct known_names {
	struct known_name *names;
	size_t count;
};

static unsigned depth_of(const struct node *node)
{
	unsigned depth = 0;

	for (; node->names; node = node->names->parent)
		depth++;
	return depth;
}

static int copy_name(struct known_names *known, const struct node_name *n)
{
	struct known_name *entry = &known->names[known->count];

	*entry = (struct known_name){
		.node = n->node->id,
		.parent = n->parent->id,
		/* The references belong to the node: to one of its names. */
		.references = n == n->node->names ? n->node->nlookup : 0,
		.depth = depth_of(n->parent),
		.name = strdup(n->name),
	};
	if (!entry->name)
		return -ENOMEM;
	known->count++;
	return 0;
}

static int copy_names(struct overlay *ov, struct known_names *known) requires_lock(ov->table)
{
	known->names = calloc(ov->name_count + 1, sizeof(*known->names));
	if (!known->names)
		return -ENOMEM;
	for (size_t i = 0; i < ov->name_bucket_count; i++) {
		for (struct node_name *n = ov->name_buckets[i]; n; n = n->hash_next) {
			int r = copy_name(known, n);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int by_depth(const void *a, const void *b)
{
	const struct known_name *x = a, *y = b;

	return (x->depth > y->depth) - (x->depth < y->depth);
}

int overlay_for_each_node(struct overlay *ov, overlay_node_fn fn, void *ctx)
{
	struct known_names known = {0};
	int r;

	mutex_lock(&ov->table);
	r = copy_names(ov, &known);
	mutex_unlock(&ov->table);
	if (r == 0)
		qsort(known.names, known.count, sizeof(*known.names), by_depth);
	for (size_t i = 0; r == 0 && i < known.count; i++) {
		const struct known_name *n = &known.names[i];

		r = fn(ctx, n->node, n->parent, n->name, n->references);
	}
	for (size_t i = 0; i < known.count; i++)
		free(known.names[i].name);
	free(known.names);
	return r;
}

static int restore_in(
	struct overlay *ov, uint64_t id, struct node *dir, const char *name, uint64_t references)
{
	struct node *node;
	int r = lookup_node_as(ov, dir, name, id, &node);

	if (r < 0)
		return r;
	if (node->id != id)
		r = -EEXIST;
	else if (references > 0)
		node_remember(ov, node, references);
	node_put(ov, node);
	return r;
}

int overlay_restore_node(
	struct overlay *ov, uint64_t id, uint64_t parent, const char *name, uint64_t references)
{
	struct node *dir = node_get(ov, parent);
	int r;

	if (!dir)
		return -ESTALE;
	r = restore_in(ov, id, dir, name, references);
	node_put(ov, dir);
	return r;
}
