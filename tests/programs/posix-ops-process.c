/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process is: its user, umask, limits; and programs that run. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

/* bob is in alice's group by a supplementary group, carol is in none. */
static const struct {
	const char *name;
	unsigned id;
	gid_t groups[2];
	size_t group_count;
} users[] = {
	{"root", 0, {0}, 1},
	{"alice", 61001, {61001}, 1},
	{"bob", 61002, {61002, 61001}, 2},
	{"carol", 61003, {61003}, 1},
};
#define USERS (sizeof(users) / sizeof(users[0]))

unsigned posix_id(const char *name)
{
	for (size_t i = 0; i < USERS; i++)
		if (strcmp(users[i].name, name) == 0)
			return users[i].id;
	return strcmp(name, "-") == 0 ? (unsigned)-1 : (unsigned)posix_number(name);
}

/* Effective and real: access(2) asks by the real one. The saved one brings root back. */
void posix_become(const char *name)
{
	for (size_t i = 0; i < USERS; i++) {
		if (strcmp(users[i].name, name) != 0)
			continue;
		if (setresuid(0, 0, 0) < 0 ||
			setgroups(users[i].group_count, users[i].groups) < 0 ||
			setresgid(users[i].id, users[i].id, 0) < 0 ||
			setresuid(users[i].id, users[i].id, 0) < 0)
			posix_die("cannot become %s: %s", name, strerror(errno));
		return;
	}
	posix_die("who is %s?", name);
}

static long op_as(struct posix_run *run, char **args, char *result)
{
	posix_become(args[0]);
	return 0;
}

static long op_umask(struct posix_run *run, char **args, char *result)
{
	umask((mode_t)strtoul(args[0], NULL, 8));
	return 0;
}

static volatile sig_atomic_t too_large;

static void on_too_large(int signal)
{
	too_large++;
}

/* limit SIZE: of files that are written */
static long op_limit(struct posix_run *run, char **args, char *result)
{
	const struct rlimit limit = {(rlim_t)posix_number(args[0]), RLIM_INFINITY};

	signal(SIGXFSZ, on_too_large);
	too_large = 0;
	return setrlimit(RLIMIT_FSIZE, &limit) < 0 ? -errno : 0;
}

/* How many SIGXFSZ came since the limit was set. */
static long op_signals(struct posix_run *run, char **args, char *result)
{
	return too_large;
}

/* exec PATH: its exit status, or why it could not be run */
static long op_exec(struct posix_run *run, char **args, char *result)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		char *argv[] = {args[0], args[1], NULL};

		execv(args[0], argv);
		_exit(errno < 200 ? 50 + errno : 49);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	if (!WIFEXITED(status))
		return -EINTR;
	return WEXITSTATUS(status) >= 50 ? -(WEXITSTATUS(status) - 50) : WEXITSTATUS(status);
}

/* start N PATH: runs "PATH 100" until the end of the script, or `stop N` */
static long op_start(struct posix_run *run, char **args, char *result)
{
	int ends[2], error = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		char *argv[] = {args[1], (char *)"100", NULL};

		execv(args[1], argv);
		error = errno;
		_exit(write(ends[1], &error, sizeof(error)) < 0);
	}
	close(ends[1]);
	/* Ends when execve has closed it. */
	if (read(ends[0], &error, sizeof(error)) < 0)
		error = errno;
	close(ends[0]);
	run->children[atoi(args[0]) % POSIX_HANDLES] = pid;
	return -error;
}

static long op_stop(struct posix_run *run, char **args, char *result)
{
	int *child = &run->children[atoi(args[0]) % POSIX_HANDLES];

	kill(*child, SIGKILL);
	waitpid(*child, NULL, 0);
	*child = 0;
	return 0;
}

const struct posix_op posix_process_ops[] = {
	{"as", 1, false, op_as},
	{"umask", 1, false, op_umask},
	{"limit", 1, false, op_limit},
	{"signals", 0, true, op_signals},
	{"exec", 1, true, op_exec},
	{"start", 2, false, op_start},
	{"stop", 1, false, op_stop},
	{NULL},
};
