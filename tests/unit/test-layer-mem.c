/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree in memory: its builder, its faults, its counters. */
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

struct fixture {
	struct idmap ids;
	struct mem_tree *tree;
	struct layer *layer;
	layer_node_t root;
};

static int setup(void **state)
{
	static struct fixture f;
	struct layer_config config = {.kind = "mem", .ids = &f.ids, .root_fd = -1};

	idmap_init(&f.ids);
	f.tree = mem_tree_new();
	assert_int_equal(mem_tree_add_dir(f.tree, "d", 0700), 0);
	assert_int_equal(mem_tree_add_file(f.tree, "d/f", 0644, "hello"), 0);
	assert_int_equal(mem_tree_add_symlink(f.tree, "d/l", "f"), 0);
	config.mem = f.tree;
	assert_int_equal(layer_register_builtin(NULL), 0);
	assert_int_equal(layer_open(&config, &f.layer, NULL), 0);
	f.root = layer_root(f.layer);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	layer_forget(f->layer, f->root, 1);
	assert_int_equal(mem_tree_references(f->tree), 0);
	layer_close(f->layer);
	mem_tree_free(f->tree);
	return 0;
}

static void what_cannot_be_built(void **state)
{
	static const struct {
		const char *path;
		mode_t mode;
		int want;
	} rows[] = {{"", S_IFDIR, -EINVAL}, {"/a", S_IFREG, -EINVAL}, {"a/", S_IFREG, -ENOENT},
		{"d/", S_IFREG, -EINVAL}, {"d//x", S_IFREG, -EINVAL}, {".", S_IFREG, -EINVAL},
		{"d/..", S_IFREG, -EINVAL}, {"no/x", S_IFREG, -ENOENT},
		{"d/f/x", S_IFREG, -ENOTDIR}, {"d", S_IFDIR, -EEXIST}, {"y", 0644, -EINVAL},
		{"z", S_IFIFO | 0600, 0}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mem_entry entry = {.path = rows[i].path, .mode = rows[i].mode};
		int r = mem_tree_add(f->tree, &entry);

		if (r != rows[i].want)
			fail_msg("'%s': %d, wanted %d", rows[i].path, r, rows[i].want);
	}
	assert_int_equal(mem_tree_link(f->tree, "d", "e"), -EPERM);
	assert_int_equal(mem_tree_link(f->tree, "d/f", "e"), 0);
	assert_int_equal(mem_tree_link(f->tree, "d/f", "e"), -EEXIST);
}

static void a_fault_hits_as_often_as_asked(void **state)
{
	struct fixture *f = *state;
	layer_node_t node, dir;

	assert_int_equal(mem_tree_fail(f->tree, MEM_LOOKUP, NULL, ENOMEM, 2), 0);
	assert_int_equal(layer_lookup(f->layer, f->root, "d", &node), -ENOMEM);
	assert_int_equal(layer_lookup(f->layer, f->root, "d", &node), -ENOMEM);
	assert_int_equal(layer_lookup(f->layer, f->root, "d", &dir), 0);
	assert_int_equal(mem_tree_calls(f->tree, MEM_LOOKUP), 3);
	/* One object only. */
	assert_int_equal(mem_tree_fail(f->tree, MEM_LOOKUP, "d", EIO, 1), 0);
	assert_int_equal(layer_lookup(f->layer, f->root, "x", &node), -ENOENT);
	assert_int_equal(layer_lookup(f->layer, dir, "f", &node), -EIO);
	assert_int_equal(layer_lookup(f->layer, dir, "x", &node), -ENOENT);
	assert_int_equal(mem_tree_fail(f->tree, MEM_LOOKUP, "nothing", EIO, 1), -ENOENT);
	layer_forget(f->layer, dir, 1);
}

static void every_operation_can_fail(void **state)
{
	struct fixture *f = *state;
	struct layer_identity identity;
	struct layer_file file;
	struct statvfs vfs;
	struct stat st;
	uint32_t count;
	char buf[8];

	for (int op = 0; op < MEM_OPERATION_COUNT; op++)
		assert_int_equal(mem_tree_fail(f->tree, op, NULL, 100 + op, 1), 0);
	assert_int_equal(layer_lookup(f->layer, f->root, "d", NULL), -100 - MEM_LOOKUP);
	assert_int_equal(layer_readdir(f->layer, f->root, 0, NULL, NULL), -100 - MEM_READDIR);
	assert_int_equal(layer_getattr_with_mapping(f->layer, f->root, ID_VIEW_STORAGE, &st),
		-100 - MEM_GETATTR);
	assert_int_equal(layer_readlink(f->layer, f->root, buf, 8), -100 - MEM_READLINK);
	assert_int_equal(layer_open_file(f->layer, f->root, &file), -100 - MEM_OPEN_FILE);
	assert_int_equal(layer_getxattr(f->layer, f->root, "user.x", buf, 8), -100 - MEM_GETXATTR);
	assert_int_equal(layer_listxattr(f->layer, f->root, buf, 8), -100 - MEM_LISTXATTR);
	assert_int_equal(layer_statfs(f->layer, &vfs), -100 - MEM_STATFS);
	assert_int_equal(layer_identify(f->layer, f->root, &identity), -100 - MEM_IDENTIFY);
	assert_int_equal(
		layer_count_directories(f->layer, f->root, &count), -100 - MEM_COUNT_DIRECTORIES);
	for (int op = 0; op < MEM_OPERATION_COUNT; op++)
		assert_int_equal(mem_tree_calls(f->tree, op), 1);
}

static void a_node_that_is_not_held_is_stale(void **state)
{
	struct fixture *f = *state;
	layer_node_t dir;
	struct stat st;

	assert_int_equal(layer_lookup(f->layer, f->root, "d", &dir), 0);
	assert_int_equal(mem_tree_references(f->tree), 2);
	layer_forget(f->layer, dir, 1);
	assert_int_equal(layer_getattr_with_mapping(f->layer, dir, ID_VIEW_STORAGE, &st), -ESTALE);
	assert_int_equal(layer_getattr_with_mapping(f->layer, 0, ID_VIEW_STORAGE, &st), -ESTALE);
	assert_int_equal(layer_getattr_with_mapping(f->layer, 999, ID_VIEW_STORAGE, &st), -ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_cannot_be_built, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fault_hits_as_often_as_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(every_operation_can_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(a_node_that_is_not_held_is_stale, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
