/* SPDX-License-Identifier: GPL-2.0-or-later */
/* getattr in both views, inode numbers, xattrs, statfs. */
#include "contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static struct stat attributes(struct context *ctx, const char *path, enum id_view view)
{
	layer_node_t node = walk(ctx, path);
	struct stat st;

	memset(&st, 0xee, sizeof(st));
	assert_int_equal(layer_getattr_with_mapping(ctx->layer, node, view, &st), 0);
	layer_forget(ctx->layer, node, 1);
	return st;
}

static void check_entry(struct context *ctx, const struct fixture_entry *entry)
{
	struct stat st = attributes(ctx, entry->path, ID_VIEW_CONTAINER);
	unsigned flags = ctx->backend->flags;
	int64_t mtime = flags & HAS_TIMES ? fixture_mtime(entry) : ctx->backend->mtime;

	if (st.st_mode != entry->mode)
		fail_msg("'%s': mode %o, wanted %o", entry->path, st.st_mode, entry->mode);
	if (!S_ISDIR(entry->mode) && (size_t)st.st_size != entry->size)
		fail_msg("'%s': size %jd, wanted %zu", entry->path, (intmax_t)st.st_size,
			entry->size);
	if (!entry->link_to && st.st_mtim.tv_sec != mtime)
		fail_msg("'%s': mtime %jd, wanted %jd", entry->path, (intmax_t)st.st_mtim.tv_sec,
			(intmax_t)mtime);
	assert_int_equal(st.st_dev, 0);
	assert_true(st.st_ino > 1);
	assert_true(st.st_ino < 1ull << 62);
	assert_true(st.st_blksize > 0);
	assert_int_equal(st.st_nlink, strcmp(entry->path, "one") && !entry->link_to ? 1 : 2);
	if (flags & HAS_OWNERS && !entry->link_to) {
		assert_int_equal(st.st_uid, entry->uid);
		assert_int_equal(st.st_gid, entry->gid);
	}
}

static void attributes_of_every_entry(void **state)
{
	struct context *ctx = *state;

	for (size_t i = 0; i < ctx->fixture->count; i++)
		check_entry(ctx, &ctx->fixture->entries[i]);
}

static uint32_t directories_in(const struct fixture *fixture, const char *dir)
{
	uint32_t count = 0;

	for (size_t i = 0; i < fixture->count; i++)
		count += S_ISDIR(fixture->entries[i].mode) &&
			 fixture_is_child(dir, fixture->entries[i].path);
	return count;
}

static void check_identity(struct context *ctx, const char *path)
{
	struct stat st = attributes(ctx, path, ID_VIEW_STORAGE);
	layer_node_t node = walk(ctx, path);
	struct layer_identity identity;
	uint32_t count = 77;
	int r;

	assert_int_equal(layer_identify(ctx->layer, node, &identity), 0);
	assert_int_equal(identity.type, st.st_mode & S_IFMT);
	assert_int_equal(identity.ino, st.st_ino);
	assert_int_equal(identity.links, st.st_nlink);
	r = layer_count_directories(ctx->layer, node, &count);
	layer_forget(ctx->layer, node, 1);
	assert_int_equal(r, S_ISDIR(st.st_mode) ? 0 : -ENOTDIR);
	if (r == 0 && count != directories_in(ctx->fixture, path))
		fail_msg("'%s' has %u directories, wanted %u", path, count,
			directories_in(ctx->fixture, path));
}

/* A look-up that tells the attributes tells what the two calls tell. */
static void check_lookup(struct context *ctx, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct stat st = attributes(ctx, path, ID_VIEW_CONTAINER), found;
	_cleanup_free_ char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
	layer_node_t dir = walk(ctx, above), node;

	memset(&found, 0xee, sizeof(found));
	assert_int_equal(
		layer_lookup_attributes(ctx->layer, dir, slash ? slash + 1 : path, &node, &found),
		0);
	assert_int_equal(found.st_mode, st.st_mode);
	assert_int_equal(found.st_ino, st.st_ino);
	assert_int_equal(found.st_nlink, st.st_nlink);
	assert_int_equal(found.st_uid, st.st_uid);
	assert_int_equal(found.st_gid, st.st_gid);
	assert_int_equal(found.st_size, st.st_size);
	assert_int_equal(found.st_dev, 0);
	layer_forget(ctx->layer, node, 1);
	assert_int_equal(
		layer_lookup_attributes(ctx->layer, dir, "no-such-name", &node, &found), -ENOENT);
	layer_forget(ctx->layer, dir, 1);
}

static void check_identities(struct context *ctx)
{
	check_identity(ctx, "");
	for (size_t i = 0; i < ctx->fixture->count && i < 100; i++)
		check_identity(ctx, ctx->fixture->entries[i].path);
	for (size_t i = 0; i < ctx->fixture->count && i < 100; i++)
		check_lookup(ctx, ctx->fixture->entries[i].path);
}

