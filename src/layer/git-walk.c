/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-walk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/name-order.h"

static const struct tree_view *tree_of(const struct walk_level *level)
{
	return &cached_object_content(level->object)->tree;
}

/* --- the order --- */

struct keyed_entry {
	uint64_t key;
	uint32_t entry;
};

static int compare_keys(const void *a, const void *b)
{
	const struct keyed_entry *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static uint32_t collect(const struct tree_view *view, mode_t type, struct keyed_entry *keyed)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < view->count; i++) {
		struct tree_entry entry = tree_view_entry(view, i);

		if ((entry.mode & S_IFMT) == type)
			keyed[count++] = (struct keyed_entry){name_order(entry.name), i};
	}
	return count;
}

/* Once. Without memory it stays empty. */
static void order_make(struct walk_order *order, const struct tree_view *view, mode_t type)
{
	struct keyed_entry *keyed;
	uint32_t count;

	if (order->entries)
		return;
	keyed = calloc(view->count + 1, sizeof(*keyed));
	order->entries = calloc(view->count + 1, sizeof(*order->entries));
	if (keyed && order->entries) {
		count = collect(view, type, keyed);
		qsort(keyed, count, sizeof(*keyed), compare_keys);
		for (uint32_t i = 0; i < count; i++)
			order->entries[i] = keyed[i].entry;
		order->count = count;
	}
	free(keyed);
}

/* False: it is not among them. */
static bool order_find(const struct walk_order *order, uint32_t entry, uint32_t *ret_at)
{
	for (uint32_t i = 0; i < order->count; i++) {
		if (order->entries[i] == entry) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

static void order_go_behind(struct walk_order *order, uint32_t at)
{
	if (order->next <= at)
		order->next = at + 1;
}

/* --- directories --- */

static void drop_levels(struct walk *walk, unsigned depth)
{
	while (walk->depth > depth) {
		struct walk_level *level = &walk->levels[--walk->depth];

		cached_object_put(level->object);
		free(level->directories.entries);
		free(level->files.entries);
	}
	if (walk->reading > depth)
		walk->reading = 0;
}

/* The depth of a directory that is on the way, plus one; 0: it is not. */
static unsigned find_level(const struct walk *walk, const git_oid *tree)
{
	unsigned depth = tree ? walk->depth : 0;

	while (depth > 0 && !id_equal(&walk->levels[depth - 1].tree, tree))
		depth--;
	return depth;
}

/* With it the walk has come by what was named before it. */
static void pass(struct walk *walk, const git_oid *tree)
{
	unsigned passed = 0;

	while (passed < walk->named_count && !id_equal(&walk->named[passed], tree))
		passed++;
	/* It has gone elsewhere. */
	if (passed == walk->named_count) {
		walk->named_count = 0;
		return;
	}
	walk->named_count -= ++passed;
	memmove(walk->named, walk->named + passed, walk->named_count * sizeof(*walk->named));
}

static void enter(struct walk *walk, const struct walk_place *place)
{
	unsigned depth = find_level(walk, place->parent);
	struct walk_level *level;
	uint32_t at;

	walk->is_walk = depth > 0;
	drop_levels(walk, depth);
	if (depth > 0 && order_find(&walk->levels[depth - 1].directories, place->entry, &at))
		order_go_behind(&walk->levels[depth - 1].directories, at);
	if (depth == WALK_DEPTH_MAX ||
		cached_object_content(place->object)->tree.count > WALK_ENTRIES_MAX)
		return;
	level = &walk->levels[walk->depth++];
	*level = (struct walk_level){
		.tree = *place->tree, .object = cached_object_ref(place->object)};
	if (tree_of(level)->directory_count > 0)
		order_make(&level->directories, tree_of(level), S_IFDIR);
}

void walk_list(struct walk *walk, const struct walk_place *place)
{
	unsigned depth = find_level(walk, place->tree);

	/* Listed again: what is in it may have been named. */
	if (depth > 0)
		drop_levels(walk, depth);
	else
		enter(walk, place);
	pass(walk, place->tree);
	if (!walk->reads || walk->depth == 0)
		return;
	walk->reading = walk->depth;
	order_make(&walk->levels[walk->depth - 1].files, tree_of(&walk->levels[walk->depth - 1]),
		S_IFREG);
}

/* --- files --- */

void walk_open(struct walk *walk, const git_oid *tree, uint32_t entry)
{
	unsigned depth = find_level(walk, tree);
	struct walk_level *level;
	uint32_t at;

	if (depth == 0)
		return;
	level = &walk->levels[depth - 1];
	walk->reading = depth;
	order_make(&level->files, tree_of(level), S_IFREG);
	if (!order_find(&level->files, entry, &at))
		return;
	/* Some may have been left out. The first one of a directory tells nothing. */
	if (level->at > 0)
		walk->reads = at >= level->at && at - level->at < WALK_AHEAD_MAX;
	level->at = at + 1;
	order_go_behind(&level->files, at);
}

/* --- both --- */

/* Files that were named and not opened, up to where there are none to be named. */
static uint32_t count_files_left(const struct walk *walk)
{
	const struct walk_level *level = &walk->levels[walk->reading - 1];

	if (level->files.next == level->files.count)
		return WALK_AHEAD_MAX;
	return level->files.next - level->at;
}

static bool next_file(struct walk *walk, struct walk_step *ret_step)
{
	struct walk_level *level;

	if (!walk->reads || !walk->reading || count_files_left(walk) >= WALK_AHEAD_MAX)
		return false;
	level = &walk->levels[walk->reading - 1];
	*ret_step = (struct walk_step){
		.object = cached_object_ref(level->object),
		.entry = level->files.entries[level->files.next++],
	};
	return true;
}

/*
 * The level that the next directory is in: first what is in the directory where the walk is, then
 * what is beside that. 0: none are left.
 */
static unsigned find_directory(const struct walk *walk)
{
	unsigned depth = walk->depth;

	while (depth > 0 && walk->levels[depth - 1].directories.next ==
				    walk->levels[depth - 1].directories.count)
		depth--;
	return depth;
}

static bool next_directory(struct walk *walk, struct walk_step *ret_step)
{
	unsigned depth = find_directory(walk);
	struct walk_level *level;
	struct tree_entry entry;

	if (!walk->is_walk || walk->named_count == WALK_AHEAD_MAX || depth == 0)
		return false;
	level = &walk->levels[depth - 1];
	entry = tree_view_entry(
		tree_of(level), level->directories.entries[level->directories.next++]);
	*ret_step = (struct walk_step){.directory = git_entry_id(&entry)};
	walk->named[walk->named_count++] = ret_step->directory;
	return true;
}

bool walk_next(struct walk *walk, struct walk_step *ret_step)
{
	return next_file(walk, ret_step) || next_directory(walk, ret_step);
}

bool walk_wants_more(const struct walk *walk)
{
	return (walk->is_walk && walk->named_count <= WALK_AHEAD_MIN && find_directory(walk) > 0) ||
	       (walk->reads && walk->reading && count_files_left(walk) <= WALK_AHEAD_MIN);
}

void walk_release(struct walk *walk)
{
	drop_levels(walk, 0);
	*walk = (struct walk){.depth = 0};
}
