/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/supervisor.h>

#include "describe.h"
#include "host/control.h"
#include "host/mountinfo.h"
#include "mount-internal.h"
#include "util/cleanup.h"

#define OPENED_TIMEOUT_MS 30000
#define READY_TIMEOUT_MS  10000
#define UNDO_TIMEOUT_MS	  10000
/* What the supervisor has left to do then takes it no millisecond. */
#define RECORDED_TIMEOUT_MS 2000
/* So often in turn another one may make the workspace of an id, and not come to an end. */
#define JOIN_ATTEMPTS_MAX 100

/* What may interrupt us. */
static void fill_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

/* --- the workspace --- */

/* Whose the root of a fresh upper is: like everything else that comes from git. */
static int make_upper(struct request *request, struct error *err)
{
	const struct workspace_config *config = &request->arguments->config;
	uint32_t uid, gid;

	if (idmap_to_storage(&config->ids, IDMAP_UID, config->owner_uid, &uid) < 0 ||
		idmap_to_storage(&config->ids, IDMAP_GID, config->owner_gid, &gid) < 0)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"owner %u:%u is not in uidmapping= and gidmapping=; name one that is, with "
			"owner=",
			config->owner_uid, config->owner_gid);
	if (geteuid() != 0) {
		uid = (uint32_t)-1;
		gid = (uint32_t)-1;
	}
	return workspace_make_upper(&request->workspace, uid, gid, err);
}

static int make_workspace(struct request *request, struct error *err)
{
	const struct workspace_config *config = &request->arguments->config;
	int r = workspace_create(config->id, &request->workspace, err);

	request->lost_id = config->id && r == -EBUSY;
	if (r < 0)
		return r;
	request->has_workspace = true;
	request->has_kept_upper = request->workspace.state_dir;
	r = request_check_not_above(request, "the run directory", request->workspace.run_dir, err);
	if (r == 0 && !config->read_only && !config->upper)
		r = make_upper(request, err);
	if (r == 0)
		r = request_check_not_above(
			request, "the state directory", request->workspace.state_dir, err);
	if (r == 0)
		r = describe_workspace(
			config, &request->workspace, request->target, "", &request->info, err);
	if (r == 0)
		request->info.request = steal_ptr(&request->asked);
	return r;
}

__attribute__((noreturn)) static void run_supervisor(struct request *request, int control_fd)
{
	struct supervisor_request supervise = {
		.config = &request->arguments->config,
		.sources = request->sources,
		.workspace = &request->workspace,
		.info = &request->info,
		.control_fd = control_fd,
		.userns_fd = -1,
		.init_pidfd = -1,
		.upper_fd = -1,
		.work_fd = -1,
		.unmount = true,
		.plain_user = request->way != MOUNT_WAY_DIRECT,
		.foreground = request->arguments->foreground,
		.debug = request->arguments->debug,
		.log_fd = request->log_fd,
	};

	_exit(supervisor_run(&supervise));
}

static volatile pid_t forward_to;

static void forward_signal(int signal)
{
	if (forward_to > 0)
		kill(forward_to, SIGTERM);
}

/* To the supervisor, which ends the workspace, ready or not: who asked for it ends after it. */
static void forward_signals(pid_t supervisor)
{
	const struct sigaction act = {.sa_handler = forward_signal, .sa_flags = SA_RESTART};

	forward_to = supervisor;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
}

static int start_supervisor(struct request *request, struct error *err)
{
	int fds[2], r = control_pair(fds, err);

	if (r < 0)
		return r;
	request->control_fd = fds[0];
	request->supervisor = fork();
	if (request->supervisor == 0)
		run_supervisor(request, fds[1]);
	close(fds[1]);
	if (request->supervisor < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "fork");
	if (request->arguments->foreground)
		forward_signals(request->supervisor);
	return 0;
}

/* --- the mount --- */

