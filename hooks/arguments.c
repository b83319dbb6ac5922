/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "build-config.h"

static const char usage[] =
	"Usage: git-overlayfs-hook [OPTION]... createRuntime|prestart|poststop\n"
	"\n"
	"The OCI hook of git-overlayfs: reads the container's state on standard input and\n"
	"mounts the workspaces that its annotations, or --mount, ask for.\n"
	"\n"
	"  --mount=OPTIONS  a workspace that needs no policy: REPO[@REV],target=DIR[,...]\n"
	"  --policy=FILE    what annotations may ask for (default: " POLICY_PATH ")\n"
	"  --log=FILE       append messages to this file, too\n"
	"  --program=FILE   the main program (default: " PROGRAM_PATH ")\n"
	"  --help           print this text\n"
	"  --version        print the version\n";

static int parse_verb(const char *name, enum hook_verb *ret, struct error *err)
{
	if (strcmp(name, "createRuntime") == 0 || strcmp(name, "prestart") == 0)
		*ret = HOOK_CREATE;
	else if (strcmp(name, "poststop") == 0)
		*ret = HOOK_POSTSTOP;
	else
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"unknown stage '%s'; write createRuntime, prestart or poststop", name);
	return 0;
}

static int add_mount(struct hook_options *options, const char *text, struct error *err)
{
	if (options->mount_count == OCI_WORKSPACES_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_USAGE, "--mount: more than %d of them",
			OCI_WORKSPACES_MAX);
	options->mounts[options->mount_count++] = text;
	return 0;
}

static int apply(struct hook_options *options, int option, const char *value, struct error *err)
{
	switch (option) {
	case 'm':
		return add_mount(options, value, err);
	case 'p':
		options->policy = value;
		return 0;
	case 'l':
		options->log = value;
		return 0;
	case 'P':
		options->program = value;
		return 0;
	case 'h':
		fputs(usage, stdout);
		return 1;
	case 'V':
		puts("git-overlayfs-hook " PROJECT_VERSION);
		return 1;
	default:
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"unknown or incomplete option; see git-overlayfs-hook --help");
	}
}

int arguments_parse(int argc, char **argv, struct hook_options *ret, struct error *err)
{
	static const struct option table[] = {
		{"mount", required_argument, NULL, 'm'},
		{"policy", required_argument, NULL, 'p'},
		{"log", required_argument, NULL, 'l'},
		{"program", required_argument, NULL, 'P'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct hook_options options = {.policy = POLICY_PATH, .program = PROGRAM_PATH};
	int option, r = 0;

	opterr = 0;
	while (!r && (option = getopt_long(argc, argv, "", table, NULL)) != -1)
		r = apply(&options, option, optarg, err);
	if (!r && argc - optind != 1)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"one stage is wanted: createRuntime, prestart or poststop");
	if (!r)
		r = parse_verb(argv[optind], &options.verb, err);
	if (!r)
		*ret = options;
	return r;
}
