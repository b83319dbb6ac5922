/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the git layer share: repositories made by git, and a layer on one. */
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/git-layer.h>
#include <git-overlayfs/layer.h>

/*
 * libgit2 1.5.1 loses a little for each pattern it matches a revision with, and a
 * reference where what it names cannot be read. It is built without frame pointers.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libpcre2\nleak:git_revparse_ext\n";
}

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

struct repo {
	char top[64]; /* a directory of the test's own; the current one */
	struct idmap ids;
	struct layer_config config;
	const char *object_dirs[8];
	struct layer *layer;
	layer_node_t root;
};

#define SHELL_ENVIRONMENT                                                            \
	"set -e; export LC_ALL=C GIT_CONFIG_NOSYSTEM=1 HOME=$PWD GIT_AUTHOR_NAME=T " \
	"GIT_AUTHOR_EMAIL=t@e GIT_COMMITTER_NAME=T GIT_COMMITTER_EMAIL=t@e "         \
	"GIT_AUTHOR_DATE='1500000000 +0000' GIT_COMMITTER_DATE='1500000000 +0000';"

/* Runs a script in the test's directory. Returns its output without the last newline. */
__attribute__((format(printf, 1, 2))) static inline char *shell(const char *format, ...)
{
	static char output[8192];
	char *script, *whole;
	size_t n;
	va_list ap;
	FILE *pipe;

	va_start(ap, format);
	assert_true(vasprintf(&script, format, ap) >= 0);
	va_end(ap);
	assert_true(asprintf(&whole, "%s%s", SHELL_ENVIRONMENT, script) >= 0);
	pipe = popen(whole, "r");
	assert_non_null(pipe);
	n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = '\0';
	if (pclose(pipe) != 0)
		fail_msg("this failed: %s", script);
	if (n && output[n - 1] == '\n')
		output[n - 1] = '\0';
	free(script);
	free(whole);
	return output;
}

/* A fresh directory, and a configuration for "repo.git" in it. */
static inline int repo_setup(void **state)
{
	struct repo *repo = calloc(1, sizeof(*repo));

	strcpy(repo->top, "git-unit-XXXXXX");
	assert_non_null(mkdtemp(repo->top));
	assert_int_equal(chdir(repo->top), 0);
	idmap_init(&repo->ids);
	repo->object_dirs[0] = "repo.git/objects";
	repo->config = (struct layer_config){
		.kind = "git",
		.ids = &repo->ids,
		.root_fd = -1,
		.git_dir = "repo.git",
		.object_dirs = repo->object_dirs,
		.mtime_is_commit = true,
		.scratch_fd = -1,
	};
	assert_int_equal(layer_register_builtin(NULL), 0);
	*state = repo;
	return 0;
}

static inline void repo_close(struct repo *repo)
{
	if (repo->layer)
		layer_forget(repo->layer, repo->root, 1);
	layer_close(repo->layer);
	repo->layer = NULL;
}

static inline int repo_teardown(void **state)
{
	struct repo *repo = *state;
	char command[128];

	repo_close(repo);
	assert_int_equal(chdir(".."), 0);
	snprintf(
		command, sizeof(command), "chmod -R u+w '%s' && rm -rf '%s'", repo->top, repo->top);
	assert_int_equal(system(command), 0);
	free(repo);
	return 0;
}

/* As a program does: what is needed is loaded first. */
static inline int repo_try(struct repo *repo, struct layer **ret_layer, struct error *err)
{
	int fd = open(repo->config.git_dir, O_PATH | O_DIRECTORY);
	int r = git_layer_prepare(fd, repo->config.rev, err);

	if (fd >= 0)
		close(fd);
	return r < 0 ? r : layer_open(&repo->config, ret_layer, err);
}

static inline void repo_open(struct repo *repo, const char *rev)
{
	struct error err = {0};

	repo->config.rev = rev;
	if (repo_try(repo, &repo->layer, &err) < 0)
		fail_msg("'%s': %s", rev ? rev : "HEAD", err.text);
	repo->root = layer_root(repo->layer);
}

static inline int repo_lookup(struct repo *repo, const char *path, layer_node_t *ret_node)
{
	char copy[4096], *rest = copy, *name;
	layer_node_t node = repo->root;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((name = strsep(&rest, "/")) && *name) {
		layer_node_t next;
		int r = layer_lookup(repo->layer, node, name, &next);

		if (node != repo->root)
			layer_forget(repo->layer, node, 1);
		if (r < 0)
			return r;
		node = next;
	}
	*ret_node = node == repo->root ? layer_root(repo->layer) : node;
	return 0;
}

/* Reads a file into `buf`, terminated. Returns 0, or what failed. */
static inline int repo_read(struct repo *repo, const char *path, char *buf, size_t size)
{
	struct layer_file file;
	layer_node_t node;
	ssize_t n;
	int r = repo_lookup(repo, path, &node);

	if (r < 0)
		return r;
	r = layer_open_file(repo->layer, node, &file);
	layer_forget(repo->layer, node, 1);
	if (r < 0)
		return r;
	n = layer_file_pread(&file, buf, size - 1, 0);
	layer_file_release(&file);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	return 0;
}

static inline void repo_expect(struct repo *repo, const char *path, const char *want)
{
	char buf[4096];
	int r = repo_read(repo, path, buf, sizeof(buf));

	if (r < 0)
		fail_msg("'%s': %s", path, error_name(-r));
	assert_string_equal(buf, want);
}

static inline struct stat repo_stat(struct repo *repo, const char *path)
{
	layer_node_t node;
	struct stat st;
	int r = repo_lookup(repo, path, &node);

	if (r < 0)
		fail_msg("'%s': %s", path, error_name(-r));
	assert_int_equal(layer_getattr_with_mapping(repo->layer, node, ID_VIEW_CONTAINER, &st), 0);
	layer_forget(repo->layer, node, 1);
	return st;
}
