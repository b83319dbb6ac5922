/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <git-overlayfs/json.h>

#include "command.h"
#include "doctor.h"
#include "util/cleanup.h"

static const char *const state_names[] = {"ok", "warn", "fail"};
static const char *const state_colours[] = {"\033[32m", "\033[33m", "\033[31m"};

static const struct cli_option doctor_options[] = {
	{'j', "json", NULL, "as JSON"},
	{0},
};

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	*(bool *)ctx = true;
	return 0;
}

static void print_text(const struct probe *probe, const struct finding *finding)
{
	bool colours = isatty(STDOUT_FILENO);

	printf("%s%-4s%s  %s: %s%s%s\n", colours ? state_colours[finding->state] : "",
		state_names[finding->state], colours ? "\033[0m" : "", probe->name, finding->text,
		*finding->remedy ? "; " : "", finding->remedy);
}

static void write_json(
	struct json_writer *writer, const struct probe *probe, const struct finding *finding)
{
	json_write_object_begin(writer);
	json_write_text(writer, "name", probe->name);
	json_write_text(writer, "state", state_names[finding->state]);
	json_write_text(writer, "text", finding->text);
	json_write_text(writer, "remedy", finding->remedy);
	json_write_object_end(writer);
}

/* Looks at everything; returns whether nothing failed. */
static bool examine(struct json_writer *writer)
{
	bool is_well = true;

	for (const struct probe *p = doctor_probes; p->name; p++) {
		struct finding finding = {0};

		p->look(&finding);
		is_well &= finding.state != FINDING_FAIL;
		if (writer)
			write_json(writer, p, &finding);
		else
			print_text(p, &finding);
	}
	return is_well;
}

static int examine_json(bool *ret_is_well, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	struct json_writer *writer;
	size_t size;
	int r = json_writer_new(true, &writer);

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "doctor");
	json_write_array_begin(writer);
	*ret_is_well = examine(writer);
	json_write_array_end(writer);
	r = json_writer_finish(writer, &text, &size);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "doctor");
	fputs(text, stdout);
	return 0;
}

static int run_doctor(int argc, char **argv, struct error *err)
{
	bool json = false, is_well = true;
	int first, r = cli_parse(argc, argv, &command_doctor, take_option, &json, &first, err);

	if (r == 0 && first < argc)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE, "doctor takes no '%s'", argv[first]);
	if (r == 0 && json)
		r = examine_json(&is_well, err);
	else if (r == 0)
		is_well = examine(NULL);
	if (r == 0 && !is_well)
		r = error_set(err, ENODEV, EXIT_STATUS_MACHINE,
			"what is needed is missing: see the lines with 'fail'");
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_doctor = {
	.name = "doctor",
	.arguments = "",
	.help = "say what is missing on this machine, and what to do about it",
	.options = doctor_options,
	.run = run_doctor,
};
