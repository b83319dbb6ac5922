/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <git-overlayfs/log.h>
#include <git-overlayfs/session.h>

#include "broker.h"
#include "host/control.h"
#include "util/cleanup.h"
#include "util/pages.h"

/* Much more than the kernel lets a FUSE mount keep back. */
#define ROOM_TO_COLLECT (UINT64_C(1) << 30)

/* For the signal handler; set before signals are let through. */
static struct session *running;

static void on_terminate(int signal)
{
	session_stop(running);
}

/*
 * SIGTERM ends the service, everything that a terminal sends is for the one who sits
 * there, and passes by.
 */
static void set_signals(void (*on_term)(int))
{
	struct sigaction act = {.sa_handler = on_term};
	sigset_t none;

	sigaction(SIGTERM, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	sigaction(SIGQUIT, &act, NULL);
	sigaction(SIGPIPE, &act, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A daemon whose supervisor has gone is watched by nobody. After the change of user. */
static int die_with_supervisor(const struct daemon *daemon, struct error *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "PR_SET_PDEATHSIG");
	if (getppid() != daemon->supervisor)
		return error_set(err, ESRCH, EXIT_STATUS_FAILED, "the supervisor ended");
	return 0;
}

/*
 * Whether the kernel may collect writes. Past a bound of the upper, or with no room on its disk,
 * who writes is to be told at once, and not when the file is closed.
 */
static enum counters_collecting judge_collecting(const struct daemon *daemon)
{
	const struct workspace_config *config = daemon->request->config;
	struct statvfs st;

	if (!config->writeback)
		return COUNTERS_NOT_ASKED;
	if (overlay_is_read_only(daemon->overlay))
		return COUNTERS_COLLECT_READ_ONLY;
	if (config->max_size || config->max_inodes)
		return COUNTERS_COLLECT_BOUND;
	if (config->kernel_opens)
		return COUNTERS_COLLECT_OPENS;
	if (overlay_statfs(daemon->overlay, &st) < 0 || st.f_bavail < ROOM_TO_COLLECT / st.f_frsize)
		return COUNTERS_COLLECT_ROOM;
	return COUNTERS_MAY_COLLECT;
}

/* In the kernel, and not turned off when it booted. */
static bool machine_has_selinux(void)
{
	FILE *file = fopen("/proc/filesystems", "re");
	bool has = !file; /* not to know is no reason to say that there is none */
	char line[256];

	while (file && !has && fgets(line, sizeof(line), file))
		has = strstr(line, "\tselinuxfs\n");
	if (file)
		fclose(file);
	return has;
}

/*
 * One arena for all threads, which is the one that grows by 128 KiB: others grow page by page, with
 * a system call for each. What one server frees the next one takes: so much at its end is given
 * back to the kernel at rest alone (loop.c), and no buffer below that size is a mapping of its own.
 * Room for the large files of a source tree: their buffers would be new pages each time.
 */
#define KEPT_FREE (16 << 20)

static void set_memory(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
	mallopt(M_MMAP_THRESHOLD, KEPT_FREE);
}

static int prepare(struct daemon *daemon, struct session **ret_session, struct error *err)
{
	_cleanup_(places_release) struct places places = {0};
	struct session_config config = {
		.debug = daemon->request->debug,
		.has_selinux = machine_has_selinux(),
	};
	enum counters_collecting collecting;
	int r;

	set_memory();
	r = daemon_load(daemon, err);
	if (r == 0)
		r = daemon_enter(daemon, &places, err);
	if (r == 0)
		r = die_with_supervisor(daemon, err);
	if (daemon->broker_fd >= 0)
		backing_init(&daemon->backing, daemon->broker_fd,
			broker_stack_depth(daemon->view_upper_fd));
	if (r == 0)
		r = daemon_lock(daemon, &places, err);
	if (r == 0)
		r = daemon_open(daemon, &places, err);
	if (r < 0)
		return r;
	config.overlay = daemon->overlay;
	collecting = judge_collecting(daemon);
	config.writeback = collecting == COUNTERS_MAY_COLLECT;
	config.kernel_opens = daemon->request->config->kernel_opens;
	if (daemon->counters) {
		daemon->counters->collecting = collecting;
		config.counters = &daemon->counters->session;
	}
	if (daemon->broker_fd >= 0)
		config.backing = &daemon->backing.session;
	return session_new(&config, ret_session, err);
}

/* Tells that everything is open, and waits for the mount. */
static int wait_for_mount(struct daemon *daemon, int *ret_fuse_fd, struct error *err)
{
	struct control_opened opened = {.daemon = getpid()};
	struct control_event event;
	int r;

	memcpy(opened.commit, daemon->commit, sizeof(opened.commit));
	r = control_send_opened(daemon->control_fd, &opened, err);
	if (r == 0)
		r = control_receive(daemon->control_fd, -1, &event, err);
	if (r < 0)
		return r;
	if (event.type != CONTROL_FUSE_FD)
		return error_set(err, EPROTO, EXIT_STATUS_FAILED, "not the message that was due");
	*ret_fuse_fd = event.fuse_fd;
	return 0;
}

static int serve(struct daemon *daemon, struct session *session, struct error *err)
{
	int fuse_fd, r = wait_for_mount(daemon, &fuse_fd, err);

	if (r < 0)
		return r;
	r = overlay_begin_volatile(daemon->overlay);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "workdir");
	running = session;
	set_signals(on_terminate);
	return session_serve(session, fuse_fd, err);
}

/*
 * What was written into the mount reaches the disk before its upper is let go: the kernel hands
 * no syncfs(2) on to a FUSE server. An upper that is thrown away needs none.
 */
static void flush_upper(const struct daemon *daemon)
{
	int r;

	if (!daemon->overlay)
		return;
	overlay_end_volatile(daemon->overlay);
	if (!daemon->request->info->keep)
		return;
	r = overlay_sync(daemon->overlay);
	if (r < 0)
		log_error("the upper may not be whole on disk: syncfs: %s", error_name(-r));
}

int daemon_run(struct daemon *daemon)
{
	struct session *session = NULL;
	struct error err = {0};
	int r;

	/* Modes come from requests, and the overlay applies the umask that comes with them. */
	umask(0);
	set_signals(SIG_DFL);
	pages_guard();
	daemon->ids = daemon->request->config->ids;
	daemon->view_upper_fd = daemon->view_work_fd = -1;
	r = prepare(daemon, &session, &err);
	if (r == 0)
		r = serve(daemon, session, &err);
	/* One who has gone need not be told. */
	if (r < 0 && r != -EPIPE && control_send_failed(daemon->control_fd, &err, NULL) < 0)
		log_error("%s", err.text);
	set_signals(SIG_IGN);
	session_free(session);
	if (session && daemon->broker_fd >= 0)
		backing_release(&daemon->backing);
	flush_upper(daemon);
	overlay_free(daemon->overlay);
	return r < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
