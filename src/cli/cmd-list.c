/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/json.h>
#include <git-overlayfs/workspace.h>

#include "command.h"
#include "printable.h"
#include "util/cleanup.h"

#define COLUMNS	      6
#define COMMIT_DIGITS 12

struct listing {
	bool json;
	const char *name; /* NULL: all */
	char *(*rows)[COLUMNS];
	size_t count;
	struct json_writer *writer;
};

static const struct cli_option list_options[] = {
	{'j', "json", NULL, "as JSON"},
	{0},
};

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	((struct listing *)ctx)->json = true;
	return 0;
}

static void listing_release(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			free(listing->rows[i][k]);
	free(listing->rows);
}

static int add_row(struct listing *listing, const char *const cells[COLUMNS])
{
	char *(*rows)[COLUMNS] = reallocarray(listing->rows, listing->count + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	listing->rows = rows;
	memset(rows[listing->count], 0, sizeof(*rows));
	listing->count++;
	for (size_t k = 0; k < COLUMNS; k++) {
		char *cell = printable(cells[k], k == 2 ? COMMIT_DIGITS : SIZE_MAX);

		if (!cell)
			return -ENOMEM;
		rows[listing->count - 1][k] = cell;
	}
	return 0;
}

static void write_json(struct json_writer *writer, const struct workspace_info *info)
{
	json_write_object_begin(writer);
	json_write_text(writer, "id", info->id);
	json_write_flag(writer, "alive", info->alive);
	json_write_text(writer, "state", info->alive ? workspace_state_name(info->state) : "dead");
	json_write_text(writer, "mountpoint", info->mountpoint);
	json_write_text(writer, "source", info->source);
	json_write_text(writer, "commit", info->commit);
	json_write_text(writer, "upper", info->upper);
	json_write_text(writer, "container", info->container);
	json_write_flag(writer, "keep", info->keep);
	json_write_number(writer, "supervisor", info->supervisor);
	json_write_number(writer, "daemon", info->daemon);
	json_write_number(writer, "created", info->created);
	json_write_object_end(writer);
}

static int on_workspace(void *ctx, const struct workspace_info *info)
{
	struct listing *listing = ctx;

	if (listing->json) {
		write_json(listing->writer, info);
		return 0;
	}
	return add_row(
		listing, (const char *const[COLUMNS]){info->id, info->alive ? "live" : "dead",
				 info->commit, info->mountpoint, info->source, info->container});
}

static int list_wanted(struct listing *listing, struct error *err)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	int r;

	if (!listing->name)
		return workspace_for_each(on_workspace, listing, err);
	r = workspace_find(listing->name, &info, err);
	return r < 0 ? r : on_workspace(listing, &info);
}

/* The last column needs no width. */
static void print_table(const struct listing *listing)
{
	int widths[COLUMNS] = {0};

	for (size_t i = 0; i < listing->count; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			if ((int)strlen(listing->rows[i][k]) > widths[k])
				widths[k] = (int)strlen(listing->rows[i][k]);
	for (size_t i = 0; i < listing->count; i++) {
		for (size_t k = 0; k < COLUMNS - 1; k++)
			printf("%-*s  ", widths[k], listing->rows[i][k]);
		puts(listing->rows[i][COLUMNS - 1]);
	}
}

static void print_lines(const struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			printf("%s%c", listing->rows[i][k], k == COLUMNS - 1 ? '\n' : '\t');
}

static int list_json(struct listing *listing, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = json_writer_new(isatty(STDOUT_FILENO), &listing->writer), r2;

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "list");
	json_write_array_begin(listing->writer);
	r = list_wanted(listing, err);
	json_write_array_end(listing->writer);
	r2 = json_writer_finish(listing->writer, &text, &size);
	if (r == 0 && r2 < 0)
		r = error_set_errno(err, -r2, EXIT_STATUS_FAILED, "list");
	if (r == 0)
		printf("%s%s", text, size > 0 && text[size - 1] == '\n' ? "" : "\n");
	return r;
}

static int list_text(struct listing *listing, struct error *err)
{
	static const char *const head[COLUMNS] = {
		"ID", "STATE", "COMMIT", "MOUNTPOINT", "SOURCE", "CONTAINER"};
	bool is_table = isatty(STDOUT_FILENO);
	int r = is_table ? add_row(listing, head) : 0;

	if (r == 0)
		r = list_wanted(listing, err);
	if (r == -ENOMEM)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	if (r == 0 && is_table && listing->count > 1)
		print_table(listing);
	else if (r == 0 && !is_table)
		print_lines(listing);
	return r;
}

static int run_list(int argc, char **argv, struct error *err)
{
	_cleanup_(listing_release) struct listing listing = {0};
	int first, r;

	r = cli_parse(argc, argv, &command_list, take_option, &listing, &first, err);
	if (r == 0 && argc - first > 1)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"list takes one MOUNTPOINT or ID, not '%s' as well", argv[first + 1]);
	if (r == 0 && first < argc)
		listing.name = argv[first];
	if (r == 0)
		r = listing.json ? list_json(&listing, err) : list_text(&listing, err);
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_list = {
	.name = "list",
	.arguments = "[MOUNTPOINT|ID]",
	.help = "show the workspaces, living and dead",
	.options = list_options,
	.run = run_list,
};
