/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether podman reads the file of the hook, by its own files. */
#include <limits.h>
#include <regex.h>
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
	size_t at;		/* the directory that is looked at */
	char file[PATH_MAX];	/* that makes workspaces; "": none */
	char program[PATH_MAX]; /* what it would start */
	char unfit[PATH_MAX];	/* that names the hook, but does not make any */
	const char *why;
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

/* podman takes a later directory's file of the same name. */
static bool is_masked(const struct hooks *hooks, const char *path)
{
	const char *name = strrchr(path, '/');

	for (size_t i = hooks->at + 1; i < hooks->count; i++) {
		char later[PATH_MAX];

		snprintf(later, sizeof(later), "%s%s", hooks->directories[i], name);
		if (doctor_exists(later))
			return true;
	}
	return false;
}

/* Go's regular expressions are not POSIX's, but those for the name of an annotation are. */
static bool pattern_matches(const char *pattern, const char *string)
{
	regex_t regex;
	bool matches;

	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	matches = regexec(&regex, string, 0, NULL, 0) == 0;
	regfree(&regex);
	return matches;
}

static bool has_our_annotation(const struct json *when)
{
	const struct json *annotations = json_member(when, "annotations");
	const struct json *always = json_member(when, "always");

	if (always && always->type == JSON_BOOL && always->boolean)
		return true;
	for (size_t i = 0;
		annotations && annotations->type == JSON_OBJECT && i < annotations->count; i++)
		if (pattern_matches(annotations->keys[i], OCI_ANNOTATION))
			return true;
	return false;
}

static bool has_our_stage(const struct json *stages)
{
	for (size_t i = 0; stages && stages->type == JSON_ARRAY && i < stages->count; i++) {
		const char *stage = stages->values[i].string;

		if (stage && (!strcmp(stage, "createRuntime") || !strcmp(stage, "prestart")))
			return true;
	}
	return false;
}

/* Why it does not do for annotations what ours does; NULL: it does. */
static const char *what_is_unfit(const struct json *file)
{
	if (!has_our_stage(json_member(file, "stages")))
		return "is for no stage createRuntime";
	if (!has_our_annotation(json_member(file, "when")))
		return "is for other annotations";
	return NULL;
}

static void take_hook(struct hooks *hooks, const char *path, const char *program)
{
	snprintf(hooks->file, sizeof(hooks->file), "%s", path);
	snprintf(hooks->program, sizeof(hooks->program), "%s", program);
}

static void look_for_hook(void *ctx, const char *path)
{
	_cleanup_free_ char *text = doctor_read(path);
	struct hooks *hooks = ctx;
	struct json *json = NULL;
	const char *program, *why;

	if (!text || hooks->file[0] || is_masked(hooks, path) ||
		json_parse(text, strlen(text), &json, NULL) < 0)
		return;
	program = json_member_string(json_member(json, "hook"), "path");
	why = what_is_unfit(json);
	if (!program || !strstr(program, "git-overlayfs-hook"))
		why = NULL;
	else if (!why)
		take_hook(hooks, path, program);
	/* The one that should do it says more than the one for the end. */
	if (why && (!hooks->unfit[0] || !strstr(path, "-poststop"))) {
		snprintf(hooks->unfit, sizeof(hooks->unfit), "%s", path);
		hooks->why = why;
	}
	json_free(json);
}

static bool has_directory(const struct hooks *hooks, const char *directory)
{
	for (size_t i = 0; i < hooks->count; i++)
		if (!strcmp(hooks->directories[i], directory))
			return true;
	return false;
}

static void write_remedy(
	const struct hooks *hooks, const struct hooks *installed, char *ret_remedy, size_t size)
{
	const char *first = hooks->count ? hooks->directories[0] : PODMAN_DEFAULT;

	if (hooks->unfit[0] && has_directory(hooks, HOOKS_DIR))
		snprintf(ret_remedy, size,
			"write it anew after the 50-git-overlayfs.json that is installed, or "
			"install git-overlayfs again");
	else if (installed->file[0])
		snprintf(ret_remedy, size,
			"git-overlayfs configure podman, or write hooks_dir = [\"%.100s\", "
			"\"%s\"] below [engine] in /etc/containers/containers.conf",
			first, HOOKS_DIR);
	else
		snprintf(ret_remedy, size,
			"install git-overlayfs with --prefix=/usr, or copy its 50-git-overlayfs.json "
			"into %.150s",
			first);
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
	write_remedy(hooks, &installed, remedy, sizeof(remedy));
	if (hooks->unfit[0]) {
		finding_set(finding, FINDING_WARN, remedy,
			"podman reads %.200s, which %s, and no other file of the hook: annotations "
			"do nothing",
			hooks->unfit, hooks->why);
		return;
	}
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
	for (hooks.at = 0; hooks.at < hooks.count; hooks.at++)
		doctor_each_file(hooks.directories[hooks.at], ".json", look_for_hook, &hooks);
	judge_hooks(&hooks, finding);
	hooks_clear(&hooks);
}
