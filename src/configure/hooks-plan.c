/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hooks-plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toml.h"
#include "util/cleanup.h"

static int write_one(FILE *out, const char **separator, const char *dir)
{
	_cleanup_free_ char *quoted = toml_quote(dir);

	if (!quoted)
		return -EINVAL;
	fprintf(out, "%s%s", *separator, quoted);
	*separator = ", ";
	return 0;
}

/*
 * A file masks those of its name in directories before: what we install masks the vendor's, and
 * an administrator's masks ours.
 */
static int write_list(FILE *out, const struct hooks_dirs *dirs, const char *ours)
{
	size_t place = dirs->count > 0 && !strcmp(dirs->dirs[0], HOOKS_DIRS_DEFAULT) ? 1 : 0;
	const char *separator = "";
	int r = 0;

	for (size_t i = 0; r == 0 && i <= dirs->count; i++) {
		if (i == place && !hooks_dirs_has(dirs, ours))
			r = write_one(out, &separator, ours);
		if (r == 0 && i < dirs->count)
			r = write_one(out, &separator, dirs->dirs[i]);
	}
	return r;
}

static char *own_text(
	const struct configure_plan *plan, const struct hooks_dirs *dirs, const char *table)
{
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
static int check_last(
	const struct configure_plan *plan, const struct hooks_dirs *dirs, struct error *err)
{
	const char *dir_end = strrchr(dirs->own, '/');
	size_t n = (size_t)(dir_end - dirs->own) + 1;

	if (!dirs->is_set || strncmp(dirs->set_last, dirs->own, n) != 0 ||
		strcmp(dirs->set_last, dirs->own) < 0 ||
		hooks_dirs_has(dirs, plan->request->hooks_dir))
		return 0;
	return error_set(err, EEXIST, EXIT_STATUS_FAILED,
		"%s is read after our %s and sets hooks_dir: add %s there, or rename it",
		dirs->set_last, dir_end + 1, plan->request->hooks_dir);
}

int hooks_plan(struct configure_plan *plan, const struct hooks_dirs *dirs, const char *table,
	bool always, struct error *err)
{
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
	r = check_last(plan, dirs, err);
	if (r < 0)
		return r;
	text = own_text(plan, dirs, table);
	if (!text)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"%s: the name of a hooks directory cannot be written", dirs->own);
	return plan_own_file(plan, dirs->own, text, err);
}
