/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/json.h>
#include <git-overlayfs/oci.h>

#include "util/cleanup.h"

/* An annotation that a variable becomes. */
struct addition {
	char *key;
	const char *value; /* borrowed */
};

struct plan {
	const struct json *config, *annotations, *hooks;
	struct addition additions[OCI_WORKSPACES_MAX];
	size_t count;
	struct json_edit *edit;
};

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

/*
 * A member whose type is `type`, or NULL: none, or null. runc's parser does not tell
 * upper from lower case, so what we would add could stand there twice to it.
 */
static int take(const struct json *object, const char *key, enum json_type type,
	const struct json **ret, struct error *err)
{
	const struct json *value = NULL;

	for (size_t i = 0; object && i < object->count; i++) {
		if (strcasecmp(object->keys[i], key) != 0)
			continue;
		if (strcmp(object->keys[i], key) != 0)
			return error_set(err, EINVAL, EXIT_STATUS_FAILED, "'%.40s': the name is %s",
				object->keys[i], key);
		value = &object->values[i];
	}
	if (value && value->type != JSON_NULL && value->type != type)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "%s: no %s", key,
			type == JSON_OBJECT ? "object" : "list");
	*ret = value && value->type == type ? value : NULL;
	return 0;
}

/* The value of a variable of ours; *ret_name is "" or what stands behind its underscore. */
static const char *variable_value(char *item, const char **ret_name)
{
	size_t length = strlen(RUNTIME_VARIABLE);
	char *value;

	if (!item || strncmp(item, RUNTIME_VARIABLE, length) != 0)
		return NULL;
	value = strchr(item, '=');
	if (!value || (item[length] != '=' && item[length] != '_'))
		return NULL;
	*value = '\0';
	*ret_name = item + length + (item[length] == '_');
	return value + 1;
}

/* What the environment asks for, unless an annotation of that name is there: it is closer to who
 * runs the engine. */
static int add_wish(struct plan *plan, const char *name, const char *value, struct error *err)
{
	_cleanup_free_ char *key = NULL;

	if (name[0] && !config_id_is_valid(name))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			RUNTIME_VARIABLE
			"_%.60s: no name for a workspace; use letters, digits and _",
			name);
	if (asprintf(&key, OCI_ANNOTATION "%s%s", name[0] ? "." : "", name) < 0) {
		key = NULL;
		return out_of_memory(err);
	}
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->additions[i].key, key) == 0)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				RUNTIME_VARIABLE "%s%.60s: stands twice in the environment",
				name[0] ? "_" : "", name);
	if (plan->count == OCI_WORKSPACES_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_FAILED,
			"more than %d workspaces in one container", OCI_WORKSPACES_MAX);
	plan->additions[plan->count++] = (struct addition){.key = steal_ptr(&key), .value = value};
	return 0;
}

static int take_environment(struct plan *plan, struct error *err)
{
	const struct json *process, *env;
	int r = take(plan->config, "process", JSON_OBJECT, &process, err);

	if (!r)
		r = take(process, "env", JSON_ARRAY, &env, err);
	for (size_t i = 0; !r && env && i < env->count; i++) {
		const char *name, *value = variable_value(env->values[i].string, &name);

		/* An empty one takes back what the image asks for. */
		if (value && value[0])
			r = add_wish(plan, name, value, err);
	}
	return r;
}

static bool has_wish(const struct plan *plan)
{
	const struct json *annotations = plan->annotations;

	for (size_t i = 0; annotations && i < annotations->count; i++)
		if (strncmp(annotations->keys[i], OCI_ANNOTATIONS, strlen(OCI_ANNOTATIONS)) == 0)
			return true;
	return plan->count > 0;
}

/* The object `key` of config.json, which has none, or null. */
static int add_object(struct plan *plan, const char *key, const char *members, struct error *err)
{
	const struct json *old = json_member(plan->config, key);
	_cleanup_free_ char *text = NULL;

	if (asprintf(&text, "{%s}", members) < 0) {
		text = NULL;
		return out_of_memory(err);
	}
	if (old)
		json_edit_replace(plan->edit, old, text);
	else
		json_edit_add_member(plan->edit, plan->config, key, text);
	return 0;
}

static bool is_annotated(const struct plan *plan, const struct addition *addition)
{
	return json_member(plan->annotations, addition->key) != NULL;
}

static int write_annotation(FILE *out, const struct addition *addition, bool is_first)
{
	_cleanup_free_ char *key = NULL, *value = NULL;
	int r = json_quote(addition->key, &key);

	if (!r)
		r = json_quote(addition->value, &value);
	if (!r)
		fprintf(out, "%s%s:%s", is_first ? "" : ",", key, value);
	return r;
}

static int add_annotation(struct plan *plan, const struct addition *addition)
{
	_cleanup_free_ char *value = NULL;
	int r = json_quote(addition->value, &value);

	if (!r)
		json_edit_add_member(plan->edit, plan->annotations, addition->key, value);
	return r;
}

/* Returns how many were added. */
static int edit_annotations(struct plan *plan, struct error *err)
{
	_cleanup_free_ char *members = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&members, &size);
	int r = out ? 0 : -ENOMEM, added = 0;

	for (size_t i = 0; !r && i < plan->count; i++) {
		if (is_annotated(plan, &plan->additions[i]))
			continue;
		r = plan->annotations ? add_annotation(plan, &plan->additions[i])
				      : write_annotation(out, &plan->additions[i], added == 0);
		added++;
	}
	if (out && fclose(out) != 0 && !r)
		r = -ENOMEM;
	if (r < 0)
		return out_of_memory(err);
	if (added && !plan->annotations)
		r = add_object(plan, "annotations", members, err);
	return r < 0 ? r : added;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* By its name: an engine may know the same hook by another path. */
