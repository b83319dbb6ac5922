/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory of nodes, by their ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "overlay/table.h"

/* What is in a block but no node is as good as freed. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, size)	 ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)0)
#endif

#define BLOCKS_MIN 4
#define BLOCK_FULL UINT64_MAX
#define BLOCK_NONE UINT32_MAX /* the end of a list */
/* 2^28 nodes: a larger id is not one of ours. */
#define BLOCKS_MAX ((1u << 28) / BLOCK_NODES)

static uint32_t *block_list(struct overlay *ov, const struct node_block *block)
	requires_lock(ov->table)
{
	return block->nodes ? &ov->with_room : &ov->empty;
}

static void block_link(struct overlay *ov, uint32_t index) requires_lock(ov->table)
{
	struct node_block *block = &ov->blocks[index];
	uint32_t *first = block_list(ov, block);

	block->prev = BLOCK_NONE;
	block->next = *first;
	if (*first != BLOCK_NONE)
		ov->blocks[*first].prev = index;
	*first = index;
}

static void block_unlink(struct overlay *ov, uint32_t index) requires_lock(ov->table)
{
	const struct node_block *block = &ov->blocks[index];

	if (block->prev != BLOCK_NONE)
		ov->blocks[block->prev].next = block->next;
	else
		*block_list(ov, block) = block->next;
	if (block->next != BLOCK_NONE)
		ov->blocks[block->next].prev = block->prev;
}

static int grow_blocks(struct overlay *ov) requires_lock(ov->table)
{
	uint32_t old_count = ov->block_count, count = old_count ? old_count * 2 : BLOCKS_MIN;
	struct node_block *blocks;

	if (count > BLOCKS_MAX)
		return -ENOMEM;
	blocks = realloc(ov->blocks, count * sizeof(*blocks));
	if (!blocks)
		return -ENOMEM;
	memset(blocks + old_count, 0, (count - old_count) * sizeof(*blocks));
	ov->blocks = blocks;
	ov->block_count = count;
	for (uint32_t i = count; i-- > old_count;)
		block_link(ov, i);
	return 0;
}

/* Memory for the nodes of a block. */
static int fill_block(struct overlay *ov, uint32_t index) requires_lock(ov->table)
{
	struct node *nodes = malloc(BLOCK_NODES * sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	ASAN_POISON_MEMORY_REGION(nodes, BLOCK_NODES * sizeof(*nodes));
	block_unlink(ov, index);
	ov->blocks[index].nodes = nodes;
	/* Id 0 means "none" to the kernel. */
	ov->blocks[index].used = index == 0;
	block_link(ov, index);
	return 0;
}

/* Any block that has room, with its memory. */
static int find_room(struct overlay *ov, uint32_t *ret_index) requires_lock(ov->table)
{
	int r = 0;

	if (ov->with_room == BLOCK_NONE && ov->empty == BLOCK_NONE)
		r = grow_blocks(ov);
	if (r == 0 && ov->with_room == BLOCK_NONE)
		r = fill_block(ov, ov->empty);
	if (r == 0)
		*ret_index = ov->with_room;
	return r;
}

/* The block of a given id. */
static int find_block(struct overlay *ov, uint64_t id) requires_lock(ov->table)
{
	uint32_t index = (uint32_t)(id / BLOCK_NODES);

	if (id / BLOCK_NODES >= BLOCKS_MAX)
		return -EINVAL;
	while (index >= ov->block_count)
		if (grow_blocks(ov) < 0)
			return -ENOMEM;
	if (!ov->blocks[index].nodes)
		return fill_block(ov, index);
	return ov->blocks[index].used >> id % BLOCK_NODES & 1 ? -EEXIST : 0;
}

struct node *table_find_id(const struct overlay *ov, uint64_t id) requires_lock(ov->table)
{
	const struct node_block *block;
	struct node *node;

	if (id / BLOCK_NODES >= ov->block_count)
		return NULL;
	block = &ov->blocks[id / BLOCK_NODES];
	if (id == 0 || !(block->used >> id % BLOCK_NODES & 1))
		return NULL;
	/* One that dies is found no more. */
	node = &block->nodes[id % BLOCK_NODES];
	return node->refs ? node : NULL;
}

int table_add_node(struct overlay *ov, uint64_t wanted, const struct node *node,
	struct node **ret_node) requires_lock(ov->table)
{
	uint32_t index = (uint32_t)(wanted / BLOCK_NODES), place;
	int r = wanted ? find_block(ov, wanted) : find_room(ov, &index);
	struct node_block *block;

	if (r < 0)
		return r;
	block = &ov->blocks[index];
	place = wanted ? wanted % BLOCK_NODES : (uint32_t)__builtin_ctzll(~block->used);
	block->used |= UINT64_C(1) << place;
	if (block->used == BLOCK_FULL)
		block_unlink(ov, index);
	*ret_node = &block->nodes[place];
	ASAN_UNPOISON_MEMORY_REGION(*ret_node, sizeof(**ret_node));
	**ret_node = *node;
	(*ret_node)->id = index * BLOCK_NODES + place;
	(*ret_node)->generation = ++ov->last_generation;
	return 0;
}

void table_give_id_back(struct overlay *ov, struct node *node) requires_lock(ov->table)
{
	uint32_t index = node->id / BLOCK_NODES;
	struct node_block *block = &ov->blocks[index];

	if (block->used == BLOCK_FULL)
		block_link(ov, index);
	block->used &= ~(UINT64_C(1) << node->id % BLOCK_NODES);
	ASAN_POISON_MEMORY_REGION(node, sizeof(*node));
	if (block->used)
		return;
	block_unlink(ov, index);
	free(block->nodes);
	block->nodes = NULL;
	block_link(ov, index);
}

void blocks_init(struct overlay *ov)
{
	ov->with_room = ov->empty = BLOCK_NONE;
}

void blocks_free(struct overlay *ov)
{
	for (uint32_t i = 0; i < ov->block_count; i++)
		free(ov->blocks[i].nodes);
	free(ov->blocks);
}