static void identities_and_counts(void **state)
{
	check_identities(*state);
}

/* What a layer knows no shorter way to is asked of its other operations. */
static void shortcuts_only_shorten(void **state)
{
	struct context *ctx = *state;
	const struct layer_ops *ops = ctx->layer->ops;
	struct layer_ops plain = *ops;

	plain.shortcuts = (struct layer_shortcuts){NULL};
	ctx->layer->ops = &plain;
	check_identities(ctx);
	ctx->layer->ops = ops;
}

static void the_root_is_a_directory(void **state)
{
	struct stat st = attributes(*state, "", ID_VIEW_CONTAINER);

	assert_int_equal(st.st_mode & S_IFMT, S_IFDIR);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_dev, 0);
	assert_true(st.st_ino > 1);
}

/* Only uid and gid may differ, and they differ as the map says. */
static void the_views_differ_in_ids_only(void **state)
{
	struct context *ctx = *state;
	struct stat any = attributes(ctx, "hello", ID_VIEW_STORAGE);
	struct context mapped = {.backend = ctx->backend, .fixture = ctx->fixture};
	char uid_map[64], gid_map[64];

	/* Whoever owns the fixture becomes the container's 5 and 6. */
	snprintf(uid_map, sizeof(uid_map), "5:%u:1", any.st_uid);
	snprintf(gid_map, sizeof(gid_map), "6:%u:1", any.st_gid);
	mapped.backend->config.owner_uid = 5;
	mapped.backend->config.owner_gid = 6;
	context_open(&mapped, uid_map, gid_map);
	for (size_t i = 0; i < ctx->fixture->count && i < 100; i++) {
		const char *path = ctx->fixture->entries[i].path;
		struct stat inside = attributes(&mapped, path, ID_VIEW_CONTAINER);
		struct stat stored = attributes(&mapped, path, ID_VIEW_STORAGE);

		assert_int_equal(
			inside.st_uid, idmap_to_container(&mapped.ids, IDMAP_UID, stored.st_uid));
		assert_int_equal(
			inside.st_gid, idmap_to_container(&mapped.ids, IDMAP_GID, stored.st_gid));
		inside.st_uid = stored.st_uid;
		inside.st_gid = stored.st_gid;
		assert_memory_equal(&inside, &stored, sizeof(inside));
	}
	assert_int_equal(attributes(&mapped, "hello", ID_VIEW_CONTAINER).st_uid, 5);
	assert_int_equal(attributes(&mapped, "hello", ID_VIEW_CONTAINER).st_gid, 6);
	assert_int_equal(attributes(&mapped, "hello", ID_VIEW_STORAGE).st_uid, any.st_uid);
	context_close(&mapped);
	mapped.backend->config.owner_uid = mapped.backend->config.owner_gid = 0;
}

