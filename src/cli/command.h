/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of git-overlayfs: one file each, one row each in the table that drives
 * dispatch, help, completions and the check of the manual page.
 */
#pragma once

#include <stdbool.h>

#include <git-overlayfs/error.h>

struct cli_option {
	int key;	      /* the letter, or a number above 255 where there is none */
	const char *name;     /* "--json" is "json" */
	const char *argument; /* NULL: takes none */
	const char *help;     /* one line, no full stop */
};

struct command {
	const char *name;
	const char *arguments; /* what stands behind the options, for the usage line */
	const char *help;
	const struct cli_option *options; /* ended by key 0 */
	/* Prints its output; a failure is only recorded. Returns an exit status. */
	int (*run)(int argc, char **argv, struct error *err);
	bool is_internal; /* for other programs of this project */
};

/* Ended by NULL, in the order in which --help shows them. */
extern const struct command *const commands[];
const struct command *command_find(const char *name);

extern const struct command command_mount, command_umount, command_list, command_stats,
	command_wait, command_events, command_policy, command_doctor, command_gc, command_configure,
	command_completion, command_supervise;

/*
 * Reads the options of a command (argv[0] is its name). `handle` gets each with its value;
 * *ret_first is the index of the first argument, as getopt_long(3) permutes them. A
 * failure's status is EXIT_STATUS_USAGE.
 */
int cli_parse(int argc, char **argv, const struct command *command,
	int (*handle)(void *ctx, int key, const char *value, struct error *err), void *ctx,
	int *ret_first, struct error *err);

/* "usage: git-overlayfs mount [OPTION...] ..." and a line for each option. */
void help_print_command(const struct command *command);
void help_print_all(void);

/* fuse-overlayfs's calling convention, which has no command: git-overlayfs -o OPTS DIR. */
int mount_fuse_convention(int argc, char **argv, struct error *err);
/* mount.git-overlayfs(8): SPEC DIR [-sfnvw] [-o OPTS] [-t TYPE] [-N NS]. */
int mount_helper(int argc, char **argv, struct error *err);
extern const struct cli_option mount_fuse_options[];
