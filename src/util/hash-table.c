/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/hash-table.h"

#include <stdlib.h>

/* With so many times fewer things than chains it shrinks: not to and fro. */
#define SPARSE 8

static size_t chain_count(const struct hash_table *table)
{
	return table->many ? table->chain_count : HASH_TABLE_FEW;
}

static struct hash_link **chain_of(struct hash_table *table, uint64_t hash)
{
	struct hash_link **chains = table->many ? table->many : table->few;

	return &chains[hash & (chain_count(table) - 1)];
}

static void put(struct hash_table *table, struct hash_link *link)
{
	struct hash_link **chain = chain_of(table, link->hash);

	link->next = *chain;
	*chain = link;
}

/* All things, as a list; the chains are empty. */
static struct hash_link *take_all(struct hash_table *table)
{
	struct hash_link *all = NULL;

	for (size_t i = 0; i < chain_count(table); i++) {
		struct hash_link **chain = chain_of(table, i);

		for (struct hash_link *link = *chain, *next; link; link = next) {
			next = link->next;
			link->next = all;
			all = link;
		}
		*chain = NULL;
	}
	return all;
}

static void resize(struct hash_table *table, size_t count)
{
	struct hash_link **many = NULL, *all;

	if (count > HASH_TABLE_FEW && !(many = calloc(count, sizeof(struct hash_link *))))
		return;
	all = take_all(table);
	free(table->many);
	table->many = many;
	table->chain_count = count;
	for (struct hash_link *link = all, *next; link; link = next) {
		next = link->next;
		put(table, link);
	}
}

void hash_table_add(struct hash_table *table, struct hash_link *link, uint64_t hash)
{
	link->hash = hash;
	if (table->count >= chain_count(table))
		resize(table, chain_count(table) * 2);
	put(table, link);
	table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_link *link)
{
	struct hash_link **at = chain_of(table, link->hash);

	while (*at && *at != link)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = link->next;
	table->count--;
	if (table->many && table->count < chain_count(table) / SPARSE)
		resize(table, chain_count(table) / 2);
}

static struct hash_link *first_of(struct hash_link *link, uint64_t hash)
{
	while (link && link->hash != hash)
		link = link->next;
	return link;
}

struct hash_link *hash_table_find(struct hash_table *table, uint64_t hash)
{
	return first_of(*chain_of(table, hash), hash);
}

struct hash_link *hash_link_next(const struct hash_link *link)
{
	return first_of(link->next, link->hash);
}

struct hash_link *hash_table_release(struct hash_table *table)
{
	struct hash_link *all = take_all(table);

	free(table->many);
	*table = (struct hash_table){.many = NULL};
	return all;
}
