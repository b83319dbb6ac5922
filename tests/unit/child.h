/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running a part of a test in a child with mounts of its own, as root or as anybody. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_CANNOT 77

/* Its run-time keeps a thread, and only a process with one thread may make user namespaces. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_HAS_THREADS 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define CHILD_HAS_THREADS 1
#endif
#ifndef CHILD_HAS_THREADS
#define CHILD_HAS_THREADS 0
#endif

/* For a function that returns an exit status: tells the line and returns 1. */
#define expect(condition)                                                              \
	do {                                                                           \
		if (!(condition)) {                                                    \
			dprintf(2, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, \
				strerror(errno));                                      \
			return 1;                                                      \
		}                                                                      \
	} while (0)

static inline int child_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -errno : 0;
}

/* A mount namespace, for a plain user in a user namespace in which it is root. */
static inline int child_private_mounts(void)
{
	char uid_map[64], gid_map[64];
	bool root = geteuid() == 0;

	snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
	snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
	if (unshare(root ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0)
		return -errno;
	if (!root && (child_write("/proc/self/setgroups", "deny") ||
			     child_write("/proc/self/uid_map", uid_map) ||
			     child_write("/proc/self/gid_map", gid_map)))
		return -EPERM;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

/*
 * The exit status of a child which runs `action` with private mounts: CHILD_CANNOT where
 * the machine does not let it. What it says on standard error is in `said`.
 */
static inline int child_run(int (*action)(void), char *said, size_t size)
{
	int pipe_fds[2], status = -1;
	size_t used = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int r;

		dup2(pipe_fds[1], 2);
		r = child_private_mounts();
		if (r < 0)
			dprintf(2, "no private mounts: %s\n", strerror(-r));
		_exit(r < 0 ? CHILD_CANNOT : action());
	}
	close(pipe_fds[1]);
	while (used < size - 1 && (n = read(pipe_fds[0], said + used, size - 1 - used)) > 0)
		used += (size_t)n;
	said[used] = '\0';
	close(pipe_fds[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define child_check(action)                                                   \
	do {                                                                  \
		char said[1024];                                              \
		int status = child_run(action, said, sizeof(said));           \
                                                                              \
		if (status == CHILD_CANNOT) {                                 \
			print_message("skipped: %s", said);                   \
			skip();                                               \
		}                                                             \
		if (status != 0)                                              \
			fail_msg("%s: status %d: %s", #action, status, said); \
	} while (0)
