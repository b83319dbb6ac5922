/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An overlay on in-memory layers with an upper in a temporary directory, and a few
 * verbs by path, so that a test reads like a shell session. Every verb returns 0 or -errno.
 */
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <git-overlayfs/layer.h>
#include <git-overlayfs/mem-layer.h>
#include <git-overlayfs/overlay.h>

#define FIXTURE_LAYERS_MAX 4

struct fixture {
	struct mem_tree *trees[FIXTURE_LAYERS_MAX]; /* topmost first; filled by the test */
	size_t tree_count;
	struct idmap ids;
	enum overlay_redirect redirect_dir;
	bool read_only, aufs_whiteouts, trusted_xattrs, adopts_root, static_nlink, no_acls;
	size_t spare_files;
	uint64_t max_bytes, max_inodes; /* of the upper */
	char dir[64];			/* holds upper/ and work/ */
	int upper_fd, work_fd;
	struct overlay *ov;
	struct overlay_caller caller;
	struct layer *(*wrap_layer)(struct layer *inner); /* NULL: layers are as they are */
};

/* An overlay with this many empty trees, not mounted yet. */
void fixture_init(struct fixture *fx, size_t trees);
/* The same with the upper in a directory of this one, not of /tmp. */
void fixture_init_at(struct fixture *fx, size_t trees, const char *base);
void fixture_mount(struct fixture *fx);
/* The same, where it may fail: what overlay_new() returned. */
int fixture_try_mount(struct fixture *fx, struct error *err);
/* Ends the overlay; references must be balanced. The upper stays. */
void fixture_unmount(struct fixture *fx);
void fixture_remount(struct fixture *fx);
void fixture_end(struct fixture *fx);

/* Adds to a tree, owned by the caller. */
void fixture_file(struct fixture *fx, size_t tree, const char *path, mode_t mode, const char *text);
void fixture_dir(struct fixture *fx, size_t tree, const char *path, mode_t mode);

/* The node of a path, with one reference of the kernel's. */
int fx_walk(struct fixture *fx, const char *path, struct overlay_entry *ret_entry);
/* The node of its directory, and the last component. */
int fx_parent(struct fixture *fx, const char *path, uint64_t *ret_node, const char **ret_name);
void fx_forget(struct fixture *fx, uint64_t node);

int fx_stat(struct fixture *fx, const char *path, struct stat *ret_st);
/* It must be there; the caller releases it. */
struct overlay_file *fx_open(struct fixture *fx, const char *path, int flags);
/* Reads a whole file, terminated. */
int fx_read(struct fixture *fx, const char *path, char *buf, size_t size);
/* Opens with O_WRONLY | flags, writes at the start, closes. */
int fx_write(struct fixture *fx, const char *path, int flags, const char *text);
int fx_create(struct fixture *fx, const char *path, mode_t mode, const char *text);
int fx_mkdir(struct fixture *fx, const char *path, mode_t mode);
int fx_symlink(struct fixture *fx, const char *target, const char *path);
int fx_link(struct fixture *fx, const char *from, const char *to);
int fx_unlink(struct fixture *fx, const char *path);
int fx_rmdir(struct fixture *fx, const char *path);
int fx_rename(struct fixture *fx, const char *from, const char *to, unsigned flags);
int fx_chmod(struct fixture *fx, const char *path, mode_t mode);
/* A directory from its start, in one go. */
int fx_readdir(struct fixture *fx, const char *path, overlay_emit_fn emit, void *ctx);
/* The names in a directory, sorted, separated by blanks; without the dots. */
int fx_list(struct fixture *fx, const char *path, char *buf, size_t size);

#define assert_listing(fx, path, expected)                                          \
	do {                                                                        \
		char listing_[4096];                                                \
		assert_int_equal(fx_list(fx, path, listing_, sizeof(listing_)), 0); \
		assert_string_equal(listing_, expected);                            \
	} while (0)

#define assert_content(fx, path, expected)                                          \
	do {                                                                        \
		char content_[4096];                                                \
		assert_int_equal(fx_read(fx, path, content_, sizeof(content_)), 0); \
		assert_string_equal(content_, expected);                            \
	} while (0)
