/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hooks-dirs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

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

int hooks_dirs_read(struct hooks_dirs *dirs, const char *path, struct error *err)
{
	struct toml_statement statement;
	struct place place;
	int r = place_open(dirs->plan->root_fd, path, &place, err);

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

	if (n < m || strcmp(path + n - m, dirs->suffix) != 0 || !strcmp(path, dirs->own))
		return 0;
	return hooks_dirs_read(dirs, path, err);
}

int hooks_dirs_read_all(struct hooks_dirs *dirs, const char *dir, struct error *err)
{
	return place_each(dirs->plan->root_fd, dir, read_one, dirs, err);
}

static int write_list(FILE *out, const struct hooks_dirs *dirs, const char *ours)
{
	for (size_t i = 0; i <= dirs->count; i++) {
		const char *dir = i < dirs->count ? dirs->dirs[i] : ours;
		_cleanup_free_ char *quoted = NULL;

		if (i == dirs->count && hooks_dirs_has(dirs, ours))
			continue;
		quoted = toml_quote(dir);
		if (!quoted)
			return -EINVAL;
		fprintf(out, "%s%s", i ? ", " : "", quoted);
	}
	return 0;
}

static char *own_text(const struct hooks_dirs *dirs, const char *table)
{
	const struct configure_plan *plan = dirs->plan;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return NULL;
	fprintf(out,
		OWN_HEADER
		" %s; what is changed here is lost.\n"
		"# A list replaces those of the files before: configure again when one of "
		"them changes.\n[%s]\nhooks_dir = [",
		plan->engine->name, table);
	r = write_list(out, dirs, plan->request->hooks_dir);
	fputs("]\n", out);
	if (fclose(out) != 0 || r < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* A file that is read after ours has the last word. */
static int check_last(const struct hooks_dirs *dirs, struct error *err)
{
	const char *dir_end = strrchr(dirs->own, '/');
	size_t n = (size_t)(dir_end - dirs->own) + 1;

	if (!dirs->is_set || strncmp(dirs->set_last, dirs->own, n) != 0 ||
		strcmp(dirs->set_last, dirs->own) < 0 ||
		hooks_dirs_has(dirs, dirs->plan->request->hooks_dir))
		return 0;
	return error_set(err, EEXIST, EXIT_STATUS_FAILED,
		"%s is read after our %s and sets hooks_dir: add %s there, or rename it",
		dirs->set_last, dir_end + 1, dirs->plan->request->hooks_dir);
}

int hooks_dirs_plan(struct hooks_dirs *dirs, const char *table, bool always, struct error *err)
{
	struct configure_plan *plan = dirs->plan;
	const char *ours = plan->request->hooks_dir;
	_cleanup_free_ char *text = NULL;
	int r;

	if (plan->request->remove)
		return plan_own_file(plan, dirs->own, NULL, err);
	plan_note_missing(plan, ours);
	r = plan_has_own_file(plan, dirs->own, err);
	if (r < 0)
		return r;
	if (r == 0 && hooks_dirs_has(dirs, ours) && (dirs->is_set || !always)) {
		plan_note(plan, "%s reads %s already", plan->engine->name, ours);
		return 0;
	}
	r = check_last(dirs, err);
	if (r < 0)
		return r;
	text = own_text(dirs, table);
	if (!text)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"%s: the name of a hooks directory cannot be written", dirs->own);
	return plan_own_file(plan, dirs->own, text, err);
}
