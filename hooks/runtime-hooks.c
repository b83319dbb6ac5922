/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <git-overlayfs/json.h>

#include "build-config.h"
#include "hook.h"
#include "util/cleanup.h"

#define FILE_MAX  (64u << 10)
#define VARIABLE  "GIT_OVERLAYFS_HOOKS_DIR"
#define ETC_HOOKS "/etc/containers/oci/hooks.d"

static const char *const names[] = {"50-git-overlayfs.json", "50-git-overlayfs-poststop.json"};

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

/* Without an environment of its own a hook would have the runtime's, or the image's. */
static int check_hook(const struct json *hook, struct error *err)
{
	const char *path = json_member_string(hook, "path");
	const struct json *args = json_member(hook, "args"), *env = json_member(hook, "env");

	if (!hook || hook->type != JSON_OBJECT)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "hook: no object");
	if (!path || path[0] != '/')
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "hook.path: no absolute path");
	if (!args || args->type != JSON_ARRAY)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "hook.args: no list");
	if (!env || env->type != JSON_ARRAY)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"hook.env: no list; write [\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"]");
	return 0;
}

static const char *known_stage(const struct json *stage)
{
	static const char *const known[] = {"createRuntime", "prestart", "poststop"};

	for (size_t i = 0; stage->string && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(stage->string, known[i]) == 0)
			return known[i];
	return NULL;
}

/* createRuntime and prestart are one: a container's workspaces are mounted once. */
static int add_stage(struct runtime_hooks *hooks, const char *text, const struct json *hook,
	const char *stage, struct error *err)
{
	bool is_end = strcmp(stage, "poststop") == 0;
	struct runtime_hook *added;

	if (is_end ? hooks->poststop.entry : hooks->create.entry)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"stages: there is a hook %s already",
			is_end ? "for poststop" : "that makes the workspaces");
	added = is_end ? &hooks->poststop : &hooks->create;
	added->stage = stage;
	added->path = strdup(json_member_string(hook, "path"));
	added->entry = strndup(text + hook->begin, hook->end - hook->begin);
	return added->path && added->entry ? 0 : out_of_memory(err);
}

static int take_file(
	struct runtime_hooks *hooks, const char *text, const struct json *file, struct error *err)
{
	const struct json *hook = json_member(file, "hook"), *stages = json_member(file, "stages");
	const struct json *always = json_member(json_member(file, "when"), "always");
	int r = check_hook(hook, err);

	if (!r && (!stages || stages->type != JSON_ARRAY))
		r = error_set(err, EINVAL, EXIT_STATUS_FAILED, "stages: no list");
	for (size_t i = 0; !r && i < stages->count; i++) {
		const char *stage = known_stage(&stages->values[i]);

		if (!stage)
			return error_set(err, EINVAL, EXIT_STATUS_FAILED,
				"stages: write createRuntime, prestart or poststop");
		r = add_stage(hooks, text, hook, stage, err);
	}
	hooks->always |= always && always->type == JSON_BOOL && always->boolean;
	return r;
}

int runtime_hooks_parse(
	struct runtime_hooks *hooks, const char *text, size_t size, struct error *err)
{
	struct json *file;
	int r = json_parse(text, size, &file, err);

	if (r < 0)
		return r;
	r = take_file(hooks, text, file, err);
	json_free(file);
	return r;
}

static int read_file(
	struct runtime_hooks *hooks, const char *dir, const char *name, struct error *err)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	size_t size = 0;
	struct stat st;
	int r;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return out_of_memory(err);
	}
	r = input_read_file(AT_FDCWD, path, 0, FILE_MAX, &text, &size, &st, err);
	if (r < 0)
		return r;
	r = engine_check_file(engine_is_rootful(), &st, err);
	if (!r)
		r = runtime_hooks_parse(hooks, text, size, err);
	return r < 0 ? error_prefix(err, "%s", path) : 0;
}

/* As engines do: a file in /etc masks an installed one of its name. */
int runtime_hooks_read(struct runtime_hooks *ret_hooks, struct error *err)
{
	const char *own = getenv(VARIABLE), *dirs[] = {ETC_HOOKS, HOOKS_DIR};
	struct runtime_hooks hooks = {0};
	int r = 0;

	if (own && own[0] != '/')
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			VARIABLE " '%.200s': no absolute path", own);
	if (own)
		dirs[0] = dirs[1] = own;
	for (size_t i = 0; !r && i < sizeof(names) / sizeof(names[0]); i++) {
		struct error missing = {0};

		r = read_file(&hooks, dirs[0], names[i], &missing);
		if (r == -ENOENT)
			r = read_file(&hooks, dirs[1], names[i], &missing);
		if (r == -ENOENT)
			r = 0;
		else if (r < 0 && err)
			*err = missing;
	}
	if (r < 0)
		runtime_hooks_release(&hooks);
	else
		*ret_hooks = hooks;
	return r;
}

void runtime_hooks_release(struct runtime_hooks *hooks)
{
	free(hooks->create.path);
	free(hooks->create.entry);
	free(hooks->poststop.path);
	free(hooks->poststop.entry);
	memset(hooks, 0, sizeof(*hooks));
}
