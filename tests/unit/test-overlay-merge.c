/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What shows of several layers: merging, whiteouts and opaque marks in every form. */
#include "overlay-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "overlay/state.h"

static void layers_merge(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 3);
	fixture_dir(&fx, 0, "d", 0700);
	fixture_file(&fx, 0, "d/top", 0644, "top");
	fixture_file(&fx, 0, "both", 0644, "upper one");
	fixture_dir(&fx, 1, "d", 0755);
	fixture_file(&fx, 1, "d/middle", 0644, "middle");
	fixture_file(&fx, 1, "f", 0644, "a file");
	fixture_dir(&fx, 2, "d", 0755);
	fixture_file(&fx, 2, "d/top", 0644, "hidden");
	fixture_file(&fx, 2, "d/bottom", 0644, "bottom");
	fixture_file(&fx, 2, "both", 0644, "lower one");
	fixture_dir(&fx, 2, "f", 0755);
	fixture_mount(&fx);
	assert_listing(&fx, "", "both d f");
	assert_listing(&fx, "d", "bottom middle top");
	assert_content(&fx, "d/top", "top");
	assert_content(&fx, "d/bottom", "bottom");
	assert_content(&fx, "both", "upper one");
	assert_content(&fx, "f", "a file");
	fixture_end(&fx);
}

static void a_file_ends_a_directory(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 3);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_file(&fx, 0, "d/a", 0644, "");
	fixture_file(&fx, 1, "d", 0644, "");
	fixture_dir(&fx, 2, "d", 0755);
	fixture_file(&fx, 2, "d/b", 0644, "");
	fixture_mount(&fx);
	assert_listing(&fx, "d", "a");
	fixture_end(&fx);
}

/* Each form of whiteout and opaque mark in a middle layer hides what is below. */
static void marks_in_lower_layers(void **state)
{
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 2);
	mem_tree_add_whiteout(fx.trees[0], "native");
	mem_tree_add_file(fx.trees[0], ".wh.aufs", 0644, "");
	fixture_dir(&fx, 0, "x", 0755);
	mem_tree_set_xattr(fx.trees[0], "x", "user.overlay.opaque", "x", 1);
	mem_tree_add_file(fx.trees[0], "x/gone", 0644, "");
	mem_tree_set_xattr(fx.trees[0], "x/gone", "user.overlay.whiteout", "", 0);
	mem_tree_add_file(fx.trees[0], "x/empty", 0644, "");
	static const char *const opaque[] = {
		"trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque", NULL};
	for (int i = 0; opaque[i]; i++) {
		char dir[2] = {(char)('0' + i)}, file[8];

		fixture_dir(&fx, 0, dir, 0755);
		mem_tree_set_xattr(fx.trees[0], dir, opaque[i], "y", 1);
		fixture_dir(&fx, 1, dir, 0755);
		snprintf(file, sizeof(file), "%s/hid", dir);
		fixture_file(&fx, 1, file, 0644, "");
	}
	fixture_dir(&fx, 0, "w", 0755);
	mem_tree_add_file(fx.trees[0], "w/.wh..wh..opq", 0644, "");
	fixture_dir(&fx, 1, "w", 0755);
	fixture_file(&fx, 1, "w/hid", 0644, "");
	fixture_file(&fx, 1, "native", 0644, "");
	fixture_file(&fx, 1, "aufs", 0644, "");
	fixture_dir(&fx, 1, "x", 0755);
	fixture_file(&fx, 1, "x/gone", 0644, "");
	fixture_file(&fx, 1, "x/stays", 0644, "");
	fixture_mount(&fx);
	assert_listing(&fx, "", "0 1 2 w x");
	assert_listing(&fx, "0", "");
	assert_listing(&fx, "1", "");
	assert_listing(&fx, "2", "");
	assert_listing(&fx, "w", "");
	assert_listing(&fx, "x", "empty stays");
	assert_int_equal(fx_stat(&fx, "native", &st), -ENOENT);
	assert_int_equal(fx_stat(&fx, "aufs", &st), -ENOENT);
	assert_int_equal(fx_stat(&fx, ".wh.aufs", &st), -ENOENT);
	assert_int_equal(fx_stat(&fx, "x/gone", &st), -ENOENT);
	assert_int_equal(fx_stat(&fx, "0/hid", &st), -ENOENT);
	assert_int_equal(fx_stat(&fx, "w/hid", &st), -ENOENT);
	fixture_end(&fx);
}

