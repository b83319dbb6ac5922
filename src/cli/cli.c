/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/config.h>

#include "util/cleanup.h"

#define OPTIONS_MAX 32

const struct command *const commands[] = {&command_mount, &command_umount, &command_list,
	&command_stats, &command_wait, &command_events, &command_policy, &command_doctor,
	&command_gc, &command_configure, &command_completion, &command_supervise, NULL};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

/* The table in getopt_long's two forms. */
static void to_getopt(const struct cli_option *table, struct option *ret_long,
	char ret_short[static 3 * OPTIONS_MAX])
{
	char *p = ret_short;

	/* ':': a value that is missing is told from an option that is not known. */
	*p++ = ':';
	for (; table->key; table++, ret_long++) {
		*ret_long = (struct option){.name = table->name,
			.has_arg = table->argument ? required_argument : no_argument,
			.val = table->key};
		if (table->key > 255)
			continue;
		*p++ = (char)table->key;
		if (table->argument)
			*p++ = ':';
	}
	*ret_long = (struct option){0};
	*p = '\0';
}

static int bad_option(const struct command *command, int answer, char **argv, struct error *err)
{
	const char *word = argv[optind - 1];

	/* A letter that is not known may stand within a word that goes on. */
	if (optopt && optopt < 256 && strncmp(word, "--", 2) != 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			answer == ':' ? "option -%c needs a value; see git-overlayfs help %s"
				      : "unknown option -%c; see git-overlayfs help %s",
			optopt, command->name);
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		answer == ':'
			? "option %s needs a value; see git-overlayfs help %s"
			: "unknown option %s, or it takes no value; see git-overlayfs help %s",
		word, command->name);
}

int cli_parse(int argc, char **argv, const struct command *command,
	int (*handle)(void *ctx, int key, const char *value, struct error *err), void *ctx,
	int *ret_first, struct error *err)
{
	struct option long_options[OPTIONS_MAX];
	char letters[3 * OPTIONS_MAX];
	int key, r = 0;

	to_getopt(command->options, long_options, letters);
	optind = 0;
	opterr = 0;
	while (r == 0 && (key = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		if (key == '?' || key == ':')
			return bad_option(command, key, argv, err);
		r = handle(ctx, key, optarg, err);
	}
	*ret_first = optind;
	return r;
}

static void print_option(const struct cli_option *option)
{
	char text[64], letter[8] = "    ";

	if (option->key < 256)
		snprintf(letter, sizeof(letter), "-%c%s", option->key, option->name ? ", " : "  ");
	snprintf(text, sizeof(text), "%s%s%s%s", option->name ? "--" : "",
		option->name ? option->name : "", option->argument && option->name ? "=" : "",
		option->argument ? option->argument : "");
	printf("  %s%-20s  %s\n", letter, text, option->help);
}

static void print_mount_options(void)
{
	puts("\nOptions of -o, a list separated by commas:");
	for (const struct config_option *o = config_options; o->name; o++) {
		char text[64];

		snprintf(text, sizeof(text), "%s%s%s", o->name, o->argument ? "=" : "",
			o->argument ? o->argument : "");
		if (strlen(text) > 24)
			printf("  %s\n  %-24s  %s\n", text, "", o->help);
		else
			printf("  %-24s  %s\n", text, o->help);
	}
}

void help_print_command(const struct command *command)
{
	printf("usage: git-overlayfs %s%s%s%s\n\n%s.\n", command->name,
		command->options->key ? " [OPTION...]" : "", *command->arguments ? " " : "",
		command->arguments, command->help);
	if (command->options->key)
		puts("");
	for (const struct cli_option *o = command->options; o->key; o++)
		print_option(o);
	if (!strcmp(command->name, "mount"))
		print_mount_options();
}

void help_print_all(void)
{
	puts("usage: git-overlayfs COMMAND [OPTION...] [ARGUMENT...]\n"
	     "       git-overlayfs -o OPTIONS MOUNTPOINT        as fuse-overlayfs is called\n"
	     "       git-overlayfs --version | --help | help COMMAND\n\n"
	     "A commit of a git repository as a writable directory, without a checkout.\n");
	for (size_t i = 0; commands[i]; i++)
		if (!commands[i]->is_internal)
			printf("  %-12s %s\n", commands[i]->name, commands[i]->help);
	puts("\nExit status: 0 done, 1 failed, 2 usage, 3 the repository, revision or layer cannot\n"
	     "be used, 4 the machine cannot do it, 5 in use.");
}
