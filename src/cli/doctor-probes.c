/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel can do, tried. */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/mount.h>

#include "doctor-files.h"
#include "host/passthrough.h"
#include "host/rights.h"
#include "util/cleanup.h"

/* linux/landlock.h; asked for its version the call makes nothing. */
#define LANDLOCK_VERSION_FLAG 1u

/* linux/seccomp.h */
#define SET_MODE_FILTER 1
#define MODE_FILTER	2

/* Documentation/admin-guide/devices.txt */
#define FUSE_MAJOR 10
#define FUSE_MINOR 229

static bool is_fuse_device(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(FUSE_MAJOR, FUSE_MINOR);
}

/* The daemon's jail needs it, too: of plain users, who may not call it before they are in there. */
static bool has_mount_api(void)
{
	_cleanup_close_ int fd = fsopen("fuse", FSOPEN_CLOEXEC);

	return fd >= 0 || errno != ENOSYS;
}

static void look_at_fuse(struct finding *finding)
{
	_cleanup_close_ int fd = -1;
	struct error err = {0};
	struct stat st;

	if (mount_open_fuse(&fd, &err) < 0)
		finding_set_error(finding, FINDING_FAIL,
			"look at it (ls -l /dev/fuse): it is to be a device, 10:229, of mode 0666",
			"", &err);
	else if (fstat(fd, &st) < 0 || !is_fuse_device(&st))
		finding_set(finding, FINDING_FAIL,
			"rm -r /dev/fuse; mknod -m 0666 /dev/fuse c 10 229, or give the container "
			"the device (--device /dev/fuse)",
			"/dev/fuse is not the device 10:229");
	else if (!has_mount_api())
		finding_set(finding, FINDING_FAIL,
			"use Linux 5.2 or later, or a container's seccomp profile that allows it",
			"no fsopen(2): nothing can be mounted");
	else if ((st.st_mode & 0666) != 0666)
		finding_set(finding, FINDING_WARN, "chmod 0666 /dev/fuse, as udev does",
			"/dev/fuse has mode %04o: plain users and containers in user namespaces "
			"cannot use it",
			st.st_mode & 07777);
	else
		finding_set(finding, FINDING_OK, "", "/dev/fuse can be opened by everybody");
}

/* What a mount does about it that says nothing of its own: the build chose that. */
static const char *default_way(bool can_pass)
{
	struct workspace_config config;

	config_init(&config);
	if (config.kernel_opens)
		return can_pass ? ", but opens them instead unless opens=daemon says otherwise"
				: ", and the kernel opens their files (opens=kernel)";
	if (can_pass)
		return config.passthrough ? ", and does unless passthrough=off"
					  : ", where passthrough=auto asks for it";
	return config.writeback ? ", which gets what the kernel has collected (writeback=auto)"
				: "; writeback=auto or opens=kernel spare it requests";
}

static void look_at_passthrough(struct finding *finding)
{
	struct error err = {0};
	int r;

	if (!rights_has_admin() || !rights_in_initial_userns()) {
		finding_set(finding, FINDING_OK, "",
			"FUSE passthrough is for mounts of root outside of user namespaces; others "
			"read and write by the daemon%s",
			default_way(false));
		return;
	}
	r = passthrough_try(&err);
	if (r < 0)
		finding_set_error(finding, FINDING_WARN,
			r == -EOPNOTSUPP ? "use Linux 6.9 or later with CONFIG_FUSE_PASSTHROUGH=y"
					 : "look for what forbids it: a container's seccomp "
					   "profile, a security module",
			"no FUSE passthrough, data goes through the daemon", &err);
	else
		finding_set(finding, FINDING_OK, "",
			"the kernel can read and write files of uppers itself%s",
			default_way(true));
}

static void look_at_idmap(struct finding *finding)
{
	_cleanup_close_ int userns_fd = -1, mount_fd = -1;
	struct error err = {0};

	if (!rights_has_admin()) {
		finding_set(finding, FINDING_OK, "", "idmapped mounts: only root can try");
		return;
	}
	if (mount_idmap_userns(0, 0, 1, 1, &userns_fd, &err) < 0)
		finding_set_error(finding, FINDING_WARN, "see what is said about user namespaces",
			"no idmapped mounts", &err);
	else if (mount_clone_tree(AT_FDCWD, "/", CLONE_TREE_READ_ONLY, userns_fd, &mount_fd, &err) <
		 0)
		finding_set_error(finding, FINDING_WARN,
			"keep repositories readable for everybody (chmod -R a+rX), or on ext4, xfs "
			"or btrfs with Linux 5.12 or later",
			"no idmapped mounts on the root file system", &err);
	else
		finding_set(
			finding, FINDING_OK, "", "idmapped mounts work on the root file system");
}

static void look_at_landlock(struct finding *finding)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

	if (version < 0)
		finding_set(finding, FINDING_WARN,
			"boot with lsm=landlock,... on a kernel with CONFIG_SECURITY_LANDLOCK, or "
			"use a container's seccomp profile that allows it",
			"no Landlock (%s): the daemon has one fence less", strerror(errno));
	else
		finding_set(finding, FINDING_OK, "", "Landlock, ABI %ld", version);
}

/* By either call, as libseccomp does it: EFAULT comes from where a filter would be read. */
static bool can_set_filter(void)
{
	return (syscall(SYS_seccomp, SET_MODE_FILTER, 0, NULL) < 0 && errno == EFAULT) ||
	       (prctl(PR_SET_SECCOMP, MODE_FILTER, NULL, 0, 0) < 0 && errno == EFAULT);
}

static void look_at_seccomp(struct finding *finding)
{
	if (can_set_filter())
		finding_set(finding, FINDING_OK, "", "seccomp filters can be set");
	else
		finding_set(finding, FINDING_FAIL,
			"use a kernel with CONFIG_SECCOMP_FILTER, or mount with -o seccomp=off",
			"no seccomp: the daemon does not start");
}

const struct probe doctor_probes[] = {
	{"fuse", look_at_fuse},
	{"passthrough", look_at_passthrough},
	{"user namespaces", look_at_userns},
	{"ranges of ids", look_at_ranges},
	{"idmapped mounts", look_at_idmap},
	{"landlock", look_at_landlock},
	{"seccomp", look_at_seccomp},
	{"fusermount3", look_at_fusermount},
	{"selinux", look_at_selinux},
	{"podman", look_at_podman},
	{"docker", look_at_docker},
	{"containerd", look_at_containerd},
	{"crio", look_at_crio},
	{"policy", look_at_policy},
	{"workspaces", look_at_workspaces},
	{"mounts", look_at_mounts},
	{NULL, NULL},
};
