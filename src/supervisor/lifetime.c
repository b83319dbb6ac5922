/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lifetime.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git-overlayfs/log.h>
#include <git-overlayfs/mount.h>

#include "host/mountinfo.h"
#include "host/rights.h"
#include "util/cleanup.h"

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a < *(const int *)b ? -1 : *(const int *)a > *(const int *)b;
}

/* Closes everything above standard error that is not in the list. */
static void close_others(int *keep, size_t count)
{
	unsigned first = 3;

	qsort(keep, count, sizeof(*keep), compare_ints);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < (int)first)
			continue;
		if ((unsigned)keep[i] > first)
			close_range(first, (unsigned)keep[i] - 1, 0);
		first = (unsigned)keep[i] + 1;
	}
	close_range(first, ~0u, 0);
}

static void close_foreign(const struct supervisor_request *request)
{
	size_t layers = request->config->layer_count, n = 0;
	int *keep =
		calloc(8 + SUPERVISOR_HELD_MAX + layers * (1 + SOURCE_ALTERNATES_MAX), sizeof(int));

	/* Without memory what is open stays open; the rest will soon fail with a word. */
	if (!keep)
		return;
	keep[n++] = request->control_fd;
	keep[n++] = request->userns_fd;
	keep[n++] = request->init_pidfd;
	keep[n++] = request->log_fd;
	keep[n++] = request->upper_fd;
	keep[n++] = request->work_fd;
	keep[n++] = request->workspace->lock_fd;
	keep[n++] = request->workspace->run_fd;
	for (size_t i = 0; i < request->held_count; i++)
		keep[n++] = request->held_fds[i];
	for (size_t i = 0; i < layers; i++) {
		const struct source *source = &request->sources[i];

		keep[n++] = source->dir.fd;
		for (size_t k = 0; k < source->alternate_count; k++)
			keep[n++] = source->alternates[k].fd;
	}
	close_others(keep, n);
	free(keep);
}

/*
 * Whoever waits for the end of our output must get it, whatever /dev holds: without the null
 * device a pipe that nobody writes to, for no directory of the host may go to the daemon.
 */
static int open_null(void)
{
	int ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0)
		return null;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	close(ends[1]);
	return ends[0];
}

