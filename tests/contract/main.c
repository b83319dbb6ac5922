/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs every test on every kind, or on the kinds that are named. */
#include "contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct backend *current_backend;
static struct fixture current_fixture;

void context_open(struct context *ctx, const char *uid_map, const char *gid_map)
{
	struct backend *backend = ctx->backend;
	struct error err = {0};

	idmap_init(&ctx->ids);
	if (uid_map)
		assert_int_equal(idmap_parse(&ctx->ids, IDMAP_UID, uid_map, NULL), 0);
	if (gid_map)
		assert_int_equal(idmap_parse(&ctx->ids, IDMAP_GID, gid_map, NULL), 0);
	backend->config.ids = &ctx->ids;
	if (layer_open(&backend->config, &ctx->layer, &err) < 0)
		fail_msg("%s: %s", backend->kind, err.text);
	ctx->root = layer_root(ctx->layer);
}

void context_close(struct context *ctx)
{
	layer_forget(ctx->layer, ctx->root, 1);
	layer_close(ctx->layer);
}

int try_walk(struct context *ctx, const char *path, layer_node_t *ret_node)
{
	char copy[8192], *rest = copy, *name;
	layer_node_t node = ctx->root;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strsep(&rest, "/")) && *name) {
		layer_node_t next;
		int r = layer_lookup(ctx->layer, node, name, &next);

		if (node != ctx->root)
			layer_forget(ctx->layer, node, 1);
		if (r < 0)
			return r;
		node = next;
	}
	*ret_node = node == ctx->root ? layer_root(ctx->layer) : node;
	return 0;
}

layer_node_t walk(struct context *ctx, const char *path)
{
	layer_node_t node;
	int r = try_walk(ctx, path, &node);

	if (r < 0)
		fail_msg("%s: '%s': %s", ctx->backend->kind, path, error_name(-r));
	return node;
}

static int setup(void **state)
{
	struct context *ctx = calloc(1, sizeof(*ctx));

	ctx->backend = current_backend;
	ctx->fixture = &current_fixture;
	context_open(ctx, NULL, NULL);
	*state = ctx;
	return 0;
}

static int teardown(void **state)
{
	context_close(*state);
	free(*state);
	return 0;
}

static int group_setup(void **state)
{
	current_fixture = fixture_new(current_backend->flags);
	current_backend->build(current_backend, &current_fixture);
	return 0;
}

static int group_teardown(void **state)
{
	current_backend->destroy(current_backend);
	fixture_free(&current_fixture);
	return 0;
}

static size_t append(struct CMUnitTest *all, size_t n, const struct CMUnitTest *tests, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		all[n] = tests[i];
		all[n].setup_func = setup;
		all[n].teardown_func = teardown;
		n++;
	}
	return n;
}

static void say_what_it_cannot_have(const struct backend *backend)
{
	static const struct {
		unsigned flag;
		const char *what;
	} rows[] = {{HAS_OWNERS, "owners of their own"}, {HAS_XATTRS, "xattrs"},
		{HAS_SPECIAL, "FIFOs"}, {HAS_LINKS, "hard links"}, {HAS_MODES, "odd modes"},
		{HAS_TIMES, "times of their own"}, {HAS_GITLINK, "gitlinks"},
		{HAS_OWN_NODES, "nodes that may be held at close"}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!(backend->flags & rows[i].flag))
			printf("# %s layer: its objects have no %s here\n", backend->kind,
				rows[i].what);
}

static int run(struct backend *backend)
{
	static struct CMUnitTest all[64];
	char name[64];
	size_t n = 0;

	current_backend = backend;
	say_what_it_cannot_have(backend);
	n = append(all, n, name_tests, name_test_count);
	n = append(all, n, attr_tests, attr_test_count);
	n = append(all, n, content_tests, content_test_count);
	n = append(all, n, thread_tests, thread_test_count);
	if (backend->flags & HAS_OWN_NODES)
		n = append(all, n, close_tests, close_test_count);
	snprintf(name, sizeof(name), "%s layer", backend->kind);
	return _cmocka_run_group_tests(name, all, n, group_setup, group_teardown);
}

int main(int argc, char **argv)
{
	static struct backend *const backends[] = {&mem_backend, &dir_backend, &git_backend};
	int failed = 0;

	/* A plain user cannot give files away. */
	if (geteuid() != 0)
		dir_backend.flags &= ~(unsigned)HAS_OWNERS;
	if (layer_register_builtin(NULL) < 0)
		return 1;
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		bool is_wanted = argc == 1;

		for (int a = 1; a < argc; a++)
			is_wanted |= !strcmp(argv[a], backends[i]->kind);
		if (is_wanted)
			failed |= run(backends[i]);
	}
	return failed ? 1 : 0;
}
