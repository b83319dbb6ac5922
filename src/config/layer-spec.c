/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

int config_set_string(char **ret, const char *value, struct error *err)
{
	char *copy = strdup(value);

	if (!copy)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	free(*ret);
	*ret = copy;
	return 0;
}

/* Makes room at `index` for one more layer, which starts empty. */
static int insert_layer(struct workspace_config *config, size_t index, const char *kind,
	struct layer_spec **ret_layer, struct error *err)
{
	struct layer_spec *layers;
	char *copy;

	if (config->layer_count >= CONFIG_LAYERS_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_USAGE,
			"more than %d layers; merge some of them", CONFIG_LAYERS_MAX);
	copy = strdup(kind);
	layers = reallocarray(config->layers, config->layer_count + 1, sizeof(*layers));
	if (layers)
		config->layers = layers;
	if (!layers || !copy) {
		free(copy);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	memmove(layers + index + 1, layers + index,
		(config->layer_count - index) * sizeof(*layers));
	config->layer_count++;
	layers[index] = (struct layer_spec){.kind = copy};
	*ret_layer = &layers[index];
	return 0;
}

int config_append_layer(
	struct workspace_config *config, const char *kind, const char *path, struct error *err)
{
	struct layer_spec *layer;
	int r = insert_layer(config, config->layer_count, kind, &layer, err);

	if (r < 0)
		return r;
	return config_set_string(&layer->path, path, err);
}

int config_main_layer(
	struct workspace_config *config, struct layer_spec **ret_layer, struct error *err)
{
	int r;

	if (!config->has_main_layer) {
		r = insert_layer(config, 0, "git", ret_layer, err);
		if (r < 0)
			return r;
		config->has_main_layer = true;
	}
	*ret_layer = &config->layers[0];
	return 0;
}

/*
 * Copies `text` up to the first byte of `ends` that no backslash escapes, without the
 * backslashes before such bytes. Returns where it stopped, NULL without memory.
 */
static const char *take_until(const char *text, const char *ends, char **ret)
{
	char *out = malloc(strlen(text) + 1), *p = out;

	if (!out)
		return NULL;
	while (*text && !strchr(ends, *text)) {
		if (text[0] == '\\' && (text[1] == '\\' || text[1] == '@' || text[1] == ':'))
			text++;
		*p++ = *text++;
	}
	*p = '\0';
	*ret = out;
	return text;
}

static bool is_dots(const char *name, size_t length)
{
	return (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.');
}

int config_set_subdir(char **ret, const char *subdir, struct error *err)
{
	_cleanup_free_ char *clean = malloc(strlen(subdir) + 1);
	const char *p = subdir;
	char *out = clean;

	if (!clean)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	while (*(p += strspn(p, "/"))) {
		size_t length = strcspn(p, "/");

		if (is_dots(p, length))
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"subdir '%s': '.' and '..' name nothing in a tree; "
				"write the path from the root of the commit",
				subdir);
		if (out != clean)
			*out++ = '/';
		out = mempcpy(out, p, length);
		p += length;
	}
	*out = '\0';
	free(*ret);
	*ret = *clean ? steal_ptr(&clean) : NULL;
	return 0;
}

/* Splits REPO[@REV][:SUBDIR] and checks its parts. */
static int parse_git_spec(const char *spec, struct layer_spec *layer, struct error *err)
{
	_cleanup_free_ char *path = NULL, *rev = NULL;
	const char *p;

	if (strstr(spec, "://"))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"'%s' is a URL, a repository on this machine is needed; "
			"clone it first: git clone --mirror URL DIR",
			spec);
	p = take_until(spec, strpbrk(spec, "@") ? "@" : ":", &path);
	/* An '@' that is escaped does not count. */
	if (p && !*p && strchr(spec, '@')) {
		free(steal_ptr(&path));
		p = take_until(spec, ":", &path);
	}
	if (p && *p == '@')
		p = take_until(p + 1, ":", &rev);
	if (!p)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	if (!*path || (rev && !*rev))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"'%s': the %s is empty; write REPO[@REV][:SUBDIR]", spec,
			*path ? "revision" : "repository");
	if (*p == ':') {
		int r = config_set_subdir(&layer->subdir, p + 1, err);

		if (r < 0)
			return r;
	}
	free(layer->path);
	layer->path = steal_ptr(&path);
	if (rev) {
		free(layer->rev);
		layer->rev = steal_ptr(&rev);
	}
	return 0;
}

int config_add_git_layer(struct workspace_config *config, const char *spec, struct error *err)
{
	struct layer_spec *layer;
	int r = config_main_layer(config, &layer, err);

	return r < 0 ? r : parse_git_spec(spec, layer, err);
}

int config_append_layer_spec(struct workspace_config *config, const char *spec, struct error *err)
{
	struct layer_spec *layer;
	int r;

	if (!strncmp(spec, "git:", 4)) {
		r = insert_layer(config, config->layer_count, "git", &layer, err);
		return r < 0 ? r : parse_git_spec(spec + 4, layer, err);
	}
	if (!strncmp(spec, "dir:", 4) && spec[4])
		return config_append_layer(config, "dir", spec + 4, err);
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"layer=%s: write layer=git:REPO[@REV][:SUBDIR] or layer=dir:DIR", spec);
}

int config_append_lowerdirs(struct workspace_config *config, const char *list, struct error *err)
{
	const char *p = list;

	for (;;) {
		_cleanup_free_ char *path = NULL;
		int r;

		p = take_until(p, ":", &path);
		if (!p)
			return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
		if (!*path)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"lowerdir=%s: an empty directory name; write A:B, and \\: for a "
				"colon in a name",
				list);
		r = config_append_layer(config, "dir", path, err);
		if (r < 0)
			return r;
		if (!*p)
			return 0;
		p++;
	}
}
