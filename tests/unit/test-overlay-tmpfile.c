/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files without a name: O_TMPFILE, and what a link makes of one. */
#include "overlay-fixture.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* An unnamed file in a directory, with one reference of the kernel's. */
static int make(struct fixture *fx, const char *path, int flags, struct overlay_entry *ret_entry,
	struct overlay_file **ret_file)
{
	struct overlay_entry dir;
	int r = fx_walk(fx, path, &dir);

	assert_int_equal(r, 0);
	r = overlay_tmpfile(
		fx->ov, &fx->caller, dir.node, 0666, O_RDWR | flags, ret_entry, ret_file);
	fx_forget(fx, dir.node);
	if (r == -EOPNOTSUPP) {
		fixture_end(fx);
		print_message("no O_TMPFILE in /tmp\n");
		skip();
	}
	return r;
}

static int link_to(struct fixture *fx, uint64_t node, const char *path)
{
	struct overlay_entry linked;
	const char *name;
	uint64_t parent;
	int r = fx_parent(fx, path, &parent, &name);

	assert_int_equal(r, 0);
	r = overlay_link(fx->ov, node, parent, name, &linked);
	if (r == 0) {
		assert_int_equal(linked.node, node);
		fx_forget(fx, linked.node);
	}
	fx_forget(fx, parent);
	return r;
}

static nlink_t links(struct fixture *fx, uint64_t node)
{
	struct stat st;

	assert_int_equal(overlay_getattr(fx->ov, node, NULL, &st), 0);
	return st.st_nlink;
}

/* Without a name it is a file like any other, and with one it needs no descriptor. */
static void linked(void **state)
{
	struct overlay_entry entry, dir;
	struct overlay_file *file;
	struct fixture fx;
	int descriptors;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_file(&fx, 0, "d/old", 0644, "old");
	fx.caller.umask = 027;
	fixture_mount(&fx);
	/* The directory stays open, for speed. */
	assert_int_equal(fx_walk(&fx, "d", &dir), 0);
	assert_int_equal(fx_create(&fx, "d/other", 0600, ""), 0);
	descriptors = open_descriptors();
	assert_int_equal(make(&fx, "d", 0, &entry, &file), 0);
	assert_int_equal(entry.st.st_nlink, 0);
	assert_int_equal(entry.st.st_mode, S_IFREG | 0640);
	assert_int_equal(overlay_write(fx.ov, file, "text", 4, 0), 4);
	assert_int_equal(links(&fx, entry.node), 0);
	assert_listing(&fx, "d", "old other");
	assert_int_equal(link_to(&fx, entry.node, "d/old"), -EEXIST);
	assert_int_equal(fx_unlink(&fx, "d/old"), 0);
	assert_int_equal(link_to(&fx, entry.node, "d/old"), 0);
	assert_int_equal(link_to(&fx, entry.node, "d/more"), 0);
	assert_int_equal(links(&fx, entry.node), 2);
	assert_content(&fx, "d/more", "text");
	overlay_release(fx.ov, file);
	assert_int_equal(open_descriptors(), descriptors);
	/* Without a name again, and in use. */
	assert_int_equal(fx_unlink(&fx, "d/old"), 0);
	assert_int_equal(fx_unlink(&fx, "d/more"), 0);
	assert_int_equal(links(&fx, entry.node), 0);
	assert_int_equal(link_to(&fx, entry.node, "d/back"), -ENOENT);
	fx_forget(&fx, entry.node);
	assert_int_equal(open_descriptors(), descriptors);
	fx_forget(&fx, dir.node);
	fixture_end(&fx);
}

/* Never linked: it goes with its node, and nothing of it is in the upper or beside it. */
static void dropped(void **state)
{
	struct overlay_entry entry;
	struct overlay_file *file;
	struct fixture fx;
	int descriptors;

	fixture_init(&fx, 1);
	fixture_mount(&fx);
	descriptors = open_descriptors();
	assert_int_equal(make(&fx, "", O_EXCL, &entry, &file), 0);
	assert_int_equal(link_to(&fx, entry.node, "never"), -ENOENT);
	overlay_release(fx.ov, file);
	fx_forget(&fx, entry.node);
	assert_int_equal(open_descriptors(), descriptors);
	assert_listing(&fx, "", "");
	fixture_end(&fx);
}

static void owned_by_the_caller(void **state)
{
	struct overlay_entry entry;
	struct overlay_file *file;
	struct fixture fx;

	if (geteuid() != 0)
		skip();
	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 02777);
	mem_tree_set_attr(fx.trees[0], "d", 02777, 0, 77, (struct timespec){0});
	fx.caller = (struct overlay_caller){.uid = 1234, .gid = 1235};
	fixture_mount(&fx);
	assert_int_equal(make(&fx, "d", 0, &entry, &file), 0);
	assert_int_equal(entry.st.st_uid, 1234);
	assert_int_equal(entry.st.st_gid, 77);
	assert_int_equal(entry.st.st_mode, S_IFREG | 0666);
	overlay_release(fx.ov, file);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

static void refused(void **state)
{
	struct overlay_entry entry, found;
	struct overlay_file *file;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "");
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &found), 0);
	assert_int_equal(
		overlay_tmpfile(fx.ov, &fx.caller, found.node, 0666, O_RDWR, &entry, &file),
		-ENOTDIR);
	fx_forget(&fx, found.node);
	fixture_unmount(&fx);
	fx.read_only = true;
	fixture_mount(&fx);
	assert_int_equal(make(&fx, "", 0, &entry, &file), -EROFS);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linked),
		cmocka_unit_test(dropped),
		cmocka_unit_test(owned_by_the_caller),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