/* The same in the upper, as another overlay left it. */
static void marks_in_the_upper(void **state)
{
	struct fixture fx;
	struct stat st;
	char path[128];

	fixture_init(&fx, 1);
	fx.aufs_whiteouts = true;
	fixture_file(&fx, 0, "native", 0644, "");
	fixture_file(&fx, 0, "aufs", 0644, "");
	fixture_dir(&fx, 0, "o", 0755);
	fixture_file(&fx, 0, "o/hid", 0644, "");
	fixture_dir(&fx, 0, "q", 0755);
	fixture_file(&fx, 0, "q/hid", 0644, "");
	assert_int_equal(mknodat(fx.upper_fd, "native", S_IFCHR, 0), 0);
	assert_int_equal(mknodat(fx.upper_fd, ".wh.aufs", S_IFREG | 0644, 0), 0);
	assert_int_equal(mkdirat(fx.upper_fd, "o", 0755), 0);
	snprintf(path, sizeof(path), "%s/upper/o", fx.dir);
	assert_int_equal(setxattr(path, "user.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(mkdirat(fx.upper_fd, "q", 0755), 0);
	assert_int_equal(mknodat(fx.upper_fd, "q/.wh..wh..opq", S_IFREG | 0644, 0), 0);
	fixture_mount(&fx);
	assert_listing(&fx, "", "o q");
	assert_listing(&fx, "o", "");
	assert_listing(&fx, "q", "");
	assert_int_equal(fx_stat(&fx, "native", &st), -ENOENT);
	assert_int_equal(fx_stat(&fx, "aufs", &st), -ENOENT);
	assert_int_equal(fx_stat(&fx, "o/hid", &st), -ENOENT);
	/* A name that is hidden may come back. */
	assert_int_equal(fx_create(&fx, "native", 0644, "new"), 0);
	assert_int_equal(fx_create(&fx, "aufs", 0644, "new"), 0);
	assert_content(&fx, "native", "new");
	assert_content(&fx, "aufs", "new");
	assert_int_equal(fx_create(&fx, ".wh.reserved", 0644, ""), -EINVAL);
	fixture_end(&fx);
}

static void names_are_bytes(void **state)
{
	char longest[256];
	const char *const names[] = {
		"\xff\xfe", "new\nline", " ", "-rf", "...", ".wh.free", longest};
	struct fixture fx;
	struct stat st;

	memset(longest, 'x', 255);
	longest[255] = '\0';
	fixture_init(&fx, 1);
	fixture_mount(&fx);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(fx_create(&fx, names[i], 0644, "x"), 0);
		assert_int_equal(fx_stat(&fx, names[i], &st), 0);
		assert_int_equal(fx_create(&fx, names[i], 0644, "x"), -EEXIST);
	}
	fixture_unmount(&fx);
	fixture_mount(&fx);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(fx_unlink(&fx, names[i]), 0);
	assert_listing(&fx, "", "");
	fixture_end(&fx);
}

static int take_offset(void *ctx, const struct overlay_dirent *entry)
{
	struct overlay_dirent *out = ctx;

	if (out->name)
		return 1;
	*out = *entry;
	return 0;
}

/* An entry at a time, by offsets; then from the start again. */
static void listings_resume(void **state)
{
	struct fixture fx;
	uint64_t offset = 0;
	unsigned count = 0;

	fixture_init(&fx, 1);
	for (int i = 0; i < 50; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		fixture_file(&fx, 0, name, 0644, "");
	}
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "extra", 0644, ""), 0);
	for (;;) {
		struct overlay_dirent entry = {.name = NULL};

		assert_int_equal(
			overlay_readdir(fx.ov, OVERLAY_ROOT_ID, offset, take_offset, &entry), 0);
		if (!entry.name)
			break;
		offset = entry.next;
		count++;
	}
	assert_int_equal(count, 53);
	fixture_end(&fx);
}

/* Offset behind `count` entries of the root; *ret_name is the next one, "" at the end. */
static uint64_t read_some(struct fixture *fx, uint64_t offset, int count, char ret_name[16])
{
	for (int i = 0; i <= count; i++) {
		struct overlay_dirent entry = {.name = NULL};

		assert_int_equal(
			overlay_readdir(fx->ov, OVERLAY_ROOT_ID, offset, take_offset, &entry), 0);
		snprintf(ret_name, 16, "%s", entry.name ? entry.name : "");
		if (i < count)
			offset = entry.next;
	}
	return offset;
}

