/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "state.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "host/control.h"
#include "lifetime.h"
#include "util/clock.h"
#include "util/pages.h"

/* How long a workspace may outlive the container's init, or a SIGTERM. */
#define GRACE_MS 5000
/* How long the daemon may take to follow SIGTERM. */
#define KILL_MS 2000

static void note_reason(struct supervisor *s, const char *reason)
{
	if (!*s->reason)
		snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

/* A live workspace is on its way out from here on. */
static void note_end(struct supervisor *s, enum workspace_event event, const char *reason)
{
	note_reason(s, reason);
	if (s->phase == PHASE_LIVE)
		lifetime_ending(s->request, event, reason);
}

/* Until READY somebody waits for the outcome. */
static void report_failure(struct supervisor *s, const struct error *err)
{
	note_reason(s, err->text);
	if (s->phase == PHASE_STARTING && s->control_fd >= 0 &&
		control_send_failed(s->control_fd, err, NULL) == 0)
		return;
	log_error("%s", err->text);
}

/* By descriptor: its number may be somebody else's once it was waited for. */
static void signal_daemon(const struct supervisor *s, int number)
{
	pidfd_send_signal(s->daemon_pidfd, number, NULL, 0);
}

static void begin_end(struct supervisor *s, int grace_ms, const char *reason)
{
	if (s->phase >= PHASE_ENDING)
		return;
	note_end(s, WORKSPACE_EVENT_ENDING, reason);
	s->phase = PHASE_ENDING;
	s->deadline = clock_now_ms() + grace_ms;
}

/*
 * Undoes what was begun: nothing is mounted yet, or the requester unmounts. Once: who is
 * told twice to end gets no more time.
 */
static void give_up(struct supervisor *s)
{
	if (s->phase == PHASE_TERMINATED)
		return;
	s->phase = PHASE_TERMINATED;
	s->deadline = clock_now_ms() + KILL_MS;
	signal_daemon(s, SIGTERM);
}

/* A daemon that talks nonsense may be in foreign hands: it is heard no more, and ends now. */
static void cut_off(struct supervisor *s, const char *why)
{
	struct error err = {0};

	error_set(&err, EPROTO, EXIT_STATUS_FAILED,
		"the daemon sent what it may not and was killed: %s", why);
	/* The requester may be past listening, and this is for who looks after the machine. */
	log_error("%s", err.text);
	note_end(s, WORKSPACE_EVENT_DAEMON_DIED, err.text);
	if (s->phase == PHASE_STARTING && s->control_fd >= 0)
		control_send_failed(s->control_fd, &err, NULL);
	close_fd(&s->daemon_fd);
	s->phase = PHASE_TERMINATED;
	s->deadline = -1;
	signal_daemon(s, SIGKILL);
}

static void on_deadline(struct supervisor *s)
{
	bool was_asked = s->phase == PHASE_TERMINATED;

	log_info(was_asked ? "the daemon does not end, killing it"
			   : "the mount is still in use, ending the daemon");
	signal_daemon(s, was_asked ? SIGKILL : SIGTERM);
	s->phase = PHASE_TERMINATED;
	s->deadline = was_asked ? -1 : clock_now_ms() + KILL_MS;
}

/* The record is complete before the requester hears of it, and mounts. */
static int on_opened(struct supervisor *s, struct control_opened *opened, struct error *err)
{
	struct workspace_info *info = s->request->info;
	int r;

	opened->supervisor = info->supervisor = getpid();
	opened->daemon = info->daemon = s->daemon;
	free(info->commit);
	info->commit = strdup(opened->commit);
	r = workspace_store(s->request->workspace, info, err);
	if (r < 0)
		return r;
	return control_send_opened(s->control_fd, opened, err);
}

static void on_daemon_message(struct supervisor *s)
{
	struct control_event event = {.fuse_fd = -1};
	struct error err = {0};
	int r = control_receive(s->daemon_fd, 0, &event, &err);

	close_keep_errno(event.fuse_fd);
	/* Its pidfd tells the rest. */
	if (r == -EPIPE) {
		close_fd(&s->daemon_fd);
	} else if (r == 0 && event.type == CONTROL_OPENED && s->phase == PHASE_STARTING &&
		   !s->has_opened) {
		s->has_opened = true;
		if (on_opened(s, &event.opened, &err) < 0) {
			report_failure(s, &err);
			give_up(s);
		}
	} else if (r == 0 && event.type == CONTROL_FAILED) {
		report_failure(s, &event.failure);
		/* Nothing comes after it. */
		close_fd(&s->daemon_fd);
		give_up(s);
	} else if (r != -ETIMEDOUT) {
		cut_off(s, r < 0 ? err.text : "a message out of turn");
	}
}

static void go_live(struct supervisor *s)
{
	s->phase = PHASE_LIVE;
	s->was_ready = true;
	if (s->request->unmount)
		s->mount_minor = lifetime_find_mount(s->request->info->mountpoint);
	lifetime_ready(s->request, s->mount_minor);
	/* The requester may wait for this: the record and the history are complete. */
	close_fd(&s->control_fd);
	/* Nothing more is due from the daemon but its end. */
	close_fd(&s->daemon_fd);
	/* What is left to do is to wait. */
	pages_release();
}

static void on_requester_message(struct supervisor *s)
{
	struct control_event event = {.fuse_fd = -1};
	struct error err = {0};
	int r = control_receive(s->control_fd, 0, &event, &err);

	if (r == -ETIMEDOUT)
		return;
	if (r == 0 && event.type == CONTROL_FUSE_FD) {
		r = control_send_fuse_fd(s->daemon_fd, event.fuse_fd, &err);
		/* The daemon's own copy counts; without a broker it serves all the same. */
		if (r == 0 && s->broker.setup_fd >= 0)
			broker_give_device(&s->broker, event.fuse_fd, NULL);
		close_keep_errno(event.fuse_fd);
		if (r == 0)
			return;
	} else if (r == 0 && event.type == CONTROL_READY) {
		go_live(s);
		return;
	}
	/* The requester says why it gives up, or has ended itself. */
	note_reason(s, r == 0 && event.type == CONTROL_FAILED
			       ? event.failure.text
			       : "its requester ended before it was ready");
	close_fd(&s->control_fd);
	give_up(s);
}

static void on_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;
	char reason[64];

	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
		info.ssi_signo == SIGCHLD)
		return;
	log_info("signal %u, ending", info.ssi_signo);
	snprintf(reason, sizeof(reason), "its supervisor got signal %u (%s)", info.ssi_signo,
		sigabbrev_np((int)info.ssi_signo));
	if (s->phase == PHASE_STARTING) {
		note_reason(s, reason);
		give_up(s);
		return;
	}
	if (s->request->unmount)
		lifetime_unmount(s->request->info->mountpoint, s->mount_minor);
	begin_end(s, GRACE_MS, reason);
}

