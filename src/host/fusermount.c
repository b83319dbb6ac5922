/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/mount.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

#define PROGRAM		   "fusermount3"
#define DEFAULT_PATH	   "/usr/local/bin:/usr/bin:/bin"
#define TIMEOUT_MS	   30000
#define OPTIONS_MAX	   4096
#define COMMFD		   3 /* the socket's number in the child */
#define COMMFD_ENVIRONMENT "_FUSE_COMMFD=3"

int mount_find_fusermount(char *ret_path, size_t size, struct error *err)
{
	const char *path = getenv("PATH");

	if (!path || !*path)
		path = DEFAULT_PATH;
	while (*path) {
		size_t n = strcspn(path, ":");

		if (path[0] == '/' &&
			(size_t)snprintf(ret_path, size, "%.*s/" PROGRAM, (int)n, path) < size &&
			access(ret_path, X_OK) == 0)
			return 0;
		path += n + (path[n] == ':');
	}
	return error_set(err, ENOENT, EXIT_STATUS_MACHINE,
		PROGRAM " is not installed, and a plain user cannot mount without it: "
			"'apt install fuse3' or 'dnf install fuse3', or mount as root");
}

struct helper {
	pid_t pid;
	int socket_fd; /* ours, -1: none */
	int stderr_fd;
};

static void helper_end(struct helper *helper)
{
	close_keep_errno(helper->socket_fd);
	close_keep_errno(helper->stderr_fd);
}

/* In the child. Only async-signal-safe calls: the parent may have threads. */
__attribute__((noreturn)) static void exec_helper(
	const char *program, const char *const argv[], int socket_fd, int stderr_fd)
{
	const char *const environment[] = {
		COMMFD_ENVIRONMENT, "LC_ALL=C", "PATH=" DEFAULT_PATH, NULL};
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Above the numbers that dup2() is about to fill. */
	null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, COMMFD + 1);
	stderr_fd = fcntl(stderr_fd, F_DUPFD_CLOEXEC, COMMFD + 1);
	socket_fd = socket_fd < 0 ? null_fd : fcntl(socket_fd, F_DUPFD_CLOEXEC, COMMFD + 1);
	if (dup2(null_fd, 0) == 0 && dup2(null_fd, 1) == 1 && dup2(stderr_fd, 2) == 2 &&
		dup2(socket_fd, COMMFD) == COMMFD)
		execve(program, (char *const *)argv, (char *const *)environment);
	_exit(127);
}

static int start_helper(const char *program, const char *const argv[], bool with_socket,
	struct helper *ret, struct error *err)
{
	_cleanup_close_ int ours = -1, theirs = -1, read_end = -1, write_end = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, PROGRAM);
	read_end = fds[0];
	write_end = fds[1];
	if (with_socket) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
			return error_set_errno(err, errno, EXIT_STATUS_FAILED, PROGRAM);
		ours = fds[0];
		theirs = fds[1];
	}
	ret->pid = fork();
	if (ret->pid == 0)
		exec_helper(program, argv, theirs, write_end);
	if (ret->pid < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, PROGRAM);
	ret->socket_fd = steal_fd(&ours);
	ret->stderr_fd = steal_fd(&read_end);
	return 0;
}

/* Everything the helper says, until it closes its standard error. False on a timeout. */
static bool read_words(int fd, char *text, size_t size)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	char discard[256];
	size_t used = 0;
	bool ended = false;

	while (!ended) {
		bool full = used + 1 >= size;
		ssize_t n;

		if (TEMP_FAILURE_RETRY(poll(&pollfd, 1, TIMEOUT_MS)) <= 0)
			break;
		n = full ? read(fd, discard, sizeof(discard))
			 : read(fd, text + used, size - used - 1);
		ended = n == 0 || (n < 0 && errno != EINTR);
		used += n > 0 && !full ? (size_t)n : 0;
	}
	text[used] = '\0';
	return ended;
}

/* The last line that the helper said, without its own name in front. */
static const char *last_words(char *text)
{
	char *line;

	while (*text && text[strlen(text) - 1] == '\n')
		text[strlen(text) - 1] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (strncmp(line, PROGRAM ": ", strlen(PROGRAM ": ")) == 0)
		line += strlen(PROGRAM ": ");
	return line;
}

