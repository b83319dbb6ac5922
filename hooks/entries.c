/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/name-order.h"

#define HOOK_NAME "git-overlayfs-hook"

static bool is_ours(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return path && strcmp(slash ? slash + 1 : path, HOOK_NAME) == 0;
}

/* As getopt_long(3) takes it: no other option begins like this. */
static bool has_mount(const struct json *args)
{
	for (size_t i = 0; args && args->type == JSON_ARRAY && i < args->count; i++)
		if (args->values[i].string && strncmp(args->values[i].string, "--m", 3) == 0)
			return true;
	return false;
}

static bool is_this_process(const struct json *args, char **argv)
{
	size_t i = 0;

	for (; args && args->type == JSON_ARRAY && i < args->count && argv[i]; i++)
		if (!args->values[i].string || strcmp(args->values[i].string, argv[i]) != 0)
			return false;
	return args && i == args->count && !argv[i];
}

struct counts {
	size_t with_mount, without_mount;
	bool is_behind; /* another one with --mount comes before this process's entry */
};

static void count_stage(const struct json *entries, char **argv, struct counts *counts)
{
	for (size_t i = 0; entries && entries->type == JSON_ARRAY && i < entries->count; i++) {
		const struct json *entry = &entries->values[i], *args = json_member(entry, "args");

		if (!is_ours(json_member_string(entry, "path")))
			continue;
		if (!has_mount(args)) {
			counts->without_mount++;
			continue;
		}
		if (counts->with_mount > 0 && is_this_process(args, argv))
			counts->is_behind = true;
		counts->with_mount++;
	}
}

static struct counts count_entries(const struct container *container, char **argv)
{
	const struct json *hooks = json_member(container->config.json, "hooks");
	struct counts counts = {0};

	count_stage(json_member(hooks, "prestart"), argv, &counts);
	count_stage(json_member(hooks, "createRuntime"), argv, &counts);
	return counts;
}

void entries_judge(
	const struct container *container, char **argv, bool has_wishes, struct entries *ret)
{
	struct counts counts = count_entries(container, argv);

	ret->leaves_annotations = counts.without_mount > 0 || counts.is_behind;
	ret->has_others = counts.with_mount > 1 || (counts.without_mount > 0 && has_wishes);
}

/*
 * Which of them is this process nobody can tell where they are alike, and where they differ one
 * may have the stricter policy.
 */
int entries_check_only_one(const struct container *container, char **argv, struct error *err)
{
	struct counts counts = count_entries(container, argv);

	if (counts.without_mount <= 1)
		return 0;
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"config.json has " HOOK_NAME " %zu times without --mount, and each would take the "
		"annotations: leave one hooks.d file of it, with one stage",
		counts.without_mount);
}

static size_t put_byte(char *out, size_t room, unsigned char c)
{
	if (c == '/')
		return (size_t)snprintf(out, room, "+");
	if (isalnum(c) || strchr("_.-", c))
		return (size_t)snprintf(out, room, "%c", c);
	return (size_t)snprintf(out, room, "++%02X", c);
}

int entries_name_target(const char *target, size_t max, char *ret_name, size_t size)
{
	static const char prefix[] = "mount-";
	size_t n = (size_t)snprintf(ret_name, size, "%s", prefix);

	target += strspn(target, "/");
	for (const char *p = target; *p && n < size; p++)
		n += put_byte(ret_name + n, size - n, (unsigned char)*p);
	/* Whoever writes --mount has no reason to make two targets collide. */
	if (n >= size || n > max)
		n = (size_t)snprintf(ret_name, size, "%s+%016" PRIx64, prefix, name_hash(target));
	return n <= max ? 0 : -1;
}
