/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/log.h>

#include "build-config.h"
#include "util/cleanup.h"

#define ID_MAX 128

/* One item of a list, unescaped. */
struct item {
	char *text; /* the whole of it, NAME=VALUE */
	size_t name_length;
	char *value; /* within text; NULL: none was given */
};

static void item_release(struct item *item)
{
	free(item->text);
}

void config_init(struct workspace_config *config)
{
	memset(config, 0, sizeof(*config));
	idmap_init(&config->ids);
	config->mtime_is_commit = true;
	config->passthrough = PASSTHROUGH_DEFAULT;
	config->writeback = WRITEBACK_DEFAULT;
	config->kernel_opens = KERNEL_OPENS_DEFAULT;
	config->suid = config->dev = config->exec = -1;
}

void config_release(struct workspace_config *config)
{
	for (size_t i = 0; i < config->layer_count; i++) {
		free(config->layers[i].kind);
		free(config->layers[i].path);
		free(config->layers[i].rev);
		free(config->layers[i].subdir);
	}
	free(config->layers);
	free(config->upper);
	free(config->work);
	free(config->target);
	free(config->id);
	free(config->seccomp);
	free(config->fsname);
	config_init(config);
}

bool config_id_is_valid(const char *id)
{
	static const char first[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-";
	size_t length = strlen(id);

	return length > 0 && length <= ID_MAX && strspn(id, first) == length &&
	       !strchr(".+-", id[0]);
}

int config_parse_amount(const char *text, uint64_t *ret_amount)
{
	static const char units[] = "KMGT", small[] = "kmgt";
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	for (unsigned i = 0; *end && units[i] && !shift; i++)
		if (*end == units[i] || *end == small[i])
			shift = 10 * (i + 1);
	if (shift)
		end++;
	if (errno || *end || n > UINT64_MAX >> shift)
		return -EINVAL;
	*ret_amount = (uint64_t)n << shift;
	return 0;
}

/*
 * Takes the next item from *text, up to a comma that is neither escaped nor within
 * quotes, which may only surround a whole value. -EINVAL: the quotes do not match.
 */
static int next_item(const char **text, struct item *ret, struct error *err)
{
	const char *p = *text;
	char *out = malloc(strlen(p) + 1);
	bool quoted = false, closed = false;

	ret->text = out;
	ret->value = NULL;
	if (!out)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	while (*p && (quoted || *p != ',')) {
		if (closed)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"option '%s': text behind the closing quote", *text);
		if (*p == '"' && (quoted || out == ret->value)) {
			closed = quoted;
			quoted = !quoted;
			p++;
			continue;
		}
		if (*p == '\\' && (p[1] == ',' || p[1] == '\\' || (quoted && p[1] == '"')))
			p++;
		else if (*p == '=' && !ret->value)
			ret->value = out + 1;
		*out++ = *p++;
	}
	if (quoted)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"option '%s': the closing quote is missing", *text);
	*out = '\0';
	ret->name_length = ret->value ? (size_t)(ret->value - 1 - ret->text) : strlen(ret->text);
	*text = *p ? p + 1 : p;
	return 0;
}

static int unknown_option(const char *name, enum config_origin origin, struct error *err)
{
	const char *nearest = config_option_nearest(name, origin);

	if (origin == CONFIG_ORIGIN_FUSE) {
		log_warning("unknown option '%s' is ignored", name);
		return 0;
	}
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"unknown option '%s'%s%s%s; the manual page lists the options", name,
		nearest ? " (did you mean '" : "", nearest ? nearest : "", nearest ? "'?)" : "");
}

/* Callers of fuse-overlayfs that have no upper write "upperdir=,workdir=". */
static bool names_nothing(const char *name, const char *value, enum config_origin origin)
{
	return origin == CONFIG_ORIGIN_FUSE && value && !*value &&
	       (!strcmp(name, "upperdir") || !strcmp(name, "workdir"));
}

static int apply_option(struct workspace_config *config, const char *name, const char *value,
	enum config_origin origin, struct error *err)
{
	const struct config_option *option = config_option_find(name, origin);

	if (!option) {
		if (origin != CONFIG_ORIGIN_ANNOTATION && config_option_is_ignored(name, value))
			return 0;
		return unknown_option(name, origin, err);
	}
	if (names_nothing(name, value, origin))
		return 0;
	if (option->argument && (!value || !*value))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "option '%s' needs a value: %s=%s",
			name, name, option->argument);
	if (!option->argument && value)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"option '%s' takes no value, not '%s'", name, value);
	return option->set(config, value, err);
}

/* A first item like "/srv/mono.git@main:app"; "traget=/x" is a mistyped option. */
static bool item_is_repository(const struct item *item, enum config_origin origin)
{
	_cleanup_free_ char *name = strndup(item->text, item->name_length);

	if (origin != CONFIG_ORIGIN_ANNOTATION || !name)
		return false;
	return item->text[0] == '/' ||
	       (!item->value && strpbrk(name, "/.@:") && !config_option_find(name, origin));
}

int config_parse_options(struct workspace_config *config, const char *text,
	enum config_origin origin, struct error *err)
{
	bool first = true;
	int r = 0;

	while (*text && r == 0) {
		_cleanup_(item_release) struct item item = {0};

		r = next_item(&text, &item, err);
		if (r < 0)
			return r;
		if (!*item.text)
			continue;
		if (first && item_is_repository(&item, origin)) {
			r = config_add_git_layer(config, item.text, err);
		} else {
			item.text[item.name_length] = '\0';
			r = apply_option(config, item.text, item.value, origin, err);
		}
		first = false;
	}
	return r;
}

static int validate_upper(const struct workspace_config *config, struct error *err)
{
	if (config->upper && !config->work)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"upperdir=%s needs workdir=, an empty directory on the same file system",
			config->upper);
	if (config->work && !config->upper)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"workdir=%s without upperdir=; give both or none", config->work);
	if (config->upper && config->read_only)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"ro with upperdir=%s; to only show it, make it a layer: layer=dir:%s",
			config->upper, config->upper);
	if (config->upper && config->keep == CONFIG_KEEP_DISCARD)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"keep=discard with upperdir=%s; only an upper of its own is thrown away",
			config->upper);
	return 0;
}

int config_validate(const struct workspace_config *config, struct error *err)
{
	if (config->layer_count == 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"nothing to mount; name a repository (REPO[@REV][:SUBDIR]) or layer=");
	for (size_t i = 0; i < config->layer_count; i++)
		if (!config->layers[i].path)
			return error_set(err, EINVAL, EXIT_STATUS_USAGE,
				"rev= or subdir= without a repository; add repo=REPO");
	return validate_upper(config, err);
}
