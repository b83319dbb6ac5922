/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Renaming directories that lower layers have; each seen again after a remount. */
#include "overlay-fixture.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Two layers: d/one d/sub/two in the lower one, d/top d/sub/top in the upper of both. */
static void populate(struct fixture *fx)
{
	fixture_init(fx, 2);
	fixture_dir(fx, 0, "d", 0755);
	fixture_dir(fx, 0, "d/sub", 0755);
	fixture_file(fx, 0, "d/top", 0644, "d/top");
	fixture_file(fx, 0, "d/sub/top", 0644, "d/sub/top");
	fixture_dir(fx, 1, "d", 0755);
	fixture_dir(fx, 1, "d/sub", 0755);
	fixture_dir(fx, 1, "d/sub/deep", 0755);
	fixture_file(fx, 1, "d/one", 0644, "d/one");
	fixture_file(fx, 1, "d/sub/two", 0644, "d/sub/two");
	fixture_file(fx, 1, "d/sub/deep/three", 0644, "d/sub/deep/three");
	fixture_dir(fx, 1, "e", 0755);
	fixture_file(fx, 1, "e/four", 0644, "e/four");
	fixture_mount(fx);
}

static uint64_t ino_of(struct fixture *fx, const char *path)
{
	struct stat st = {0};

	assert_int_equal(fx_stat(fx, path, &st), 0);
	return st.st_ino;
}

static void expect_mark(struct fixture *fx, const char *path, const char *expected)
{
	char full[PATH_MAX], value[256] = "";
	ssize_t r;

	snprintf(full, sizeof(full), "%s/upper/%s", fx->dir, path);
	r = getxattr(full, "user.overlay.redirect", value, sizeof(value) - 1);
	assert_int_equal(r, strlen(expected));
	assert_string_equal(value, expected);
}

static void forge_mark(struct fixture *fx, const char *path, const char *value)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/upper/%s", fx->dir, path);
	assert_int_equal(setxattr(full, "user.overlay.redirect", value, strlen(value), 0), 0);
}

static void expect_d(struct fixture *fx, const char *d)
{
	char path[256];

	assert_listing(fx, d, "one sub top");
	snprintf(path, sizeof(path), "%s/sub", d);
	assert_listing(fx, path, "deep top two");
	snprintf(path, sizeof(path), "%s/sub/deep/three", d);
	assert_content(fx, path, "d/sub/deep/three");
	snprintf(path, sizeof(path), "%s/top", d);
	assert_content(fx, path, "d/top");
}

static void rename_in_place_keeps_everything(void **state)
{
	struct fixture fx;
	uint64_t ino, inner;

	populate(&fx);
	ino = ino_of(&fx, "d");
	inner = ino_of(&fx, "d/sub/deep/three");
	assert_int_equal(fx_rename(&fx, "d", "moved", 0), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "", "e moved");
		expect_d(&fx, "moved");
		expect_mark(&fx, "moved", "d");
		assert_int_equal(ino_of(&fx, "moved"), ino);
		assert_int_equal(ino_of(&fx, "moved/sub/deep/three"), inner);
	}
	/* Again, and back: the mark says where it was at first. */
	assert_int_equal(fx_rename(&fx, "moved", "again", 0), 0);
	expect_mark(&fx, "again", "d");
	assert_int_equal(fx_rename(&fx, "again", "d", 0), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "", "d e");
		expect_d(&fx, "d");
		assert_int_equal(ino_of(&fx, "d"), ino);
	}
	fixture_end(&fx);
}

static void rename_across_says_the_path(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "d/sub", "e/sub", 0), 0);
	expect_mark(&fx, "e/sub", "/d/sub");
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "d", "one top");
		assert_listing(&fx, "e", "four sub");
		assert_listing(&fx, "e/sub", "deep top two");
		assert_content(&fx, "e/sub/two", "d/sub/two");
	}
	/* A directory of its own may come where it was; nothing of the old one shows. */
	assert_int_equal(fx_mkdir(&fx, "d/sub", 0755), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "d/sub", "");
		assert_listing(&fx, "e/sub", "deep top two");
	}
	fixture_end(&fx);
}

