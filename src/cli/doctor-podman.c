/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether podman reads the file of the hook, by its own files. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/json.h>
#include <git-overlayfs/oci.h>

#include "build-config.h"
#include "configure/toml.h"
#include "doctor-files.h"
#include "util/cleanup.h"

#define HOOKS_MAX      16
#define PODMAN_DEFAULT "/usr/share/containers/oci/hooks.d"

struct hooks {
	char *directories[HOOKS_MAX];
	size_t count;
	char file[PATH_MAX];	/* of ours, in the first directory that has one; "": none */
	char program[PATH_MAX]; /* what it would start */
};

static void hooks_clear(struct hooks *hooks)
{
	while (hooks->count > 0)
		free(hooks->directories[--hooks->count]);
}

static int add_directory(void *ctx, const char *directory)
{
	struct hooks *hooks = ctx;

	if (hooks->count < HOOKS_MAX && (hooks->directories[hooks->count] = strdup(directory)))
		hooks->count++;
	return 0;
}

/* The last file that speaks of it decides alone, unless it appends. */
static void take_hooks_dir(
	void *ctx, const char *section, const char *key, const char *value, size_t size)
{
	struct hooks *hooks = ctx, found = {.count = 0};
	bool appends = false;

	if (strcmp(section, "engine") != 0 || strcmp(key, "hooks_dir") != 0)
		return;
	if (toml_each_string(value, size, add_directory, &found, &appends) == 0) {
		if (!appends)
			hooks_clear(hooks);
		for (size_t i = 0; i < found.count; i++)
			add_directory(hooks, found.directories[i]);
	}
	hooks_clear(&found);
}

static void read_containers_conf(void *ctx, const char *path)
{
	_cleanup_free_ char *text = doctor_read(path);

	if (text)
		doctor_each_setting(text, take_hooks_dir, ctx, NULL);
}

static void read_user_conf(struct hooks *hooks)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];

	if (geteuid() == 0 || (!config && !home))
		return;
	snprintf(path, sizeof(path), "%s%s/containers/containers.conf", config ? config : home,
		config ? "" : "/.config");
	read_containers_conf(hooks, path);
	snprintf(path, sizeof(path), "%s%s/containers/containers.conf.d", config ? config : home,
		config ? "" : "/.config");
	doctor_each_file(path, ".conf", read_containers_conf, hooks);
}

static void look_for_hook(void *ctx, const char *path)
{
	_cleanup_free_ char *text = doctor_read(path);
	struct hooks *hooks = ctx;
	struct json *json = NULL;
	const char *program;

	if (!text || hooks->file[0] || json_parse(text, strlen(text), &json, NULL) < 0)
		return;
	program = json_member_string(json_member(json, "hook"), "path");
	if (program && strstr(program, "git-overlayfs-hook")) {
		snprintf(hooks->file, sizeof(hooks->file), "%s", path);
		snprintf(hooks->program, sizeof(hooks->program), "%s", program);
	}
	json_free(json);
}

static void judge_hooks(const struct hooks *hooks, struct finding *finding)
{
	char remedy[sizeof(finding->remedy)];
	struct hooks installed = {.count = 0};

	if (hooks->file[0] && !doctor_exists(hooks->program)) {
		finding_set(finding, FINDING_WARN, "install the hook there, or correct the file",
			"%.150s names %.150s, which is not there: podman starts no container that "
			"asks for a workspace",
			hooks->file, hooks->program);
		return;
	}
	if (hooks->file[0]) {
		finding_set(finding, FINDING_OK, "", "podman reads %.300s", hooks->file);
		return;
	}
	doctor_each_file(HOOKS_DIR, ".json", look_for_hook, &installed);
	if (installed.file[0])
		snprintf(remedy, sizeof(remedy),
			"git-overlayfs configure podman, or write hooks_dir = [\"%.100s\", "
			"\"%s\"] below [engine] in /etc/containers/containers.conf",
			hooks->count ? hooks->directories[0] : PODMAN_DEFAULT, HOOKS_DIR);
	else
		snprintf(remedy, sizeof(remedy),
			"install git-overlayfs with --prefix=/usr, or copy its 50-git-overlayfs.json "
			"into %.150s",
			hooks->count ? hooks->directories[0] : PODMAN_DEFAULT);
	finding_set(finding, FINDING_WARN, remedy,
		"podman does not read the hook's file%s%.200s: annotations do nothing",
		installed.file[0] ? ", which is " : "", installed.file);
}

void look_at_podman(struct finding *finding)
{
	struct hooks hooks = {.count = 0};

	if (!doctor_has_program("podman")) {
		finding_set(finding, FINDING_OK, "", "podman is not installed");
		return;
	}
	add_directory(&hooks, PODMAN_DEFAULT);
	read_containers_conf(&hooks, "/usr/share/containers/containers.conf");
	read_containers_conf(&hooks, "/etc/containers/containers.conf");
	doctor_each_file(
		"/etc/containers/containers.conf.d", ".conf", read_containers_conf, &hooks);
	read_user_conf(&hooks);
	for (size_t i = 0; i < hooks.count; i++)
		doctor_each_file(hooks.directories[i], ".json", look_for_hook, &hooks);
	judge_hooks(&hooks, finding);
	hooks_clear(&hooks);
}
