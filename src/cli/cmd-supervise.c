/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the OCI hook starts; see supervisor.h. Nobody sees its standard error. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/supervisor.h>

#include "command.h"
#include "describe.h"
#include "host/control.h"
#include "util/cleanup.h"

enum {
	KEY_CONTROL = 256,
	KEY_WORKSPACE,
	KEY_LOCK,
	KEY_USERNS,
	KEY_PIDFD,
	KEY_CONTAINER,
	KEY_UPPER,
	KEY_WORK,
	KEY_HOLD,
	KEY_DEBUG,
	KEY_SOURCE,
};

struct words {
	int control_fd, lock_fd, userns_fd, pidfd, upper_fd, work_fd;
	int held_fds[SUPERVISOR_HELD_MAX];
	size_t held_count;
	const char *workspace, *container;
	const char *sources[CONFIG_LAYERS_MAX];
	size_t source_count;
	bool debug;
};

struct state {
	struct workspace_config config;
	struct source *sources;
	struct workspace workspace;
	struct workspace_info info;
};

static const struct cli_option supervise_options[] = {
	{KEY_CONTROL, "control", "FD", "the socket of the requester"},
	{KEY_WORKSPACE, "workspace", "ID", "the workspace, whose record there is"},
	{KEY_LOCK, "lock", "FD", "its lock"},
	{KEY_USERNS, "userns", "FD", "the user namespace to serve in"},
	{KEY_PIDFD, "pidfd", "FD", "the container's init"},
	{KEY_CONTAINER, "container", "ID", "the container"},
	{KEY_UPPER, "upper", "FD", "the directory of upperdir="},
	{KEY_WORK, "work", "FD", "the directory of workdir="},
	{KEY_HOLD, "hold", "FD", "what is only held; may be repeated"},
	{KEY_DEBUG, "debug", NULL, "trace every request"},
	{KEY_SOURCE, "source", "TEXT", "what a layer was opened to; once for each"},
	{0},
};

/* An open descriptor that was inherited; it goes no further. */
static int take_fd(const char *value, int *ret_fd, struct error *err)
{
	char *end;
	long fd = strtol(value, &end, 10);

	if (*end || end == value || fd < 3 || fd > 1 << 20 ||
		fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
		return error_set(err, EBADF, EXIT_STATUS_USAGE, "'%s' is no descriptor", value);
	*ret_fd = (int)fd;
	return 0;
}

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	struct words *words = ctx;

	switch (key) {
	case KEY_CONTROL:
		return take_fd(value, &words->control_fd, err);
	case KEY_LOCK:
		return take_fd(value, &words->lock_fd, err);
	case KEY_USERNS:
		return take_fd(value, &words->userns_fd, err);
	case KEY_PIDFD:
		return take_fd(value, &words->pidfd, err);
	case KEY_UPPER:
		return take_fd(value, &words->upper_fd, err);
	case KEY_WORK:
		return take_fd(value, &words->work_fd, err);
	case KEY_HOLD:
		if (words->held_count == SUPERVISOR_HELD_MAX)
			return error_set(err, E2BIG, EXIT_STATUS_USAGE, "too much to hold");
		return take_fd(value, &words->held_fds[words->held_count++], err);
	case KEY_WORKSPACE:
		words->workspace = value;
		return 0;
	case KEY_CONTAINER:
		words->container = value;
		return 0;
	case KEY_DEBUG:
		words->debug = true;
		return 0;
	default:
		if (words->source_count == CONFIG_LAYERS_MAX)
			return error_set(err, E2BIG, EXIT_STATUS_USAGE, "too many sources");
		words->sources[words->source_count++] = value;
		return 0;
	}
}

static int take_sources(const struct words *words, struct state *state, struct error *err)
{
	int r = 0;

	if (words->source_count != state->config.layer_count)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "%zu sources for %zu layers",
			words->source_count, state->config.layer_count);
	state->sources = calloc(words->source_count, sizeof(*state->sources));
	if (!state->sources)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < words->source_count; i++)
		state->sources[i].dir.fd = -1;
	for (size_t i = 0; r == 0 && i < words->source_count; i++)
		r = source_from_text(words->sources[i], &state->sources[i], err);
	return r;
}

static int prepare(
	const struct words *words, const char *options, struct state *state, struct error *err)
{
	int r;

	if (!words->workspace || words->lock_fd < 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "no --workspace or no --lock");
	if ((words->upper_fd < 0) != (words->work_fd < 0))
		return error_set(err, EINVAL, EXIT_STATUS_USAGE, "--upper and --work go together");
	r = config_parse_options(&state->config, options, CONFIG_ORIGIN_ANNOTATION, err);
	if (r == 0)
		r = config_validate(&state->config, err);
	if (r == 0)
		r = take_sources(words, state, err);
	if (r == 0)
		r = workspace_adopt(words->workspace, words->lock_fd, &state->workspace, err);
	if (r == 0)
		r = describe_workspace(&state->config, &state->workspace,
			state->config.target ? state->config.target : "",
			words->container ? words->container : "", &state->info, err);
	return r;
}

static int run_supervise(int argc, char **argv, struct error *err)
{
	struct words words = {.control_fd = -1,
		.lock_fd = -1,
		.userns_fd = -1,
		.pidfd = -1,
		.upper_fd = -1,
		.work_fd = -1};
	struct state state = {.workspace = {.run_fd = -1, .lock_fd = -1}};
	struct supervisor_request request;
	int first, r;

	config_init(&state.config);
	r = cli_parse(argc, argv, &command_supervise, take_option, &words, &first, err);
	if (r == 0 && (words.control_fd < 0 || argc - first != 1))
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE, "this command is for the OCI hook");
	if (r == 0)
		r = prepare(&words, argv[first], &state, err);
	if (r < 0) {
		if (words.control_fd >= 0)
			control_send_failed(words.control_fd, err, NULL);
		return err->status;
	}
	request = (struct supervisor_request){
		.config = &state.config,
		.sources = state.sources,
		.workspace = &state.workspace,
		.info = &state.info,
		.control_fd = words.control_fd,
		.userns_fd = words.userns_fd,
		.init_pidfd = words.pidfd,
		.upper_fd = words.upper_fd,
		.work_fd = words.work_fd,
		.held_count = words.held_count,
		.debug = words.debug,
		.log_fd = -1,
	};
	memcpy(request.held_fds, words.held_fds, sizeof(request.held_fds));
	return supervisor_run(&request);
}

const struct command command_supervise = {
	.name = "supervise",
	.arguments = "-- OPTIONS",
	.help = "supervise a workspace, for the OCI hook",
	.options = supervise_options,
	.run = run_supervise,
	.is_internal = true,
};
