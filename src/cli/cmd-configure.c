/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/configure.h>
#include <git-overlayfs/json.h>

#include "build-config.h"
#include "command.h"
#include "configure/config-home.h"
#include "host/workspace-internal.h"
#include "util/cleanup.h"

/* Two at once would each write what they have read. */
#define LOCK_FILE ".configuring"

enum { OPTION_REMOVE = 256, OPTION_ROOTLESS, OPTION_SYSTEM, OPTION_STORAGE_DRIVER, OPTION_ROOT };

static const struct cli_option configure_options[] = {
	{'n', "dry-run", NULL, "only print what would change, as a diff"},
	{OPTION_REMOVE, "remove", NULL, "take back what was written"},
	{OPTION_ROOTLESS, "rootless", NULL,
		"the user's own engine; the default of who is not root"},
	{OPTION_SYSTEM, "system", NULL, "the system's engine; the default of root"},
	{OPTION_STORAGE_DRIVER, "storage-driver", NULL,
		"podman: mount its overlays, too, as mount_program"},
	{OPTION_ROOT, "root", "DIR", "the files of an image below DIR instead of the system's"},
	{'j', "json", NULL, "say what was done as JSON"},
	{0},
};

struct wish {
	struct configure_request request;
	bool dry_run, json, rootless;
};

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	struct wish *wish = ctx;

	switch (key) {
	case 'n':
		wish->dry_run = true;
		break;
	case 'j':
		wish->json = true;
		break;
	case OPTION_REMOVE:
		wish->request.remove = true;
		break;
	case OPTION_ROOTLESS:
		wish->rootless = true;
		break;
	case OPTION_SYSTEM:
		wish->rootless = false;
		break;
	case OPTION_STORAGE_DRIVER:
		wish->request.storage_driver = true;
		break;
	case OPTION_ROOT:
		if (!*value)
			return error_set(
				err, EINVAL, EXIT_STATUS_USAGE, "--root names no directory");
		wish->request.root = value;
		break;
	}
	return 0;
}

/* --- saying it --- */

static const char *const actions[] = {
	[CONFIGURE_KEEPS] = "unchanged",
	[CONFIGURE_CREATES] = "created",
	[CONFIGURE_CHANGES] = "changed",
	[CONFIGURE_REMOVES] = "removed",
};

static bool plan_does_something(const struct configure_plan *plan)
{
	for (size_t i = 0; i < configure_plan_count(plan); i++)
		if (configure_plan_action(plan, i) != CONFIGURE_KEEPS)
			return true;
	return false;
}

static int print_diffs(const struct configure_plan *plan, struct error *err)
{
	for (size_t i = 0; i < configure_plan_count(plan); i++) {
		_cleanup_free_ char *diff = NULL;

		if (configure_plan_action(plan, i) == CONFIGURE_KEEPS)
			continue;
		diff = configure_plan_diff(plan, i);
		if (!diff)
			return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
		fputs(diff, stdout);
	}
	return 0;
}

static int print_text(const struct wish *wish, const struct configure_plan *plan, struct error *err)
{
	bool any = plan_does_something(plan);
	int r = wish->dry_run ? print_diffs(plan, err) : 0;

	for (size_t i = 0; !wish->dry_run && i < configure_plan_count(plan); i++)
		if (configure_plan_action(plan, i) != CONFIGURE_KEEPS)
			printf("%s %s%s\n", actions[configure_plan_action(plan, i)],
				configure_plan_path(plan, i),
				configure_plan_made_backup(plan, i)
					? ", and made a backup of it, .git-overlayfs-backup"
					: "");
	if (r == 0 && !any)
		printf("nothing to do: %s is %s\n", wish->request.engine,
			wish->request.remove ? "not configured" : "configured");
	if (*configure_plan_note(plan))
		printf("note: %s\n", configure_plan_note(plan));
	if (*configure_plan_check(plan))
		printf("check: %s\n", configure_plan_check(plan));
	if (any && !wish->dry_run && *configure_plan_restart(plan))
		printf("a running %s sees it after: %s\n", wish->request.engine,
			configure_plan_restart(plan));
	return r;
}

static void write_change(struct json_writer *writer, const struct wish *wish,
	const struct configure_plan *plan, size_t i)
{
	_cleanup_free_ char *diff = NULL;

	json_write_object_begin(writer);
	json_write_text(writer, "path", configure_plan_path(plan, i));
	json_write_text(writer, "action", actions[configure_plan_action(plan, i)]);
	json_write_flag(writer, "backup", configure_plan_made_backup(plan, i));
	if (wish->dry_run && configure_plan_action(plan, i) != CONFIGURE_KEEPS) {
		diff = configure_plan_diff(plan, i);
		json_write_text(writer, "diff", diff);
	}
	json_write_object_end(writer);
}

static int print_json(const struct wish *wish, const struct configure_plan *plan, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	struct json_writer *writer;
	size_t size;
	int r = json_writer_new(isatty(STDOUT_FILENO), &writer);

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "configure");
	json_write_object_begin(writer);
	json_write_text(writer, "engine", wish->request.engine);
	json_write_flag(writer, "dry_run", wish->dry_run);
	json_write_key(writer, "files");
	json_write_array_begin(writer);
	for (size_t i = 0; i < configure_plan_count(plan); i++)
		write_change(writer, wish, plan, i);
	json_write_array_end(writer);
	json_write_text(writer, "note", configure_plan_note(plan));
	json_write_text(writer, "check", configure_plan_check(plan));
	json_write_text(
		writer, "restart", plan_does_something(plan) ? configure_plan_restart(plan) : "");
	json_write_object_end(writer);
	r = json_writer_finish(writer, &text, &size);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "configure");
	puts(text);
	return 0;
}

/* --- doing it --- */

static int configure(const struct wish *wish, struct error *err)
{
	int lock_fd = -1;
	struct configure_plan *plan;
	int r = wish->dry_run ? 0 : workspace_lock_file(LOCK_FILE, &lock_fd, err);

	if (r < 0)
		return r;
	r = configure_plan_new(&wish->request, &plan, err);
	if (r == 0) {
		if (!wish->dry_run)
			r = configure_plan_apply(plan, err);
		if (r == 0)
			r = wish->json ? print_json(wish, plan, err) : print_text(wish, plan, err);
		configure_plan_free(plan);
	}
	workspace_unlock_file(LOCK_FILE, lock_fd);
	return r;
}

static int run_configure(int argc, char **argv, struct error *err)
{
	struct wish wish = {.rootless = geteuid() != 0,
		.request = {.root = "/",
			.hooks_dir = HOOKS_DIR,
			.program = PROGRAM_PATH,
			.runtime = RUNTIME_PATH}};
	char home[PATH_MAX];
	int first, r = cli_parse(argc, argv, &command_configure, take_option, &wish, &first, err);

	if (r == 0 && first != argc - 1)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"configure takes one engine: podman, docker, containerd or crio");
	if (r == 0 && wish.rootless)
		r = config_home_find(home, sizeof(home))
			    ? 0
			    : error_set(err, EINVAL, EXIT_STATUS_MACHINE,
				      "neither XDG_CONFIG_HOME nor HOME says where the user's "
				      "files are");
	if (r == 0) {
		wish.request.engine = argv[first];
		wish.request.config_home = wish.rootless ? home : NULL;
		r = configure(&wish, err);
	}
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_configure = {
	.name = "configure",
	.arguments = "podman|docker|containerd|crio",
	.help = "write the configuration of a container engine",
	.options = configure_options,
	.run = run_configure,
};
