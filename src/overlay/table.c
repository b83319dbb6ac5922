/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/table.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 256

/* FNV-1a over the name, started from the parent's id. */
static size_t name_hash(const struct node *parent, const char *name)
{
	uint64_t h = 0xcbf29ce484222325u ^ (parent->id * 0x9e3779b97f4a7c15ull);

	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		h = (h ^ *p) * 0x100000001b3u;
	return (size_t)(h ^ (h >> 32));
}

static struct node_name **name_bucket(
	struct overlay *ov, const struct node *parent, const char *name) requires_lock(ov->table)
{
	return &ov->name_buckets[name_hash(parent, name) & (ov->name_bucket_count - 1)];
}

struct node_name *table_find_name(struct overlay *ov, const struct node *parent, const char *name)
	requires_lock(ov->table)
{
	for (struct node_name *n = *name_bucket(ov, parent, name); n; n = n->hash_next)
		if (n->parent == parent && strcmp(n->name, name) == 0)
			return n;
	return NULL;
}

/* A table that cannot change its size stays right, only slower or larger: no error. */
static void resize_names(struct overlay *ov, size_t count) requires_lock(ov->table)
{
	struct node_name **old = ov->name_buckets;
	struct node_name **buckets = calloc(count, sizeof(*buckets));
	size_t old_count = ov->name_bucket_count;

	if (!buckets)
		return;
	ov->name_buckets = buckets;
	ov->name_bucket_count = count;
	for (size_t i = 0; i < old_count; i++) {
		for (struct node_name *n = old[i], *next; n; n = next) {
			struct node_name **bucket = name_bucket(ov, n->parent, n->name);

			next = n->hash_next;
			n->hash_next = *bucket;
			*bucket = n;
		}
	}
	free(old);
}

struct node_name *table_new_name(struct node *parent, struct node *node, const char *name)
{
	size_t size = strlen(name) + 1;
	/* The name begins in what would be padding. */
	struct node_name *n = malloc(offsetof(struct node_name, name) + size);

	if (!n)
		return NULL;
	memset(n, 0, offsetof(struct node_name, name));
	n->parent = parent;
	n->node = node;
	memcpy(n->name, name, size);
	return n;
}

/* Takes a reference on the parent. */
void table_link_name(struct overlay *ov, struct node_name *n) requires_lock(ov->table)
{
	struct node_name **bucket;

	if (ov->name_count >= ov->name_bucket_count)
		resize_names(ov, ov->name_bucket_count * 2);
	bucket = name_bucket(ov, n->parent, n->name);
	n->hash_next = *bucket;
	*bucket = n;
	n->node_next = n->node->names;
	n->node->names = n;
	n->node->name_version++;
	n->parent->refs++;
	ov->name_count++;
}

/* The parent's reference goes over to the caller. */
void table_unlink_name(struct overlay *ov, struct node_name *n) requires_lock(ov->table)
{
	struct node_name **p = name_bucket(ov, n->parent, n->name);

	while (*p != n)
		p = &(*p)->hash_next;
	*p = n->hash_next;
	p = &n->node->names;
	while (*p != n)
		p = &(*p)->node_next;
	*p = n->node_next;
	n->node->name_version++;
	ov->name_count--;
	/* The kernel forgets many at once: what is left is not to pay for what was. */
	if (ov->name_bucket_count > BUCKETS_MIN && ov->name_count < ov->name_bucket_count / 8)
		resize_names(ov, ov->name_bucket_count / 2);
}

/* --- inode numbers of objects with several names --- */

static struct node **key_bucket(struct overlay *ov, uint64_t ino) requires_lock(ov->table)
{
	return &ov->key_buckets[(ino * 0x9e3779b97f4a7c15u >> 20) & (ov->key_bucket_count - 1)];
}

struct node *table_find_key(struct overlay *ov, uint64_t ino) requires_lock(ov->table)
{
	struct node *node = *key_bucket(ov, ino);

	while (node && node->ino != ino)
		node = node_use(node)->key_next;
	return node;
}

static void grow_keys(struct overlay *ov) requires_lock(ov->table)
{
	size_t count = ov->key_bucket_count * 2, old_count = ov->key_bucket_count;
	struct node **old = ov->key_buckets;
	struct node **buckets = calloc(count, sizeof(struct node *));

	if (!buckets)
		return;
	ov->key_buckets = buckets;
	ov->key_bucket_count = count;
	for (size_t i = 0; i < old_count; i++) {
		for (struct node *node = old[i], *next; node; node = next) {
			struct node **bucket = key_bucket(ov, node->ino);

			next = node_use(node)->key_next;
			node_use(node)->key_next = *bucket;
			*bucket = node;
		}
	}
	free(old);
}

void table_link_key(struct overlay *ov, struct node *node) requires_lock(ov->table)
{
	struct node **bucket;

	if (node->has_key)
		return;
	if (++ov->key_count > ov->key_bucket_count)
		grow_keys(ov);
	bucket = key_bucket(ov, node->ino);
	node_use(node)->key_next = *bucket;
	*bucket = node;
	node->has_key = true;
}

void table_unlink_key(struct overlay *ov, struct node *node) requires_lock(ov->table)
{
	struct node **p = key_bucket(ov, node->ino);

	if (!node->has_key)
		return;
	while (*p != node)
		p = &node_use(*p)->key_next;
	*p = node_use(node)->key_next;
	node->has_key = false;
	ov->key_count--;
}

int table_init(struct overlay *ov)
{
	blocks_init(ov);
	ov->name_bucket_count = BUCKETS_MIN;
	ov->key_bucket_count = BUCKETS_MIN;
	ov->name_buckets = calloc(ov->name_bucket_count, sizeof(*ov->name_buckets));
	ov->key_buckets = calloc(ov->key_bucket_count, sizeof(*ov->key_buckets));
	return ov->name_buckets && ov->key_buckets ? 0 : -ENOMEM;
}

void table_free(struct overlay *ov)
{
	free(ov->name_buckets);
	free(ov->key_buckets);
	blocks_free(ov);
}
