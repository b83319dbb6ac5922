/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link counts of directories and of hard links of layers, and the inode numbers that go with them.
 */
#include "overlay-fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static nlink_t links(struct fixture *fx, const char *path)
{
	struct stat st;
	int r = fx_stat(fx, path, &st);

	if (r < 0)
		fail_msg("stat '%s': %d", path, r);
	return st.st_nlink;
}

static uint64_t number(struct fixture *fx, const char *path)
{
	struct stat st;

	assert_int_equal(fx_stat(fx, path, &st), 0);
	return st.st_ino;
}

#define expect_links(fx, path, wanted)                                                        \
	do {                                                                                  \
		nlink_t got_ = links(fx, path);                                               \
		if (got_ != (wanted))                                                         \
			fail_msg("%s:%d: '%s' has %ju links, wanted %ju", __FILE__, __LINE__, \
				path, (uintmax_t)got_, (uintmax_t)(wanted));                  \
	} while (0)

static int count_one(void *ctx, const struct overlay_dirent *entry)
{
	if (entry->name[0] != '.')
		*(nlink_t *)ctx += S_ISDIR(entry->type);
	return 0;
}

/* What a listing says. */
static nlink_t listed_links(struct fixture *fx, const char *path)
{
	nlink_t count = 2;

	assert_int_equal(fx_readdir(fx, path, count_one, &count), 0);
	return count;
}

/* Three layers with much in common, files and directories in each other's way, and a whiteout. */
static void populate(struct fixture *fx)
{
	static const char *const rows[][3] = {
		{"m", "m", "m"},
		{"m/one", "m/one", "m/two"},
		{NULL, "m/three", "m/hidden"},
		{NULL, "leaf", "leaf"},
		{"only-top", NULL, NULL},
		{"only-top/x", NULL, "bottom"},
		{NULL, NULL, "bottom/x"},
		{NULL, NULL, "bottom/y"},
	};

	fixture_init(fx, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t tree = 0; tree < 3; tree++)
			if (rows[i][tree])
				fixture_dir(fx, tree, rows[i][tree], 0755);
	fixture_file(fx, 1, "m/file", 0644, "");
	assert_int_equal(mem_tree_add_whiteout(fx->trees[1], "m/hidden"), 0);
	/* A file above, a directory below: one name, and no directory. */
	fixture_file(fx, 1, "m/two", 0644, "");
	fixture_file(fx, 2, "leaf/f", 0644, "");
	fixture_mount(fx);
}

static void directories_are_counted(void **state)
{
	struct fixture fx;

	populate(&fx);
	expect_links(&fx, "", 2 + 4);
	expect_links(&fx, "m", 2 + 2); /* one, three */
	expect_links(&fx, "leaf", 2);
	expect_links(&fx, "only-top", 3);
	expect_links(&fx, "bottom", 4);
	fixture_end(&fx);
}

static void changes_are_counted(void **state)
{
	struct fixture fx;

	populate(&fx);
	for (int round = 0; round < 2; round++) {
		expect_links(&fx, "bottom", 4);
		assert_int_equal(fx_mkdir(&fx, "bottom/new", 0755), 0);
		expect_links(&fx, "bottom", 5);
		expect_links(&fx, "bottom/new", 2);
		assert_int_equal(fx_rename(&fx, "bottom/new", "m/new", 0), 0);
		expect_links(&fx, "bottom", 4);
		expect_links(&fx, "m", 5);
		assert_int_equal(fx_create(&fx, "bottom/f", 0644, ""), 0);
		assert_int_equal(fx_rename(&fx, "bottom/f", "m/new", RENAME_EXCHANGE), 0);
		expect_links(&fx, "bottom", 5);
		expect_links(&fx, "m", 4);
		/* A directory over an empty one. */
		assert_int_equal(fx_rename(&fx, "bottom/f", "bottom/x", 0), 0);
		expect_links(&fx, "bottom", 4);
		assert_int_equal(fx_unlink(&fx, "m/new"), 0);
		expect_links(&fx, "m", 4);
		fixture_remount(&fx);
	}
	assert_int_equal(fx_rmdir(&fx, "bottom/x"), 0);
	expect_links(&fx, "bottom", 3);
	fixture_remount(&fx);
	expect_links(&fx, "bottom", 3);
	fixture_end(&fx);
}

static const char *const places[] = {"m/one", "m/three", "m/p", "leaf/p", "leaf/q", "only-top/x",
	"bottom/x", "bottom/y", "bottom/p", "p", "leaf"};
static const char *const parents[] = {"", "m", "only-top", "bottom"};

static void random_step(struct fixture *fx, unsigned *seed)
{
	const size_t count = sizeof(places) / sizeof(places[0]);
	const char *a = places[(size_t)rand_r(seed) % count];
	const char *b = places[(size_t)rand_r(seed) % count];

	switch (rand_r(seed) % 7) {
	case 0:
	case 1:
		(void)fx_mkdir(fx, a, 0755);
		break;
	case 2:
		(void)fx_rmdir(fx, a);
		break;
	case 3:
		(void)fx_create(fx, a, 0644, "");
		break;
	case 4:
		(void)fx_unlink(fx, a);
		break;
	case 5:
		(void)fx_rename(fx, a, b, RENAME_EXCHANGE);
		break;
	default:
		(void)fx_rename(fx, a, b, 0);
		break;
	}
}

static void counts_follow_any_change(void **state)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct fixture fx;
		unsigned random = seed;

		populate(&fx);
		for (int step = 0; step < 60; step++) {
			if (step % 20 == 10)
				fixture_remount(&fx);
			random_step(&fx, &random);
			for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
				nlink_t wanted = listed_links(&fx, parents[i]);

				if (links(&fx, parents[i]) != wanted)
					fail_msg("seed %u, step %d: '%s' has %ju links, wanted %ju",
						seed, step, parents[i],
						(uintmax_t)links(&fx, parents[i]),
						(uintmax_t)wanted);
			}
		}
		fixture_end(&fx);
	}
}

