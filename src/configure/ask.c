/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

#define LIMIT_MS (60 * 1000)
#define TEXT_MAX (1 << 20)

extern char **environ;

/* Its output goes to a file in memory: nobody has to read while it runs. */
static int start(const char *const words[], int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&attributes) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -ENOMEM;
	}
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out_fd, STDERR_FILENO);
	r = posix_spawnp(ret_pid, words[0], &actions, &attributes, (char *const *)words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* 0 and the status as a shell has it, or -ETIMEDOUT. Either way the process has ended. */
static int wait_for(pid_t pid, int *ret_status)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int status, r = 0;

	if (fd >= 0 && poll(&poll_fd, 1, LIMIT_MS) == 0) {
		kill(pid, SIGKILL);
		r = -ETIMEDOUT;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return r;
}

static char *read_back(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text;
	ssize_t n;

	if (size < 0 || size > TEXT_MAX)
		size = TEXT_MAX;
	text = malloc((size_t)size + 1);
	if (!text)
		return NULL;
	n = pread(fd, text, (size_t)size, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

int ask_program(const char *const words[], struct answer *ret_answer)
{
	_cleanup_close_ int out_fd = memfd_create("answer", MFD_CLOEXEC);
	struct answer answer;
	pid_t pid;
	int r;

	if (out_fd < 0)
		return -errno;
	r = start(words, out_fd, &pid);
	if (r == 0)
		r = wait_for(pid, &answer.status);
	if (r < 0)
		return r;
	answer.text = read_back(out_fd);
	if (!answer.text)
		return -ENOMEM;
	*ret_answer = answer;
	return 0;
}

const char *answer_last_line(char *text)
{
	char *end = text + strlen(text), *line;

	while (end > text && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return *line ? line : "it says nothing";
}