/* Waits for the helper; what it said becomes the error. */
static int finish_helper(struct helper *helper, struct error *err)
{
	char text[1024] = "";
	const char *words;
	int status = 0;

	if (!read_words(helper->stderr_fd, text, sizeof(text)))
		kill(helper->pid, SIGKILL);
	while (waitpid(helper->pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set_errno(err, errno, EXIT_STATUS_FAILED, PROGRAM);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	words = last_words(text);
	if (strstr(words, "busy"))
		return error_set(err, EBUSY, EXIT_STATUS_BUSY, PROGRAM ": %s", words);
	if (strstr(words, "not determine username"))
		return error_set(err, EPERM, EXIT_STATUS_MACHINE,
			PROGRAM ": %s: user id %u has no name; add a line for it to /etc/passwd, "
				"or mount as root",
			words, (unsigned)getuid());
	if (*words)
		return error_set(err, EPERM, EXIT_STATUS_MACHINE, PROGRAM ": %s", words);
	return error_set(err, EIO, EXIT_STATUS_MACHINE,
		WIFSIGNALED(status) ? PROGRAM " was killed by signal %d"
				    : PROGRAM " failed with status %d",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static int receive_fd(int socket_fd, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	if (TEMP_FAILURE_RETRY(recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)) < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&message);
	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
		cmsg->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EBADMSG;
	memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
	return 0;
}

/* Appends `name` or `name=value`; in a value the helper takes backslashes as escapes. */
static bool add_option(char *text, size_t size, const char *name, const char *value)
{
	size_t n = strlen(text);

	n += (size_t)snprintf(text + n, size - n, "%s%s", n ? "," : "", name);
	for (; value && *value && n + 2 < size; value++) {
		if (*value == ',' || *value == '\\')
			text[n++] = '\\';
		text[n++] = *value;
	}
	if (n + 2 >= size)
		return false;
	text[n] = '\0';
	return true;
}

static bool build_options(char *text, size_t size, const struct fuse_mount_options *options)
{
	const struct {
		const char *name;
		bool wanted;
	} flags[] = {
		{"default_permissions", true},
		{"allow_other", options->allow_other},
		{"ro", options->read_only},
		{"nosuid", options->nosuid},
		{"nodev", options->nodev},
		{"noexec", options->noexec},
		{"noatime", true},
	};

	text[0] = '\0';
	if (!add_option(text, size, "fsname=", options->source) ||
		!add_option(text, size, "subtype=git-overlayfs", NULL))
		return false;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].wanted && !add_option(text, size, flags[i].name, NULL))
			return false;
	return true;
}

int mount_fusermount(const char *mountpoint, const struct fuse_mount_options *options,
	int *ret_fuse_fd, struct error *err)
{
	_cleanup_(helper_end) struct helper helper = {.socket_fd = -1, .stderr_fd = -1};
	char program[PATH_MAX], text[OPTIONS_MAX];
	const char *argv[] = {PROGRAM, "-o", text, "--", mountpoint, NULL};
	int r = mount_find_fusermount(program, sizeof(program), err);

	if (r)
		return r;
	if (!build_options(text, sizeof(text), options))
		return error_set(
			err, ENAMETOOLONG, EXIT_STATUS_USAGE, PROGRAM ": options too long");
	r = start_helper(program, argv, true, &helper, err);
	if (!r)
		r = finish_helper(&helper, err);
	if (r)
		return r;
	r = receive_fd(helper.socket_fd, ret_fuse_fd);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE,
			PROGRAM " sent no descriptor of "
				"/dev/fuse");
	return 0;
}

static int unmount_by_helper(const char *mountpoint, bool lazy, struct error *err)
{
	_cleanup_(helper_end) struct helper helper = {.socket_fd = -1, .stderr_fd = -1};
	char program[PATH_MAX];
	const char *argv[] = {PROGRAM, "-u", "--", mountpoint, NULL, NULL};
	int r = mount_find_fusermount(program, sizeof(program), err);

	if (r)
		return r;
	if (lazy) {
		argv[2] = "-z";
		argv[3] = "--";
		argv[4] = mountpoint;
	}
	r = start_helper(program, argv, false, &helper, err);
	return r ? r : finish_helper(&helper, err);
}

int mount_unmount(const char *mountpoint, bool lazy, struct error *err)
{
	if (umount2(mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	switch (errno) {
	case EPERM:
		return unmount_by_helper(mountpoint, lazy, err);
	case EBUSY:
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"'%s' is in use: a process has a file open in it, or its working directory",
			mountpoint);
	case EINVAL:
		return error_set(
			err, EINVAL, EXIT_STATUS_FAILED, "'%s' is not a mountpoint", mountpoint);
	default:
		return error_set_errno(
			err, errno, EXIT_STATUS_FAILED, "cannot unmount '%s'", mountpoint);
	}
}