/* What cannot be counted is unknown, which is 1; later it is counted. */
static void a_count_that_fails(void **state)
{
	struct fixture fx;

	populate(&fx);
	/* The lookup counts, and so does the stat. */
	mem_tree_fail(fx.trees[2], MEM_COUNT_DIRECTORIES, "bottom", EIO, 2);
	expect_links(&fx, "bottom", 1);
	expect_links(&fx, "bottom", 4);
	fixture_end(&fx);
}

static void static_links(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_dir(&fx, 0, "d/e", 0755);
	fx.static_nlink = true;
	fixture_mount(&fx);
	expect_links(&fx, "d", 1);
	assert_int_equal(fx_mkdir(&fx, "d/f", 0755), 0);
	expect_links(&fx, "d", 1);
	assert_int_equal(mem_tree_calls(fx.trees[0], MEM_COUNT_DIRECTORIES), 0);
	fixture_end(&fx);
}

static void link_three(struct fixture *fx)
{
	fixture_init(fx, 1);
	fixture_file(fx, 0, "a", 0644, "old");
	assert_int_equal(mem_tree_link(fx->trees[0], "a", "b"), 0);
	assert_int_equal(mem_tree_link(fx->trees[0], "a", "c"), 0);
	fixture_mount(fx);
}

/* The kernel forgets everything between the steps: fx_ functions hold nothing. */
static void names_that_go_are_counted(void **state)
{
	struct fixture fx;

	link_three(&fx);
	expect_links(&fx, "a", 3);
	assert_int_equal(fx_unlink(&fx, "b"), 0);
	expect_links(&fx, "a", 2);
	expect_links(&fx, "c", 2);
	assert_int_equal(fx_create(&fx, "n", 0644, "n"), 0);
	assert_int_equal(fx_rename(&fx, "n", "c", 0), 0);
	expect_links(&fx, "a", 1);
	expect_links(&fx, "c", 1);
	fixture_end(&fx);
}

/* The last name that shows a layer's object takes its number with it, for good. */
static void numbers_of_hard_links_stay(void **state)
{
	struct overlay_entry a, b, c;
	struct fixture fx;
	uint64_t ino;

	link_three(&fx);
	ino = number(&fx, "a");
	assert_int_equal(fx_walk(&fx, "a", &a), 0);
	assert_int_equal(fx_walk(&fx, "b", &b), 0);
	assert_int_equal(fx_walk(&fx, "c", &c), 0);
	assert_int_equal(fx_write(&fx, "b", 0, "new"), 0);
	assert_int_equal(fx_write(&fx, "c", 0, "NEW"), 0);
	fx_forget(&fx, a.node);
	fx_forget(&fx, b.node);
	fx_forget(&fx, c.node);
	fixture_remount(&fx);
	assert_int_equal(number(&fx, "a"), ino);
	assert_int_equal(number(&fx, "b"), ino);
	assert_int_equal(number(&fx, "c"), ino);
	expect_links(&fx, "c", 3);
	fixture_end(&fx);

	link_three(&fx);
	assert_int_equal(fx_unlink(&fx, "a"), 0);
	assert_int_equal(fx_unlink(&fx, "b"), 0);
	ino = number(&fx, "c");
	assert_int_equal(fx_write(&fx, "c", 0, "new"), 0);
	fixture_remount(&fx);
	assert_int_equal(number(&fx, "c"), ino);
	fixture_end(&fx);
}

/* One that was written under one name and not known under another is two files at the next mount.
 */
static void unknown_names_break_at_a_remount(void **state)
{
	struct fixture fx;
	uint64_t ino;

	link_three(&fx);
	ino = number(&fx, "a");
	assert_int_equal(fx_write(&fx, "a", O_TRUNC, "new"), 0);
	/* Looked up only now, and still the same file. */
	assert_content(&fx, "b", "new");
	expect_links(&fx, "b", 3);
	assert_int_equal(number(&fx, "b"), ino);
	fixture_remount(&fx);
	assert_content(&fx, "a", "new");
	assert_content(&fx, "b", "old");
	assert_int_equal(number(&fx, "b"), ino);
	assert_int_not_equal(number(&fx, "a"), ino);
	fixture_end(&fx);
}

/* A file that is unlinked while in use, and written then, is no longer that of its other names. */
static void an_orphan_of_hard_links(void **state)
{
	struct overlay_file *file;
	struct overlay_entry a;
	struct fixture fx;
	struct stat st = {.st_mode = 0600};

	link_three(&fx);
	assert_int_equal(fx_walk(&fx, "a", &a), 0);
	assert_int_equal(overlay_open(fx.ov, a.node, O_RDONLY, &file), 0);
	assert_int_equal(fx_unlink(&fx, "a"), 0);
	assert_int_equal(overlay_setattr(fx.ov, a.node, file, &st, OVERLAY_SET_MODE, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(fx_write(&fx, "b", O_TRUNC, "new"), 0);
	assert_content(&fx, "c", "new");
	overlay_release(fx.ov, file);
	fx_forget(&fx, a.node);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directories_are_counted),
		cmocka_unit_test(changes_are_counted),
		cmocka_unit_test(counts_follow_any_change),
		cmocka_unit_test(a_count_that_fails),
		cmocka_unit_test(static_links),
		cmocka_unit_test(names_that_go_are_counted),
		cmocka_unit_test(numbers_of_hard_links_stay),
		cmocka_unit_test(unknown_names_break_at_a_remount),
		cmocka_unit_test(an_orphan_of_hard_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
