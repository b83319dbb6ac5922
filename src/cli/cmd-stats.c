/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "stats.h"
#include "util/cleanup.h"

struct words {
	bool json;
	struct json_writer *writer;
	bool counts_changes; /* of the one that was named: the walk takes as long as they are many
			      */
	bool is_next;	     /* something was printed before */
};

static const struct cli_option stats_options[] = {
	{'j', "json", NULL, "as JSON"},
	{0},
};

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	((struct words *)ctx)->json = true;
	return 0;
}

static int read_counters(const struct workspace_info *info, struct counters_page *ret)
{
	struct workspace workspace;
	int r = workspace_open(info->id, &workspace, NULL);

	if (r < 0)
		return r;
	r = counters_read(workspace.run_fd, ret);
	workspace_release(&workspace);
	return r;
}

static int show(struct words *words, const struct workspace_info *info, struct error *err)
{
	struct stats stats = {.info = info};

	stats.has_counters = info->alive && read_counters(info, &stats.counters) == 0;
	if (words->counts_changes && *info->upper) {
		int r = changes_count(info->upper, &stats.changes, err);

		if (r < 0)
			return r;
		stats.has_changes = true;
	}
	if (words->json) {
		stats_write_json(&stats, words->writer);
		return 0;
	}
	if (words->is_next)
		puts("");
	words->is_next = true;
	stats_print(&stats);
	return 0;
}

static int on_workspace(void *ctx, const struct workspace_info *info)
{
	return show(ctx, info, NULL);
}

static int show_one(struct words *words, const char *name, struct error *err)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	int r = workspace_find(name, &info, err);

	words->counts_changes = true;
	return r < 0 ? r : show(words, &info, err);
}

static int show_wanted(struct words *words, const char *name, struct error *err)
{
	return name ? show_one(words, name, err) : workspace_for_each(on_workspace, words, err);
}

static int show_json(struct words *words, const char *name, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = json_writer_new(isatty(STDOUT_FILENO), &words->writer), r2;

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "stats");
	json_write_array_begin(words->writer);
	r = show_wanted(words, name, err);
	json_write_array_end(words->writer);
	r2 = json_writer_finish(words->writer, &text, &size);
	if (r == 0 && r2 < 0)
		r = error_set_errno(err, -r2, EXIT_STATUS_FAILED, "stats");
	if (r == 0)
		printf("%s%s", text, size > 0 && text[size - 1] == '\n' ? "" : "\n");
	return r;
}

static int run_stats(int argc, char **argv, struct error *err)
{
	struct words words = {0};
	int first, r = cli_parse(argc, argv, &command_stats, take_option, &words, &first, err);
	const char *name = r == 0 && first < argc ? argv[first] : NULL;

	if (r == 0 && argc - first > 1)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"stats takes one MOUNTPOINT or ID, not '%s' as well", argv[first + 1]);
	if (r == 0)
		r = words.json ? show_json(&words, name, err) : show_wanted(&words, name, err);
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_stats = {
	.name = "stats",
	.arguments = "[MOUNTPOINT|ID]",
	.help = "show what workspaces do: how data goes, requests, and what changed in one",
	.options = stats_options,
	.run = run_stats,
};