static void on_daemon_end(struct supervisor *s)
{
	struct error err = {0};

	while (waitpid(s->daemon, &s->daemon_status, 0) < 0 && errno == EINTR)
		;
	s->daemon_has_ended = true;
	relay_finish(&s->relay);
	/* What it had to say comes first. */
	while (s->daemon_fd >= 0 && s->phase == PHASE_STARTING)
		on_daemon_message(s);
	if (WIFSIGNALED(s->daemon_status))
		error_set(&err, EIO, EXIT_STATUS_FAILED,
			"the daemon was killed by signal %d (%s)%s", WTERMSIG(s->daemon_status),
			sigabbrev_np(WTERMSIG(s->daemon_status)),
			WTERMSIG(s->daemon_status) == SIGSYS
				? ": a forbidden system call; --seccomp=trap names it"
				: "");
	else
		error_set(&err, EIO, EXIT_STATUS_FAILED, "the daemon ended with status %d",
			WEXITSTATUS(s->daemon_status));
	if (s->phase == PHASE_LIVE && s->daemon_status == 0)
		note_end(s, WORKSPACE_EVENT_ENDING,
			s->request->unmount ? "unmounted"
					    : "unmounted in its container, or with it");
	else
		note_end(s, WORKSPACE_EVENT_DAEMON_DIED, err.text);
	if (s->phase == PHASE_STARTING || (s->phase == PHASE_LIVE && s->daemon_status != 0))
		report_failure(s, &err);
}

