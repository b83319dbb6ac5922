/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define VARIABLE "GIT_OVERLAYFS_RUNTIME"
#define SEARCH	 "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* "PID:N": so often has this process become a runtime. Nested wrappers are few, circles have no
 * end. */
#define TURNS	  "GIT_OVERLAYFS_RUNTIME_TURNS"
#define TURNS_MAX 4

static bool is_ourselves(const struct stat *st)
{
	struct stat self;

	return stat("/proc/self/exe", &self) == 0 && self.st_dev == st->st_dev &&
	       self.st_ino == st->st_ino;
}

static bool is_runtime(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0 &&
	       !is_ourselves(&st);
}

/* 0 and *ret_path NULL: it is nowhere. A directory that is not absolute is the caller's cwd. */
static int search_name(const char *name, const char *search, char **ret_path)
{
	const char *dir = search;

	for (;;) {
		size_t length = strcspn(dir, ":");
		char *path;

		if (dir[0] == '/') {
			if (asprintf(&path, "%.*s/%s", (int)length, dir, name) < 0)
				return -ENOMEM;
			if (is_runtime(path)) {
				*ret_path = path;
				return 0;
			}
			free(path);
		}
		if (!dir[length])
			return 0;
		dir += length + 1;
	}
}

int runtime_find(const char *name, const char *search, char **ret_path, struct error *err)
{
	const char *slash = strrchr(name, '/');
	const char *names[] = {"runc", "crun"};
	char *path = NULL;
	int r = 0;

	/* Who is called crun stands for crun. */
	if (strcmp(slash ? slash + 1 : name, "crun") == 0) {
		names[0] = "crun";
		names[1] = "runc";
	}
	for (size_t i = 0; !r && !path && i < 2; i++)
		r = search_name(names[i], search && search[0] ? search : SEARCH, &path);
	if (r < 0)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	if (!path)
		return error_set(err, ENOENT, EXIT_STATUS_MACHINE,
			"neither runc nor crun is in PATH; install one, or set " VARIABLE
			" to its path");
	*ret_path = path;
	return 0;
}

static int given(const char *path, char **ret_path, struct error *err)
{
	struct stat st;

	if (path[0] != '/')
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			VARIABLE " '%.200s': no absolute path", path);
	if (stat(path, &st) == 0 && is_ourselves(&st))
		return error_set(err, ELOOP, EXIT_STATUS_USAGE,
			VARIABLE " '%.200s': names this program; name runc or crun", path);
	*ret_path = strdup(path);
	return *ret_path ? 0 : error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

/* A copy of us, or a script that calls us, may stand where we look for the runtime. */
static int count_turn(const char *path, struct error *err)
{
	const char *text = getenv(TURNS);
	int pid = 0, turns = 0;
	char now[40];

	if (!text || sscanf(text, "%d:%d", &pid, &turns) != 2 ||
		pid != getpid()) /* NOLINT(cert-err34-c) */
		turns = 0;
	if (turns >= TURNS_MAX)
		return error_set(err, ELOOP, EXIT_STATUS_USAGE,
			"%.200s leads back here; set " VARIABLE " to the path of runc or crun",
			path);
	snprintf(now, sizeof(now), "%d:%d", (int)getpid(), turns + 1);
	return setenv(TURNS, now, 1) < 0
		       ? error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory")
		       : 0;
}

int runtime_exec(char *argv[], struct error *err)
{
	const char *own = getenv(VARIABLE);
	_cleanup_free_ char *path = NULL;
	int r = own && own[0] ? given(own, &path, err)
			      : runtime_find(argv[0] ? argv[0] : "", getenv("PATH"), &path, err);

	if (!r)
		r = count_turn(path, err);
	if (r < 0)
		return r;
	argv[0] = path;
	execve(path, argv, environ);
	return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "runtime %.200s", path);
}
