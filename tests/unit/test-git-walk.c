/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is foreseen of a walk: a tree of directories and files is gone through in several ways. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "layer/git-walk.h"
#include "util/name-order.h"

#define WIDTH 6
#define DEPTH 4
#define FILES 40

/*
 * A tree of DEPTH levels: WIDTH directories in each but the lowest, FILES files in each. The id of
 * a directory has its depth and its path in it.
 */
static git_oid id_of(unsigned depth, unsigned path)
{
	git_oid id = {{0}};

	id.id[0] = (unsigned char)depth;
	memcpy(id.id + 1, &path, sizeof(path));
	return id;
}

static void split_id(const git_oid *id, unsigned *ret_depth, unsigned *ret_path)
{
	*ret_depth = id->id[0];
	memcpy(ret_path, id->id + 1, sizeof(*ret_path));
}

static size_t put_entry(char *bytes, const char *mode, char kind, unsigned i, const git_oid *id)
{
	size_t n = (size_t)sprintf(bytes, "%s %c%02u", mode, kind, i) + 1;

	memcpy(bytes + n, id->id, TREE_ID_SIZE);
	return n + TREE_ID_SIZE;
}

static int load(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause)
{
	char *bytes = malloc(64 * (WIDTH + FILES));
	const char *fault;
	unsigned depth, path;
	size_t size = 0;

	split_id(id, &depth, &path);
	for (unsigned i = 0; depth < DEPTH && i < WIDTH; i++) {
		git_oid child = id_of(depth + 1, path * WIDTH + i);

		size += put_entry(bytes + size, "40000", 'd', i, &child);
	}
	for (unsigned i = 0; i < FILES; i++)
		size += put_entry(bytes + size, "100644", 'f', i, id);
	*ret_content = (struct object_content){.data = bytes, .size = size, .fd = -1};
	return tree_view_parse(bytes, size, &ret_content->tree, &fault);
}

struct walker {
	struct object_cache *cache;
	struct walk walk;
	git_oid foreseen[2000];
	unsigned foreseen_count;
	unsigned foreseen_files[FILES]; /* of the directory where it is, by their entries */
	bool reads, backwards;
	unsigned listed, hits, files, file_hits;
};

static struct cached_object *get(struct walker *walker, const git_oid *id)
{
	struct object_cause cause;
	struct cached_object *object;

	assert_int_equal(object_cache_get(walker->cache, id, load, NULL, &object, &cause), 0);
	return object;
}

/* What a thread would read meanwhile. */
static void read_ahead(struct walker *walker)
{
	bool is_woken = walk_wants_more(&walker->walk);
	struct walk_step step;
	unsigned count = 0;

	while (walk_wants_more(&walker->walk) && walk_next(&walker->walk, &step)) {
		assert_true(++count <= 2 * WALK_AHEAD_MAX);
		if (step.object)
			walker->foreseen_files[step.entry % FILES]++;
		else
			walker->foreseen[walker->foreseen_count++ % 2000] = step.directory;
		cached_object_put(step.object);
	}
	/* To be woken for nothing costs whoever wakes. */
	assert_true(!is_woken || count > 0);
	assert_true(walker->walk.named_count <= WALK_AHEAD_MAX);
}

static bool was_foreseen(struct walker *walker, const git_oid *id)
{
	for (unsigned i = 0; i < walker->foreseen_count && i < 2000; i++)
		if (id_equal(&walker->foreseen[i], id))
			return true;
	return false;
}

static struct walker *sorting;

static int compare(const void *a, const void *b, void *view)
{
	uint64_t x = name_order(tree_view_entry(view, *(const uint32_t *)a).name);
	uint64_t y = name_order(tree_view_entry(view, *(const uint32_t *)b).name);
	int r = x < y ? -1 : x > y;

	return sorting->backwards ? -r : r;
}

static void go(struct walker *walker, const git_oid *id, const git_oid *parent, uint32_t entry);

static void visit(
	struct walker *walker, const git_oid *id, const struct tree_view *view, uint32_t i)
{
	struct tree_entry entry = tree_view_entry(view, i);
	git_oid child = git_entry_id(&entry);

	if (S_ISDIR(entry.mode)) {
		go(walker, &child, id, i);
	} else if (walker->reads) {
		walker->files++;
		walker->file_hits += walker->foreseen_files[i % FILES] > 0;
		walk_open(&walker->walk, id, i);
		read_ahead(walker);
	}
}

