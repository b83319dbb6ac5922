/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/workspace.h>

#include "command.h"
#include "dead.h"
#include "holders.h"
#include "host/mountinfo.h"
#include "util/cleanup.h"

/* A supervisor has up to 7 s until it kills a daemon that does not end. */
#define GONE_TIMEOUT_MS 15000
/* And then it waits for the disk where the upper is kept. */
#define SYNCED_TIMEOUT_MS 600000

enum { KEY_LAZY = 'l', KEY_ABORT = 256 };

struct words {
	bool lazy, abort;
};

static const struct cli_option umount_options[] = {
	{KEY_LAZY, "lazy", NULL, "detach it now, even where it is in use"},
	{KEY_ABORT, "abort", NULL, "cut the connection of a mount that is stuck"},
	{0},
};

static int take_option(void *ctx, int key, const char *value, struct error *err)
{
	struct words *words = ctx;

	words->lazy |= key == KEY_LAZY;
	words->abort |= key == KEY_ABORT;
	return 0;
}

/*
 * The number of its connection; 0: it has none any more. One that is detached, or of another mount
 * namespace, shows in no table of ours: the record knows it, and it is its own while the daemon
 * lives.
 */
static unsigned find_connection(const struct workspace_info *info)
{
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};

	if (mountinfo_find(info->mountpoint, &mount) == 0 && !strcmp(mount.type, MOUNTINFO_OURS) &&
		(!info->connection || mount.minor == info->connection))
		return mount.minor;
	return info->daemon > 0 && kill(info->daemon, 0) == 0 ? info->connection : 0;
}

/* Every request that waits gets ECONNABORTED, and nobody is asked any more. */
static int abort_connection(const struct workspace_info *info, struct error *err)
{
	unsigned connection = find_connection(info);
	_cleanup_close_ int fd = -1;
	char path[64];

	if (!connection)
		return 0;
	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", connection);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) == 1)
		return 0;
	/* Without fusectl, or where it is not this user's: the daemon's death does the same. */
	if (info->alive && info->daemon > 0 && kill(info->daemon, SIGKILL) == 0)
		return 0;
	return error_set_errno(err, errno, EXIT_STATUS_FAILED,
		"cannot abort the connection of %s (mount -t fusectl none /sys/fs/fuse/connections)",
		info->mountpoint);
}

static int busy(const char *mountpoint, struct error *err)
{
	char who[256];

	holders_describe(mountpoint, who, sizeof(who));
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"%s is in use%s%s; end what uses it, or detach it with --lazy", mountpoint,
		*who ? " by " : "", who);
}

/*
 * What is on top must be ours, and this one's where its connection is known (0: it is not):
 * umount(2) takes whatever it finds there.
 */
static int check_top(const char *mountpoint, unsigned connection, struct error *err)
{
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};

	if (mountinfo_find(mountpoint, &mount) < 0)
		return -EINVAL;
	if (!strcmp(mount.type, MOUNTINFO_OURS))
		return connection && mount.minor != connection ? -EINVAL : 0;
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"%s is covered by another mount (%s on top of it); unmount that first", mountpoint,
		mount.type);
}

static int unmount(
	const char *mountpoint, unsigned connection, const struct words *words, struct error *err)
{
	bool lazy = words->lazy || words->abort;
	int r = check_top(mountpoint, connection, err);

	if (r < 0)
		return r;
	r = mount_unmount(mountpoint, lazy, err);
	return r == -EBUSY ? busy(mountpoint, err) : r;
}

/* Unmounted here: as long as it does not end for that, another mount namespace has the mount. */
static bool is_still_served(const char *id)
{
	_cleanup_(workspace_info_release) struct workspace_info now = {0};
	struct error ignored = {0};

	return workspace_find(id, &now, &ignored) == 0 && now.alive && now.state == WORKSPACE_READY;
}

static int elsewhere(const struct workspace_info *info, struct error *err)
{
	char who[256];

	holders_describe_namespaces(info->connection, who, sizeof(who));
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"workspace %s is unmounted here, but stands in another mount namespace%s%s; it "
		"ends with that, or with --abort",
		info->id, *who ? ": " : "", who);
}

static int wait_gone(
	const struct workspace_info *info, const struct words *words, struct error *err)
{
	/* Who detaches does not wait for those who still use it. */
	int r = workspace_wait_gone(info->id, words->lazy ? 500 : GONE_TIMEOUT_MS);

	if (r == 0 || words->lazy)
		return 0;
	if (r == -ETIMEDOUT && is_still_served(info->id))
		return elsewhere(info, err);
	if (r == -ETIMEDOUT && info->keep && !words->abort)
		r = workspace_wait_gone(info->id, SYNCED_TIMEOUT_MS);
	if (r == 0)
		return 0;
	return error_set_errno(err, -r, EXIT_STATUS_FAILED,
		"workspace %s is unmounted but does not end (supervisor %d)", info->id,
		(int)info->supervisor);
}

static int end_workspace(
	const struct workspace_info *info, const struct words *words, struct error *err)
{
	int r = 0;

	if (!info->alive)
		return dead_remove(info, err);
	if (*info->container)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"workspace %s belongs to container %s; it ends with the container",
			info->id, info->container);
	if (words->abort)
		r = abort_connection(info, err);
	if (r == 0)
		r = unmount(info->mountpoint, info->connection, words, err);
	/* Unmounted by somebody else, or the supervisor was quicker: it is on its way. */
	if (r == -EINVAL || r == -ENOENT || (r < 0 && words->abort)) {
		*err = (struct error){0};
		r = 0;
	}
	return r == 0 ? wait_gone(info, words, err) : r;
}

/* A mount of ours whose record this user does not have. */
static int unmount_unknown(const char *path, const struct words *words, struct error *err)
{
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};
	char resolved[PATH_MAX];

	if (mountinfo_find(realpath(path, resolved) ? resolved : path, &mount) < 0 ||
		strcmp(mount.type, MOUNTINFO_OURS))
		return error_set(err, ENOENT, EXIT_STATUS_FAILED,
			"no workspace is named or mounted at '%s'; git-overlayfs list shows them",
			path);
	*err = (struct error){0};
	return unmount(mount.mountpoint, 0, words, err);
}

static int run_umount(int argc, char **argv, struct error *err)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	struct words words = {0};
	int first, r;

	r = cli_parse(argc, argv, &command_umount, take_option, &words, &first, err);
	if (r == 0 && argc - first != 1)
		r = error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"write git-overlayfs umount MOUNTPOINT, or the id of a workspace");
	if (r < 0)
		return err->status;
	r = workspace_find(argv[first], &info, err);
	if (r == -ENOENT)
		r = unmount_unknown(argv[first], &words, err);
	else if (r == 0)
		r = end_workspace(&info, &words, err);
	return r < 0 ? err->status : EXIT_STATUS_OK;
}

const struct command command_umount = {
	.name = "umount",
	.arguments = "MOUNTPOINT|ID",
	.help = "unmount a workspace, and wait until it has ended",
	.options = umount_options,
	.run = run_umount,
};
