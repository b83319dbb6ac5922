/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Immutable and append-only: from a layer or set here, kept as a mark, and protecting. */
#include "overlay-fixture.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PROTECTIONS (FS_IMMUTABLE_FL | FS_APPEND_FL)

static int set_flags(struct fixture *fx, const char *path, uint32_t flags)
{
	struct overlay_entry entry;
	uint32_t now;
	int r = fx_walk(fx, path, &entry);

	assert_int_equal(r, 0);
	r = overlay_get_flags(fx->ov, entry.node, &now);
	if (r == 0)
		r = overlay_set_flags(fx->ov, entry.node, (now & ~PROTECTIONS) | flags);
	fx_forget(fx, entry.node);
	if (r == -ENOTTY || r == -EOPNOTSUPP) {
		fixture_end(fx);
		print_message("no flags in /tmp\n");
		skip();
	}
	return r;
}

static uint32_t get_flags(struct fixture *fx, const char *path)
{
	struct overlay_entry entry;
	uint32_t flags = 0;

	assert_int_equal(fx_walk(fx, path, &entry), 0);
	assert_int_equal(overlay_get_flags(fx->ov, entry.node, &flags), 0);
	fx_forget(fx, entry.node);
	return flags & PROTECTIONS;
}

static void expect_mark(const struct fixture *fx, const char *path, const char *expected)
{
	char full[128], value[8] = "";

	snprintf(full, sizeof(full), "%s/upper/%s", fx->dir, path);
	(void)!getxattr(full, "user.overlay.protattr", value, sizeof(value) - 1);
	assert_string_equal(value, expected);
}

/* What a layer protects is not even copied up; and a directory is, with its protection. */
static void from_a_layer(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_file(&fx, 0, "d/f", 0644, "f");
	fixture_file(&fx, 0, "d/g", 0644, "g");
	mem_tree_set_flags(fx.trees[0], "d", FS_IMMUTABLE_FL);
	mem_tree_set_flags(fx.trees[0], "d/f", FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL);
	fixture_mount(&fx);
	assert_int_equal(get_flags(&fx, "d/f"), PROTECTIONS);
	assert_int_equal(fx_write(&fx, "d/f", 0, "x"), -EPERM);
	assert_int_equal(fx_write(&fx, "d/f", O_APPEND, "x"), -EPERM);
	assert_int_equal(fx_chmod(&fx, "d/f", 0600), -EPERM);
	assert_int_equal(fx_unlink(&fx, "d/f"), -EPERM);
	assert_int_equal(fx_link(&fx, "d/f", "l"), -EPERM);
	assert_int_equal(fx_rename(&fx, "d/f", "r", 0), -EPERM);
	assert_int_equal(fx_rename(&fx, "d/g", "r", 0), -EPERM);
	assert_int_equal(fx_create(&fx, "d/n", 0644, ""), -EPERM);
	assert_int_equal(fx_mkdir(&fx, "d/n", 0755), -EPERM);
	assert_int_equal(fx_rmdir(&fx, "d"), -EPERM);
	assert_int_equal(faccessat(fx.upper_fd, "d", F_OK, 0), -1);
	/* In it a file may change, which brings the directory up. */
	assert_int_equal(fx_write(&fx, "d/g", 0, "y"), 0);
	expect_mark(&fx, "d", "i");
	assert_int_equal(fx_unlink(&fx, "d/g"), -EPERM);
	fixture_unmount(&fx);
	fixture_mount(&fx);
	assert_int_equal(get_flags(&fx, "d"), FS_IMMUTABLE_FL);
	assert_int_equal(fx_unlink(&fx, "d/g"), -EPERM);
	assert_int_equal(set_flags(&fx, "d", 0), 0);
	expect_mark(&fx, "d", "");
	assert_int_equal(fx_unlink(&fx, "d/g"), 0);
	assert_int_equal(fx_unlink(&fx, "d/f"), -EPERM);
	assert_int_equal(set_flags(&fx, "d/f", FS_APPEND_FL), 0);
	expect_mark(&fx, "d/f", "a");
	assert_int_equal(fx_unlink(&fx, "d/f"), -EPERM);
	assert_int_equal(set_flags(&fx, "d/f", 0), 0);
	assert_int_equal(fx_unlink(&fx, "d/f"), 0);
	assert_int_equal(fx_rmdir(&fx, "d"), 0);
	fixture_end(&fx);
}

