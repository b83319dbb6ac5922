/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into a copy of the program that is never installed, with --wrap=session_serve: a daemon
 * that was taken over. When it is about to serve, a thread makes the call that
 * FORBIDDEN_CALL names, after FORBIDDEN_DELAY milliseconds; with "flood" it sends the supervisor
 * nonsense instead of serving.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/session.h>

int __real_session_serve(struct session *session, int fuse_fd, struct error *err);
int __wrap_session_serve(struct session *session, int fuse_fd, struct error *err);

static const struct {
	const char *name;
	long number;
	long arguments[6];
} calls[] = {
	{"socket", SYS_socket, {AF_INET, SOCK_STREAM}},
	{"execve", SYS_execve, {(long)"/layer", 0, 0}},
	{"fork", SYS_clone, {SIGCHLD}},
	{"ptrace", SYS_ptrace, {PTRACE_TRACEME}},
	{"mount", SYS_mount, {(long)"none", (long)"/upper", (long)"tmpfs"}},
	{"unshare", SYS_unshare, {CLONE_NEWUSER}},
	{"setns", SYS_setns, {0, 0}},
	{"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0}},
	{"bpf", SYS_bpf, {0, 0, 0}},
	{"kill", SYS_kill, {1, 0}},
	{"mmap-exec", SYS_mmap,
		{0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
	{"io_uring_setup", SYS_io_uring_setup, {1, 0}},
	{"keyctl", SYS_keyctl, {0, 0, 0}},
	{"affinity-of-another", SYS_sched_setaffinity, {1, 0, 0}},
	{"scheduler-of-another", SYS_sched_setscheduler, {1, SCHED_IDLE, 0}},
	{"scheduler-fifo", SYS_sched_setscheduler, {0, SCHED_FIFO, 0}},
	{"usage-of-all", SYS_getrusage, {RUSAGE_SELF, 0}},
};

static void *take_over(void *arg)
{
	const char *name = arg, *delay = getenv("FORBIDDEN_DELAY");
	long ms = delay ? strtol(delay, NULL, 10) : 0;
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			syscall(calls[i].number, calls[i].arguments[0], calls[i].arguments[1],
				calls[i].arguments[2], calls[i].arguments[3], calls[i].arguments[4],
				calls[i].arguments[5]);
	return NULL;
}

/* Not a call of its own, but too many of one: nonsense for the supervisor, for ever. */
static void flood(void)
{
	char nonsense[8] = {0};
	struct iovec iov = {.iov_base = nonsense, .iov_len = sizeof(nonsense)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	signal(SIGTERM, SIG_IGN);
	for (;;)
		for (int fd = 3; fd < 64; fd++)
			sendmsg(fd, &message, MSG_NOSIGNAL);
}

int __wrap_session_serve(struct session *session, int fuse_fd, struct error *err)
{
	char *name = getenv("FORBIDDEN_CALL");
	pthread_t thread;

	if (name && strcmp(name, "flood") == 0)
		flood();
	if (name && pthread_create(&thread, NULL, take_over, name) == 0)
		pthread_detach(thread);
	return __real_session_serve(session, fuse_fd, err);
}
