/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Things that are found by a hash of theirs, in chains; the table grows and shrinks with them. A
 * thing begins with a struct hash_link, so that a link is the thing. No call fails: without memory
 * the chains become longer. No locks: the caller has one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* So many chains are in the table itself. */
#define HASH_TABLE_FEW 16

struct hash_link {
	struct hash_link *next;
	uint64_t hash; /* as it was added; its lowest bits choose the chain */
};

/* All zeroes is an empty one. */
struct hash_table {
	struct hash_link *few[HASH_TABLE_FEW];
	struct hash_link **many; /* malloc'ed; NULL: there are few */
	size_t chain_count;	 /* of many, a power of two */
	size_t count;		 /* of things */
};

/* Borrows the thing until it is removed. */
void hash_table_add(struct hash_table *table, struct hash_link *link, uint64_t hash);
/* Nothing, if it is not in the table. */
void hash_table_remove(struct hash_table *table, struct hash_link *link);
/* The first thing of that hash, and the next one of the same; NULL: there is none. */
struct hash_link *hash_table_find(struct hash_table *table, uint64_t hash);
struct hash_link *hash_link_next(const struct hash_link *link);
/* The table is empty then, and without memory. What was in it, as a list by `next`. */
struct hash_link *hash_table_release(struct hash_table *table);