static int mount_by_helper(struct request *request, const struct fuse_mount_options *options,
	int *ret_mount_fd, struct error *err)
{
	int r = mount_fusermount(request->target, options, &request->fuse_fd, err);

	if (r < 0 && request->way == MOUNT_WAY_USERNS)
		return error_set(err, EPERM, EXIT_STATUS_MACHINE,
			"this user namespace may not mount here; give it a mount namespace of its "
			"own: unshare -Urm");
	if (r < 0)
		return r;
	request->is_mounted = true;
	*ret_mount_fd = open(request->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_mount_fd < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_FAILED, "mountpoint %s", request->target);
	return 0;
}

static int mount_it(struct request *request, int *ret_mount_fd, struct error *err)
{
	const struct workspace_config *config = &request->arguments->config;
	struct fuse_mount_options options = {
		.source = config->fsname ? config->fsname : request->info.source,
		.allow_other = request->way == MOUNT_WAY_DIRECT || mount_allow_other(),
		.read_only = config->read_only,
		.nosuid = config->suid != 1,
		.nodev = config->dev != 1,
		.noexec = config->exec == 0,
	};
	int r;

	if (request->way != MOUNT_WAY_DIRECT)
		return mount_by_helper(request, &options, ret_mount_fd, err);
	r = mount_fuse(request->fuse_fd, request->target_fd, &options, ret_mount_fd, err);
	request->is_mounted = r == 0;
	return r;
}