static void an_unmapped_owner_is_the_overflow_id(void **state)
{
	struct context *ctx = *state;
	struct context mapped = {.backend = ctx->backend, .fixture = ctx->fixture};
	struct stat inside, stored;

	mapped.backend->config.owner_uid = 7; /* a container id that is not in the map */
	context_open(&mapped, "0:3000000000:1", NULL);
	inside = attributes(&mapped, "hello", ID_VIEW_CONTAINER);
	stored = attributes(&mapped, "hello", ID_VIEW_STORAGE);
	assert_int_equal(inside.st_uid, IDMAP_OVERFLOW_ID);
	assert_false(idmap_can_copy(&mapped.ids, IDMAP_UID, stored.st_uid));
	assert_true(idmap_can_copy(&mapped.ids, IDMAP_GID, stored.st_gid));
	context_close(&mapped);
	mapped.backend->config.owner_uid = 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void inode_numbers_are_unique(void **state)
{
	struct context *ctx = *state;
	uint64_t *numbers = calloc(ctx->fixture->count + 1, sizeof(*numbers));
	size_t n = 0;

	numbers[n++] = attributes(ctx, "", ID_VIEW_STORAGE).st_ino;
	for (size_t i = 0; i < ctx->fixture->count; i++)
		if (!ctx->fixture->entries[i].link_to)
			numbers[n++] =
				attributes(ctx, ctx->fixture->entries[i].path, ID_VIEW_STORAGE)
					.st_ino;
	qsort(numbers, n, sizeof(*numbers), compare_numbers);
	for (size_t i = 1; i < n; i++)
		if (numbers[i] == numbers[i - 1])
			fail_msg("two objects have the number %ju", (uintmax_t)numbers[i]);
	free(numbers);
}

static void inode_numbers_are_the_same_at_every_open(void **state)
{
	struct context *ctx = *state;
	struct context again = {.backend = ctx->backend, .fixture = ctx->fixture};

	context_open(&again, NULL, NULL);
	/* Asked in the other order: a counter would not do. */
	for (size_t i = 200; i-- > 0;) {
		const char *path = ctx->fixture->entries[i].path;

		assert_int_equal(attributes(ctx, path, ID_VIEW_STORAGE).st_ino,
			attributes(&again, path, ID_VIEW_STORAGE).st_ino);
	}
	context_close(&again);
}

static void hard_links_share_their_number(void **state)
{
	struct context *ctx = *state;
	layer_node_t node;

	if (ctx->backend->flags & HAS_LINKS) {
		assert_int_equal(attributes(ctx, "one", ID_VIEW_STORAGE).st_ino,
			attributes(ctx, "sub/two", ID_VIEW_STORAGE).st_ino);
		return;
	}
	assert_int_equal(try_walk(ctx, "one", &node), -ENOENT);
	assert_int_not_equal(attributes(ctx, "hello", ID_VIEW_STORAGE).st_ino,
		attributes(ctx, "sub/hello", ID_VIEW_STORAGE).st_ino);
}

static void xattrs_are_read(struct context *ctx, layer_node_t node)
{
	char buf[256];

	for (size_t i = 0; i < fixture_xattr_count; i++) {
		const struct fixture_xattr *xattr = &fixture_xattrs[i];

		assert_int_equal(
			layer_getxattr(ctx->layer, node, xattr->name, NULL, 0), xattr->length);
		assert_int_equal(layer_getxattr(ctx->layer, node, xattr->name, buf, sizeof(buf)),
			xattr->length);
		assert_memory_equal(buf, xattr->value, xattr->length);
		if (xattr->length > 1)
			assert_int_equal(layer_getxattr(ctx->layer, node, xattr->name, buf,
						 xattr->length - 1),
				-ERANGE);
	}
}

static bool list_holds(const char *list, size_t length, const char *name)
{
	for (size_t i = 0; i < length; i += strlen(list + i) + 1)
		if (!strcmp(list + i, name))
			return true;
	return false;
}

static void xattrs(void **state)
{
	struct context *ctx = *state;
	layer_node_t node = walk(ctx, fixture_xattr_path), plain = walk(ctx, "script");
	layer_node_t link = walk(ctx, "link");
	char list[256];
	ssize_t n = layer_listxattr(ctx->layer, node, NULL, 0);

	if (ctx->backend->flags & HAS_XATTRS) {
		xattrs_are_read(ctx, node);
		assert_true(n > 0);
		assert_int_equal(layer_listxattr(ctx->layer, node, list, (size_t)n - 1), -ERANGE);
		assert_int_equal(layer_listxattr(ctx->layer, node, list, sizeof(list)), n);
		for (size_t i = 0; i < fixture_xattr_count; i++)
			assert_true(list_holds(list, (size_t)n, fixture_xattrs[i].name));
	} else {
		assert_int_equal(n, 0);
		assert_int_equal(
			layer_getxattr(ctx->layer, node, "user.colour", list, 8), -ENODATA);
	}
	assert_int_equal(layer_getxattr(ctx->layer, plain, "user.colour", list, 8), -ENODATA);
	assert_int_equal(layer_getxattr(ctx->layer, link, "user.colour", list, 8), -ENODATA);
	assert_int_equal(layer_getxattr(ctx->layer, ctx->root, "user.no", NULL, 0), -ENODATA);
	assert_true(layer_listxattr(ctx->layer, link, list, sizeof(list)) >= 0);
	layer_forget(ctx->layer, node, 1);
	layer_forget(ctx->layer, plain, 1);
	layer_forget(ctx->layer, link, 1);
}

static void statfs(void **state)
{
	struct context *ctx = *state;
	struct statvfs st = {0};

	assert_int_equal(layer_statfs(ctx->layer, &st), 0);
	assert_true(st.f_bsize > 0);
	assert_true(st.f_namemax >= 255);
}

const struct CMUnitTest attr_tests[] = {
	cmocka_unit_test(attributes_of_every_entry),
	cmocka_unit_test(identities_and_counts),
	cmocka_unit_test(shortcuts_only_shorten),
	cmocka_unit_test(the_root_is_a_directory),
	cmocka_unit_test(the_views_differ_in_ids_only),
	cmocka_unit_test(an_unmapped_owner_is_the_overflow_id),
	cmocka_unit_test(inode_numbers_are_unique),
	cmocka_unit_test(inode_numbers_are_the_same_at_every_open),
	cmocka_unit_test(hard_links_share_their_number),
	cmocka_unit_test(xattrs),
	cmocka_unit_test(statfs),
};
const size_t attr_test_count = sizeof(attr_tests) / sizeof(attr_tests[0]);
