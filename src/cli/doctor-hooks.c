/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether podman and CRI-O read the file of the hook, by their own files. */
#include <fcntl.h>
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/json.h>
#include <git-overlayfs/oci.h>

#include "build-config.h"
#include "configure/config-home.h"
#include "configure/hooks-dirs.h"
#include "doctor-files.h"
#include "util/cleanup.h"

struct engine {
	const char *name;
	const char *program; /* and what `configure` calls it */
	const char *setting; /* where hooks_dir is written */
	int (*read)(struct hooks_dirs *dirs, struct error *err);
};

struct hooks {
	const struct engine *engine;
	struct hooks_dirs dirs;
	size_t at;		/* the directory that is looked at */
	char file[PATH_MAX];	/* that makes workspaces; "": none */
	char program[PATH_MAX]; /* what it would start */
	char unfit[PATH_MAX];	/* that names the hook, but does not make any */
	const char *why;
};

static int read_podman(struct hooks_dirs *dirs, struct error *err)
{
	char path[PATH_MAX];
	bool has_home = geteuid() != 0 && config_home_find(path, sizeof(path));

	return hooks_dirs_read_podman(dirs, has_home ? path : NULL, err);
}

static const struct engine podman = {
	"podman", "podman", "[engine] in /etc/containers/containers.conf", read_podman};
static const struct engine crio = {
	"CRI-O", "crio", "[crio.runtime] in " HOOKS_DIRS_CRIO, hooks_dirs_read_crio};

/* Both take a later directory's file of the same name. */
static bool is_masked(const struct hooks *hooks, const char *path)
{
	const char *name = strrchr(path, '/');

	for (size_t i = hooks->at + 1; i < hooks->dirs.count; i++) {
		char later[PATH_MAX];

		snprintf(later, sizeof(later), "%s%s", hooks->dirs.dirs[i], name);
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

static void write_remedy(
	const struct hooks *hooks, const struct hooks *installed, char *ret_remedy, size_t size)
{
	const char *first = hooks->dirs.count ? hooks->dirs.dirs[0] : HOOKS_DIRS_DEFAULT;

	if (hooks->unfit[0] && hooks_dirs_has(&hooks->dirs, HOOKS_DIR))
		snprintf(ret_remedy, size,
			"write it anew after the 50-git-overlayfs.json that is installed, or "
			"install git-overlayfs again");
	else if (installed->file[0])
		snprintf(ret_remedy, size,
			"git-overlayfs configure %s, or write hooks_dir = [\"%.100s\", "
			"\"%s\"] below %s",
			hooks->engine->program, first, HOOKS_DIR, hooks->engine->setting);
	else
		snprintf(ret_remedy, size,
			"install git-overlayfs with --prefix=/usr, or copy its 50-git-overlayfs.json "
			"into %.150s",
			first);
}

static void judge_hooks(const struct hooks *hooks, struct finding *finding)
{
	const char *engine = hooks->engine->name;
	char remedy[sizeof(finding->remedy)];
	struct hooks installed = {.at = 0};

	if (hooks->file[0] && !doctor_exists(hooks->program)) {
		finding_set(finding, FINDING_WARN, "install the hook there, or correct the file",
			"%.150s names %.150s, which is not there: %s starts no container that asks "
			"for a workspace",
			hooks->file, hooks->program, engine);
		return;
	}
	if (hooks->file[0]) {
		finding_set(finding, FINDING_OK, "", "%s reads %.300s", engine, hooks->file);
		return;
	}
	doctor_each_file(HOOKS_DIR, ".json", look_for_hook, &installed);
	write_remedy(hooks, &installed, remedy, sizeof(remedy));
	if (hooks->unfit[0]) {
		finding_set(finding, FINDING_WARN, remedy,
			"%s reads %.200s, which %s, and no other file of the hook: annotations "
			"do nothing",
			engine, hooks->unfit, hooks->why);
		return;
	}
	finding_set(finding, FINDING_WARN, remedy,
		"%s does not read the hook's file%s%.200s: annotations do nothing", engine,
		installed.file[0] ? ", which is " : "", installed.file);
}

static void look_at_hooks(const struct engine *engine, struct finding *finding)
{
	_cleanup_close_ int root_fd = open(doctor_path("/"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct hooks hooks = {.engine = engine, .dirs.root_fd = root_fd};
	struct error err = {0};
	int r;

	if (!doctor_has_program(engine->program)) {
		finding_set(finding, FINDING_OK, "", "%s is not installed", engine->name);
		return;
	}
	r = hooks_dirs_begin(&hooks.dirs, &err);
	if (r == 0)
		r = engine->read(&hooks.dirs, &err);
	if (r < 0)
		finding_set_error(finding, FINDING_WARN,
			"correct the file, or let this user read it: the engine does not start with it",
			"", &err);
	for (; r == 0 && hooks.at < hooks.dirs.count; hooks.at++)
		doctor_each_file(hooks.dirs.dirs[hooks.at], ".json", look_for_hook, &hooks);
	if (r == 0)
		judge_hooks(&hooks, finding);
	hooks_dirs_release(&hooks.dirs);
}

void look_at_podman(struct finding *finding)
{
	look_at_hooks(&podman, finding);
}

void look_at_crio(struct finding *finding)
{
	look_at_hooks(&crio, finding);
}
