/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRI-O finds hooks by itself in the usual directory, and hands all annotations to them: those that
 * it would have to be allowed are its own. It reads every file of crio.conf.d, whatever its name.
 */
#include "hooks-plan.h"

#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

#define CONFIG HOOKS_DIRS_CRIO
#define OWN    CONFIG ".d/90-git-overlayfs.conf"

static int plan_crio(struct configure_plan *plan, struct error *err)
{
	_cleanup_(hooks_dirs_release) struct hooks_dirs dirs = {
		.root_fd = plan->root_fd, .own = OWN};
	int r;

	r = hooks_dirs_begin(&dirs, err);
	if (r == 0 && !plan->request->remove)
		r = hooks_dirs_read_crio(&dirs, err);
	if (r == 0)
		r = hooks_plan(plan, &dirs, "crio.runtime", false, err);
	return r;
}

static int check_crio(struct configure_plan *plan, struct error *err)
{
	char config[PATH_MAX + 32], dir[PATH_MAX + 32];
	const char *const words[] = {
		"crio", "--config", config, "--config-dir", dir, "config", NULL};
	_cleanup_free_ char *text = NULL;
	struct place main_file;
	int r = place_open(plan->root_fd, CONFIG, &main_file, err);

	if (r == 0) {
		if (main_file.exists)
			plan_path_outside(plan, &main_file, config, sizeof(config));
		else
			snprintf(config, sizeof(config), "/dev/null");
		plan_path_outside(plan, &plan->changes[0].place, dir, sizeof(dir));
		*strrchr(dir, '/') = '\0';
		r = plan_ask(plan, words, &text, err);
	}
	place_release(&main_file);
	if (r == 0)
		snprintf(plan->check, sizeof(plan->check), "crio config passed");
	return r < 0 ? r : 0;
}

const struct engine engine_crio = {
	.name = "crio",
	.plan = plan_crio,
	.check = check_crio,
	.restart = "systemctl restart crio",
};
