/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The start of a workspace's processes: signals, upper, daemon, broker. */
#include "state.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "daemon.h"
#include "host/control.h"
#include "host/rights.h"

static int open_signals(struct supervisor *s, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "signals");
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signal_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "signalfd");
	return 0;
}

/* The daemon needs none of what the supervisor steers by, and must not hold its locks. */
__attribute__((noreturn)) static void become_daemon(
	struct supervisor *s, int fd, int log_fd, pid_t parent)
{
	struct daemon daemon = {
		.request = s->request,
		.upper = &s->upper,
		.control_fd = fd,
		.broker_fd = s->broker_fds[1],
		.counters = s->counters,
		.supervisor = parent,
	};

	if (log_fd >= 0)
		log_open(LOG_TARGET_RELAY, log_fd, "",
			s->request->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	close_fd(&s->relay.fd);
	close_fd(&s->broker_fds[0]);
	close_fd(&s->daemon_fd);
	close_fd(&s->control_fd);
	close_fd(&s->signal_fd);
	close_fd(&s->init_pidfd);
	close_fd(&s->request->workspace->lock_fd);
	close_fd(&s->request->workspace->run_fd);
	for (size_t i = 0; i < s->request->held_count; i++)
		close_fd(&s->request->held_fds[i]);
	_exit(daemon_run(&daemon));
}

static int start_daemon(struct supervisor *s, struct error *err)
{
	pid_t parent = getpid();
	bool relays = s->request->log_fd < 0 && !s->request->foreground;
	int fds[2], log_fd, r;

	r = control_pair(fds, err);
	if (r < 0)
		return r;
	log_fd = relays ? relay_open(&s->relay) : -1;
	if (relays && log_fd < 0) {
		close_keep_errno(fds[0]);
		close_keep_errno(fds[1]);
		return error_set_errno(err, -log_fd, EXIT_STATUS_FAILED, "pipe");
	}
	s->daemon_fd = fds[0];
	s->daemon = fork();
	if (s->daemon == 0)
		become_daemon(s, fds[1], log_fd, parent);
	close_keep_errno(fds[1]);
	close_keep_errno(log_fd);
	if (s->daemon < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "fork");
	s->daemon_pidfd = pidfd_open(s->daemon, 0);
	if (s->daemon_pidfd < 0) {
		r = error_set_errno(err, errno, EXIT_STATUS_MACHINE, "pidfd_open");
		kill(s->daemon, SIGKILL);
		waitpid(s->daemon, NULL, 0);
		return r;
	}
	return 0;
}

/*
 * Whether files may be passed through. Writes must be counted where the upper is bounded; and a
 * right in any other user namespace is none to the kernel here.
 */
static enum counters_passing judge_passing(const struct supervisor *s)
{
	const struct supervisor_request *request = s->request;
	const struct workspace_config *config = request->config;

	if (s->upper.upper_fd < 0)
		return COUNTERS_READ_ONLY;
	if (!config->passthrough)
		return COUNTERS_OPTION;
	if (config->kernel_opens)
		return COUNTERS_OPENS;
	if (config->max_size || config->max_inodes)
		return COUNTERS_BOUND;
	if (request->plain_user || !rights_has_admin() || !rights_in_initial_userns())
		return COUNTERS_RIGHTS;
	return COUNTERS_MAY_PASS;
}

static void close_broker_socket(struct supervisor *s)
{
	close_fd(&s->broker_fds[0]);
	close_fd(&s->broker_fds[1]);
}

/* A workspace does without one, so nothing of it is a failure. */
static void start_broker(struct supervisor *s)
{
	const char *mode = s->request->config->seccomp;
	struct broker_wish wish = {
		.daemon_fd = s->broker_fds[0],
		.daemon = s->daemon,
		.upper_fd = s->upper.upper_fd,
		.work_fd = s->upper.work_fd,
	};
	struct error err = {0};

	if (wish.daemon_fd < 0)
		return;
	if (seccomp_mode_parse(mode ? mode : "kill", &wish.seccomp, &err) < 0 ||
		broker_start(&wish, &s->broker, &err) < 0) {
		log_warning("files are not passed through: %s", err.text);
		note_passing(s, COUNTERS_NO_BROKER);
	}
	/* Each of the two must be the only one to hold its end. */
	close_broker_socket(s);
}

/* What only the daemon uses from here on. */
static void drop_sources(struct supervisor_request *request)
{
	for (size_t i = 0; i < request->config->layer_count; i++)
		source_release(&request->sources[i]);
	close_fd(&request->userns_fd);
}

static int open_upper(struct supervisor *s, struct error *err)
{
	struct supervisor_request *request = s->request;
	const struct upper_wish wish = {
		.config = request->config,
		.sources = request->sources,
		.workspace = request->workspace,
		.upper_fd = request->upper_fd,
		.work_fd = request->work_fd,
		.for_container = request->init_pidfd >= 0 || request->userns_fd >= 0 ||
				 (request->info->container && *request->info->container),
	};
	int r = upper_dirs_open(&wish, &s->upper, err);

	close_fd(&request->upper_fd);
	close_fd(&request->work_fd);
	return r;
}

int supervisor_start(struct supervisor *s, struct error *err)
{
	enum counters_passing passing;
	int r = open_signals(s, err);

	if (r == 0)
		r = open_upper(s, err);
	s->counters = counters_create(s->request->workspace->run_fd);
	passing = judge_passing(s);
	note_passing(s, passing);
	if (r == 0 && passing == COUNTERS_MAY_PASS)
		r = control_pair(s->broker_fds, err);
	if (r == 0)
		r = start_daemon(s, err);
	if (r == 0)
		start_broker(s);
	drop_sources(s->request);
	close_fd(&s->upper.parent_fd);
	return r;
}