/* `log_fd` takes standard error's place too, for what libraries write there. */
static void replace_stdio(const struct supervisor_request *request)
{
	int null = open_null();

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (request->log_fd >= 0)
		dup2(request->log_fd, STDERR_FILENO);
	else if (!request->foreground)
		dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static void open_log(const struct supervisor_request *request)
{
	/* Borrowed by the log for the life of the process. */
	static char ident[WORKSPACE_ID_MAX + 32];
	enum log_level level = request->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;

	snprintf(ident, sizeof(ident), "git-overlayfs[%s]", request->workspace->id);
	if (request->log_fd >= 0)
		log_open(LOG_TARGET_FD, request->log_fd, ident, level);
	else if (request->foreground)
		log_open(LOG_TARGET_STDERR, -1, ident,
			request->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
	/* Without a syslog the lines go to /dev/null. */
	else if (log_open(LOG_TARGET_SYSLOG, -1, ident, level) < 0)
		log_open(LOG_TARGET_STDERR, -1, ident, level);
}

void lifetime_detach(const struct supervisor_request *request)
{
	struct sigaction act = {.sa_handler = SIG_DFL};

	setsid();
	umask(0022);
	for (int signal = 1; signal < NSIG; signal++)
		sigaction(signal, &act, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &act, NULL);
	/* A limit of the size of files is an error of a write, not our death. */
	sigaction(SIGXFSZ, &act, NULL);
	/* So that nobody's directory is held, and no container's. Paths are absolute by now. */
	if (chdir("/") < 0)
		log_debug("chdir: %s", error_name(errno));
	close_foreign(request);
	replace_stdio(request);
	open_log(request);
}

void lifetime_drop_rights(const struct supervisor_request *request)
{
	int r;

	prctl(PR_SET_DUMPABLE, 0);
	/* A plain user has no capabilities, and unmounts by a set-user-ID program. */
	if (request->plain_user)
		return;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* In a container unmounting is not our task. */
	r = rights_keep_to_clean(request->unmount);
	if (r < 0)
		log_warning("cannot give up capabilities: %s", error_name(-r));
}

unsigned lifetime_find_mount(const char *mountpoint)
{
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};

	if (mountinfo_find(mountpoint, &mount) < 0 || strcmp(mount.type, MOUNTINFO_OURS) != 0)
		return 0;
	return mount.minor;
}

void lifetime_unmount(const char *mountpoint, unsigned minor)
{
	struct error err = {0};
	int r;

	if (!minor || lifetime_find_mount(mountpoint) != minor)
		return;
	r = mount_unmount(mountpoint, false, &err);
	if (r == -EBUSY)
		r = mount_unmount(mountpoint, true, &err);
	if (r < 0 && r != -EINVAL)
		log_warning("%s", err.text);
}

static void store_state(struct supervisor_request *request, enum workspace_state state)
{
	struct error err = {0};

	request->info->state = state;
	if (workspace_store(request->workspace, request->info, &err) < 0)
		log_warning("%s", err.text);
}

void lifetime_begin(struct supervisor_request *request)
{
	request->info->supervisor = getpid();
	workspace_event_append(WORKSPACE_EVENT_MOUNTING, request->info, NULL, NULL);
}

void lifetime_ready(struct supervisor_request *request, unsigned mount_minor)
{
	/* The requester wrote it, too, into a record that this one replaces. */
	if (mount_minor)
		request->info->connection = mount_minor;
	store_state(request, WORKSPACE_READY);
	workspace_event_append(WORKSPACE_EVENT_READY, request->info, NULL, NULL);
}

void lifetime_ending(
	struct supervisor_request *request, enum workspace_event event, const char *reason)
{
	store_state(request, WORKSPACE_ENDING);
	workspace_event_append(event, request->info, reason, NULL);
}

/*
 * What becomes of the upper: the word for the history. Who unmounts waits for us, and finds the
 * room free. An engine waits for nobody, and may start a container of this id at once.
 */
static const char *clean_upper(struct supervisor_request *request, bool is_ours, bool was_ready,
	struct workspace_discard *ret_discard)
{
	struct error err = {0};
	int r;

	if (!request->info->upper || !*request->info->upper)
		return "none";
	/* Who never served from what another one has kept has no business with it. */
	if (request->info->keep || (!was_ready && workspace_was_kept(request->workspace)))
		return "kept";
	if (!is_ours)
		r = workspace_remove_unused_upper(request->workspace, &err);
	else if (request->unmount)
		r = workspace_remove_upper(request->workspace, &err);
	else
		r = workspace_discard_begin(request->workspace, ret_discard, &err);
	if (r == 0)
		return "discarded";
	log_error("%s", err.text);
	return "left";
}

void lifetime_clean(struct supervisor_request *request, struct upper_dirs *dirs,
	enum workspace_event event, const char *reason)
{
	const char *mountpoint = request->info->mountpoint, *upper;
	struct workspace_discard discard = {.base_fd = -1, .lock_fd = -1};
	struct error err = {0};
	int r;

	/* Only a mount whose server has gone: meanwhile another one may stand there. */
	if (request->unmount && *mountpoint && mountinfo_is_dead(mountpoint) &&
		mount_unmount(mountpoint, true, &err) < 0)
		log_warning("%s", err.text);
	upper = clean_upper(request, dirs->upper_fd >= 0, event == WORKSPACE_EVENT_ENDED, &discard);
	/* Who saw the record go may unmount what the upper lies on, and finds the lock free. */
	upper_dirs_release(dirs);
	/* Before the record goes: who sees it go finds the end in the history. */
	workspace_event_append(event, request->info, reason, upper);
	if (workspace_remove(request->workspace, true, &err) < 0)
		log_error("%s", err.text);
	workspace_release(request->workspace);
	for (size_t i = 0; i < request->held_count; i++)
		close_keep_errno(steal_fd(&request->held_fds[i]));
	r = workspace_discard_finish(&discard);
	if (r < 0)
		log_error("cannot remove the upper directory: %s; git-overlayfs gc tries again",
			error_name(-r));
}
