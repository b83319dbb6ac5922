/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * podman and buildah: the directory of hooks, where they would not read it, and for
 * --storage-driver the program that mounts their overlays.
 */
#include "hooks-plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define VENDOR_STORAGE "/usr/share/containers/storage.conf"

static int plan_hooks(struct configure_plan *plan, struct error *err)
{
	char own[PATH_MAX];
	_cleanup_(hooks_dirs_release) struct hooks_dirs dirs = {
		.root_fd = plan->root_fd, .own = own};
	int r;

	plan_config_path(
		plan, "containers/containers.conf.d/90-git-overlayfs.conf", own, sizeof(own));
	r = hooks_dirs_begin(&dirs, err);
	if (r == 0 && !plan->request->remove)
		r = hooks_dirs_read_podman(&dirs, plan->request->config_home, err);
	/* Not every podman and buildah has the default for a plain user. */
	if (r == 0)
		r = hooks_plan(plan, &dirs, "engine", plan->request->config_home != NULL, err);
	return r;
}

/* --- storage.conf --- */

/* What a storage.conf must have that is not there yet: what the vendor's has, which it hides. */
static int storage_base(
	const struct configure_plan *plan, char **ret_text, size_t *ret_size, struct error *err)
{
	static const char rootless[] = "[storage]\ndriver = \"overlay\"\n";
	static const char system[] = "[storage]\ndriver = \"overlay\"\n"
				     "runroot = \"/run/containers/storage\"\n"
				     "graphroot = \"/var/lib/containers/storage\"\n";
	struct place vendor = {.dir_fd = -1};
	const char *text = plan->request->config_home ? rootless : system;
	int r = 0;

	if (!plan->request->config_home)
		r = place_open(plan->root_fd, VENDOR_STORAGE, &vendor, err);
	if (r == 0 && vendor.text)
		text = vendor.text;
	if (r == 0) {
		*ret_text = strdup(text);
		*ret_size = strlen(text);
		r = *ret_text ? 0 : error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	place_release(&vendor);
	return r;
}

static int check_driver(const char *text, size_t size, struct error *err)
{
	struct toml_statement statement;
	struct toml_path driver;
	int r;

	toml_path_set(&driver, "storage", "driver", NULL);
	r = toml_find(text, size, &driver, &statement, err);
	if (r <= 0)
		return r;
	size = statement.value_end - statement.value;
	if (size == 9 && !memcmp(text + statement.value + 1, "overlay", 7))
		return 0;
	return error_set(err, EEXIST, EXIT_STATUS_FAILED,
		"line %u: the driver is %.*s, and only overlay has a mount_program", statement.line,
		size < 100 ? (int)size : 100, text + statement.value);
}

static int put_storage(const struct configure_plan *plan, const char *text, size_t size,
	char **ret_text, size_t *ret_size, struct error *err)
{
	_cleanup_free_ char *base = NULL, *quoted = toml_quote(plan->request->program);
	struct toml_path within, owned;
	char body[2 * PATH_MAX];
	struct toml_section section = {.body = body,
		.within = &within,
		.header = "[storage.options.overlay]",
		.owned = &owned,
		.owned_count = 1,
		.engine = "podman"};
	int r = 0;

	if (!quoted)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"the program's path has a control character");
	toml_path_set(&within, "storage", "options", "overlay", NULL);
	toml_path_set(&owned, "storage", "options", "overlay", "mount_program", NULL);
	snprintf(body, sizeof(body), "mount_program = %s\n", quoted);
	if (!text) {
		r = storage_base(plan, &base, &size, err);
		text = base;
	}
	if (r == 0)
		r = check_driver(text, size, err);
	return r == 0 ? toml_section_put(&section, text, size, ret_text, ret_size, err) : r;
}

static int take_storage(const struct configure_plan *plan, const char *text, size_t size,
	char **ret_text, size_t *ret_size, struct error *err)
{
	return toml_section_take(text, size, ret_text, ret_size, err);
}

static int plan_podman(struct configure_plan *plan, struct error *err)
{
	static const struct edit edit = {put_storage, take_storage};
	char path[PATH_MAX];
	int r = plan_hooks(plan, err);

	/* Whoever takes it back means all of it. */
	if (r < 0 || !(plan->request->storage_driver || plan->request->remove))
		return r;
	plan_config_path(plan, "containers/storage.conf", path, sizeof(path));
	if (plan->request->storage_driver)
		plan_note_missing(plan, plan->request->program);
	return plan_edit(plan, path, &edit, err);
}

/* podman says in its help what it has read: without a storage being made, as `info` would. */
static int check_podman(struct configure_plan *plan, struct error *err)
{
	static const char *const help[] = {"podman", "--help", NULL};
	static const char *const info[] = {"podman", "info", NULL};
	_cleanup_free_ char *text = NULL, *more = NULL;
	const char *said;
	int r;

	if (strcmp(plan->request->root, "/") != 0) {
		snprintf(plan->check, sizeof(plan->check),
			"none, podman reads the files of the system, not of --root");
		return 0;
	}
	r = plan_ask(plan, help, &text, err);
	if (r != 0)
		return r < 0 ? r : 0;
	said = strstr(text, "hooks-dir");
	/* Where podman tells no default, it does not tell what it has read either. */
	if (said && memmem(said, strcspn(said, "\n"), "(default [", 10) && !plan->request->remove &&
		!memmem(said, strcspn(said, "\n"), plan->request->hooks_dir,
			strlen(plan->request->hooks_dir)))
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"podman does not read it, so nothing was changed: it has %.*s",
			(int)strcspn(said, "\n"), said);
	if (plan->request->storage_driver) {
		r = plan_ask(plan, info, &more, err);
		if (r < 0)
			return r;
	}
	snprintf(plan->check, sizeof(plan->check), "podman %s passed",
		plan->request->storage_driver ? "--help and info" : "--help");
	return 0;
}

const struct engine engine_podman = {
	.name = "podman",
	.plan = plan_podman,
	.check = check_podman,
	.restart = "",
	.restart_rootless = "",
};