/*
 * The kernel appends what one reader gets to what another got before, and takes it for current: who
 * goes on behind a later listing gets no name that was gone when that one began.
 */
static void readers_share_a_listing(void **state)
{
	struct fixture fx;
	char gone[16], name[16];
	uint64_t offset;

	fixture_init(&fx, 1);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fixture_file(&fx, 0, name, 0644, "");
	}
	fixture_mount(&fx);
	offset = read_some(&fx, 0, 10, gone);
	assert_int_equal(fx_unlink(&fx, gone), 0);
	read_some(&fx, 0, 5, name);
	read_some(&fx, offset, 0, name);
	assert_string_not_equal(name, gone);
	/* All have read to the end; one who comes later goes on from anywhere. */
	read_some(&fx, offset, 4991, name);
	assert_string_equal(name, "");
	read_some(&fx, offset, 0, name);
	assert_string_not_equal(name, gone);
	fixture_end(&fx);
}

static void inode_numbers_agree(void **state)
{
	struct fixture fx;
	struct stat before, st;
	struct overlay_dirent entry;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_file(&fx, 0, "d/f", 0644, "x");
	fixture_mount(&fx);
	assert_int_equal(fx_stat(&fx, "d/f", &before), 0);
	assert_int_equal(fx_write(&fx, "d/f", 0, "y"), 0);
	assert_int_equal(fx_rename(&fx, "d/f", "d/g", 0), 0);
	fixture_unmount(&fx);
	fixture_mount(&fx);
	assert_int_equal(fx_stat(&fx, "d/g", &st), 0);
	assert_true(st.st_ino == before.st_ino);
	assert_int_equal(fx_stat(&fx, "d", &st), 0);
	struct overlay_entry d;
	assert_int_equal(fx_walk(&fx, "d", &d), 0);
	for (uint64_t offset = 0;; offset = entry.next) {
		entry = (struct overlay_dirent){.name = NULL};
		assert_int_equal(overlay_readdir(fx.ov, d.node, offset, take_offset, &entry), 0);
		if (!entry.name)
			break;
		if (strcmp(entry.name, "g") == 0)
			assert_true(entry.ino == before.st_ino);
		if (strcmp(entry.name, ".") == 0)
			assert_true(entry.ino == st.st_ino);
	}
	fx_forget(&fx, d.node);
	fixture_end(&fx);
}

static const size_t long_names[] = {1, 255, 999, 1000, 3000, 3001, 4095};
#define LONG_NAMES (sizeof(long_names) / sizeof(*long_names))

static int list_long_names(
	struct layer *layer, layer_node_t dir, uint64_t offset, layer_emit_fn emit, void *ctx)
{
	char name[4096];

	for (uint64_t i = offset; i < LONG_NAMES; i++) {
		memset(name, 'a' + (int)i, long_names[i]);
		name[long_names[i]] = '\0';
		if (emit(ctx, name, S_IFREG, i + 10, i + 1) != 0)
			break;
	}
	return 0;
}

static int count_name(void *ctx, const struct overlay_dirent *entry)
{
	size_t *lengths = ctx;

	*lengths += strlen(entry->name);
	return 0;
}

/* A file system in a lower directory may have longer names than ours. */
static void names_of_any_length(void **state)
{
	struct layer_ops ops;
	struct fixture fx;
	size_t lengths = 0, wanted = 3; /* "." and ".." */

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_mount(&fx);
	ops = *fx.ov->layers[0]->ops;
	ops.readdir = list_long_names;
	fx.ov->layers[0]->ops = &ops;
	for (size_t i = 0; i < LONG_NAMES; i++)
		wanted += long_names[i];
	assert_int_equal(fx_readdir(&fx, "d", count_name, &lengths), 0);
	assert_int_equal(lengths, wanted);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layers_merge),
		cmocka_unit_test(a_file_ends_a_directory),
		cmocka_unit_test(marks_in_lower_layers),
		cmocka_unit_test(marks_in_the_upper),
		cmocka_unit_test(names_are_bytes),
		cmocka_unit_test(listings_resume),
		cmocka_unit_test(readers_share_a_listing),
		cmocka_unit_test(inode_numbers_agree),
		cmocka_unit_test(names_of_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
