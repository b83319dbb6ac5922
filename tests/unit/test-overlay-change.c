/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What changes the tree: creating, removing, renaming, linking; each seen again after a remount. */
#include "overlay-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/fdcache.h"

/* Two layers: a/f b/g in both of them, deep/er/h below. */
static void populate(struct fixture *fx)
{
	fixture_init(fx, 2);
	fixture_dir(fx, 0, "a", 0755);
	fixture_file(fx, 0, "a/f", 0644, "top f");
	fixture_dir(fx, 1, "a", 0755);
	fixture_file(fx, 1, "a/f", 0644, "bottom f");
	fixture_file(fx, 1, "a/g", 0755, "bottom g");
	fixture_dir(fx, 1, "deep", 0755);
	fixture_dir(fx, 1, "deep/er", 0750);
	fixture_file(fx, 1, "deep/er/h", 0600, "h");
	fixture_mount(fx);
}

static void unlink_leaves_a_whiteout(void **state)
{
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_unlink(&fx, "a/f"), 0);
	assert_int_equal(fx_unlink(&fx, "a/f"), -ENOENT);
	assert_listing(&fx, "a", "g");
	assert_int_equal(fstatat(fx.upper_fd, "a/f", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	fixture_remount(&fx);
	assert_listing(&fx, "a", "g");
	/* What was copied up leaves one too, what is only in the upper does not. */
	assert_int_equal(fx_write(&fx, "a/g", 0, "G"), 0);
	assert_int_equal(fx_unlink(&fx, "a/g"), 0);
	assert_int_equal(fx_create(&fx, "a/new", 0644, ""), 0);
	assert_int_equal(fx_unlink(&fx, "a/new"), 0);
	assert_int_equal(fstatat(fx.upper_fd, "a/new", &st, 0), -1);
	assert_listing(&fx, "a", "");
	fixture_remount(&fx);
	assert_listing(&fx, "a", "");
	assert_int_equal(fx_unlink(&fx, "a"), -EISDIR);
	assert_int_equal(fx_unlink(&fx, "nothing"), -ENOENT);
	fixture_end(&fx);
}

static void rmdir_and_mkdir_again(void **state)
{
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_rmdir(&fx, "a"), -ENOTEMPTY);
	assert_int_equal(fx_rmdir(&fx, "a/f"), -ENOTDIR);
	/* A failure copies nothing up. */
	assert_int_equal(fx_rmdir(&fx, "deep/er"), -ENOTEMPTY);
	assert_int_equal(fstatat(fx.upper_fd, "deep", &st, 0), -1);
	assert_int_equal(fx_unlink(&fx, "a/f"), 0);
	assert_int_equal(fx_unlink(&fx, "a/g"), 0);
	assert_int_equal(fx_rmdir(&fx, "a"), 0);
	assert_listing(&fx, "", "deep");
	fixture_remount(&fx);
	assert_listing(&fx, "", "deep");
	/* The new directory shows nothing of the old one, now or later. */
	assert_int_equal(fx_mkdir(&fx, "a", 0700), 0);
	assert_listing(&fx, "a", "");
	assert_int_equal(fx_create(&fx, "a/n", 0644, "n"), 0);
	fixture_remount(&fx);
	assert_listing(&fx, "a", "n");
	assert_int_equal(fx_unlink(&fx, "a/n"), 0);
	assert_int_equal(fx_rmdir(&fx, "a"), 0);
	fixture_remount(&fx);
	assert_listing(&fx, "", "deep");
	fixture_end(&fx);
}

