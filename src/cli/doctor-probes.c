/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/oci.h>
#include <git-overlayfs/workspace.h>

#include "build-config.h"
#include "dead.h"
#include "doctor-files.h"
#include "host/mountinfo.h"
#include "host/passthrough.h"
#include "host/rights.h"
#include "mount-request.h"
#include "oci/policy.h"
#include "util/cleanup.h"

/* linux/landlock.h; asked for its version the call makes nothing. */
#define LANDLOCK_VERSION_FLAG 1u

static void look_at_fuse(struct finding *finding)
{
	_cleanup_close_ int fd = -1;
	struct error err = {0};
	struct stat st;

	if (mount_open_fuse(&fd, &err) < 0) {
		finding_set(finding, FINDING_FAIL, "", "%s", err.text);
		return;
	}
	if (fstat(fd, &st) == 0 && (st.st_mode & 0666) != 0666)
		finding_set(finding, FINDING_WARN, "chmod 0666 /dev/fuse, as udev does",
			"/dev/fuse has mode %04o: plain users and containers in user namespaces "
			"cannot use it",
			st.st_mode & 07777);
	else
		finding_set(finding, FINDING_OK, "", "/dev/fuse can be opened by everybody");
}

static void look_at_passthrough(struct finding *finding)
{
	struct error err = {0};
	int r;

	if (!rights_has_admin() || !rights_in_initial_userns()) {
		finding_set(finding, FINDING_OK, "",
			"FUSE passthrough is for mounts of root outside of user namespaces; others "
			"read and write by the daemon");
		return;
	}
	r = passthrough_try(&err);
	if (r < 0)
		finding_set(finding, FINDING_WARN,
			r == -EOPNOTSUPP ? "use Linux 6.9 or later with CONFIG_FUSE_PASSTHROUGH=y"
			: r == -EPERM	 ? "run it with CAP_SYS_ADMIN on the host"
					 : "see what is said about fuse",
			"no FUSE passthrough, data goes through the daemon: %s", err.text);
	else
		finding_set(finding, FINDING_OK, "",
			"the kernel can read and write files of uppers itself");
}

static void look_at_idmap(struct finding *finding)
{
	_cleanup_close_ int userns_fd = -1, mount_fd = -1, dir = -1;
	struct error err = {0};
	int r;

	if (!rights_has_admin()) {
		finding_set(finding, FINDING_OK, "", "idmapped mounts: only root can try");
		return;
	}
	dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = mount_idmap_userns(0, 0, 1, 1, &userns_fd, &err);
	if (r == 0)
		r = mount_clone_tree(dir, "", CLONE_TREE_READ_ONLY, userns_fd, &mount_fd, &err);
	if (r < 0)
		finding_set(finding, FINDING_WARN,
			"keep repositories readable for everybody (chmod -R a+rX), or on ext4, xfs "
			"or btrfs with Linux 5.12 or later",
			"no idmapped mounts on the root file system: %s", err.text);
	else
		finding_set(
			finding, FINDING_OK, "", "idmapped mounts work on the root file system");
}

static void look_at_landlock(struct finding *finding)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

	if (version < 0)
		finding_set(finding, FINDING_WARN,
			"boot with lsm=landlock,... on a kernel with CONFIG_SECURITY_LANDLOCK",
			"no Landlock (%s): the daemon has one fence less", strerror(errno));
	else
		finding_set(finding, FINDING_OK, "", "Landlock, ABI %ld", version);
}

static void look_at_seccomp(struct finding *finding)
{
	if (access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0 ||
		prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)
		finding_set(finding, FINDING_OK, "", "seccomp filters can be set");
	else
		finding_set(finding, FINDING_FAIL,
			"use a kernel with CONFIG_SECCOMP_FILTER, or mount with -o seccomp=off",
			"no seccomp: the daemon does not start");
}