static bool has_entry(const struct json *entries, const char *path)
{
	for (size_t i = 0; entries && i < entries->count; i++) {
		const char *known = json_member_string(&entries->values[i], "path");

		if (known && strcmp(base_name(known), base_name(path)) == 0)
			return true;
	}
	return false;
}

/* createRuntime and prestart are one: a container's workspace is mounted once. */
static int is_there(const struct plan *plan, const struct runtime_hook *hook, struct error *err)
{
	bool is_end = strcmp(hook->stage, "poststop") == 0;
	const char *stages[] = {hook->stage, "createRuntime", "prestart"};

	for (size_t i = 0; i < (is_end ? 1 : 3); i++) {
		const struct json *entries = NULL;
		int r = take(plan->hooks, stages[i], JSON_ARRAY, &entries, err);

		if (r < 0)
			return error_prefix(err, "hooks");
		if (has_entry(entries, hook->path))
			return 1;
	}
	return 0;
}

static int add_hook(struct plan *plan, const struct runtime_hook *hook, struct error *err)
{
	const struct json *entries = json_member(plan->hooks, hook->stage);
	_cleanup_free_ char *list = NULL;

	if (entries && entries->type == JSON_ARRAY) {
		json_edit_add_item(plan->edit, entries, hook->entry);
		return 0;
	}
	if (asprintf(&list, "[%s]", hook->entry) < 0) {
		list = NULL;
		return out_of_memory(err);
	}
	if (entries)
		json_edit_replace(plan->edit, entries, list);
	else
		json_edit_add_member(plan->edit, plan->hooks, hook->stage, list);
	return 0;
}

static int make_hooks(struct plan *plan, const struct runtime_hooks *hooks, struct error *err)
{
	const struct runtime_hook *create = &hooks->create, *poststop = &hooks->poststop;
	_cleanup_free_ char *members = NULL;
	int r;

	if (poststop->entry)
		r = asprintf(&members, "\"%s\":[%s],\"%s\":[%s]", create->stage, create->entry,
			poststop->stage, poststop->entry);
	else
		r = asprintf(&members, "\"%s\":[%s]", create->stage, create->entry);
	if (r < 0) {
		members = NULL;
		return out_of_memory(err);
	}
	r = add_object(plan, "hooks", members, err);
	return r < 0 ? r : 1;
}

static int edit_stage(struct plan *plan, const struct runtime_hook *hook, struct error *err)
{
	int r = hook->entry ? is_there(plan, hook, err) : 1;

	if (r == 0)
		r = add_hook(plan, hook, err);
	else if (r > 0)
		return 0;
	return r < 0 ? r : 1;
}

/* Returns how many were added. */
static int edit_hooks(struct plan *plan, const struct runtime_hooks *hooks, struct error *err)
{
	int created, r;

	if (!hooks->create.entry)
		return error_set(err, ENOENT, EXIT_STATUS_MACHINE,
			"a workspace is asked for, and no hooks.d file 50-git-overlayfs.json says "
			"how; install git-overlayfs, or set GIT_OVERLAYFS_HOOKS_DIR");
	if (!plan->hooks)
		return make_hooks(plan, hooks, err);
	created = edit_stage(plan, &hooks->create, err);
	if (created < 0)
		return created;
	r = edit_stage(plan, &hooks->poststop, err);
	return r < 0 ? r : r + created;
}

static int take_members(struct plan *plan, struct error *err)
{
	int r;

	if (plan->config->type != JSON_OBJECT)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "no JSON object");
	r = take(plan->config, "annotations", JSON_OBJECT, &plan->annotations, err);
	if (!r)
		r = take(plan->config, "hooks", JSON_OBJECT, &plan->hooks, err);
	return r ? r : take_environment(plan, err);
}

static int make_edits(struct plan *plan, const struct runtime_hooks *hooks, struct error *err)
{
	int r, added;

	/* A pause container is the hook's to tell, which knows whose container it is. */
	if (!has_wish(plan) && !hooks->always)
		return 0;
	added = edit_annotations(plan, err);
	if (added < 0)
		return added;
	r = edit_hooks(plan, hooks, err);
	return r < 0 ? r : r + added;
}

static int finish(struct plan *plan, int r, char **ret_text, size_t *ret_size, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int finished = json_edit_finish(plan->edit, &text, &size);

	if (r <= 0)
		return r;
	if (finished < 0)
		return error_set_errno(err, -finished, EXIT_STATUS_FAILED, "cannot edit it");
	/* The hook would not read it. */
	if (size > OCI_CONFIG_MAX)
		return error_set(err, EFBIG, EXIT_STATUS_FAILED,
			"longer than %u bytes with the hook in it", OCI_CONFIG_MAX);
	*ret_text = steal_ptr(&text);
	*ret_size = size;
	return 1;
}

int runtime_edit(const char *text, size_t size, const struct runtime_hooks *hooks, char **ret_text,
	size_t *ret_size, struct error *err)
{
	struct plan plan = {0};
	struct json *config;
	int r = json_parse(text, size, &config, err);

	if (r < 0)
		return r;
	plan.config = config;
	r = take_members(&plan, err);
	if (!r && json_edit_new(text, size, &plan.edit) < 0)
		r = out_of_memory(err);
	if (!r)
		r = finish(&plan, make_edits(&plan, hooks, err), ret_text, ret_size, err);
	for (size_t i = 0; i < plan.count; i++)
		free(plan.additions[i].key);
	json_free(config);
	return r;
}
