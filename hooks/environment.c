/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

static bool is_ours(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/*
 * Engines often give hooks a bare environment. The directories are then those which
 * the user's own `git-overlayfs list` looks into where XDG_RUNTIME_DIR is as usual, or not set.
 */
static int find_user_directories(const char *runtime, const char *state, const char *home)
{
	const struct passwd *entry = getpwuid(engine_user());
	char path[64];
	int r = 0;

	if (!runtime) {
		snprintf(path, sizeof(path), "/run/user/%u", engine_user());
		if (is_ours(path)) {
			r = setenv("XDG_RUNTIME_DIR", path, 1);
		} else {
			snprintf(path, sizeof(path), "/tmp/git-overlayfs-%u", engine_user());
			r = setenv("GIT_OVERLAYFS_RUN_DIR", path, 1);
		}
	}
	if (!r && !state && !home) {
		snprintf(path, sizeof(path), "/var/tmp/git-overlayfs-%u", engine_user());
		r = entry && is_ours(entry->pw_dir) ? setenv("HOME", entry->pw_dir, 1)
						    : setenv("GIT_OVERLAYFS_STATE_DIR", path, 1);
	}
	return r < 0 ? -errno : 0;
}

static int keep(const char *name, const char *value)
{
	return !value || setenv(name, value, 1) == 0 ? 0 : -errno;
}

static char *copy_path(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? strdup(value) : NULL;
}

int hook_clean_environment(void)
{
	_cleanup_free_ char *runtime = copy_path("XDG_RUNTIME_DIR");
	_cleanup_free_ char *state = copy_path("XDG_STATE_HOME");
	_cleanup_free_ char *home = copy_path("HOME");
	int r;

	if (clearenv() != 0)
		return -ENOMEM;
	r = keep("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
	if (r || engine_is_rootful())
		return r;
	r = keep("XDG_RUNTIME_DIR", runtime);
	r = r ? r : keep("XDG_STATE_HOME", state);
	r = r ? r : keep("HOME", home);
	return r ? r : find_user_directories(runtime, state, home);
}