static void create_over_a_whiteout(void **state)
{
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_unlink(&fx, "a/f"), 0);
	assert_int_equal(fx_create(&fx, "a/f", 0640, "again"), 0);
	assert_content(&fx, "a/f", "again");
	assert_int_equal(fx_stat(&fx, "a/f", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(fx_create(&fx, "a/g", 0644, ""), -EEXIST);
	assert_int_equal(fx_mkdir(&fx, "a/g", 0755), -EEXIST);
	assert_int_equal(fx_symlink(&fx, "t", "a/g"), -EEXIST);
	assert_int_equal(fx_link(&fx, "a/f", "a/g"), -EEXIST);
	assert_int_equal(fx_unlink(&fx, "a/g"), 0);
	assert_int_equal(fx_symlink(&fx, "target", "a/g"), 0);
	fixture_remount(&fx);
	assert_content(&fx, "a/f", "again");
	assert_int_equal(fx_stat(&fx, "a/g", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	fixture_end(&fx);
}

static void rename_files(void **state)
{
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "a/f", "moved", 0), 0);
	assert_content(&fx, "moved", "top f");
	assert_listing(&fx, "a", "g");
	fixture_remount(&fx);
	assert_content(&fx, "moved", "top f");
	assert_listing(&fx, "a", "g");
	/* Back over its whiteout, then over a file of the layer. */
	assert_int_equal(fx_rename(&fx, "moved", "a/f", 0), 0);
	assert_int_equal(fx_rename(&fx, "a/f", "a/g", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(fx_rename(&fx, "a/f", "a/g", 0), 0);
	assert_content(&fx, "a/g", "top f");
	assert_int_equal(fx_stat(&fx, "a/f", &st), -ENOENT);
	fixture_remount(&fx);
	assert_listing(&fx, "a", "g");
	assert_content(&fx, "a/g", "top f");
	assert_int_equal(fx_rename(&fx, "a/g", "deep", 0), -EISDIR);
	assert_int_equal(fx_rename(&fx, "nothing", "x", 0), -ENOENT);
	fixture_end(&fx);
}

static void rename_exchange(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_rename(&fx, "a/f", "deep/er/h", RENAME_EXCHANGE), 0);
	assert_content(&fx, "a/f", "h");
	assert_content(&fx, "deep/er/h", "top f");
	fixture_remount(&fx);
	assert_content(&fx, "a/f", "h");
	assert_content(&fx, "deep/er/h", "top f");
	assert_int_equal(fx_rename(&fx, "a/f", "nothing", RENAME_EXCHANGE), -ENOENT);
	assert_int_equal(fx_mkdir(&fx, "new", 0755), 0);
	assert_int_equal(fx_create(&fx, "new/x", 0644, "x"), 0);
	assert_int_equal(fx_rename(&fx, "new", "a/f", RENAME_EXCHANGE), 0);
	assert_listing(&fx, "a/f", "x");
	assert_content(&fx, "new", "h");
	fixture_remount(&fx);
	assert_listing(&fx, "a/f", "x");
	fixture_end(&fx);
}

static void rename_directories(void **state)
{
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_mkdir(&fx, "n", 0755), 0);
	assert_int_equal(fx_create(&fx, "n/x", 0644, "x"), 0);
	assert_int_equal(fx_mkdir(&fx, "n/sub", 0755), 0);
	assert_int_equal(fx_rename(&fx, "n", "n/sub/n", 0), -EINVAL);
	assert_int_equal(fx_rename(&fx, "n", "a", 0), -ENOTEMPTY);
	/* Over a directory of the layers that has been emptied: nothing of it may come back. */
	assert_int_equal(fx_unlink(&fx, "a/f"), 0);
	assert_int_equal(fx_unlink(&fx, "a/g"), 0);
	assert_int_equal(fx_rename(&fx, "n", "a", 0), 0);
	assert_listing(&fx, "a", "sub x");
	fixture_remount(&fx);
	assert_listing(&fx, "", "a deep");
	assert_listing(&fx, "a", "sub x");
	/* Away from there, over the whiteout of a file. */
	assert_int_equal(fx_unlink(&fx, "deep/er/h"), 0);
	assert_int_equal(fx_rename(&fx, "a", "deep/er/h", 0), 0);
	assert_listing(&fx, "deep/er/h", "sub x");
	fixture_remount(&fx);
	assert_listing(&fx, "", "deep");
	assert_listing(&fx, "deep/er/h", "sub x");
	assert_int_equal(fx_mkdir(&fx, "empty", 0755), 0);
	assert_int_equal(fx_rename(&fx, "deep/er/h", "empty", 0), 0);
	fixture_remount(&fx);
	assert_listing(&fx, "deep/er", "");
	assert_listing(&fx, "empty", "sub x");
	fixture_end(&fx);
}

/* What the owner may do a daemon of the owner's must get done, whatever the modes say. */
static void modes_that_forbid(void **state)
{
	struct fixture fx;
	struct stat st;

	populate(&fx);
	assert_int_equal(fx_mkdir(&fx, "n", 0), 0);
	assert_listing(&fx, "n", "");
	assert_int_equal(fx_stat(&fx, "n", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR);
	assert_int_equal(fx_rmdir(&fx, "n"), 0);
	/* Of the layers, emptied: whiteouts are in it. */
	assert_int_equal(fx_unlink(&fx, "deep/er/h"), 0);
	assert_int_equal(fx_chmod(&fx, "deep/er", 0555), 0);
	assert_int_equal(fx_rmdir(&fx, "deep/er"), 0);
	assert_int_equal(fx_create(&fx, "f", 0, "text"), 0);
	assert_int_equal(fx_write(&fx, "f", 0, "TEXT"), 0);
	assert_content(&fx, "f", "TEXT");
	assert_int_equal(fx_rename(&fx, "f", "g", 0), 0);
	fixture_remount(&fx);
	assert_listing(&fx, "", "a deep g");
	assert_int_equal(fx_stat(&fx, "g", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG);
	fixture_end(&fx);
}

static void hard_links(void **state)
{
	struct fixture fx;
	struct stat a, b;

	populate(&fx);
	assert_int_equal(fx_link(&fx, "a/g", "deep/link"), 0);
	assert_int_equal(fx_stat(&fx, "a/g", &a), 0);
	assert_int_equal(fx_stat(&fx, "deep/link", &b), 0);
	assert_true(a.st_ino == b.st_ino);
	assert_int_equal(a.st_nlink, 2);
	assert_int_equal(fx_write(&fx, "deep/link", O_TRUNC, "both"), 0);
	assert_content(&fx, "a/g", "both");
	fixture_remount(&fx);
	assert_int_equal(fx_write(&fx, "a/g", O_TRUNC, "both again"), 0);
	assert_content(&fx, "deep/link", "both again");
	assert_int_equal(fx_stat(&fx, "a/g", &b), 0);
	assert_true(a.st_ino == b.st_ino);
	assert_int_equal(fx_rename(&fx, "a/g", "deep/link", 0), 0);
	assert_int_equal(fx_unlink(&fx, "a/g"), 0);
	assert_content(&fx, "deep/link", "both again");
	assert_int_equal(fx_link(&fx, "deep", "dirlink"), -EPERM);
	fixture_end(&fx);
}

/* Links of a layer stay together for the life of the mount. */
static void hard_links_of_a_layer(void **state)
{
	struct overlay_entry x, y;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "x", 0644, "old");
	fixture_dir(&fx, 0, "d", 0755);
	assert_int_equal(mem_tree_link(fx.trees[0], "x", "d/y"), 0);
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "x", &x), 0);
	assert_int_equal(fx_walk(&fx, "d/y", &y), 0);
	assert_int_equal(x.node, y.node);
	assert_int_equal(fx_write(&fx, "x", O_TRUNC, "new"), 0);
	assert_content(&fx, "d/y", "new");
	assert_int_equal(fx_rename(&fx, "d/y", "d/z", 0), 0);
	assert_content(&fx, "d/z", "new");
	assert_int_equal(fx_write(&fx, "d/z", O_TRUNC, "newer"), 0);
	assert_content(&fx, "x", "newer");
	fx_forget(&fx, x.node);
	fx_forget(&fx, y.node);
	fixture_end(&fx);
}