/* The helper's path, NULL when it is not installed. */
static const char *find_fusermount(void)
{
	static const char *const paths[] = {"/usr/bin/fusermount3", "/bin/fusermount3",
		"/usr/local/bin/fusermount3", "/run/wrappers/bin/fusermount3"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

static void look_at_fusermount(struct finding *finding)
{
	const char *path = find_fusermount();
	struct stat st;

	if (!path)
		finding_set(finding, FINDING_WARN, "apt install fuse3, or dnf install fuse3",
			"no fusermount3: plain users cannot mount");
	else if (stat(path, &st) < 0 || !(st.st_mode & S_ISUID) || st.st_uid != 0)
		finding_set(finding, FINDING_WARN, "chmod u+s it, as its package does",
			"%s is not set-user-ID root: plain users cannot mount", path);
	else if (!mount_allow_other())
		finding_set(finding, FINDING_WARN, "write user_allow_other into /etc/fuse.conf",
			"a plain user's mount is visible to that user alone");
	else
		finding_set(finding, FINDING_OK, "", "plain users can mount with %s", path);
}

/* What no wish can keep to: each has a layer, which an entry must name. */
static bool grants_nothing(const struct policy *policy)
{
	for (size_t i = 0; i < policy->count; i++) {
		const struct policy_globs *lists = policy->entries[i].lists;
		bool is_empty = !lists[POLICY_REPOSITORIES].count && !lists[POLICY_LAYERS].count;

		for (size_t k = 0; k < POLICY_LISTS; k++)
			is_empty |= lists[k].is_set && !lists[k].count &&
				    k != POLICY_REPOSITORIES && k != POLICY_LAYERS &&
				    k != POLICY_UPPERS;
		if (!is_empty)
			return false;
	}
	return true;
}

static void look_at_policy(struct finding *finding)
{
	const char *path = doctor_path(POLICY_PATH);
	struct policy *policy = NULL;
	struct error err = {0};
	/* The line of the finding begins with the word that the error begins with. */
	const char *fault = err.text + strlen("policy ");

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		finding_set(finding, FINDING_OK, "",
			"no %s: annotations name nothing in root's containers", path);
	} else if (policy_read(path, geteuid() == 0, &policy, &err) == 0) {
		if (grants_nothing(policy))
			finding_set(finding, FINDING_WARN,
				"name repositories in an entry, see git-overlayfs-policy(5), or "
				"remove the file",
				"policy %s grants nothing to anybody", path);
		else
			finding_set(finding, FINDING_OK, "", "%s is valid", path);
		policy_free(policy);
	} else if (err.code == EACCES) {
		finding_set(finding, FINDING_WARN, "make it readable, or run this as root", "%s",
			fault);
	} else {
		finding_set(finding, FINDING_FAIL,
			"correct it: until then the hook refuses every container", "%s", fault);
	}
}

static int count_dead(void *ctx, const struct workspace_info *info)
{
	++*(unsigned *)ctx;
	return 0;
}

static void look_at_workspaces(struct finding *finding)
{
	struct error err = {0};
	unsigned dead = 0;

	if (dead_for_each(count_dead, &dead, &err) < 0)
		finding_set(finding, FINDING_FAIL, "", "%s", err.text);
	else if (dead)
		finding_set(finding, FINDING_WARN, "git-overlayfs gc",
			"%u dead workspaces have left something", dead);
	else
		finding_set(finding, FINDING_OK, "", "no dead workspaces");
}

static int find_dead_mount(void *ctx, const struct mountinfo *info)
{
	struct finding *finding = ctx;

	if (strcmp(info->type, MOUNTINFO_OURS) != 0 || !mountinfo_is_dead(info->mountpoint))
		return 0;
	finding_set(finding, FINDING_WARN, "git-overlayfs umount it",
		"%s is a mount whose daemon has died", info->mountpoint);
	return 1;
}

static void look_at_mounts(struct finding *finding)
{
	if (mountinfo_for_each(find_dead_mount, finding) == 0)
		finding_set(finding, FINDING_OK, "", "no mounts without a daemon");
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
