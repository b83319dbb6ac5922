/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hooks-dirs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"

static int add(void *ctx, const char *dir)
{
	struct hooks_dirs *dirs = ctx;

	if (hooks_dirs_has(dirs, dir))
		return 0;
	if (dirs->count == HOOKS_DIRS_MAX)
		return -E2BIG;
	dirs->dirs[dirs->count] = strdup(dir);
	return dirs->dirs[dirs->count++] ? 0 : -ENOMEM;
}

int hooks_dirs_begin(struct hooks_dirs *dirs, struct error *err)
{
	if (add(dirs, HOOKS_DIRS_DEFAULT) < 0)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	return 0;
}

void hooks_dirs_release(struct hooks_dirs *dirs)
{
	while (dirs->count > 0)
		free(dirs->dirs[--dirs->count]);
}

bool hooks_dirs_has(const struct hooks_dirs *dirs, const char *dir)
{
	for (size_t i = 0; i < dirs->count; i++)
		if (dirs->dirs[i] && !strcmp(dirs->dirs[i], dir))
			return true;
	return false;
}

static int take_value(struct hooks_dirs *dirs, const char *value, size_t size)
{
	struct hooks_dirs found = {0};
	bool appends = false;
	int r = toml_each_string(value, size, add, &found, &appends);

	if (!appends)
		hooks_dirs_release(dirs);
	for (size_t i = 0; r == 0 && i < found.count; i++)
		r = add(dirs, found.dirs[i]);
	hooks_dirs_release(&found);
	return r;
}

static int read_file(struct hooks_dirs *dirs, const char *path, struct error *err)
{
	struct toml_statement statement;
	struct place place;
	int r = place_open(dirs->root_fd, path, &place, err);

	if (r == 0 && place.exists) {
		r = toml_find(place.text, place.size, &dirs->key, &statement, err);
		if (r > 0 && take_value(dirs, place.text + statement.value,
				     statement.value_end - statement.value) < 0)
			r = error_set(err, EINVAL, EXIT_STATUS_FAILED,
				"line %u: hooks_dir is no list of directories", statement.line);
		if (r < 0)
			error_prefix(err, "%s", path);
		if (r > 0) {
			dirs->is_set = true;
			snprintf(dirs->set_last, sizeof(dirs->set_last), "%s", path);
		}
	}
	place_release(&place);
	return r < 0 ? r : 0;
}

static int read_one(void *ctx, const char *path, struct error *err)
{
	struct hooks_dirs *dirs = ctx;
	size_t n = strlen(path), m = strlen(dirs->suffix);

	if (n < m || strcmp(path + n - m, dirs->suffix) != 0 ||
		(dirs->own && !strcmp(path, dirs->own)))
		return 0;
	return read_file(dirs, path, err);
}

static int read_directory(struct hooks_dirs *dirs, const char *dir, struct error *err)
{
	return place_each(dirs->root_fd, dir, read_one, dirs, err);
}

int hooks_dirs_read_podman(struct hooks_dirs *dirs, const char *config_home, struct error *err)
{
	static const char *const files[] = {"/usr/share/containers/containers.conf",
		"/etc/containers/containers.conf", "/etc/containers/containers.conf.d"};
	char path[PATH_MAX], dir[PATH_MAX];
	int r;

	toml_path_set(&dirs->key, "engine", "hooks_dir", NULL);
	dirs->suffix = ".conf";
	r = read_file(dirs, files[0], err);
	if (r == 0)
		r = read_file(dirs, files[1], err);
	if (r == 0)
		r = read_directory(dirs, files[2], err);
	if (r < 0 || !config_home)
		return r;
	snprintf(path, sizeof(path), "%s/containers/containers.conf", config_home);
	snprintf(dir, sizeof(dir), "%s/containers/containers.conf.d", config_home);
	r = read_file(dirs, path, err);
	return r == 0 ? read_directory(dirs, dir, err) : r;
}

int hooks_dirs_read_crio(struct hooks_dirs *dirs, struct error *err)
{
	int r;

	toml_path_set(&dirs->key, "crio", "runtime", "hooks_dir", NULL);
	dirs->suffix = "";
	r = read_file(dirs, HOOKS_DIRS_CRIO, err);
	return r == 0 ? read_directory(dirs, HOOKS_DIRS_CRIO ".d", err) : r;
}
