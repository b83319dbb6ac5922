/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hook.h"
#include "util/cleanup.h"

/* What the user can do about a volume that has no place in the workspace. */
#define REMEDY "mount the volume elsewhere, or the workspace"

void volumes_init(struct volumes *volumes, const char *target)
{
	volumes->target = target;
	volumes->count = 0;
}

void volumes_release(struct volumes *volumes)
{
	for (size_t i = 0; i < volumes->count; i++) {
		free(volumes->items[i].path);
		close_keep_errno(volumes->items[i].fd);
	}
	volumes->count = 0;
}

int volumes_add(struct volumes *volumes, const char *path, struct error *err)
{
	struct volume volume = {.fd = -1};

	if (volumes->count == VOLUMES_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_FAILED,
			"target '%s': more than %d volumes lie below it; mount them elsewhere, "
			"or the workspace",
			volumes->target, VOLUMES_MAX);
	volume.path = strdup(path);
	if (!volume.path)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	volumes->items[volumes->count++] = volume;
	return 0;
}

static bool is_below(const char *path, const char *above)
{
	size_t n = strlen(above);

	return strncmp(path, above, n) == 0 && path[n] == '/';
}

static bool is_hidden(const struct volumes *volumes, const char *path)
{
	for (size_t i = 0; i < volumes->count; i++)
		if (is_below(path, volumes->items[i].path))
			return true;
	return false;
}

void volumes_drop_hidden(struct volumes *volumes)
{
	bool drop[VOLUMES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < volumes->count; i++)
		drop[i] = is_hidden(volumes, volumes->items[i].path);
	for (size_t i = 0; i < volumes->count; i++) {
		if (drop[i])
			free(volumes->items[i].path);
		else
			volumes->items[count++] = volumes->items[i];
	}
	volumes->count = count;
}

bool volumes_lead_through(const struct volumes *volumes, const char *name)
{
	for (size_t i = 0; i < volumes->count; i++)
		if (strcmp(volumes->items[i].path, name) == 0 ||
			is_below(volumes->items[i].path, name))
			return true;
	return false;
}

/* Never leaves dirfd, and takes no symbolic link for anything but an obstacle. */
static int open_beneath(int dirfd, const char *path, int flags, unsigned resolve)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_PATH | O_CLOEXEC,
		.resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* A directory that was renamed since the kernel named the mount shows something else there. */
