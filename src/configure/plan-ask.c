/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking an engine's own program about files of a root that it does not see as its own. */
#include "plan.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"

void plan_path_outside(
	struct configure_plan *plan, const struct place *place, char *ret_path, size_t size)
{
	struct outside *outside = &plan->outsides[plan->outside_count];

	if (!strcmp(plan->request->root, "/")) {
		snprintf(ret_path, size, "%s", place->path);
		return;
	}
	assert(plan->outside_count < sizeof(plan->outsides) / sizeof(plan->outsides[0]));
	snprintf(outside->name, sizeof(outside->name), "/proc/%d/fd/%d", getpid(), place->dir_fd);
	snprintf(outside->path, sizeof(outside->path), "%.*s", (int)(place->name - place->path - 1),
		place->path);
	plan->outside_count++;
	snprintf(ret_path, size, "%s/%s", outside->name, place->name);
}

/* Whose name, of those that another program was told, `text` begins with; NULL: nobody's. */
static const struct outside *outside_at(const struct configure_plan *plan, const char *text)
{
	for (size_t i = 0; i < plan->outside_count; i++) {
		size_t n = strlen(plan->outsides[i].name);

		if (!strncmp(text, plan->outsides[i].name, n) && !isdigit((unsigned char)text[n]))
			return &plan->outsides[i];
	}
	return NULL;
}

/* What a program said, with the names that the user knows. */
static void put_inside(
	const struct configure_plan *plan, const char *text, char *ret_text, size_t size)
{
	size_t used = 0;

	while (*text && used + 1 < size) {
		const struct outside *outside = outside_at(plan, text);

		if (!outside) {
			ret_text[used++] = *text++;
			continue;
		}
		used += (size_t)snprintf(ret_text + used, size - used, "%s", outside->path);
		text += strlen(outside->name);
	}
	ret_text[used < size ? used : size - 1] = '\0';
}

int plan_ask(
	struct configure_plan *plan, const char *const words[], char **ret_text, struct error *err)
{
	struct answer answer;
	char line[600];
	int r = ask_program(words, &answer);

	if (r == -ENOENT) {
		snprintf(plan->check, sizeof(plan->check), "none, %s is not installed", words[0]);
		return 1;
	}
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "running %s", words[0]);
	if (answer.status != 0) {
		put_inside(plan, answer_last_line(answer.text), line, sizeof(line));
		error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"%s refuses it, so nothing was changed: %s", words[0], line);
		/* Some say more than the last line does, but not what matters. */
		if (strstr(answer.text, "unknown flag"))
			err->code = ENOTSUP;
		free(answer.text);
		return err->code == ENOTSUP ? -ENOTSUP : -EINVAL;
	}
	*ret_text = answer.text;
	return 0;
}
