/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "mount-request.h"
#include "util/cleanup.h"

#define LISTS_MAX 64

enum { KEY_SECCOMP = 256, KEY_LOG, KEY_ID };

/* What the words of a command line say, before the configuration is made of it. */
struct words {
	const char *lists[LISTS_MAX]; /* of -o */
	size_t list_count;
	const char *seccomp, *id;
	const char *mount_namespace;
	bool sloppy, read_write;
	struct mount_arguments *arguments;
};

static const struct cli_option mount_options[] = {
	{'o', "options", "OPTIONS", "a list of options, see below; may be repeated"},
	{'f', "foreground", NULL, "stay in the foreground until the end, log to standard error"},
	{'d', "debug", NULL, "trace every request; implies -f"},
	{KEY_ID, "id", "ID", "the workspace's name: what is mounted already is not mounted again"},
	{KEY_SECCOMP, "seccomp", "MODE", "what a forbidden system call does: kill, trap, log, off"},
	{KEY_LOG, "log", "FILE", "append the log to FILE instead of syslog"},
	{0},
};

const struct cli_option mount_fuse_options[] = {
	{'o', NULL, "OPTIONS", "a list of options"},
	{'f', NULL, NULL, "stay in the foreground"},
	{'d', NULL, NULL, "trace every request; implies -f"},
	{'s', NULL, NULL, "ignored, for fuse-overlayfs takes it"},
	{0},
};

static const struct cli_option helper_options[] = {
	{'o', NULL, "OPTIONS", "a list of options"},
	{'s', NULL, NULL, "unknown options are a warning"},
	{'f', NULL, NULL, "fake: check, and mount nothing"},
	{'n', NULL, NULL, "ignored: there is no mtab"},
	{'v', NULL, NULL, "ignored"},
	{'w', NULL, NULL, "mount read-write"},
	{'r', NULL, NULL, "mount read-only"},
	{'t', NULL, "TYPE", "ignored: the type is known"},
	{'N', NULL, "NAMESPACE", "mount in another mount namespace"},
	{0},
};

static int take_list(struct words *words, const char *list, struct error *err)
{
	if (words->list_count == LISTS_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_USAGE, "more than %d times -o", LISTS_MAX);
	words->lists[words->list_count++] = list;
	return 0;
}

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	struct words *words = ctx;

	switch (key) {
	case 'o':
		return take_list(words, value, err);
	case 'd':
		words->arguments->debug = true;
		words->arguments->foreground = true;
		return 0;
	case 'f':
		words->arguments->foreground = true;
		return 0;
	case KEY_SECCOMP:
		words->seccomp = value;
		return 0;
	case KEY_ID:
		words->id = value;
		return 0;
	case KEY_LOG:
		words->arguments->log = value;
		return 0;
	default:
		return 0;
	}
}

static int take_helper_option(void *ctx, int key, const char *value, struct error *err)
{
	struct words *words = ctx;

	switch (key) {
	case 'o':
		return take_list(words, value, err);
	case 's':
		words->sloppy = true;
		return 0;
	case 'f':
		words->arguments->fake = true;
		return 0;
	case 'r':
		return take_list(words, "ro", err);
	case 'w':
		return take_list(words, "rw", err);
	case 'N':
		words->mount_namespace = value;
		return 0;
	default:
		return 0;
	}
}

/* A word of the command line as an option of -o; it may hold what separates options. */
static int add_option(
	struct workspace_config *config, const char *name, const char *value, struct error *err)
{
	_cleanup_free_ char *list = malloc(strlen(name) + 2 * strlen(value) + 2);
	char *p = list;

	if (!list)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	p = stpcpy(stpcpy(p, name), "=");
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			*p++ = '\\';
		*p++ = *value;
	}
	*p = '\0';
	return config_parse_options(config, list, CONFIG_ORIGIN_COMMAND, err);
}

/* `source` first: what options say of the topmost layer wins over it. "none" names none. */
static int configure(
	struct words *words, const char *source, enum config_origin origin, struct error *err)
{
	struct workspace_config *config = &words->arguments->config;
	int r = 0;

