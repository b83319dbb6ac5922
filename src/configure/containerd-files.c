/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "containerd-files.h"

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "toml.h"
#include "util/cleanup.h"

const char *const containerd_plugins[CONTAINERD_VERSIONS] = {
	"cri", "cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"};

/* 1: something in the text stands at or below the path. */
static int has_within(
	const char *text, size_t size, const struct toml_path *path, struct error *err)
{
	struct toml_statement statement;
	struct toml_scan scan;
	int r = toml_scan_begin(&scan, text, size, err);

	if (r < 0)
		return r;
	while ((r = toml_scan_next(&scan, &statement, err)) > 0)
		if (statement.kind != TOML_COMMENT && toml_path_is_within(&statement.path, path))
			return 1;
	return r;
}

int containerd_names_plugin(const char *text, size_t size, struct error *err)
{
	int r = 0;

	for (size_t i = 1; r == 0 && i < CONTAINERD_VERSIONS; i++) {
		struct toml_path path;

		toml_path_set(&path, "plugins", containerd_plugins[i], NULL);
		r = has_within(text, size, &path, err);
	}
	return r;
}

struct adding {
	struct containerd_imports *imports;
	const char *path; /* of the file that names it */
};

static int add_import(void *ctx, const char *pattern)
{
	struct adding *adding = ctx;
	struct containerd_imports *imports = adding->imports;
	char path[PATH_MAX];

	if (imports->count == CONTAINERD_IMPORTS_MAX)
		return -E2BIG;
	/* Relative to the file that names it. */
	if (*pattern == '/')
		snprintf(path, sizeof(path), "%s", pattern);
	else
		snprintf(path, sizeof(path), "%.*s%.3000s",
			(int)(strrchr(adding->path, '/') - adding->path) + 1, adding->path,
			pattern);
	imports->patterns[imports->count] = strdup(path);
	return imports->patterns[imports->count++] ? 0 : -ENOMEM;
}

int containerd_imports_read(struct containerd_imports *imports, const char *path, const char *text,
	size_t size, struct error *err)
{
	struct adding adding = {imports, path};
	struct toml_statement statement;
	struct toml_path key;
	int r;

	toml_path_set(&key, "imports", NULL);
	r = toml_find(text, size, &key, &statement, err);
	if (r > 0 && toml_each_string(text + statement.value, statement.value_end - statement.value,
			     add_import, &adding, NULL) < 0)
		r = error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"line %u: imports is no list of files", statement.line);
	return r < 0 ? error_prefix(err, "%s", path) : 0;
}

void containerd_imports_release(struct containerd_imports *imports)
{
	while (imports->count > 0)
		free(imports->patterns[--imports->count]);
}

struct reading {
	int root_fd;
	const char *pattern;
	containerd_file_fn fn;
	void *ctx;
};

static int read_import(void *ctx, const char *path, struct error *err)
{
	const struct reading *reading = ctx;
	struct place place;
	int r;

	if (fnmatch(reading->pattern, path, FNM_PATHNAME) != 0)
		return 0;
	r = place_open(reading->root_fd, path, &place, err);
	if (r == 0 && place.exists)
		r = reading->fn(reading->ctx, path, place.text, place.size, err);
	place_release(&place);
	return r;
}

int containerd_imports_each(const struct containerd_imports *imports, int root_fd,
	containerd_file_fn fn, void *ctx, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < imports->count; i++) {
		struct reading reading = {root_fd, imports->patterns[i], fn, ctx};
		char dir[PATH_MAX];

		snprintf(dir, sizeof(dir), "%s", imports->patterns[i]);
		*strrchr(dir, '/') = '\0';
		r = place_each(root_fd, *dir ? dir : "/", read_import, &reading, err);
	}
	return r < 0 ? r : 0;
}
