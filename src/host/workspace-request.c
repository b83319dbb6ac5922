/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests are compared as lists of names and values. What is at its default is not in the list,
 * so that an option that a later version adds makes no record of an older one differ.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "workspace-internal.h"

/* Of a value in a message. */
#define SHOWN_MAX 120
/* Layers have up to three, options few. */
#define TERMS_MAX (3 * CONFIG_LAYERS_MAX + 64)

struct term {
	char *name, *value;
};

struct workspace_request {
	struct term *terms;
	size_t count, room;
	bool failed; /* out of memory: said once, at the end */
};

void workspace_request_free(struct workspace_request *request)
{
	if (!request)
		return;
	for (size_t i = 0; i < request->count; i++) {
		free(request->terms[i].name);
		free(request->terms[i].value);
	}
	free(request->terms);
	free(request);
}

static void freep(struct workspace_request **request)
{
	workspace_request_free(*request);
}

/* Takes both over. */
static void add_term(struct workspace_request *request, char *name, char *value)
{
	if (request->count == request->room) {
		size_t room = request->room ? 2 * request->room : 16;
		struct term *terms = reallocarray(request->terms, room, sizeof(*terms));

		if (terms) {
			request->terms = terms;
			request->room = room;
		}
	}
	if (!name || !value || request->count == request->room) {
		free(name);
		free(value);
		request->failed = true;
		return;
	}
	request->terms[request->count++] = (struct term){name, value};
}

/* Paths are bytes, JSON is UTF-8: what is not printable ASCII is written as \xNN. */
static char *printable_copy(const char *value)
{
	char *copy = malloc(4 * strlen(value) + 1), *out = copy;

	for (; copy && *value; value++) {
		unsigned char byte = (unsigned char)*value;

		if (byte >= 0x20 && byte < 0x7f && byte != '\\')
			*out++ = (char)byte;
		else
			out += sprintf(out, "\\x%02x", byte);
	}
	if (copy)
		*out = '\0';
	return copy;
}

static void add(struct workspace_request *request, const char *name, const char *value)
{
	add_term(request, strdup(name), printable_copy(value));
}

__attribute__((format(printf, 3, 4))) static void add_text(
	struct workspace_request *request, const char *name, const char *format, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	add(request, name, text);
}

/* "repository", and of a lower layer "repository of layer 2". */
static void add_of_layer(
	struct workspace_request *request, const char *what, size_t layer, const char *value)
{
	char name[64];

	if (layer == 0)
		snprintf(name, sizeof(name), "%s", what);
	else
		snprintf(name, sizeof(name), "%s of layer %zu", what, layer + 1);
	add(request, name, value);
}

/* Two ways to write one directory are one request; a revision is what was written. */
static void add_layer(struct workspace_request *request, size_t i, const struct layer_spec *layer,
	const struct source *source)
{
	const char *path = source->dir.path ? source->dir.path : layer->path;

	if (strcmp(layer->kind, "git") != 0) {
		add_of_layer(request, "directory", i, path);
		return;
	}
	add_of_layer(request, "repository", i, path);
	if (source->git_dir && *source->git_dir)
		add_of_layer(request, "worktree", i, source->git_dir);
	add_of_layer(request, "revision", i, layer->rev ? layer->rev : "HEAD");
	if (layer->subdir)
		add_of_layer(request, "subdir", i, layer->subdir);
}

static void add_ids(struct workspace_request *request, const struct idmap *ids)
{
	static const char *const maps[] = {"uidmapping", "gidmapping"};
	static const char *const squashes[] = {"squash_to_uid", "squash_to_gid"};

	for (int kind = 0; kind < 2; kind++) {
		const struct idmap_table *table = &ids->tables[kind];
		char *text = NULL;
		size_t size;
		FILE *out = table->count ? open_memstream(&text, &size) : NULL;

		for (size_t i = 0; out && i < table->count; i++)
			fprintf(out, "%s%" PRIu32 ":%" PRIu32 ":%" PRIu32, i ? ":" : "",
				table->extents[i].container, table->extents[i].storage,
				table->extents[i].count);
		if (out)
			fclose(out);
		if (table->count)
			add_term(request, strdup(maps[kind]), text);
		if (ids->squash[kind])
			add_text(request, squashes[kind], "%" PRIu32, ids->squash_id[kind]);
	}
}

static const char *redirect_name(const struct workspace_config *config)
{
	switch (config->redirect_dir) {
	case CONFIG_REDIRECT_FOLLOW:
		return "follow";
	case CONFIG_REDIRECT_NOFOLLOW:
		return "nofollow";
	case CONFIG_REDIRECT_DEFAULT:
		return config->aufs_whiteouts ? "follow" : "on";
	default:
		return "on";
	}
}