/* The path that a mark holds is what the layers below know, whatever the upper calls it now. */
static void chains_name_what_is_below(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "d", "x", 0), 0);
	fixture_remount(&fx);
	assert_int_equal(fx_rename(&fx, "x/sub", "x/s", 0), 0);
	expect_mark(&fx, "x/s", "sub");
	assert_int_equal(fx_rename(&fx, "x/s/deep", "deep", 0), 0);
	expect_mark(&fx, "deep", "/d/sub/deep");
	assert_int_equal(fx_rename(&fx, "x", "e/x", 0), 0);
	expect_mark(&fx, "e/x", "/d");
	assert_int_equal(fx_rename(&fx, "deep", "e/x/s/deep", 0), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "", "e");
		assert_listing(&fx, "e/x", "one s top");
		assert_listing(&fx, "e/x/s", "deep top two");
		assert_content(&fx, "e/x/s/deep/three", "d/sub/deep/three");
	}
	/* Into a directory that only the upper has, and that one elsewhere. */
	assert_int_equal(fx_mkdir(&fx, "new", 0755), 0);
	assert_int_equal(fx_rename(&fx, "e/x", "new/x", 0), 0);
	assert_int_equal(fx_rename(&fx, "new", "e/new", 0), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "e", "four new");
		assert_content(&fx, "e/new/x/s/two", "d/sub/two");
	}
	fixture_end(&fx);
}

static void over_what_is_below(void **state)
{
	struct overlay_entry known;
	struct fixture fx;
	struct stat st;

	populate(&fx);
	/* The kernel has looked the target up. A failure copies nothing up, which has its times. */
	assert_int_equal(fx_walk(&fx, "e", &known), 0);
	assert_int_equal(fx_rename(&fx, "d", "e", 0), -ENOTEMPTY);
	assert_int_equal(fstatat(fx.upper_fd, "d", &st, 0), -1);
	fx_forget(&fx, known.node);
	assert_int_equal(fx_rename(&fx, "d", "d/sub/d", 0), -EINVAL);
	assert_int_equal(fx_unlink(&fx, "e/four"), 0);
	/* Over an emptied directory of the layers. */
	assert_int_equal(fx_rename(&fx, "d", "e", 0), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "", "e");
		expect_d(&fx, "e");
	}
	/* Gone, and a new one there shows neither. */
	assert_int_equal(fx_unlink(&fx, "e/one"), 0);
	assert_int_equal(fx_unlink(&fx, "e/top"), 0);
	assert_int_equal(fx_rename(&fx, "e/sub", "sub", 0), 0);
	assert_int_equal(fx_rmdir(&fx, "e"), 0);
	assert_int_equal(fx_mkdir(&fx, "e", 0755), 0);
	assert_int_equal(fx_mkdir(&fx, "d", 0755), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "", "d e sub");
		assert_listing(&fx, "e", "");
		assert_listing(&fx, "d", "");
		assert_listing(&fx, "sub", "deep top two");
	}
	fixture_end(&fx);
}

static void exchange_takes_both_along(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "d", "e", RENAME_EXCHANGE), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		expect_d(&fx, "e");
		assert_listing(&fx, "d", "four");
	}
	assert_int_equal(fx_rename(&fx, "e/sub", "d/four", RENAME_EXCHANGE), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_content(&fx, "e/sub", "e/four");
		assert_listing(&fx, "d/four", "deep top two");
	}
	fixture_end(&fx);
}

/* The upper of one overlay is a layer of the next. */
static void marks_in_layers_are_followed(void **state)
{
	static const char relative[] = "old", absolute[] = "/far/away";
	struct fixture fx;

	fixture_init(&fx, 3);
	fixture_dir(&fx, 0, "p", 0755);
	fixture_dir(&fx, 0, "p/q", 0755);
	assert_int_equal(mem_tree_set_xattr(fx.trees[0], "p", "trusted.overlay.redirect", absolute,
				 strlen(absolute)),
		0);
	fixture_dir(&fx, 1, "far", 0755);
	fixture_dir(&fx, 1, "far/away", 0755);
	fixture_file(&fx, 1, "far/away/middle", 0644, "middle");
	assert_int_equal(mem_tree_set_xattr(fx.trees[1], "far", "user.overlay.redirect", relative,
				 strlen(relative)),
		0);
	fixture_dir(&fx, 2, "old", 0755);
	fixture_dir(&fx, 2, "old/away", 0755);
	fixture_file(&fx, 2, "old/away/bottom", 0644, "bottom");
	fixture_dir(&fx, 2, "old/away/q", 0755);
	fixture_file(&fx, 2, "old/away/q/low", 0644, "low");
	fixture_dir(&fx, 2, "p", 0755);
	fixture_file(&fx, 2, "p/never", 0644, "never");
	fixture_mount(&fx);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		assert_listing(&fx, "p", "bottom middle q");
		assert_listing(&fx, "p/q", "low");
		assert_content(&fx, "p/q/low", "low");
	}
	fx.redirect_dir = OVERLAY_REDIRECT_NOFOLLOW;
	fixture_remount(&fx);
	assert_listing(&fx, "p", "never q");
	fixture_end(&fx);
}

