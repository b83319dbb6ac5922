/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/mountinfo.h"
#include "util/cleanup.h"
#include "volumes.h"

/* Opens the first `length` bytes of a path below root_fd, as the container would. */
static int open_prefix(int root_fd, const char *path, size_t length)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	char prefix[PATH_MAX];

	if (length >= sizeof(prefix))
		return -ENAMETOOLONG;
	memcpy(prefix, path, length);
	memcpy(prefix + length, "", 1);
	return (int)syscall(SYS_openat2, root_fd, length ? prefix : "/", &how, sizeof(how));
}

/* The next component: its start, and in *ret_end where it ends. NULL: there is none. */
static const char *next_component(const char *path, const char **ret_end)
{
	path += strspn(path, "/");
	*ret_end = path + strcspn(path, "/");
	return *path ? path : NULL;
}

size_t target_existing(int root_fd, const char *target)
{
	const char *end = target;
	size_t count = 0;

	while (next_component(end, &end)) {
		_cleanup_close_ int fd = open_prefix(root_fd, target, (size_t)(end - target));

		if (fd < 0)
			break;
		count++;
	}
	return count;
}

static void remove_component(int root_fd, const char *target, const char *name, const char *end)
{
	_cleanup_close_ int fd = open_prefix(root_fd, target, (size_t)(name - target));
	char component[NAME_MAX + 1];
	size_t n = (size_t)(end - name);

	if (fd < 0 || n >= sizeof(component))
		return;
	memcpy(component, name, n);
	component[n] = '\0';
	unlinkat(fd, component, AT_REMOVEDIR);
}

void target_remove_made(int root_fd, const char *target, size_t existing)
{
	size_t count = 0;

	for (const char *end = target; next_component(end, &end);)
		count++;
	/* The deepest first; unlinkat(2) leaves alone what is not empty. */
	for (; count > existing; count--) {
		const char *end = target, *name = NULL;

		for (size_t i = 0; i < count; i++)
			name = next_component(end, &end);
		remove_component(root_fd, target, name, end);
	}
}

/* Where a descriptor lies, in this mount namespace. */
static int path_of(int fd, char path[PATH_MAX], struct error *err)
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "%s", link);
	path[n] = '\0';
	if (path[0] != '/')
		return error_set(err, EXDEV, EXIT_STATUS_FAILED,
			"the target was moved while it was being resolved");
	return 0;
}

static int mount_id_of(int fd, int *ret_id, struct error *err)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "statx of the target");
	if (!(st.stx_mask & STATX_MNT_ID))
		return error_set(err, ENOSYS, EXIT_STATUS_MACHINE,
			"the kernel tells no mount ids (statx has them since Linux 5.8)");
	*ret_id = (int)st.stx_mnt_id;
	return 0;
}

/* What the table of mounts is asked for. */
struct question {
	int root_mount, target_mount;
	const char *path;   /* the target in this mount namespace */
	const char *target; /* as it was asked for */
	bool is_shared;	    /* the mount that the target lies on */
	bool is_workspace;  /* the target is the root of one */
	struct volumes *volumes;
	struct error *err;
};

/*
 * A mount on the mount that the target lies on, at a path below the target, is what the
 * container sees there, or is hidden by another such one. All others are mounted on these.
 */
static int look_at_mount(void *ctx, const struct mountinfo *info)
{
	struct question *question = ctx;
	size_t n = strlen(question->path);

	if (info->id == question->target_mount) {
		question->is_shared = info->is_shared;
		question->is_workspace = strcmp(info->type, MOUNTINFO_OURS) == 0 &&
					 strcmp(info->mountpoint, question->path) == 0;
	}
	if (info->parent != question->target_mount ||
		strncmp(info->mountpoint, question->path, n) != 0 || info->mountpoint[n] != '/')
		return 0;
	return volumes_add(question->volumes, info->mountpoint + n + 1, question->err);
}

static int judge(const struct question *question, struct error *err)
{
	const char *target = question->target;

	if (question->is_workspace)
		return error_set(err, EBUSY, EXIT_STATUS_FAILED,
			"target '%s': another workspace is mounted there", target);
	if (question->is_shared && question->target_mount != question->root_mount)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"target '%s' lies on a volume that shares its mounts with the host "
			"(rshared): the workspace would show up there and outlive the "
			"container; make the volume rslave or rprivate, or choose another target",
			target);
	/* The kernel moves nothing off a shared mount. */
	if (question->is_shared && question->volumes->count)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"target '%s': a volume is mounted below it, on '%s/%s', and cannot be "
			"moved into the workspace, because the container's root is shared; set "
			"rootfsPropagation to another value, or mount the volume elsewhere",
			target, target, question->volumes->items[0].path);
	return 0;
}

/* The mounts of this namespace, the container's. */
static int ask_mounts(struct question *question, struct error *err)
{
	int r = mountinfo_for_each(look_at_mount, question);

	if (r < 0 && r != -E2BIG)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "/proc/self/mountinfo");
	if (!r)
		r = judge(question, err);
	if (!r)
		volumes_drop_hidden(question->volumes);
	return r;
}

int target_examine(
	int root_fd, int target_fd, struct volumes *volumes, char **ret_resolved, struct error *err)
{
	struct question question = {.target = volumes->target, .volumes = volumes, .err = err};
	char root[PATH_MAX], path[PATH_MAX];
	size_t root_length;
	int r = path_of(root_fd, root, err);

	if (!r)
		r = path_of(target_fd, path, err);
	if (!r)
		r = mount_id_of(root_fd, &question.root_mount, err);
	if (!r)
		r = mount_id_of(target_fd, &question.target_mount, err);
	if (r < 0)
		return r;
	question.path = path;
	root_length = strlen(root);
	if (strncmp(path, root, root_length) != 0 || path[root_length] != '/')
		return error_set(err, EXDEV, EXIT_STATUS_FAILED,
			"target '%s' does not lie in the container's root", question.target);
	r = ask_mounts(&question, err);
	if (r < 0)
		return r;
	*ret_resolved = strdup(path + root_length);
	return *ret_resolved ? 0 : error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

bool target_is_mountpoint(int target_fd)
{
	struct statx st;

	return statx(target_fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		       STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int target_find_content(int target_fd, const struct volumes *volumes, char *ret_name, size_t size)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int fd = openat(target_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close_keep_errno(fd);
		return -errno;
	}
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
			volumes_lead_through(volumes, name))
			continue;
		snprintf(ret_name, size, "%s", name);
		return 1;
	}
	return 0;
}
