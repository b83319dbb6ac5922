/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Character devices 0:0 that the container makes: they show, although whiteouts look like them. */
#include "overlay-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void populate(struct fixture *fx)
{
	fixture_init(fx, 1);
	fixture_dir(fx, 0, "d", 0755);
	fixture_file(fx, 0, "d/f", 0644, "f");
	fixture_file(fx, 0, "d/g", 0644, "g");
	fixture_mount(fx);
}

static int make_device(struct fixture *fx, const char *path, mode_t mode)
{
	struct overlay_entry entry;
	const char *name;
	uint64_t parent;
	int r = fx_parent(fx, path, &parent, &name);

	if (r < 0)
		return r;
	r = overlay_mknod(fx->ov, &fx->caller, parent, name, S_IFCHR | mode, 0, &entry);
	fx_forget(fx, parent);
	if (r == 0)
		fx_forget(fx, entry.node);
	return r;
}

static void expect_device(struct fixture *fx, const char *path, mode_t mode)
{
	struct stat st = {0};

	assert_int_equal(fx_stat(fx, path, &st), 0);
	assert_int_equal(st.st_mode, S_IFCHR | mode);
	assert_int_equal(st.st_rdev, 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_uid, fx->caller.uid);
}

static int note_type(void *ctx, const struct overlay_dirent *entry)
{
	if (strcmp(entry->name, "dev") == 0)
		*(mode_t *)ctx = entry->type;
	return 0;
}

static mode_t listed_type(struct fixture *fx, const char *path)
{
	mode_t type = 0;

	assert_int_equal(fx_readdir(fx, path, note_type, &type), 0);
	return type;
}

static void a_device_shows(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(make_device(&fx, "dev", 0640), 0);
	assert_int_equal(make_device(&fx, "dev", 0640), -EEXIST);
	assert_int_equal(make_device(&fx, "d/dev", 0600), 0);
	assert_int_equal(fx_create(&fx, "d/empty", 0644, ""), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		struct stat st;

		expect_device(&fx, "dev", 0640);
		expect_device(&fx, "d/dev", 0600);
		assert_listing(&fx, "d", "dev empty f g");
		assert_int_equal(listed_type(&fx, "d"), S_IFCHR);
		assert_int_equal(listed_type(&fx, ""), S_IFCHR);
		assert_int_equal(fx_stat(&fx, "d/empty", &st), 0);
		assert_true(S_ISREG(st.st_mode));
	}
	assert_int_equal(fx_chmod(&fx, "dev", 0444), 0);
	assert_int_equal(fx_rename(&fx, "dev", "d/f", 0), 0);
	assert_int_equal(fx_link(&fx, "d/f", "d/link"), 0);
	fixture_remount(&fx);
	expect_device(&fx, "d/f", 0444);
	expect_device(&fx, "d/link", 0444);
	assert_int_equal(fx_unlink(&fx, "d/f"), 0);
	assert_int_equal(fx_unlink(&fx, "d/dev"), 0);
	fixture_remount(&fx);
	assert_listing(&fx, "d", "empty g link");
	fixture_end(&fx);
}

/* The kernel's overlayfs takes its mark away when it lists the directory. */
static void the_kernels_mark_is_not_ours(void **state)
{
	struct fixture fx;
	char path[128];
	struct stat st;
	uint64_t ino;

	populate(&fx);
	assert_int_equal(fx_mkdir(&fx, "new", 0755), 0);
	assert_int_equal(make_device(&fx, "new/dev", 0640), 0);
	assert_int_equal(fx_rename(&fx, "d/f", "new/f", 0), 0);
	assert_int_equal(fx_stat(&fx, "new/f", &st), 0);
	ino = st.st_ino;
	fixture_unmount(&fx);
	snprintf(path, sizeof(path), "%s/upper/new", fx.dir);
	assert_int_equal(removexattr(path, "user.overlay.impure"), 0);
	fixture_mount(&fx);
	expect_device(&fx, "new/dev", 0640);
	assert_int_equal(listed_type(&fx, "new"), S_IFCHR);
	assert_int_equal(fx_stat(&fx, "new/f", &st), 0);
	assert_int_equal(st.st_ino, ino);
	fixture_end(&fx);
}

static void rename_leaves_one(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "d/f", "new", RENAME_WHITEOUT), 0);
	assert_int_equal(fx_create(&fx, "own", 0644, "own"), 0);
	assert_int_equal(fx_rename(&fx, "own", "d/g", RENAME_WHITEOUT), 0);
	assert_int_equal(fx_rename(&fx, "d", "new", RENAME_WHITEOUT | RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(fx_rename(&fx, "d", "new", RENAME_WHITEOUT | RENAME_EXCHANGE), -EINVAL);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		expect_device(&fx, "d/f", 0);
		expect_device(&fx, "own", 0);
		assert_content(&fx, "new", "f");
		assert_content(&fx, "d/g", "own");
		assert_listing(&fx, "", "d new own");
		assert_listing(&fx, "d", "f g");
	}
	assert_int_equal(fx_rename(&fx, "d", "moved", RENAME_WHITEOUT), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		expect_device(&fx, "d", 0);
		assert_listing(&fx, "moved", "f g");
	}
	fixture_end(&fx);
}

/* The upper of before is a layer now. */
static void a_layer_may_hold_one(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "dev", 0640, "");
	fixture_file(&fx, 0, "empty", 0640, "");
	assert_int_equal(mem_tree_set_xattr(fx.trees[0], "dev", "user.overlay.git-overlayfs.device",
				 "c0:0", 4),
		0);
	assert_int_equal(mem_tree_set_xattr(fx.trees[0], "", "user.overlay.impure", "y", 1), 0);
	fixture_mount(&fx);
	expect_device(&fx, "dev", 0640);
	assert_int_equal(listed_type(&fx, ""), S_IFCHR);
	assert_int_equal(fx_chmod(&fx, "dev", 0600), 0);
	for (int i = 0; i < 2; i++, fixture_remount(&fx)) {
		expect_device(&fx, "dev", 0600);
		assert_int_equal(listed_type(&fx, ""), S_IFCHR);
	}
	assert_int_equal(fx_unlink(&fx, "dev"), 0);
	fixture_remount(&fx);
	assert_listing(&fx, "", "empty");
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_shows),
		cmocka_unit_test(the_kernels_mark_is_not_ours),
		cmocka_unit_test(rename_leaves_one),
		cmocka_unit_test(a_layer_may_hold_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