	if (source && strcmp(source, "none") != 0)
		r = config_add_git_layer(config, source, err);
	for (size_t i = 0; r == 0 && i < words->list_count; i++)
		r = config_parse_options(config, words->lists[i], origin, err);
	if (r == 0 && words->seccomp)
		r = add_option(config, "seccomp", words->seccomp, err);
	if (r == 0 && words->id)
		r = add_option(config, "id", words->id, err);
	return r;
}

static int run_mount(int argc, char **argv, struct error *err)
{
	_cleanup_(mount_arguments_release) struct mount_arguments arguments;
	struct words words = {.arguments = &arguments};
	int first, given, r;

	mount_arguments_init(&arguments);
	r = cli_parse(argc, argv, &command_mount, take_option, &words, &first, err);
	if (r < 0)
		return err->status;
	given = argc - first;
	r = configure(&words, given > 1 ? argv[first] : NULL, CONFIG_ORIGIN_COMMAND, err);
	if (r < 0)
		return err->status;
	arguments.mountpoint = given > 0 ? argv[argc - 1] : arguments.config.target;
	if (given > 2 || !arguments.mountpoint) {
		error_set(err, EINVAL, EXIT_STATUS_USAGE,
			given > 2
				? "too many arguments, '%s' is the third; write REPO[@REV][:SUBDIR] "
				  "MOUNTPOINT"
				: "no mountpoint%s; write REPO[@REV][:SUBDIR] MOUNTPOINT",
			given > 2 ? argv[first + 2] : "");
		return EXIT_STATUS_USAGE;
	}
	return mount_perform(&arguments, err);
}

const struct command command_mount = {
	.name = "mount",
	.arguments = "[REPO[@REV][:SUBDIR]|none] MOUNTPOINT",
	.help = "mount a commit, or any layers, as a writable directory",
	.options = mount_options,
	.run = run_mount,
};

/*
 * As fuse-overlayfs is called by podman and buildah: unknown options are warnings, no
 * upper means read-only, and root's mounts honour set-user-ID bits, for they are the
 * root file systems of containers.
 */
int mount_fuse_convention(int argc, char **argv, struct error *err)
{
	static const struct command command = {.name = "mount", .options = mount_fuse_options};
	_cleanup_(mount_arguments_release) struct mount_arguments arguments;
	struct words words = {.arguments = &arguments};
	int first, r;

	mount_arguments_init(&arguments);
	r = cli_parse(argc, argv, &command, take_option, &words, &first, err);
	if (r == 0)
		r = configure(&words, NULL, CONFIG_ORIGIN_FUSE, err);
	if (r < 0)
		return err->status;
	if (first == argc) {
		error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"no mountpoint; write git-overlayfs -o OPTIONS MOUNTPOINT");
		return EXIT_STATUS_USAGE;
	}
	arguments.mountpoint = argv[argc - 1];
	if (!arguments.config.upper && !arguments.config.work)
		arguments.config.read_only = true;
	if (arguments.config.suid < 0 && geteuid() == 0)
		arguments.config.suid = 1;
	return mount_perform(&arguments, err);
}

static int enter_mount_namespace(const char *path, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "-N %s", path);
	return 0;
}

int mount_helper(int argc, char **argv, struct error *err)
{
	static const struct command command = {.name = "mount", .options = helper_options};
	_cleanup_(mount_arguments_release) struct mount_arguments arguments;
	struct words words = {.arguments = &arguments};
	int first, r;

	mount_arguments_init(&arguments);
	r = cli_parse(argc, argv, &command, take_helper_option, &words, &first, err);
	if (r == 0 && argc - first != 2)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"write mount.git-overlayfs REPO[@REV][:SUBDIR] MOUNTPOINT [-o OPTIONS]");
	if (r == 0 && words.mount_namespace)
		r = enter_mount_namespace(words.mount_namespace, err);
	if (r == 0)
		r = configure(&words, argv[first],
			words.sloppy ? CONFIG_ORIGIN_FUSE : CONFIG_ORIGIN_COMMAND, err);
	if (r < 0)
		return err->status;
	arguments.mountpoint = argv[first + 1];
	return mount_perform(&arguments, err);
}
