/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docker knows no hooks: a runtime of its own, in daemon.json. */
#include "docker-file.h"
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/json.h>

#include "util/cleanup.h"

static const char *const keys[] = {"runtimes", "git-overlayfs", "path"};

/* Whose the runtime of our name is. What we write has a path and nothing else. */
enum owner { OWNER_NONE, OWNER_US, OWNER_US_AND_OTHERS, OWNER_OTHERS };

struct found {
	enum owner owner;
	bool is_default;
	char path[300]; /* its path, in words */
};

static enum owner owner_of(const struct configure_plan *plan, const struct json *runtime)
{
	const char *path = json_member_string(runtime, keys[2]);

	if (!runtime)
		return OWNER_NONE;
	if (!path || strcmp(path, plan->request->runtime) != 0)
		return OWNER_OTHERS;
	return runtime->count == 1 ? OWNER_US : OWNER_US_AND_OTHERS;
}

/* What is wrong with the text, as plan.h wants that told. */
static int broken(struct error *err)
{
	if (err && err->code != ENOMEM)
		err->code = EBADMSG;
	return err ? -err->code : -EBADMSG;
}

static int look(const struct configure_plan *plan, const char *text, size_t size,
	struct found *ret_found, struct error *err)
{
	const struct json *runtime;
	const char *path, *name;
	struct json *json;
	int r;

	*ret_found = (struct found){.owner = OWNER_NONE};
	r = docker_file_parse(text, size, &json, err);
	if (r < 0)
		return broken(err);
	if (!json)
		return 0;
	runtime = json_member(json_member(json, keys[0]), keys[1]);
	path = json_member_string(runtime, keys[2]);
	name = json_member_string(json, "default-runtime");
	ret_found->owner = owner_of(plan, runtime);
	ret_found->is_default = name && !strcmp(name, keys[1]);
	snprintf(ret_found->path, sizeof(ret_found->path), "%s%.280s",
		path ? "the path " : "no path", path ? path : "");
	json_free(json);
	return 0;
}

static int copy(const char *text, size_t size, char **ret_text, size_t *ret_size, struct error *err)
{
	*ret_text = strndup(text, size);
	*ret_size = size;
	return *ret_text ? 0 : error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

static int quote(const char *string, char **ret_text, struct error *err)
{
	struct json_writer *writer;
	size_t size;
	int r = json_writer_new(false, &writer);

	if (r == 0) {
		json_write_string(writer, string);
		r = json_writer_finish(writer, ret_text, &size);
	}
	return r < 0 ? error_set_errno(err, -r, EXIT_STATUS_FAILED, "daemon.json") : 0;
}

static int put(const struct configure_plan *plan, const char *text, size_t size, char **ret_text,
	size_t *ret_size, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	struct found found;
	int r;

	if (!text || docker_file_is_blank(text, size)) {
		text = "{}\n";
		size = 3;
	}
	r = look(plan, text, size, &found, err);
	if (r < 0)
		return r;
	if (found.owner == OWNER_OTHERS)
		return error_set(err, EEXIST, EXIT_STATUS_FAILED,
			"it has a runtime git-overlayfs already, with %s; take that away first",
			found.path);
	if (found.owner != OWNER_NONE)
		return copy(text, size, ret_text, ret_size, err);
	r = quote(plan->request->runtime, &path, err);
	if (r < 0)
		return r;
	r = json_splice_set(text, size, keys, 3, path, ret_text, ret_size, err);
	return r < 0 ? broken(err) : r;
}

static int take(const struct configure_plan *plan, const char *text, size_t size, char **ret_text,
	size_t *ret_size, struct error *err)
{
	struct found found;
	int r = look(plan, text, size, &found, err);

	if (r < 0)
		return r;
	if (found.owner != OWNER_US)
		return copy(text, size, ret_text, ret_size, err);
	if (plan->request->remove && found.is_default)
		return error_set(err, EBUSY, EXIT_STATUS_FAILED,
			"default-runtime is git-overlayfs, and dockerd would not start without that "
			"runtime: set it to runc, or take it away, first");
	r = json_splice_remove(text, size, keys, 2, ret_text, ret_size, err);
	return r < 0 ? r : 0;
}

static void note_owner(struct configure_plan *plan, const struct place *place)
{
	struct found found;

	if (!place->exists || look(plan, place->text, place->size, &found, NULL) < 0)
		return;
	if (found.owner == OWNER_US_AND_OTHERS)
		plan_note(plan,
			"the runtime git-overlayfs of %.300s has more than its path, which is not "
			"from here: --remove leaves it",
			place->path);
	else if (found.owner == OWNER_OTHERS)
		plan_note(plan,
			"the runtime git-overlayfs of %.300s has %s: it is not ours, and stays",
			place->path, found.path);
}

static int plan_docker(struct configure_plan *plan, struct error *err)
{
	static const struct edit edit = {put, take};
	char path[PATH_MAX];
	int r;

	plan_config_path(plan, "docker/daemon.json", path, sizeof(path));
	plan_note_missing(plan, plan->request->runtime);
	r = plan_edit(plan, path, &edit, err);
	if (r == 0)
		note_owner(plan, &plan->changes[0].place);
	return r;
}

static int check_docker(struct configure_plan *plan, struct error *err)
{
	char path[PATH_MAX + 32];
	const char *const words[] = {"dockerd", "--validate", "--config-file", path, NULL};
	_cleanup_free_ char *text = NULL;
	int r;

	if (!plan->changes[0].place.exists)
		return 0;
	plan_path_outside(plan, &plan->changes[0].place, path, sizeof(path));
	r = plan_ask(plan, words, &text, err);
	if (r == 0)
		snprintf(plan->check, sizeof(plan->check), "dockerd --validate passed");
	if (r == -ENOTSUP) {
		snprintf(plan->check, sizeof(plan->check),
			"none, this dockerd has no --validate (23.0 has)");
		r = 0;
	}
	return r < 0 ? r : 0;
}

const struct engine engine_docker = {
	.name = "docker",
	.plan = plan_docker,
	.check = check_docker,
	.restart = "systemctl reload docker",
	.restart_rootless = "systemctl --user reload docker",
};
