/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "build-config.h"
#include "command.h"

#define HELPER_NAME "mount.git-overlayfs"

/* A descriptor below 3 that is closed would be taken by the first file that is opened. */
static int open_stdio(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest that is free is this one. */
		if (open("/dev/null", O_RDWR) != fd && open("/", O_PATH) != fd)
			return -EBADF;
	}
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

static int unknown_command(const char *name, struct error *err)
{
	error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"'%s' is no command; git-overlayfs --help lists them", name);
	return EXIT_STATUS_USAGE;
}

static int help(int argc, char **argv, struct error *err)
{
	const struct command *command;

	if (argc < 2) {
		help_print_all();
		return EXIT_STATUS_OK;
	}
	command = command_find(argv[1]);
	if (!command)
		return unknown_command(argv[1], err);
	help_print_command(command);
	return EXIT_STATUS_OK;
}

static int run_command(const struct command *command, int argc, char **argv, struct error *err)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--help")) {
			help_print_command(command);
			return EXIT_STATUS_OK;
		}
	}
	return command->run(argc, argv, err);
}

static bool has_options(int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], "-o"))
			return true;
	return false;
}

static int dispatch(int argc, char **argv, struct error *err)
{
	const struct command *command;

	if (argc > 0 && ends_with(argv[0], HELPER_NAME))
		return mount_helper(argc, argv, err);
	if (argc < 2) {
		error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"no command; git-overlayfs --help lists them");
		return EXIT_STATUS_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("git-overlayfs %s\n", PROJECT_VERSION);
		return EXIT_STATUS_OK;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return help(argc - 1, argv + 1, err);
	if (argv[1][0] == '-')
		return mount_fuse_convention(argc, argv, err);
	command = command_find(argv[1]);
	/* mount.fuse3 and containerd say SOURCE MOUNTPOINT -o OPTIONS. */
	if (!command && has_options(argc, argv))
		return mount_fuse_convention(argc, argv, err);
	if (!command)
		return unknown_command(argv[1], err);
	return run_command(command, argc - 1, argv + 1, err);
}

int main(int argc, char **argv)
{
	struct error err = {0};
	int status;

	if (open_stdio() < 0)
		return EXIT_STATUS_FAILED;
	status = dispatch(argc, argv, &err);
	if (status == EXIT_STATUS_OK && (fflush(stdout) != 0 || ferror(stdout))) {
		error_set_errno(&err, errno ? errno : EIO, EXIT_STATUS_FAILED, "standard output");
		status = EXIT_STATUS_FAILED;
	}
	if (status != EXIT_STATUS_OK) {
		/* What was printed comes first, into a pipe as well. */
		fflush(stdout);
		fprintf(stderr, "git-overlayfs: %s\n", err.text);
	}
	return status;
}
