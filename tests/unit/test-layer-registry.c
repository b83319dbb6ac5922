/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registration: a table with a hole is refused, and the hole is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/layer.h>
#include <git-overlayfs/mem-layer.h>

#include "layer/layer-kind.h"

static struct layer *open_mem(struct mem_tree *tree, const struct idmap *ids, const char *name)
{
	const struct layer_config config = {
		.kind = "mem", .name = name, .index = 1, .ids = ids, .root_fd = -1, .mem = tree};
	struct layer *layer;
	struct error err;

	assert_int_equal(layer_register_builtin(&err), 0);
	assert_int_equal(layer_open(&config, &layer, &err), 0);
	return layer;
}

#define ROW(op)                                     \
	{                                           \
#op, offsetof(struct layer_ops, op) \
	}

static void a_hole_is_named(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {ROW(open), ROW(close), ROW(root), ROW(lookup), ROW(forget), ROW(readdir),
		ROW(getattr_with_mapping), ROW(readlink), ROW(open_file), ROW(getxattr),
		ROW(listxattr), ROW(statfs)};

	assert_int_equal(sizeof(rows) / sizeof(rows[0]), 12);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct layer_ops ops = mem_layer_ops;
		struct error err = {0};
		char quoted[64];

		ops.kind = "holed";
		memset((char *)&ops + rows[i].offset, 0, sizeof(void (*)(void)));
		assert_int_equal(layer_register(&ops, &err), -EINVAL);
		snprintf(quoted, sizeof(quoted), "'%s' is missing", rows[i].name);
		if (!strstr(err.text, quoted) || !strstr(err.text, "holed"))
			fail_msg("'%s' does not name %s", err.text, rows[i].name);
	}
}

static void known_full_and_nameless(void **state)
{
	static struct layer_ops more[16];
	static char names[16][8];
	struct error err = {0};
	struct layer_ops nameless = mem_layer_ops;
	int r = 0;

	nameless.kind = NULL;
	assert_int_equal(layer_register(&nameless, &err), -EINVAL);
	assert_int_equal(layer_register_builtin(&err), 0);
	assert_int_equal(layer_register_builtin(&err), 0);
	assert_int_equal(layer_register(&mem_layer_ops, &err), -EEXIST);
	for (size_t i = 0; i < 16 && !r; i++) {
		more[i] = mem_layer_ops;
		snprintf(names[i], sizeof(names[i]), "k%zu", i);
		more[i].kind = names[i];
		r = layer_register(&more[i], &err);
	}
	assert_int_equal(r, -ENOSPC);
}

static void an_unknown_kind_is_refused(void **state)
{
	const struct layer_config config = {.kind = "zip"};
	struct layer *layer = NULL;
	struct error err = {0};

	assert_int_equal(layer_open(&config, &layer, &err), -ENOENT);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
	assert_non_null(strstr(err.text, "'zip'"));
	assert_null(layer);
}

static void names_are_checked(void **state)
{
	char long_name[257];
	const struct {
		const char *name;
		int want;
	} rows[] = {{"", -EINVAL}, {".", -EINVAL}, {"..", -EINVAL}, {"a/b", -EINVAL},
		{"/", -EINVAL}, {long_name, -ENAMETOOLONG}, {"...", -ENOENT}, {" ", -ENOENT}};
	struct mem_tree *tree = mem_tree_new();
	struct idmap ids;
	struct layer *layer;
	layer_node_t root, node;

	memset(long_name, 'a', 256);
	long_name[256] = '\0';
	idmap_init(&ids);
	layer = open_mem(tree, &ids, "base");
	assert_string_equal(layer->name, "mem layer 1 (base)");
	root = layer_root(layer);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = layer_lookup(layer, root, rows[i].name, &node);

		if (r != rows[i].want)
			fail_msg("'%s': %d, wanted %d", rows[i].name, r, rows[i].want);
	}
	/* layer.h: forget gives references back; none of them is left. */
	layer_forget(layer, root, 0);
	assert_int_equal(mem_tree_references(tree), 1);
	layer_forget(layer, root, 1);
	assert_int_equal(mem_tree_references(tree), 0);
	layer_close(layer);
	layer_close(NULL);
	mem_tree_free(tree);
}

static void ids_in_both_views(void **state)
{
	struct mem_tree *tree = mem_tree_new();
	struct idmap ids;
	struct layer *layer;
	struct stat st;

	idmap_init(&ids);
	assert_int_equal(idmap_parse(&ids, IDMAP_UID, "0:1000:1", NULL), 0);
	ids.squash[IDMAP_GID] = true;
	ids.squash_id[IDMAP_GID] = 7;
	layer = open_mem(tree, &ids, NULL);
	layer_map_ids(layer, ID_VIEW_CONTAINER, 1000, 1000, &st);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 7);
	layer_map_ids(layer, ID_VIEW_CONTAINER, 0, 0, &st);
	assert_int_equal(st.st_uid, IDMAP_OVERFLOW_ID);
	layer_map_ids(layer, ID_VIEW_STORAGE, 1000, 1001, &st);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 1001);
	layer_close(layer);
	mem_tree_free(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hole_is_named),
		cmocka_unit_test(an_unknown_kind_is_refused),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(ids_in_both_views),
		cmocka_unit_test(known_full_and_nameless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