/* Two requests for one mountpoint come as far as this; the second one finds the first's mount. */
static int mount_where_none_is(struct request *request, int *ret_mount_fd, struct error *err)
{
	sigset_t set, old;
	int lock_fd, r;

	fill_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	r = workspace_lock_mounts(&lock_fd, err);
	if (r == 0) {
		r = request_check_not_ours(request, err);
		if (r == 0)
			r = mount_it(request, ret_mount_fd, err);
		workspace_unlock_mounts(lock_fd);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* Tells the mount from others that stand, or will stand, at the same path. */
static int store_connection(struct request *request, const struct control_opened *opened,
	int mount_fd, struct error *err)
{
	struct workspace_info *info = &request->info;
	struct stat st;
	char *commit;

	if (fstat(mount_fd, &st) < 0)
		return error_set_errno(
			err, errno, EXIT_STATUS_FAILED, "mountpoint %s", request->target);
	commit = strdup(opened->commit);
	if (!commit)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	free(info->commit);
	info->commit = commit;
	info->supervisor = opened->supervisor;
	info->daemon = opened->daemon;
	info->connection = minor(st.st_dev);
	return workspace_store(&request->workspace, info, err);
}

/* Waits for the supervisor, which cleans up when it finds itself alone. */
static void reap(pid_t supervisor)
{
	static const struct timespec pause = {.tv_nsec = 5000000};

	for (int waited = 0; waited < UNDO_TIMEOUT_MS; waited += 5) {
		if (waitpid(supervisor, NULL, WNOHANG) != 0)
			return;
		nanosleep(&pause, NULL);
	}
	kill(supervisor, SIGKILL);
	waitpid(supervisor, NULL, 0);
}

static void undo(struct request *request)
{
	if (request->is_mounted)
		mount_unmount(request->target, true, NULL);
	request->is_mounted = false;
	close_keep_errno(steal_fd(&request->fuse_fd));
	close_keep_errno(steal_fd(&request->control_fd));
	forward_to = 0;
	if (request->supervisor > 0)
		reap(request->supervisor);
	request->supervisor = 0;
	/* Again where the supervisor did it; alone where there never was one. */
	if (request->has_workspace) {
		workspace_remove(
			&request->workspace, request->info.keep || request->has_kept_upper, NULL);
		workspace_release(&request->workspace);
	}
	request->has_workspace = false;
}

/*
 * Until there is a supervisor nobody would undo what is made here, so an interrupt waits;
 * from then on it may end us, and the supervisor finds itself alone.
 */
static int begin(struct request *request, struct error *err)
{
	sigset_t set, old;
	int r;

	fill_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	r = make_workspace(request, err);
	if (r == 0)
		r = start_supervisor(request, err);
	if (r < 0 && !request->lost_id)
		undo(request);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* Its end of the socket goes when the record says that the workspace is ready. */
static void wait_recorded(int control_fd)
{
	struct pollfd poller = {.fd = control_fd, .events = POLLIN};

	while (poll(&poller, 1, RECORDED_TIMEOUT_MS) < 0 && errno == EINTR)
		;
}

static int bring_up(struct request *request, struct error *err)
{
	_cleanup_close_ int mount_fd = -1;
	struct control_opened opened;
	int r = begin(request, err);

	if (r == 0)
		r = control_wait_opened(request->control_fd, OPENED_TIMEOUT_MS, &opened, err);
	if (r == 0)
		r = mount_where_none_is(request, &mount_fd, err);
	if (r == 0)
		r = control_send_fuse_fd(request->control_fd, request->fuse_fd, err);
	if (r < 0)
		return r;
	/* A copy of ours would keep the mount waiting if the daemon died now. */
	close_keep_errno(steal_fd(&request->fuse_fd));
	r = mount_wait_ready(mount_fd, READY_TIMEOUT_MS, err);
	if (r == 0)
		r = store_connection(request, &opened, mount_fd, err);
	if (r == 0)
		r = control_send_ready(request->control_fd, err);
	if (r == 0)
		wait_recorded(request->control_fd);
	return r;
}

/*
 * Whether what stands on the target may be the workspace of this very id, which was not there a
 * moment ago, or is gone by now.
 */
static bool was_overtaken(struct request *request)
{
	struct workspace workspace;

	if (workspace_open(request->arguments->config.id, &workspace, NULL) == 0) {
		workspace_release(&workspace);
		return true;
	}
	return request_open_target(request, NULL) == 0 && request_check_free(request, NULL) == 0;
}

/*
 * -EBUSY and request->lost_id: look again. What failed is undone, and the supervisor told why, for
 * the history.
 */
static int try_mount(struct request *request, struct error *err)
{
	int r = request->asked ? request_open_target(request, err) : 0;

	request->lost_id = false;
	if (r == 0 && request->asked) {
		r = request_check_free(request, err);
		request->lost_id = r == -EBUSY && was_overtaken(request);
	}
	if (r == 0)
		r = bring_up(request, err);
	if (r == 0 || request->lost_id)
		return r;
	if (request->control_fd >= 0)
		control_send_failed(request->control_fd, err, NULL);
	undo(request);
	return r;
}

static int refuse_foreground(const char *id, struct error *err)
{
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"workspace %s is mounted already, by another command; to stay until its end: "
		"git-overlayfs wait %s --ended",
		id, id);
}

/* 1: it was mounted already, as asked for. */
static int mount_or_join(struct request *request, struct error *err)
{
	const struct mount_arguments *arguments = request->arguments;
	int r;

	for (int attempt = 0; attempt < JOIN_ATTEMPTS_MAX; attempt++) {
		r = request->asked ? request_join(request, err) : 0;
		if (r > 0 && arguments->foreground)
			return refuse_foreground(arguments->config.id, err);
		if (r == 0)
			r = try_mount(request, err);
		if (r >= 0 || !request->lost_id)
			break;
	}
	return r;
}

/* --- the foreground --- */

static int stay(pid_t supervisor)
{
	int status;

	while (waitpid(supervisor, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_STATUS_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_STATUS_FAILED;
}

int mount_perform(struct mount_arguments *arguments, struct error *err)
{
	_cleanup_(request_release) struct request request = {
		.arguments = arguments,
		.way = mount_way_find(),
		.target_fd = -1,
		.fuse_fd = -1,
		.log_fd = -1,
		.control_fd = -1,
	};
	int r = request_prepare(&request, err);

	if (r == 0 && arguments->fake && arguments->config.id)
		r = request_check_free(&request, err);
	if (r == 0 && arguments->fake)
		return EXIT_STATUS_OK;
	if (r == 0)
		r = mount_or_join(&request, err);
	if (r < 0)
		return err->status;
	return r == 0 && arguments->foreground ? stay(request.supervisor) : EXIT_STATUS_OK;
}
