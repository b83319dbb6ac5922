/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract suite: the same tests on every kind of layer. What a kind shows
 * is built from one table (fixture.c) by its backend; what a kind cannot have at
 * all is said in its flags, and then the tests demand the contract's answer for that
 * (no xattrs: -ENODATA and an empty list), so nothing is left out in silence.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include <git-overlayfs/layer.h>

#define BIG_COUNT 100000

enum fixture_flags {
	HAS_OWNERS = 1 << 0, /* each object has owners of its own */
	HAS_XATTRS = 1 << 1,
	HAS_SPECIAL = 1 << 2, /* FIFOs */
	HAS_LINKS = 1 << 3,
	HAS_MODES = 1 << 4, /* more than 0644, 0755 */
	HAS_TIMES = 1 << 5, /* each object has its mtime */
	HAS_GITLINK = 1 << 6,
	/* Nodes may be held at close; a mem tree wants every reference back. */
	HAS_OWN_NODES = 1 << 7,
};

struct fixture_entry {
	const char *path;
	mode_t mode;
	const char *data; /* content or target; NULL: `size` bytes of pattern_byte() */
	size_t size;
	const char *link_to; /* a hard link to this one */
	unsigned needs;	     /* HAS_...: left out where the kind has none */
	uint32_t uid, gid;   /* storage ids, where HAS_OWNERS */
	bool is_gitlink;
};

struct fixture {
	struct fixture_entry *entries; /* parents first */
	size_t count;
};

/* The entries that a kind with these flags can have. */
struct fixture fixture_new(unsigned flags);
void fixture_free(struct fixture *fixture);
char pattern_byte(uint64_t offset);
/* The entry's content, `size` bytes; to be freed. */
char *fixture_content(const struct fixture_entry *entry);
/* Its time where HAS_TIMES. */
int64_t fixture_mtime(const struct fixture_entry *entry);
bool fixture_is_child(const char *dir, const char *path);

extern const char fixture_xattr_path[];
extern const struct fixture_xattr {
	const char *name, *value;
	size_t length;
} fixture_xattrs[];
extern const size_t fixture_xattr_count;

struct backend {
	const char *kind;
	unsigned flags;
	/* Materialises the fixture and fills in what layer_open() needs. */
	void (*build)(struct backend *self, const struct fixture *fixture);
	void (*destroy)(struct backend *self);
	struct layer_config config;
	int64_t mtime; /* of everything, where not HAS_TIMES */
	void *state;
};

extern struct backend mem_backend, dir_backend, git_backend;

/* What each test gets: a freshly opened layer. */
struct context {
	struct backend *backend;
	const struct fixture *fixture;
	struct idmap ids;
	struct layer *layer;
	layer_node_t root;
};

void context_open(struct context *ctx, const char *uid_map, const char *gid_map);
void context_close(struct context *ctx);
/* A new reference to the object at `path`; fails the test where there is none. */
layer_node_t walk(struct context *ctx, const char *path);
int try_walk(struct context *ctx, const char *path, layer_node_t *ret_node);

extern const struct CMUnitTest name_tests[], attr_tests[], content_tests[], thread_tests[],
	close_tests[];
extern const size_t close_test_count, name_test_count, attr_test_count, content_test_count,
	thread_test_count;