static void add_upper(struct workspace_request *request, const struct workspace_config *config)
{
	if (config->read_only)
		add(request, "ro", "on");
	if (config->upper)
		add(request, "upperdir", config->upper);
	if (config->work)
		add(request, "workdir", config->work);
	/* Whoever gives an upper keeps it, said or not. */
	if (!config->upper && config->keep != CONFIG_KEEP_DEFAULT)
		add(request, "keep", config->keep == CONFIG_KEEP_KEEP ? "keep" : "discard");
	if (config->max_size)
		add_text(request, "size", "%" PRIu64, config->max_size);
	if (config->max_inodes)
		add_text(request, "inodes", "%" PRIu64, config->max_inodes);
	if (config->is_volatile)
		add(request, "volatile", "on");
}

static void add_options(struct workspace_request *request, const struct workspace_config *config)
{
	add_text(request, "owner", "%" PRIu32 ":%" PRIu32, config->owner_uid, config->owner_gid);
	if (!config->mtime_is_commit)
		add_text(request, "mtime", "%" PRId64, config->mtime);
	add_ids(request, &config->ids);
	if (config->static_nlink)
		add(request, "static_nlink", "on");
	if (config->no_acls)
		add(request, "noacl", "on");
	if (config->aufs_whiteouts)
		add(request, "lowerdir", "on");
	add(request, "redirect_dir", redirect_name(config));
	add(request, "passthrough", config->passthrough ? "auto" : "off");
	if (config->writeback)
		add(request, "writeback", "auto");
	if (config->kernel_opens)
		add(request, "opens", "kernel");
	if (config->suid == 1)
		add(request, "suid", "on");
	if (config->dev == 1)
		add(request, "dev", "on");
	if (config->exec == 0)
		add(request, "noexec", "on");
	if (config->seccomp && strcmp(config->seccomp, "kill") != 0)
		add(request, "seccomp", config->seccomp);
	if (config->fsname)
		add(request, "fsname", config->fsname);
}

int workspace_request_new(const struct workspace_config *config, const struct source *sources,
	const char *mountpoint, struct workspace_request **ret_request, struct error *err)
{
	_cleanup_(freep) struct workspace_request *request = calloc(1, sizeof(*request));

	if (!request)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	add(request, "mountpoint", mountpoint);
	add_text(request, "number of layers", "%zu", config->layer_count);
	for (size_t i = 0; i < config->layer_count; i++)
		add_layer(request, i, &config->layers[i], &sources[i]);
	add_upper(request, config);
	add_options(request, config);
	if (request->failed)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	*ret_request = steal_ptr(&request);
	return 0;
}

static const char *find(const struct workspace_request *request, const char *name)
{
	for (size_t i = 0; i < request->count; i++)
		if (!strcmp(request->terms[i].name, name))
			return request->terms[i].value;
	return NULL;
}

static void describe_difference(
	const char *name, const char *there, const char *asked, char *ret_text, size_t size)
{
	const char *values[] = {there, asked};
	char shown[2][SHOWN_MAX + 8];

	for (int i = 0; i < 2; i++) {
		bool is_cut = values[i] && strlen(values[i]) > SHOWN_MAX;

		snprintf(shown[i], sizeof(shown[i]), values[i] ? "'%.*s%s'" : "not set", SHOWN_MAX,
			values[i], is_cut ? "..." : "");
	}
	snprintf(ret_text, size, "%s is %s there, %s was asked for", name, shown[0], shown[1]);
}

bool workspace_request_differs(const struct workspace_request *there,
	const struct workspace_request *asked, char *ret_text, size_t size)
{
	/* In the order of those that were asked for, then what is there besides. */
	for (size_t i = 0; i < asked->count; i++) {
		const struct term *term = &asked->terms[i];
		const char *value = find(there, term->name);

		if (value && !strcmp(value, term->value))
			continue;
		describe_difference(term->name, value, term->value, ret_text, size);
		return true;
	}
	for (size_t i = 0; i < there->count; i++) {
		const struct term *term = &there->terms[i];

		if (find(asked, term->name))
			continue;
		describe_difference(term->name, term->value, NULL, ret_text, size);
		return true;
	}
	return false;
}

void workspace_request_write(const struct workspace_request *request, struct json_writer *writer)
{
	json_write_object_begin(writer);
	for (size_t i = 0; i < request->count; i++) {
		json_write_key(writer, request->terms[i].name);
		json_write_string(writer, request->terms[i].value);
	}
	json_write_object_end(writer);
}

int workspace_request_from_json(const struct json *json, struct workspace_request **ret_request)
{
	_cleanup_(freep) struct workspace_request *request = NULL;

	/* Of an older version, or not by an id that was asked for. */
	if (!json || json->type != JSON_OBJECT || json->count > TERMS_MAX) {
		*ret_request = NULL;
		return 0;
	}
	request = calloc(1, sizeof(*request));
	if (!request)
		return -ENOMEM;
	for (size_t i = 0; i < json->count; i++)
		if (json->values[i].type == JSON_STRING)
			add_term(request, strdup(json->keys[i]), strdup(json->values[i].string));
	if (request->failed)
		return -ENOMEM;
	*ret_request = steal_ptr(&request);
	return 0;
}