static void without_redirects_nothing_moves(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "d", "moved", 0), 0);
	fx.redirect_dir = OVERLAY_REDIRECT_FOLLOW;
	fixture_remount(&fx);
	expect_d(&fx, "moved");
	assert_int_equal(fx_rename(&fx, "moved", "d", 0), -EXDEV);
	assert_int_equal(fx_rename(&fx, "e", "moved", RENAME_EXCHANGE), -EXDEV);
	assert_int_equal(fx_mkdir(&fx, "n", 0755), 0);
	assert_int_equal(fx_rename(&fx, "n", "d", 0), 0);
	fx.redirect_dir = OVERLAY_REDIRECT_NOFOLLOW;
	fixture_remount(&fx);
	assert_listing(&fx, "moved", "");
	fixture_end(&fx);
}

/* The mark needs a right that the rename does not. */
static void a_directory_that_nobody_may_write_to(void **state)
{
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_chmod(&fx, "d", 0555), 0);
	assert_int_equal(fx_rename(&fx, "d", "moved", 0), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		expect_d(&fx, "moved");
		assert_int_equal(fx_stat(&fx, "moved", &st), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0555);
	}
	fixture_end(&fx);
}

/* Nor may a plain user's daemon read the marks of what the user may not read. */
static void a_directory_that_nobody_may_read(void **state)
{
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "d/sub", "moved", 0), 0);
	assert_int_equal(fx_unlink(&fx, "e/four"), 0);
	assert_int_equal(fx_rmdir(&fx, "e"), 0);
	assert_int_equal(fx_mkdir(&fx, "e", 0755), 0);
	assert_int_equal(fx_chmod(&fx, "moved", 0333), 0);
	assert_int_equal(fx_chmod(&fx, "e", 0333), 0);
	fixture_remount(&fx);
	assert_int_equal(fx_stat(&fx, "e/four", &st), -ENOENT);
	assert_content(&fx, "moved/two", "d/sub/two");
	assert_int_equal(fx_stat(&fx, "moved", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0333);
	assert_int_equal(fx_chmod(&fx, "moved", 0700), 0);
	assert_int_equal(fx_chmod(&fx, "e", 0700), 0);
	assert_listing(&fx, "moved", "deep top two");
	assert_listing(&fx, "e", "");
	fixture_end(&fx);
}

/* Whoever can write the upper's attributes gets an error, not another place. */
static void senseless_marks_are_errors(void **state)
{
	static const char *const values[] = {
		"", "..", ".", "a/b", "/", "//d", "/d/", "/d/../d", "/./d"};
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_mkdir(&fx, "m", 0755), 0);
	fixture_unmount(&fx);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		forge_mark(&fx, "m", values[i]);
		fixture_mount(&fx);
		assert_int_equal(fx_stat(&fx, "m", &st), -EIO);
		fixture_unmount(&fx);
	}
	forge_mark(&fx, "m", "/d/sub");
	fixture_mount(&fx);
	assert_listing(&fx, "m", "deep top two");
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rename_in_place_keeps_everything),
		cmocka_unit_test(rename_across_says_the_path),
		cmocka_unit_test(chains_name_what_is_below),
		cmocka_unit_test(over_what_is_below),
		cmocka_unit_test(exchange_takes_both_along),
		cmocka_unit_test(marks_in_layers_are_followed),
		cmocka_unit_test(without_redirects_nothing_moves),
		cmocka_unit_test(a_directory_that_nobody_may_write_to),
		cmocka_unit_test(a_directory_that_nobody_may_read),
		cmocka_unit_test(senseless_marks_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