/* Whichever name was written has what was written, when the kernel has forgotten them all. */
static void hard_links_of_a_layer_when_forgotten(void **state)
{
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "a", 0644, "old");
	assert_int_equal(mem_tree_link(fx.trees[0], "a", "b"), 0);
	fixture_dir(&fx, 0, "d", 0755);
	assert_int_equal(mem_tree_link(fx.trees[0], "a", "d/c"), 0);
	fixture_mount(&fx);
	struct overlay_entry a, b;
	assert_int_equal(fx_walk(&fx, "a", &a), 0);
	assert_int_equal(fx_walk(&fx, "b", &b), 0);
	assert_int_equal(a.st.st_nlink, 3);
	assert_int_equal(fx_write(&fx, "a", O_TRUNC, "new"), 0);
	fx_forget(&fx, a.node);
	fx_forget(&fx, b.node);
	assert_content(&fx, "a", "new");
	assert_content(&fx, "b", "new");
	assert_content(&fx, "d/c", "new");
	assert_int_equal(fx_stat(&fx, "b", &st), 0);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(fx_unlink(&fx, "a"), 0);
	assert_int_equal(fx_stat(&fx, "b", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(fx_write(&fx, "b", O_TRUNC, "newer"), 0);
	assert_content(&fx, "d/c", "newer");
	fixture_remount(&fx);
	/* Names that were known when it was written are links in the upper. */
	assert_content(&fx, "b", "newer");
	assert_content(&fx, "d/c", "newer");
	assert_listing(&fx, "", "b d");
	fixture_end(&fx);
}

/* Who collects writes has moved mtime when they were made, and tells it when it likes. */
static void collected_writes_move_no_mtime(void **state)
{
	const unsigned told = OVERLAY_SET_MTIME | OVERLAY_KEPT_TIMES | OVERLAY_IS_FLUSH;
	struct stat st = {.st_mtim = {.tv_sec = 1000, .tv_nsec = 5}}, got;
	struct overlay_entry entry;
	struct overlay_file *file;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "text");
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(overlay_open(fx.ov, entry.node, O_RDWR, &file), 0);
	assert_int_equal(overlay_write_back(fx.ov, file, "T", 1, 0, true), 1);
	assert_int_equal(overlay_getattr(fx.ov, entry.node, NULL, &got), 0);
	assert_int_equal(got.st_mtim.tv_sec, entry.st.st_mtim.tv_sec);
	assert_int_equal(got.st_mtim.tv_nsec, entry.st.st_mtim.tv_nsec);
	/* Also what it tells is not news, because a write that it knows nothing of came before. */
	assert_int_equal(overlay_write(fx.ov, file, "E", 1, 1), 1);
	assert_int_equal(overlay_getattr(fx.ov, entry.node, NULL, &got), 0);
	assert_int_equal(overlay_setattr(fx.ov, entry.node, file, &got, told, &got), 0);
	assert_int_equal(overlay_write_back(fx.ov, file, "X", 1, 2, true), 1);
	assert_int_equal(overlay_getattr(fx.ov, entry.node, NULL, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, got.st_mtim.tv_sec);
	assert_int_equal(st.st_mtim.tv_nsec, got.st_mtim.tv_nsec);
	st.st_mtim = (struct timespec){.tv_sec = 1000, .tv_nsec = 5};
	assert_int_equal(overlay_setattr(fx.ov, entry.node, file, &st, told, &got), 0);
	assert_int_equal(overlay_write_back(fx.ov, file, "T", 1, 3, true), 1);
	overlay_release(fx.ov, file);
	assert_int_equal(overlay_getattr(fx.ov, entry.node, NULL, &got), 0);
	assert_int_equal(got.st_mtim.tv_sec, 1000);
	assert_content(&fx, "f", "TEXT");
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

/* Removing one of several names pins nothing: there may be any number of them. */
static void links_take_no_descriptors(void **state)
{
	struct rlimit limit, low = {.rlim_cur = 128};
	struct overlay_entry entry, linked;
	struct overlay_file *file;
	struct fixture fx;
	char name[32], other[32];

	fixture_init(&fx, 1);
	fixture_mount(&fx);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "tmp%d", i);
		snprintf(other, sizeof(other), "obj%d", i);
		assert_int_equal(overlay_create(fx.ov, &fx.caller, OVERLAY_ROOT_ID, name, 0644,
					 O_WRONLY, &entry, &file),
			0);
		overlay_release(fx.ov, file);
		assert_int_equal(
			overlay_link(fx.ov, entry.node, OVERLAY_ROOT_ID, other, &linked), 0);
		assert_int_equal(overlay_unlink(fx.ov, OVERLAY_ROOT_ID, name), 0);
		/* The kernel forgets none of them. */
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	fixture_end(&fx);
}

/* A container decides how deep a tree is: no stack may depend on it. */
static void deep_trees(void **state)
{
	struct overlay_entry entry = {.node = OVERLAY_ROOT_ID}, next;
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fixture_mount(&fx);
	for (int i = 0; i < 20000; i++) {
		assert_int_equal(overlay_mkdir(fx.ov, &fx.caller, entry.node, "d", 0755, &next), 0);
		fx_forget(&fx, entry.node);
		entry = next;
	}
	/* Nothing above stays open. */
	fdcache_trim(fdcache_shared());
	assert_int_equal(overlay_getattr(fx.ov, entry.node, NULL, &st), 0);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

/* What a directory's default ACL allows holds where the object cannot be made in its place, too. */
static void default_acl(void **state)
{
	static const struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[] = {{1, 6, UINT32_MAX}, {4, 4, UINT32_MAX}, {0x20, 0, UINT32_MAX}};
	char acl[4 + sizeof(entries)] = {2}, path[128];
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_file(&fx, 0, "d/f", 0644, "");
	fixture_file(&fx, 0, "d/g", 0644, "");
	fx.caller.umask = 022;
	fixture_mount(&fx);
	assert_int_equal(fx_unlink(&fx, "d/f"), 0);
	memcpy(acl + 4, entries, sizeof(entries));
	snprintf(path, sizeof(path), "%s/upper/d", fx.dir);
	if (setxattr(path, "system.posix_acl_default", acl, sizeof(acl), 0) < 0) {
		assert_int_equal(errno, EOPNOTSUPP);
		fixture_end(&fx);
		print_message("no ACLs in /tmp\n");
		skip();
	}
	assert_int_equal(fx_create(&fx, "d/f", 0666, ""), 0);
	assert_int_equal(fx_stat(&fx, "d/f", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(fx_unlink(&fx, "d/g"), 0);
	assert_int_equal(fx_mkdir(&fx, "d/g", 0777), 0);
	assert_int_equal(fx_stat(&fx, "d/g", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0640);
	snprintf(path, sizeof(path), "%s/upper/d/g", fx.dir);
	assert_int_equal(getxattr(path, "system.posix_acl_default", NULL, 0), sizeof(acl));
	fixture_end(&fx);
}

static void read_only(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "x");
	fx.read_only = true;
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "n", 0644, ""), -EROFS);
	assert_int_equal(fx_mkdir(&fx, "n", 0755), -EROFS);
	assert_int_equal(fx_write(&fx, "f", 0, "y"), -EROFS);
	assert_int_equal(fx_unlink(&fx, "f"), -EROFS);
	assert_int_equal(fx_rename(&fx, "f", "g", 0), -EROFS);
	assert_int_equal(fx_link(&fx, "f", "g"), -EROFS);
	assert_int_equal(fx_chmod(&fx, "f", 0600), -EROFS);
	assert_content(&fx, "f", "x");
	fixture_end(&fx);
}

static void aufs_form(void **state)
{
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fx.aufs_whiteouts = true;
	fixture_file(&fx, 0, "f", 0644, "f");
	fixture_dir(&fx, 0, "d", 0755);
	fixture_file(&fx, 0, "d/x", 0644, "x");
	fixture_mount(&fx);
	assert_int_equal(fx_rename(&fx, "f", "g", 0), 0);
	assert_int_equal(fx_unlink(&fx, "d/x"), 0);
	assert_int_equal(fx_rmdir(&fx, "d"), 0);
	assert_int_equal(fx_mkdir(&fx, "d", 0755), 0);
	assert_listing(&fx, "", "d g");
	/* The kernel would show a file of that name: the attribute does. */
	assert_int_equal(fstatat(fx.upper_fd, "d/.wh..wh..opq", &st, 0), -1);
	fixture_remount(&fx);
	assert_listing(&fx, "", "d g");
	assert_listing(&fx, "d", "");
	fixture_end(&fx);
}

/* From memory, as far as there is something. */
static void copy_ranges_of_a_layer(void **state)
{
	struct overlay_file *from, *to;
	struct fixture fx;

	populate(&fx);
	assert_int_equal(fx_create(&fx, "new", 0644, ""), 0);
	from = fx_open(&fx, "a/g", O_RDONLY);
	to = fx_open(&fx, "new", O_WRONLY);
	assert_int_equal(overlay_copy_file_range(fx.ov, from, 0, to, 0, 3), 3);
	assert_int_equal(overlay_copy_file_range(fx.ov, from, 3, to, 3, 1 << 20), 5);
	assert_int_equal(overlay_copy_file_range(fx.ov, from, 8, to, 8, 10), 0);
	assert_int_equal(overlay_copy_file_range(fx.ov, from, 1000, to, 8, 10), 0);
	assert_int_equal(overlay_copy_file_range(fx.ov, from, 7, to, 8, 10), 1);
	assert_content(&fx, "new", "bottom gg");
	/* Who is open for reading takes nothing. */
	assert_int_equal(overlay_copy_file_range(fx.ov, to, 0, from, 0, 1), -EBADF);
	overlay_release(fx.ov, from);
	overlay_release(fx.ov, to);
	fixture_end(&fx);
}

/* Whoever has a file open lends its descriptor to those who change its attributes. */
static void attributes_of_open_files(void **state)
{
	struct overlay_file *first, *second;
	struct overlay_entry entry;
	struct fixture fx;
	struct stat st = {.st_mode = 0600};

	populate(&fx);
	assert_int_equal(fx_create(&fx, "new", 0644, "text"), 0);
	assert_int_equal(fx_walk(&fx, "new", &entry), 0);
	first = fx_open(&fx, "new", O_WRONLY);
	second = fx_open(&fx, "new", O_RDONLY);
	assert_int_equal(overlay_setattr(fx.ov, entry.node, NULL, &st, OVERLAY_SET_MODE, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(overlay_setxattr(fx.ov, entry.node, "user.a", "b", 1, 0), 0);
	overlay_release(fx.ov, first);
	assert_int_equal(overlay_setxattr(fx.ov, entry.node, "user.c", "d", 1, 0), 0);
	assert_int_equal(fx_unlink(&fx, "new"), 0);
	/* The last one has the file, which has no name. */
	st.st_mode = 0640;
	assert_int_equal(overlay_setattr(fx.ov, entry.node, NULL, &st, OVERLAY_SET_MODE, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	overlay_release(fx.ov, second);
	st.st_mode = 0644;
	assert_int_equal(overlay_setattr(fx.ov, entry.node, NULL, &st, OVERLAY_SET_MODE, &st), 0);
	assert_int_equal(overlay_getxattr(fx.ov, entry.node, "user.c", NULL, 0), 1);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unlink_leaves_a_whiteout),
		cmocka_unit_test(rmdir_and_mkdir_again),
		cmocka_unit_test(create_over_a_whiteout),
		cmocka_unit_test(rename_files),
		cmocka_unit_test(rename_exchange),
		cmocka_unit_test(rename_directories),
		cmocka_unit_test(modes_that_forbid),
		cmocka_unit_test(hard_links),
		cmocka_unit_test(hard_links_of_a_layer),
		cmocka_unit_test(hard_links_of_a_layer_when_forgotten),
		cmocka_unit_test(links_take_no_descriptors),
		cmocka_unit_test(collected_writes_move_no_mtime),
		cmocka_unit_test(deep_trees),
		cmocka_unit_test(default_acl),
		cmocka_unit_test(read_only),
		cmocka_unit_test(aufs_form),
		cmocka_unit_test(copy_ranges_of_a_layer),
		cmocka_unit_test(attributes_of_open_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