static int open_volume(struct volume *volume, int target_fd)
{
	_cleanup_close_ int fd = open_beneath(target_fd, volume->path, 0, 0);
	struct statx st;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &st) <
		0)
		return -errno;
	if (!(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return -ESTALE;
	volume->is_dir = S_ISDIR(st.stx_mode);
	volume->fd = steal_fd(&fd);
	return 0;
}

int volumes_open(struct volumes *volumes, int target_fd, struct error *err)
{
	for (size_t i = 0; i < volumes->count; i++) {
		struct volume *volume = &volumes->items[i];
		int r = open_volume(volume, target_fd);

		if (r < 0)
			return error_set_errno(err, -r, EXIT_STATUS_FAILED,
				"target '%s': the volume on '%s/%s' cannot be opened",
				volumes->target, volumes->target, volume->path);
	}
	return 0;
}

/* The mode is what runtimes give mountpoints that they make; the hook has set the umask. */
static int make_entry(int dirfd, const char *name, bool is_dir)
{
	_cleanup_close_ int fd = -1;

	if (is_dir)
		return mkdirat(dirfd, name, 0755) < 0 ? -errno : 0;
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : 0;
}

/* One component further; *made: it was not there. */
static int step(int dirfd, const char *name, bool is_dir, bool *made)
{
	int flags = is_dir ? O_DIRECTORY : 0;
	int fd = open_beneath(dirfd, name, flags, RESOLVE_NO_XDEV), r;

	if (fd != -ENOENT)
		return fd;
	r = make_entry(dirfd, name, is_dir);
	if (r < 0)
		return r;
	*made = true;
	return open_beneath(dirfd, name, flags, RESOLVE_NO_XDEV);
}

/* The mountpoint of a volume in the workspace, component by component. */
static int make_mountpoint(struct volume *volume, int mount_fd, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	char names[PATH_MAX], *save = NULL;
	size_t length = strlen(volume->path);

	if (length >= sizeof(names))
		return -ENAMETOOLONG;
	memcpy(names, volume->path, length + 1);
	volume->existing = 0;
	for (char *name = strtok_r(names, "/", &save), *next; name; name = next) {
		int at = fd >= 0 ? fd : mount_fd, found;

		next = strtok_r(NULL, "/", &save);
		found = step(at, name, next || volume->is_dir, &volume->is_made);
		if (found < 0)
			return found;
		close_keep_errno(fd);
		fd = found;
		volume->existing += !volume->is_made;
	}
	*ret_fd = steal_fd(&fd);
	return 0;
}

static bool is_directory(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
	       S_ISDIR(st.stx_mode);
}

/* move_mount(2) keeps to descriptors: what was opened is what moves. */
static int move_volume(const struct volume *volume, int to_fd)
{
	if (is_directory(to_fd) != volume->is_dir)
		return volume->is_dir ? -ENOTDIR : -EISDIR;
	if (move_mount(volume->fd, "", to_fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static const char *obstacle(int code)
{
	switch (code) {
	case ELOOP:
		return "the workspace has a symbolic link in that place";
	case ENOTDIR:
		return "the workspace has a file in that place, where a directory is needed";
	case EISDIR:
		return "the workspace has a directory in that place, where a file is needed";
	case EROFS:
		return "the workspace is read-only and has nothing in that place to mount on";
	case EINVAL:
		return "the kernel does not let it be moved (move_mount): its mount is locked, or "
		       "the one around it shared";
	default:
		return NULL;
	}
}

static int refuse(
	const struct volumes *volumes, const struct volume *volume, int code, struct error *err)
{
	const char *what = obstacle(code);

	if (what)
		return error_set(err, code, EXIT_STATUS_FAILED,
			"target '%s': the volume on '%s/%s' would be hidden: %s; " REMEDY,
			volumes->target, volumes->target, volume->path, what);
	return error_set_errno(err, code, EXIT_STATUS_FAILED,
		"target '%s': the volume on '%s/%s' has no place in the workspace", volumes->target,
		volumes->target, volume->path);
}

int volumes_attach(struct volumes *volumes, int mount_fd, struct error *err)
{
	for (size_t i = 0; i < volumes->count; i++) {
		struct volume *volume = &volumes->items[i];
		_cleanup_close_ int fd = -1;
		int r = make_mountpoint(volume, mount_fd, &fd);

		if (!r)
			r = move_volume(volume, fd);
		if (r < 0)
			return refuse(volumes, volume, -r, err);
		volume->is_moved = true;
	}
	return 0;
}

/* An upper that was given outlives us: an empty file or directory of ours must not. */
static void remove_mountpoint(struct volume *volume, int mount_fd)
{
	char *slash = strrchr(volume->path, '/');
	const char *name = slash ? slash + 1 : volume->path;
	_cleanup_close_ int fd = -1;

	if (!volume->is_made)
		return;
	if (!volume->is_dir && slash) {
		*slash = '\0';
		fd = open_beneath(mount_fd, volume->path, O_DIRECTORY, RESOLVE_NO_XDEV);
		*slash = '/';
	}
	if (!volume->is_dir)
		unlinkat(slash ? fd : mount_fd, name, 0);
	target_remove_made(mount_fd, volume->path, volume->existing);
	volume->is_made = false;
}

void volumes_give_back(struct volumes *volumes, int target_fd, int mount_fd)
{
	for (size_t i = volumes->count; i > 0; i--) {
		struct volume *volume = &volumes->items[i - 1];
		_cleanup_close_ int fd = -1;

		/* From the covered directory, which leads past what covers it. */
		if (volume->is_moved)
			fd = open_beneath(target_fd, volume->path, 0, RESOLVE_NO_XDEV);
		if (fd >= 0 && move_volume(volume, fd) == 0)
			volume->is_moved = false;
		remove_mountpoint(volume, mount_fd);
	}
}
