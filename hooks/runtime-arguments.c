/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include <stdint.h>
#include <string.h>

#define FIELD(name) offsetof(struct runtime_arguments, name)
#define IGNORED	    SIZE_MAX

/*
 * The options of runc and crun that take a value: without them its value would be taken
 * for the command. All others are flags to us.
 */
struct option_row {
	const char *name;
	char letter;
	bool is_global;
	size_t field;
};

static const struct option_row rows[] = {
	{"root", 0, true, IGNORED},
	{"log", 0, true, FIELD(log)},
	{"log-format", 0, true, FIELD(log_format)},
	{"log-level", 0, true, IGNORED},
	{"criu", 0, true, IGNORED},
	{"rootless", 0, true, IGNORED},
	{"cgroup-manager", 0, true, IGNORED},
	{"bundle", 'b', false, FIELD(bundle)},
	{"config", 'f', false, FIELD(config)},
	{"console-socket", 0, false, IGNORED},
	{"pidfd-socket", 0, false, IGNORED},
	{"pid-file", 0, false, IGNORED},
	{"preserve-fds", 0, false, IGNORED},
};

struct scan {
	int argc, next;
	char *const *argv;
	struct runtime_arguments *ret;
};

/* runc takes one dash or two before a name, and a letter as a name; crun's letters may have their
 * value behind them. */
static const struct option_row *find_row(const char *word, bool is_global, const char **ret_value)
{
	const char *name = word + (word[1] == '-' ? 2 : 1);
	size_t length = strcspn(name, "=");

	*ret_value = name[length] ? name + length + 1 : NULL;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct option_row *row = &rows[i];

		if (row->is_global != is_global)
			continue;
		if (strlen(row->name) == length && strncmp(name, row->name, length) == 0)
			return row;
		if (row->letter && length == 1 && name[0] == row->letter)
			return row;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (word[1] != '-' && rows[i].is_global == is_global && rows[i].letter &&
			name[0] == rows[i].letter) {
			*ret_value = name + 1;
			return &rows[i];
		}
	return NULL;
}

static void take_option(struct scan *scan, const char *word, bool is_global)
{
	const char *value;
	const struct option_row *row = find_row(word, is_global, &value);

	if (!row)
		return;
	if (!value && scan->next < scan->argc)
		value = scan->argv[scan->next++];
	if (value && row->field != IGNORED)
		*(const char **)(void *)((char *)scan->ret + row->field) = value;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1];
}

bool runtime_arguments_create(const struct runtime_arguments *arguments)
{
	const char *command = arguments->command;

	return command && (strcmp(command, "create") == 0 || strcmp(command, "run") == 0);
}

void runtime_arguments_parse(int argc, char *const argv[], struct runtime_arguments *ret)
{
	struct scan scan = {.argc = argc, .next = 1, .argv = argv, .ret = ret};
	bool is_over = false;

	memset(ret, 0, sizeof(*ret));
	while (scan.next < argc && !ret->command) {
		const char *word = argv[scan.next++];

		if (!is_over && strcmp(word, "--") == 0)
			is_over = true;
		else if (!is_over && is_option(word))
			take_option(&scan, word, true);
		else
			ret->command = word;
	}
	if (!runtime_arguments_create(ret))
		return;
	/* Both runtimes take options behind the container's id, too. */
	while (scan.next < argc && strcmp(argv[scan.next], "--") != 0) {
		const char *word = argv[scan.next++];

		if (is_option(word))
			take_option(&scan, word, false);
	}
}
