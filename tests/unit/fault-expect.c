/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fault-expect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

char *attempt_fresh_text(struct attempt *at)
{
	struct fixture other = at->fx;
	char *text, path[128];

	snprintf(path, sizeof(path), "%s/other-work", at->fx.dir);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	other.work_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(other.work_fd >= 0);
	fault_tree_mount(&other, at->format);
	text = fault_tree_text(&other);
	overlay_free(other.ov);
	close(other.work_fd);
	return text;
}

/* Prints the lines of one text that the other does not have. */
static void print_missing(const char *label, const char *text, const char *other)
{
	char line[512];

	for (size_t n; (n = strcspn(text, "\n")) > 0; text += n + (text[n] == '\n')) {
		snprintf(line, sizeof(line), "%.*s\n", (int)n, text);
		if (!strstr(other, line))
			print_message("    %s %s", label, line);
	}
}

void fault_tree_print_difference(const char *got, const char *wanted)
{
	print_missing("got   ", got, wanted);
	print_missing("wanted", wanted, got);
}

void expected_learn(const struct operation *op, enum fault_format format, unsigned sources,
	struct expected *ret_want)
{
	const struct fault count = {.sources = sources};
	struct attempt at;

	attempt_init(&at, op, format);
	attempt_begin(&at);
	ret_want->before = attempt_fresh_text(&at);
	fault_arm(&count);
	ret_want->result = attempt_run(&at);
	ret_want->steps = fault_disarm();
	ret_want->output = strdup(at.output);
	ret_want->live = fault_tree_text(&at.fx);
	attempt_finish(&at);
	fault_tree_mount(&at.fx, format);
	ret_want->fresh = fault_tree_text(&at.fx);
	fixture_unmount(&at.fx);
	attempt_end(&at);
}

void expected_release(struct expected *want)
{
	free(want->output);
	free(want->before);
	free(want->live);
	free(want->fresh);
}

bool operation_is_wanted(const struct operation *op)
{
	const char *part = getenv("OPERATION");

	return (!part || strstr(op->name, part)) && (!op->needs_root || geteuid() == 0);
}

bool faults_are(const char *wanted)
{
	const char *faults = getenv("FAULTS");

	return faults && strcmp(faults, wanted) == 0;
}

/* Which steps of an operation, so that operations which share theirs take others. */
bool operation_takes_step(const struct operation *op, uint64_t step, unsigned sample)
{
	size_t index = (size_t)(op - operations);

	return faults_are("all") || faults_are("steps") || (step + index) % sample == 0;
}
