/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the broker comes to be, and what it gives up before it hears the daemon. */
#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/control.h"
#include "util/cleanup.h"
#include "util/pages.h"

/* Where the process keeps what it holds; above them nothing stays open. */
enum { AT_DAEMON = 3, AT_SETUP, AT_COUNT };

/* Who is root towards no file system. */
#define NOBODY 65534

/*
 * An overlayfs gives files devices of their own, by the layer that they lie in: those of new ones
 * is that of its upper.
 */
static int device_of_files(const struct broker_wish *wish, dev_t *ret_device)
{
	_cleanup_close_ int fd = -1;
	struct statfs fs;
	struct stat st;

	if (fstatfs(wish->work_fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC)
		fd = openat(wish->work_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fstat(fd < 0 ? wish->upper_fd : fd, &st) < 0)
		return -errno;
	*ret_device = st.st_dev;
	return 0;
}

/* The ids that a process makes files with, as this user namespace sees them. */
static int read_fs_ids(pid_t pid, uid_t *ret_uid, gid_t *ret_gid)
{
	bool has_uid = false, has_gid = false;
	char line[256];
	FILE *file;

	snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
	file = fopen(line, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Uid: %*u %*u %*u %u", ret_uid) == 1)
			has_uid = true;
		if (sscanf(line, "Gid: %*u %*u %*u %u", ret_gid) == 1)
			has_gid = true;
	}
	fclose(file);
	return has_uid && has_gid ? 0 : -ESRCH;
}

/*
 * Whether it keeps blocks for root, and knows root by the id. None of these asks for the id when
 * a file is opened, as a server of files does.
 */
static bool has_reserve(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == F2FS_SUPER_MAGIC);
}

/*
 * The kernel keeps the credentials of who registers a file, and uses them to open, read and write
 * it, whoever writes: they must be no more than the daemon's. The ids count for servers that ask
 * who it is, and root's for blocks that are reserved to root, which nobody is to have through a
 * mount; of the capabilities CAP_SYS_RESOURCE would pass by these, and by quotas.
 */
static int become_like(pid_t daemon, bool spares_reserve)
{
	uid_t uid;
	gid_t gid;
	int r = read_fs_ids(daemon, &uid, &gid);

	if (r < 0)
		return r;
	if (uid == 0 && spares_reserve)
		uid = NOBODY;
	if (setgroups(0, NULL) < 0)
		return -errno;
	setfsgid(gid);
	setfsuid(uid);
	/* They tell what was, and never fail: asked for the impossible, they tell what is. */
	return setfsuid((uid_t)-1) == (int)uid && setfsgid((gid_t)-1) == (int)gid ? 0 : -EPERM;
}

/* Moves the two out of the way first: one may be where the other is to be. */
static int keep_only(int daemon_fd, int setup_fd)
{
	int daemon = fcntl(daemon_fd, F_DUPFD_CLOEXEC, AT_COUNT);
	int setup = fcntl(setup_fd, F_DUPFD_CLOEXEC, AT_COUNT);

	if (daemon < 0 || setup < 0 || dup3(daemon, AT_DAEMON, O_CLOEXEC) < 0 ||
		dup3(setup, AT_SETUP, O_CLOEXEC) < 0)
		return -errno;
	close_range(AT_COUNT, ~0U, 0);
	return 0;
}

static int wait_for_device(int *ret_fuse_fd)
{
	struct control_event event = {.fuse_fd = -1};
	int r = control_receive(AT_SETUP, -1, &event, NULL);

	close(AT_SETUP);
	if (r < 0)
		return r;
	*ret_fuse_fd = event.fuse_fd;
	return event.fuse_fd < 0 ? -EPROTO : 0;
}

static enum broker_end run(const struct broker_wish *wish, int setup_fd, pid_t supervisor)
{
	bool spares_reserve = has_reserve(wish->upper_fd);
	dev_t device = 0;
	int fuse_fd = -1, r = device_of_files(wish, &device);

	if (r == 0)
		r = keep_only(wish->daemon_fd, setup_fd);
	if (r == 0)
		r = wait_for_device(&fuse_fd);
	if (r == -EPIPE)
		return BROKER_DONE;
	if (r == 0)
		r = become_like(wish->daemon, spares_reserve);
	/* The change of ids took an earlier wish back. */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		r = -errno;
	if (r == 0 && getppid() != supervisor)
		return BROKER_DONE;
	/* What it does from here on takes little. */
	pages_release();
	if (r == 0)
		r = sandbox_lock_broker(wish->seccomp, NULL);
	return r < 0 ? BROKER_FAILED : broker_serve(AT_DAEMON, fuse_fd, device);
}

int broker_start(const struct broker_wish *wish, struct broker *ret_broker, struct error *err)
{
	pid_t pid, supervisor = getpid();
	int fds[2], pidfd, r = control_pair(fds, err);

	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		_exit(run(wish, fds[1], supervisor));
	}
	close_keep_errno(fds[1]);
	pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
	if (pidfd < 0) {
		r = error_set_errno(err, errno, EXIT_STATUS_FAILED, "broker");
		close(fds[0]);
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		return r;
	}
	*ret_broker = (struct broker){.pid = pid, .pidfd = pidfd, .setup_fd = fds[0]};
	return 0;
}

int broker_give_device(struct broker *broker, int fuse_fd, struct error *err)
{
	int r = control_send_fuse_fd(broker->setup_fd, fuse_fd, err);

	close_keep_errno(steal_fd(&broker->setup_fd));
	return r;
}

enum broker_end broker_wait(struct broker *broker)
{
	int status = 0;

	while (waitpid(broker->pid, &status, 0) < 0 && errno == EINTR)
		;
	close_keep_errno(steal_fd(&broker->pidfd));
	close_keep_errno(steal_fd(&broker->setup_fd));
	return WIFEXITED(status) ? (enum broker_end)WEXITSTATUS(status) : BROKER_FAILED;
}

void broker_end(struct broker *broker)
{
	if (broker->pidfd < 0)
		return;
	pidfd_send_signal(broker->pidfd, SIGKILL, NULL, 0);
	broker_wait(broker);
}

unsigned broker_stack_depth(int upper_fd)
{
	struct statfs fs;

	if (fstatfs(upper_fd, &fs) < 0)
		return 1;
	return fs.f_type == OVERLAYFS_SUPER_MAGIC || fs.f_type == FUSE_SUPER_MAGIC ||
			       fs.f_type == ECRYPTFS_SUPER_MAGIC
		       ? 2
		       : 1;
}
