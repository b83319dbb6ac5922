/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

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

#include "util/cleanup.h"

#define MOUNTINFO_MAX (16u << 20)

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

static int mount_id_of(int fd, uint64_t *ret_id, struct error *err)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "statx of the target");
	if (!(st.stx_mask & STATX_MNT_ID))
		return error_set(err, ENOSYS, EXIT_STATUS_MACHINE,
			"the kernel tells no mount ids (statx has them since Linux 5.8)");
	*ret_id = st.stx_mnt_id;
	return 0;
}

/* One line of mountinfo, see proc_pid_mountinfo(5). */
struct mountinfo {
	uint64_t id;
	char *mountpoint; /* unescaped in place */
	bool is_shared;
};

static void unescape_octal(char *text)
{
	char *out = text;

	while (*text) {
		unsigned value;

		if (*text == '\\' && sscanf(text + 1, "%3o", &value) == 1 && text[1] && text[2]) {
			*out++ = (char)value;
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

static bool parse_line(char *line, struct mountinfo *ret)
{
	char *save, *field = strtok_r(line, " ", &save);

	*ret = (struct mountinfo){0};
	for (int i = 0; field; i++, field = strtok_r(NULL, " ", &save)) {
		if (i == 0)
			ret->id = strtoull(field, NULL, 10);
		else if (i == 4)
			ret->mountpoint = field;
		else if (i > 5 && strcmp(field, "-") == 0)
			break;
		else if (i > 5 && strncmp(field, "shared:", 7) == 0)
			ret->is_shared = true;
	}
	if (ret->mountpoint)
		unescape_octal(ret->mountpoint);
	return ret->mountpoint;
}

struct place {
	uint64_t root_mount, target_mount;
	const char *path; /* the target in this mount namespace */
	size_t root_length;
	const char *target; /* as it was asked for */
};

static int judge_mount(const struct place *place, const struct mountinfo *info, struct error *err)
{
	size_t n = strlen(place->path);

	if (info->id == place->target_mount && info->is_shared &&
		place->target_mount != place->root_mount)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"target '%s' lies on a volume that shares its mounts with the host "
			"(rshared): the workspace would show up there and outlive the "
			"container; make the volume rslave or rprivate, or choose another target",
			place->target);
	if (strncmp(info->mountpoint, place->path, n) == 0 && info->mountpoint[n] == '/')
		return error_set(err, EBUSY, EXIT_STATUS_FAILED,
			"target '%s': a volume is mounted below it, on '%s', and the workspace "
			"would hide it; mount the volume elsewhere, or the workspace",
			place->target, info->mountpoint + place->root_length);
	return 0;
}

static int judge_mounts(const struct place *place, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	struct mountinfo info;
	char *save, *line;
	size_t size = 0;
	int r = input_read_file(
		AT_FDCWD, "/proc/self/mountinfo", 0, MOUNTINFO_MAX, &text, &size, NULL, err);

	if (r < 0)
		return r;
	/* It came without an end; /proc writes no NUL. */
	line = realloc(text, size + 1);
	if (!line)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	text = line;
	text[size] = '\0';
	for (line = strtok_r(text, "\n", &save); line && !r; line = strtok_r(NULL, "\n", &save))
		if (parse_line(line, &info))
			r = judge_mount(place, &info, err);
	return r;
}

int target_examine(
	int root_fd, int target_fd, const char *target, char **ret_resolved, struct error *err)
{
	struct place place = {.target = target};
	char root[PATH_MAX], path[PATH_MAX];
	int r = path_of(root_fd, root, err);

	if (!r)
		r = path_of(target_fd, path, err);
	if (!r)
		r = mount_id_of(root_fd, &place.root_mount, err);
	if (!r)
		r = mount_id_of(target_fd, &place.target_mount, err);
	if (r < 0)
		return r;
	place.path = path;
	place.root_length = strlen(root);
	if (strncmp(path, root, place.root_length) != 0 || path[place.root_length] != '/')
		return error_set(err, EXDEV, EXIT_STATUS_FAILED,
			"target '%s' does not lie in the container's root", target);
	r = judge_mounts(&place, err);
	if (r < 0)
		return r;
	*ret_resolved = strdup(path + place.root_length);
	return *ret_resolved ? 0 : error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}
