/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/mount.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define FUSE_DEVICE "/dev/fuse"

/* The only thing that mount(2)'s successors fail with on a kernel before 5.2. */
static const char no_mount_api[] =
	"the kernel has no fsopen(2) and open_tree(2) (they came with Linux 5.2), "
	"or a seccomp filter forbids them";

static uint64_t clone_attributes(unsigned flags)
{
	return (flags & CLONE_TREE_READ_ONLY ? MOUNT_ATTR_RDONLY : 0) |
	       (flags & CLONE_TREE_NODEV ? MOUNT_ATTR_NODEV : 0) |
	       (flags & CLONE_TREE_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
	       (flags & CLONE_TREE_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
}

/*
 * In a user namespace mounts that came from outside are locked: what they cover
 * must not come to light. A tree with such mounts below it can only be cloned
 * together with them, and the kernel says EINVAL to anything else.
 */
static int open_tree_clone(int dirfd, const char *path, bool *recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
	int fd = open_tree(dirfd, path, flags | (*recursive ? AT_RECURSIVE : 0));

	if (fd < 0 && errno == EINVAL && !*recursive) {
		*recursive = true;
		fd = open_tree(dirfd, path, flags | AT_RECURSIVE);
	}
	return fd < 0 ? -errno : fd;
}

static int restrict_clone(int fd, bool recursive, struct mount_attr *attr)
{
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	if (mount_setattr(fd, "", flags, attr, sizeof(*attr)) == 0)
		return 0;
	if (errno != EPERM)
		return -1;
	/* In a user namespace the access times of mounts from outside are locked. */
	attr->attr_set &= ~(uint64_t)MOUNT_ATTR_NOATIME;
	attr->attr_clr = 0;
	return mount_setattr(fd, "", flags, attr, sizeof(*attr));
}

int mount_clone_tree(int dirfd, const char *path, unsigned flags, int idmap_userns_fd,
	int *ret_mount_fd, struct error *err)
{
	struct mount_attr attr = {
		.attr_set = clone_attributes(flags) | MOUNT_ATTR_NOATIME,
		.attr_clr = MOUNT_ATTR__ATIME,
		.propagation = MS_PRIVATE,
	};
	bool recursive = flags & CLONE_TREE_RECURSIVE;
	_cleanup_close_ int fd = open_tree_clone(dirfd, path, &recursive);

	if (fd == -ENOSYS)
		return error_set(err, ENOSYS, EXIT_STATUS_MACHINE, "%s", no_mount_api);
	if (fd < 0)
		return error_set_errno(err, -fd, EXIT_STATUS_MACHINE,
			"cannot clone the mount of '%s' (open_tree)", path);
	if (idmap_userns_fd >= 0) {
		attr.attr_set |= MOUNT_ATTR_IDMAP;
		attr.userns_fd = (uint64_t)idmap_userns_fd;
	}
	if (restrict_clone(fd, recursive, &attr) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			idmap_userns_fd >= 0
				? "cannot make an idmapped mount of '%s' (mount_setattr)"
				: "cannot restrict the mount of '%s' (mount_setattr)",
			path);
	*ret_mount_fd = steal_fd(&fd);
	return 0;
}

static int refuse_fuse_device(int code, struct error *err)
{
	struct stat st;

	switch (code) {
	case ENOENT:
		return error_set(err, code, EXIT_STATUS_MACHINE,
			FUSE_DEVICE " does not exist; load the module (modprobe fuse), or give "
				    "the container the device (--device " FUSE_DEVICE ")");
	case ENODEV:
	case ENXIO:
		return error_set(err, code, EXIT_STATUS_MACHINE,
			FUSE_DEVICE " exists but the kernel has no FUSE; load the module "
				    "(modprobe fuse), or use a kernel with CONFIG_FUSE_FS");
	case EACCES:
	case EPERM:
		if (stat(FUSE_DEVICE, &st) < 0)
			st = (struct stat){.st_mode = 0};
		return error_set(err, code, EXIT_STATUS_MACHINE,
			FUSE_DEVICE " may not be opened (mode %04o, owner %u:%u, we are %u:%u); "
				    "give everybody access (chmod 0666 " FUSE_DEVICE "), or the "
				    "container the device (--device " FUSE_DEVICE ")",
			st.st_mode & 07777, st.st_uid, st.st_gid, geteuid(), getegid());
	default:
		return error_set_errno(err, code, EXIT_STATUS_MACHINE, FUSE_DEVICE);
	}
}

int mount_open_fuse(int *ret_fuse_fd, struct error *err)
{
	int fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return refuse_fuse_device(errno, err);
	*ret_fuse_fd = fd;
	return 0;
}

/*
 * What the kernel itself says about the last failure on the file system context:
 * lines "e TEXT". Falls back to the system's words for `code`.
 */
static int context_error(int context, int code, const char *step, struct error *err)
{
	char line[512];
	ssize_t n = read(context, line, sizeof(line) - 1);

	if (n <= 2 || line[0] != 'e')
		return error_set_errno(err, code, EXIT_STATUS_MACHINE, "fuse: %s", step);
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return error_set(err, code, EXIT_STATUS_MACHINE, "fuse: %s: %s (%s)", step, line + 2,
		error_name(code));
}

__attribute__((format(printf, 4, 5))) static int set_string(
	int context, const char *key, struct error *err, const char *format, ...)
{
	char value[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(value, sizeof(value), format, ap);
	va_end(ap);
	if (fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return context_error(context, errno, key, err);
	return 0;
}

static int set_flag(int context, const char *key, struct error *err)
{
	if (fsconfig(context, FSCONFIG_SET_FLAG, key, NULL, 0) < 0)
		return context_error(context, errno, key, err);
	return 0;
}

static int configure(
	int context, int fuse_fd, const struct fuse_mount_options *options, struct error *err)
{
	int r = set_string(context, "source", err, "%s", options->source);

	if (!r)
		r = set_string(context, "subtype", err, "git-overlayfs");
	if (!r)
		r = set_string(context, "fd", err, "%d", fuse_fd);
	if (!r)
		r = set_string(context, "rootmode", err, "40000");
	if (!r)
		r = set_string(context, "user_id", err, "%u", geteuid());
	if (!r)
		r = set_string(context, "group_id", err, "%u", getegid());
	if (!r)
		r = set_flag(context, "default_permissions", err);
	if (!r && options->allow_other)
		r = set_flag(context, "allow_other", err);
	if (!r && options->read_only)
		r = set_flag(context, "ro", err);
	if (r)
		return r;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return context_error(context, errno, "create", err);
	return 0;
}

static unsigned mount_attributes(const struct fuse_mount_options *options)
{
	/* Reading never moves an access time: the flag says what is so anyway. */
	return MOUNT_ATTR_NOATIME | (options->read_only ? MOUNT_ATTR_RDONLY : 0) |
	       (options->nosuid ? MOUNT_ATTR_NOSUID : 0) | (options->nodev ? MOUNT_ATTR_NODEV : 0) |
	       (options->noexec ? MOUNT_ATTR_NOEXEC : 0);
}

static int open_context(struct error *err)
{
	int fd = fsopen("fuse", FSOPEN_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOSYS:
		return error_set(err, ENOSYS, EXIT_STATUS_MACHINE, "%s", no_mount_api);
	case ENODEV:
		return refuse_fuse_device(ENODEV, err);
	case EPERM:
		return error_set(err, EPERM, EXIT_STATUS_MACHINE,
			"mounting needs CAP_SYS_ADMIN here: run as root, or inside "
			"'unshare -Urm', or with fusermount3 (package fuse3) as a plain user");
	default:
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "fuse: fsopen");
	}
}

int mount_fuse_detached(
	int fuse_fd, const struct fuse_mount_options *options, int *ret_mount_fd, struct error *err)
{
	_cleanup_close_ int context = open_context(err);
	int mount_fd, r;

	if (context < 0)
		return context;
	r = configure(context, fuse_fd, options, err);
	if (r)
		return r;
	mount_fd = fsmount(context, FSMOUNT_CLOEXEC, mount_attributes(options));
	if (mount_fd < 0)
		return context_error(context, errno, "fsmount", err);
	*ret_mount_fd = mount_fd;
	return 0;
}

int mount_fuse(int fuse_fd, int target_fd, const struct fuse_mount_options *options,
	int *ret_mount_fd, struct error *err)
{
	_cleanup_close_ int mount_fd = -1;
	int r = mount_fuse_detached(fuse_fd, options, &mount_fd, err);

	if (r < 0)
		return r;
	if (move_mount(mount_fd, "", target_fd, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			"cannot attach the mount to its target (move_mount)");
	if (ret_mount_fd)
		*ret_mount_fd = steal_fd(&mount_fd);
	return 0;
}