/* Only at the end, wherever the file was opened; before that it was opened, anywhere. */
static void append_only(void **state)
{
	struct overlay_file *appending, *before;
	struct overlay_entry entry;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "1234");
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(overlay_open(fx.ov, entry.node, O_RDWR, &before), 0);
	assert_int_equal(set_flags(&fx, "f", FS_APPEND_FL), 0);
	assert_int_equal(fx_write(&fx, "f", 0, "x"), -EPERM);
	assert_int_equal(fx_write(&fx, "f", O_APPEND | O_TRUNC, "x"), -EPERM);
	assert_int_equal(overlay_open(fx.ov, entry.node, O_WRONLY | O_APPEND, &appending), 0);
	assert_int_equal(overlay_write(fx.ov, appending, "x", 1, 0), -EPERM);
	assert_int_equal(overlay_write(fx.ov, appending, "5", 1, 4), 1);
	assert_int_equal(overlay_write(fx.ov, before, "9", 1, 0), 1);
	assert_int_equal(overlay_fallocate(fx.ov, appending, FALLOC_FL_KEEP_SIZE, 0, 10), 0);
	assert_int_equal(overlay_fallocate(fx.ov, appending,
				 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10),
		-EPERM);
	assert_int_equal(set_flags(&fx, "f", FS_IMMUTABLE_FL), 0);
	expect_mark(&fx, "f", "i");
	assert_int_equal(overlay_write(fx.ov, before, "9", 1, 0), -EPERM);
	assert_int_equal(overlay_fallocate(fx.ov, before, 0, 0, 10), -EPERM);
	assert_content(&fx, "f", "92345");
	overlay_release(fx.ov, before);
	overlay_release(fx.ov, appending);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

/* The mark is not to be seen, nor a flag on the file in the upper. */
static void kept_apart(void **state)
{
	struct overlay_entry entry;
	struct fsxattr attributes;
	struct fixture fx;
	char names[64];
	uint32_t generation;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "");
	fixture_mount(&fx);
	assert_int_equal(set_flags(&fx, "f", PROTECTIONS), 0);
	expect_mark(&fx, "f", "ai");
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(overlay_listxattr(fx.ov, &fx.caller, entry.node, names, sizeof(names)), 0);
	assert_int_equal(overlay_get_fsxattr(fx.ov, entry.node, &attributes), 0);
	assert_int_equal(attributes.fsx_xflags & (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND),
		FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND);
	attributes.fsx_xflags &= ~(uint32_t)FS_XFLAG_IMMUTABLE;
	assert_int_equal(overlay_set_fsxattr(fx.ov, entry.node, &attributes), 0);
	expect_mark(&fx, "f", "a");
	assert_int_equal(overlay_get_generation(fx.ov, entry.node, &generation), 0);
	assert_int_equal(generation, 0);
	fx_forget(&fx, entry.node);
	/* Another process may remove it there. */
	assert_int_equal(unlinkat(fx.upper_fd, "f", 0), 0);
	fixture_end(&fx);
}

static void what_has_none(void **state)
{
	struct overlay_entry entry;
	struct fixture fx;
	uint32_t flags;

	fixture_init(&fx, 1);
	assert_int_equal(mem_tree_add_symlink(fx.trees[0], "l", "x"), 0);
	fixture_file(&fx, 0, "f", 0644, "");
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "l", &entry), 0);
	assert_int_equal(overlay_get_flags(fx.ov, entry.node, &flags), -ENOTTY);
	assert_int_equal(overlay_set_flags(fx.ov, entry.node, 0), -ENOTTY);
	fx_forget(&fx, entry.node);
	assert_int_equal(fx_unlink(&fx, "l"), 0);
	fixture_unmount(&fx);
	fx.read_only = true;
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(overlay_get_flags(fx.ov, entry.node, &flags), 0);
	assert_int_equal(flags, 0);
	assert_int_equal(overlay_set_flags(fx.ov, entry.node, 0), -EROFS);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

/* When it was made: the layer knows of its own, and a copy is made in the upper. */
static void born(void **state)
{
	struct overlay_entry entry;
	struct timespec btime = {0};
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "");
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(overlay_get_btime(fx.ov, entry.node, &btime), 0);
	assert_int_equal(btime.tv_sec, entry.st.st_mtim.tv_sec);
	assert_int_equal(btime.tv_nsec, entry.st.st_mtim.tv_nsec);
	assert_int_equal(fx_chmod(&fx, "f", 0600), 0);
	if (overlay_get_btime(fx.ov, entry.node, &btime) != -ENODATA)
		assert_true(btime.tv_sec > entry.st.st_mtim.tv_sec);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_a_layer),
		cmocka_unit_test(append_only),
		cmocka_unit_test(kept_apart),
		cmocka_unit_test(what_has_none),
		cmocka_unit_test(born),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
