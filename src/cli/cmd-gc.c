/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/log.h>

#include "command.h"
#include "dead.h"
#include "util/cleanup.h"

struct collector {
	bool dry_run;
	struct workspace_info *found;
	size_t count;
};

static const struct cli_option gc_options[] = {
	{'n', "dry-run", NULL, "only say what would be removed"},
	{0},
};

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	((struct collector *)ctx)->dry_run = true;
	return 0;
}

static void collector_release(struct collector *collector)
{
	for (size_t i = 0; i < collector->count; i++)
		workspace_info_release(&collector->found[i]);
	free(collector->found);
}

static int collect(void *ctx, const struct workspace_info *info)
{
	struct collector *collector = ctx;
	struct workspace_info *found =
		reallocarray(collector->found, collector->count + 1, sizeof(*found));

	if (!found)
		return -ENOMEM;
	collector->found = found;
	found[collector->count++] = (struct workspace_info){.id = strdup(info->id),
		.mountpoint = strdup(info->mountpoint),
		.container = strdup(info->container)};
	found += collector->count - 1;
	return found->id && found->mountpoint && found->container ? 0 : -ENOMEM;
}

static int remove_found(const struct collector *collector, struct error *err)
{
	int first = 0;

	for (size_t i = 0; i < collector->count; i++) {
		struct error why = {0};
		int r = collector->dry_run ? 0 : dead_remove(&collector->found[i], &why);

		if (r == -EADDRINUSE) {
			log_warning("%s", why.text);
		} else if (r < 0 && r != -EBUSY && first == 0) {
			*err = why;
			first = r;
		} else if (r == 0) {
			printf("%s%s\n", collector->dry_run ? "would remove " : "removed ",
				collector->found[i].id);
		}
	}
	return first;
}

static void say_removed(const char *id)
{
	printf("removed the discarded upper of %s\n", id);
}

static void say_would_remove(const char *id)
{
	printf("would remove the discarded upper of %s\n", id);
}

static int run_gc(int argc, char **argv, struct error *err)
{
	_cleanup_(collector_release) struct collector collector = {0};
	int first, r;

	r = cli_parse(argc, argv, &command_gc, take_option, &collector, &first, err);
	if (r == 0 && first < argc)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE, "gc takes no '%s'", argv[first]);
	if (r == 0)
		r = dead_for_each(collect, &collector, err);
	if (r == 0)
		r = remove_found(&collector, err);
	if (r == 0)
		r = workspace_discards_clear(
			collector.dry_run, collector.dry_run ? say_would_remove : say_removed, err);
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_gc = {
	.name = "gc",
	.arguments = "",
	.help = "remove what dead workspaces have left",
	.options = gc_options,
	.run = run_gc,
};