/* As tar does it: the files, then what is below. */
static void go(struct walker *walker, const git_oid *id, const git_oid *parent, uint32_t entry)
{
	struct cached_object *object = get(walker, id);
	const struct tree_view *view = &cached_object_content(object)->tree;
	uint32_t order[WIDTH + FILES];

	walker->listed++;
	walker->hits += was_foreseen(walker, id);
	memset(walker->foreseen_files, 0, sizeof(walker->foreseen_files));
	walk_list(&walker->walk,
		&(struct walk_place){
			.object = object, .tree = id, .parent = parent, .entry = entry});
	read_ahead(walker);
	for (uint32_t i = 0; i < view->count; i++)
		order[i] = i;
	sorting = walker;
	qsort_r(order, view->count, sizeof(*order), compare, (void *)(uintptr_t)view);
	for (unsigned directories = 0; directories < 2; directories++)
		for (uint32_t i = 0; i < view->count; i++)
			if (S_ISDIR(tree_view_entry(view, order[i]).mode) == directories)
				visit(walker, id, view, order[i]);
	cached_object_put(object);
}

static struct walker *begin(void **state)
{
	struct walker *walker = calloc(1, sizeof(*walker));

	walker->cache = object_cache_new(1 << 20);
	*state = walker;
	return walker;
}

/* Everything that was held is given back. */
static int end(void **state)
{
	struct walker *walker = *state;

	walk_release(&walker->walk);
	object_cache_empty(walker->cache);
	assert_int_equal(object_cache_bytes(walker->cache), 0);
	object_cache_close(walker->cache);
	free(walker);
	return 0;
}

static void all(struct walker *walker)
{
	git_oid root = id_of(0, 0);

	go(walker, &root, NULL, 0);
	assert_int_equal(walker->listed, 1 + 6 + 36 + 216 + 1296);
}

static void directories_in_order(void **state)
{
	struct walker *walker = begin(state);

	all(walker);
	/* Not the root, and the first directory in it. */
	assert_int_equal(walker->hits, walker->listed - 2);
}

static void files_in_order(void **state)
{
	struct walker *walker = begin(state);

	walker->reads = true;
	all(walker);
	assert_int_equal(walker->hits, walker->listed - 2);
	/* Not the first two. */
	assert_int_equal(walker->file_hits, walker->files - 2);
}

static void another_order_is_no_harm(void **state)
{
	struct walker *walker = begin(state);

	walker->reads = walker->backwards = true;
	all(walker);
	assert_true(walker->hits < walker->listed - 2);
}

/* Who lists a directory, and another one elsewhere, does not walk. */
static void no_walk_without_descent(void **state)
{
	static const unsigned paths[][2] = {{0, 0}, {2, 7}, {2, 9}, {3, 100}, {2, 7}};
	struct walker *walker = begin(state);

	for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		git_oid id = id_of(paths[i][0], paths[i][1]);
		git_oid parent = id_of(paths[i][0] - 1, paths[i][1] / WIDTH);
		struct cached_object *object = get(walker, &id);

		walk_list(&walker->walk,
			&(struct walk_place){object, &id, i ? &parent : NULL, paths[i][1] % WIDTH});
		walk_open(&walker->walk, &parent, 0);
		cached_object_put(object);
		assert_false(walk_wants_more(&walker->walk));
		read_ahead(walker);
	}
	assert_int_equal(walker->foreseen_count, 0);
}

/* Deeper than it can remember. */
static void deep_directories(void **state)
{
	struct walker *walker = begin(state);
	git_oid parent = id_of(0, 0);

	for (unsigned i = 1; i < 3 * WALK_DEPTH_MAX; i++) {
		git_oid id = id_of(0, i);
		struct cached_object *object = get(walker, &id);

		walk_list(&walker->walk, &(struct walk_place){object, &id, &parent, 0});
		cached_object_put(object);
		read_ahead(walker);
		parent = id;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(directories_in_order, end),
		cmocka_unit_test_teardown(files_in_order, end),
		cmocka_unit_test_teardown(another_order_is_no_harm, end),
		cmocka_unit_test_teardown(no_walk_without_descent, end),
		cmocka_unit_test_teardown(deep_directories, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
