/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Completions, written from the tables, so that they know what the program knows. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <git-overlayfs/config.h>

#include "command.h"

static const struct cli_option completion_options[] = {{0}};

/* Calls print for each command that people use. */
static void for_commands(void (*print)(const struct command *command))
{
	for (size_t i = 0; commands[i]; i++)
		if (!commands[i]->is_internal)
			print(commands[i]);
}

static void print_name(const struct command *command)
{
	printf(" %s", command->name);
}

/* Whether the argument is one of some words: "a|b". Capitals stand for what people choose. */
static bool is_choice(const struct command *command)
{
	return strchr(command->arguments, '|') &&
	       !strpbrk(command->arguments, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static void print_choices(const struct command *command)
{
	for (const char *p = command->arguments; *p; p++)
		putchar(*p == '|' ? ' ' : *p);
}

/* --- bash --- */

static void print_bash_case(const struct command *command)
{
	printf("\t%s) options='--help", command->name);
	for (const struct cli_option *o = command->options; o->key; o++)
		printf(" --%s%s", o->name, o->argument ? "=" : "");
	fputs("'", stdout);
	if (is_choice(command)) {
		fputs(" words='", stdout);
		print_choices(command);
		fputs("'", stdout);
	}
	puts(" ;;");
}

static void print_bash_list(void)
{
	for (const struct config_option *o = config_options; o->name; o++)
		printf(" %s%s", o->name, o->argument ? "=" : "");
}

static void print_bash(void)
{
	fputs("# bash completion for git-overlayfs\n"
	      "_git_overlayfs() {\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options "
	      "words=\n"
	      "\tCOMPREPLY=()\n"
	      "\tif [ \"$COMP_CWORD\" = 1 ]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W '--help --version help",
		stdout);
	for_commands(print_name);
	fputs("' -- \"$word\")\n\t\treturn\n\tfi\n"
	      "\tif [ \"$before\" = -o ]; then\n"
	      "\t\tlocal done=\n"
	      "\t\tcase $word in *,*) done=${word%,*},; esac\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -P \"$done\" -W '",
		stdout);
	print_bash_list();
	puts("' -- \"${word##*,}\")\n\t\tcompopt -o nospace\n\t\treturn\n\tfi\n"
	     "\tcase ${COMP_WORDS[1]} in");
	for_commands(print_bash_case);
	puts("\tesac\n"
	     "\tcase $word in\n"
	     "\t-*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\") ;;\n"
	     "\t*)\n"
	     "\t\tif [ -n \"$words\" ]; then\n"
	     "\t\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	     "\t\t\treturn\n"
	     "\t\tfi\n"
	     "\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
	     "\t\tcase ${COMP_WORDS[1]} in umount|list|stats|wait)\n"
	     "\t\t\tmapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -W "
	     "\"$(git-overlayfs list 2>/dev/null | cut -f1)\" -- \"$word\") ;;\n"
	     "\t\tesac ;;\n"
	     "\tesac\n"
	     "}\n"
	     "complete -F _git_overlayfs git-overlayfs");
}

/* --- zsh --- */

/* Within single quotes, where a colon ends the name. */
static void print_zsh_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else if (strchr(":[]\\", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void print_zsh_command(const struct command *command)
{
	printf("\t\t'%s:", command->name);
	print_zsh_text(command->help);
	puts("'");
}

static void print_zsh_case(const struct command *command)
{
	printf("\t%s)\n\t\t_arguments -S", command->name);
	for (const struct cli_option *o = command->options; o->key; o++) {
		if (o->key == 'o') {
			printf(" \\\n\t\t\t'*'{-o,--options=}'[");
			print_zsh_text(o->help);
			printf("]:options:_git_overlayfs_mount_options'");
			continue;
		}
		printf(" \\\n\t\t\t'--%s%s[", o->name, o->argument ? "=" : "");
		print_zsh_text(o->help);
		printf("]%s%s'", o->argument ? ":" : "", o->argument ? o->argument : "");
	}
	if (is_choice(command)) {
		fputs(" \\\n\t\t\t'1:word:(", stdout);
		print_choices(command);
		puts(")' ;;");
		return;
	}
	puts(" \\\n\t\t\t'*:directory:_directories' ;;");
}

static void print_zsh(void)
{
	puts("#compdef git-overlayfs\n"
	     "_git_overlayfs_mount_options() {\n"
	     "\t_values -s , 'option' \\");
	for (const struct config_option *o = config_options; o->name; o++) {
		printf("\t\t'%s[", o->name);
		print_zsh_text(o->help);
		printf("]%s%s'%s\n", o->argument ? ":" : "", o->argument ? "value" : "",
			o[1].name ? " \\" : "");
	}
	puts("}\n"
	     "_git_overlayfs() {\n"
	     "\tlocal -a verbs=(");
	for_commands(print_zsh_command);
	puts("\t)\n"
	     "\tif (( CURRENT == 2 )); then _describe command verbs; return; fi\n"
	     "\tlocal verb=$words[2]\n"
	     "\tshift words; (( CURRENT-- ))\n"
	     "\tcase $verb in");
	for_commands(print_zsh_case);
	puts("\tesac\n"
	     "}\n"
	     "_git_overlayfs \"$@\"");
}

/* --- fish --- */

static void print_fish_text(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void print_fish_command(const struct command *command)
{
	printf("complete -c git-overlayfs -f -n __fish_use_subcommand -a %s -d ", command->name);
	print_fish_text(command->help);
	putchar('\n');
	if (is_choice(command)) {
		printf("complete -c git-overlayfs -f -n '__fish_seen_subcommand_from %s' -a '",
			command->name);
		print_choices(command);
		puts("'");
	}
	for (const struct cli_option *o = command->options; o->key; o++) {
		printf("complete -c git-overlayfs -n '__fish_seen_subcommand_from %s' -l %s%s -d ",
			command->name, o->name, o->argument ? " -r" : "");
		print_fish_text(o->help);
		putchar('\n');
	}
}

static void print_fish(void)
{
	puts("# fish completion for git-overlayfs");
	for_commands(print_fish_command);
	for (const struct config_option *o = config_options; o->name; o++) {
		printf("complete -c git-overlayfs -n '__fish_seen_subcommand_from mount' -s o -x -a "
		       "'%s%s' -d ",
			o->name, o->argument ? "=" : "");
		print_fish_text(o->help);
		putchar('\n');
	}
}

static int run_completion(int argc, char **argv, struct error *err)
{
	static const struct {
		const char *name;
		void (*print)(void);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (size_t i = 0; argc == 2 && i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(argv[1], shells[i].name) != 0)
			continue;
		shells[i].print();
		return EXIT_STATUS_OK;
	}
	error_set(
		err, EINVAL, EXIT_STATUS_USAGE, "write git-overlayfs completion bash, zsh or fish");
	return EXIT_STATUS_USAGE;
}

const struct command command_completion = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.help = "print the completions of a shell",
	.options = completion_options,
	.run = run_completion,
};