static void on_init_end(struct supervisor *s)
{
	static const char reason[] = "its container has ended";

	close_fd(&s->init_pidfd);
	if (s->phase == PHASE_STARTING) {
		note_reason(s, reason);
		give_up(s);
	} else {
		begin_end(s, GRACE_MS, reason);
	}
}

/* Without it the daemon goes on, and serves all data itself. */
static void on_broker_end(struct supervisor *s)
{
	enum broker_end end = broker_wait(&s->broker);

	/* One that was cut off already has been told of. */
	if (end == BROKER_NONSENSE && s->phase != PHASE_TERMINATED)
		cut_off(s, "not a request to register a file");
	else if (end == BROKER_FAILED)
		log_warning("the broker failed: files are not passed through any more");
}

static void on_daemon_log(struct supervisor *s)
{
	relay_read(&s->relay);
}

/*
 * One turn. poll() skips descriptors that are -1. The daemon comes last, and the deadline
 * before everything: what it sends must not keep it alive.
 */
static int turn(struct supervisor *s)
{
	struct pollfd fds[] = {
		{.fd = s->signal_fd, .events = POLLIN},
		{.fd = s->daemon_pidfd, .events = POLLIN},
		{.fd = s->init_pidfd, .events = POLLIN},
		{.fd = s->broker.pidfd, .events = POLLIN},
		{.fd = s->control_fd, .events = POLLIN},
		{.fd = s->daemon_fd, .events = POLLIN},
		{.fd = s->relay.fd, .events = POLLIN},
	};
	static void (*const handlers[])(struct supervisor *) = {on_signal, on_daemon_end,
		on_init_end, on_broker_end, on_requester_message, on_daemon_message, on_daemon_log};
	int64_t left = s->deadline < 0 ? -1 : s->deadline - clock_now_ms();

	if (s->deadline >= 0 && left <= 0)
		on_deadline(s);
	left = s->deadline < 0 ? -1 : s->deadline - clock_now_ms();
	if (poll(fds, 7, s->deadline < 0 ? -1 : left > 0 ? (int)left : 0) < 0)
		return errno == EINTR ? 0 : -errno;
	/* One event a turn: a handler may close what the next one would read. */
	for (size_t i = 0; i < 7; i++) {
		if (fds[i].revents) {
			handlers[i](s);
			break;
		}
	}
	return 0;
}

int supervisor_run(struct supervisor_request *request)
{
	struct supervisor s = {
		.request = request,
		.control_fd = request->control_fd,
		.init_pidfd = request->init_pidfd,
		.daemon_fd = -1,
		.daemon_pidfd = -1,
		.broker_fds = {-1, -1},
		.broker = {.pidfd = -1, .setup_fd = -1},
		.signal_fd = -1,
		.relay = {.fd = -1},
		.deadline = -1,
	};
	struct error err = {0};
	int r;

	upper_dirs_init(&s.upper);
	lifetime_detach(request);
	lifetime_begin(request);
	r = supervisor_start(&s, &err);
	if (r == 0) {
		lifetime_drop_rights(request);
		while (r == 0 && !s.daemon_has_ended)
			r = turn(&s);
	} else {
		report_failure(&s, &err);
	}
	/* It holds files of the upper, and the connection. */
	broker_end(&s.broker);
	lifetime_clean(request, &s.upper,
		s.was_ready ? WORKSPACE_EVENT_ENDED : WORKSPACE_EVENT_FAILED, s.reason);
	/* Only now: for the requester our end of the socket is the end of the undoing. */
	close_fd(&s.control_fd);
	return s.phase == PHASE_STARTING || (s.phase == PHASE_LIVE && s.daemon_status != 0)
		       ? EXIT_STATUS_FAILED
		       : EXIT_STATUS_OK;
}
