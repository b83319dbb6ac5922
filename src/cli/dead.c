/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dead.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>

#include "host/mountinfo.h"
#include "host/workspace-internal.h"
#include "util/cleanup.h"

struct dead_walk {
	int (*each)(void *ctx, const struct workspace_info *info);
	void *ctx;
};

static int pass_dead(void *ctx, const struct workspace_info *info)
{
	const struct dead_walk *walk = ctx;

	return info->alive || info->begun ? 0 : walk->each(walk->ctx, info);
}

static bool has_record(int run_fd, const char *id)
{
	return run_fd >= 0 && faccessat(run_fd, id, F_OK, 0) == 0;
}

/* Between the state directory and the lock on its upper nobody holds it. */
static bool is_young(int base_fd, const char *id)
{
	_cleanup_close_ int fd =
		openat(base_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && workspace_is_begun(fd);
}

/* Uppers without a record, which a reboot took, and that nobody wanted to keep. */
static int pass_uppers(const struct dead_walk *walk, struct error *err)
{
	_cleanup_free_ char *run = NULL;
	_cleanup_close_ int run_fd = -1;
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int r = workspace_base_list(WORKSPACE_STATE, &dir, err);

	if (r == 0 && dir)
		r = workspace_base_open(WORKSPACE_RUN, false, &run, &run_fd, err);
	if (r < 0 && r != -ENOENT)
		return r;
	r = 0;
	while (r == 0 && dir && (entry = readdir(dir))) {
		char none[] = "";
		struct workspace_info info = {
			.id = entry->d_name, .mountpoint = none, .container = none};

		if (workspace_id_is_valid(entry->d_name) && !has_record(run_fd, entry->d_name) &&
			!workspace_state_is_kept(dirfd(dir), entry->d_name) &&
			!is_young(dirfd(dir), entry->d_name) &&
			!workspace_upper_is_held(dirfd(dir), entry->d_name))
			r = walk->each(walk->ctx, &info);
	}
	return r;
}

int dead_for_each(
	int (*each)(void *ctx, const struct workspace_info *info), void *ctx, struct error *err)
{
	struct dead_walk walk = {.each = each, .ctx = ctx};
	int r = workspace_for_each(pass_dead, &walk, err);

	if (r == 0)
		r = pass_uppers(&walk, err);
	if (r == -ENOMEM)
		error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	return r;
}

/*
 * One that has come to life meanwhile is -EBUSY, one that lives by another record is
 * -EADDRINUSE, and both are left alone.
 */
int dead_remove(const struct workspace_info *info, struct error *err)
{
	int r = 0;

	if (!*info->container && *info->mountpoint && mountinfo_is_dead(info->mountpoint))
		r = mount_unmount(info->mountpoint, true, err);
	return r < 0 ? r : workspace_clear(info->id, err);
}
