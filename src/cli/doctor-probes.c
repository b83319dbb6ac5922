/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/oci.h>
#include <git-overlayfs/workspace.h>

#include "build-config.h"
#include "host/mountinfo.h"
#include "host/passthrough.h"
#include "host/rights.h"
#include "mount-request.h"
#include "util/cleanup.h"

#define POLICY_SIZE_MAX (1u << 20)
/* linux/landlock.h; asked for its version the call makes nothing. */
#define LANDLOCK_VERSION_FLAG 1u

__attribute__((format(printf, 4, 5))) static void find(struct finding *finding,
	enum finding_state state, const char *remedy, const char *format, ...)
{
	va_list ap;

	finding->state = state;
	va_start(ap, format);
	vsnprintf(finding->text, sizeof(finding->text), format, ap);
	va_end(ap);
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
}

static void look_at_fuse(struct finding *finding)
{
	_cleanup_close_ int fd = -1;
	struct error err = {0};
	struct stat st;

	if (mount_open_fuse(&fd, &err) < 0) {
		find(finding, FINDING_FAIL, "", "%s", err.text);
		return;
	}
	if (fstat(fd, &st) == 0 && (st.st_mode & 0666) != 0666)
		find(finding, FINDING_WARN, "chmod 0666 /dev/fuse, as udev does",
			"/dev/fuse has mode %04o: plain users and containers in user namespaces "
			"cannot use it",
			st.st_mode & 07777);
	else
		find(finding, FINDING_OK, "", "/dev/fuse can be opened by everybody");
}

static void look_at_passthrough(struct finding *finding)
{
	struct error err = {0};
	int r;

	if (!rights_has_admin() || !rights_in_initial_userns()) {
		find(finding, FINDING_OK, "",
			"FUSE passthrough is for mounts of root outside of user namespaces; others "
			"read and write by the daemon");
		return;
	}
	r = passthrough_try(&err);
	if (r < 0)
		find(finding, FINDING_WARN,
			r == -EOPNOTSUPP ? "use Linux 6.9 or later with CONFIG_FUSE_PASSTHROUGH=y"
			: r == -EPERM	 ? "run it with CAP_SYS_ADMIN on the host"
					 : "see what is said about fuse",
			"no FUSE passthrough, data goes through the daemon: %s", err.text);
	else
		find(finding, FINDING_OK, "",
			"the kernel can read and write files of uppers itself");
}

static void look_at_userns(struct finding *finding)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		find(finding, FINDING_WARN, "", "user namespaces could not be tried");
	else if (WEXITSTATUS(status))
		find(finding, FINDING_WARN,
			"sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
			"kernel.apparmor_restrict_unprivileged_userns",
			"this user may not make user namespaces: %s",
			strerror(WEXITSTATUS(status)));
	else
		find(finding, FINDING_OK, "", "user namespaces can be made");
}

static void look_at_idmap(struct finding *finding)
{
	_cleanup_close_ int userns_fd = -1, mount_fd = -1, dir = -1;
	struct error err = {0};
	int r;

	if (!rights_has_admin()) {
		find(finding, FINDING_OK, "", "idmapped mounts: only root can try");
		return;
	}
	dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = mount_idmap_userns(0, 0, 1, 1, &userns_fd, &err);
	if (r == 0)
		r = mount_clone_tree(dir, "", CLONE_TREE_READ_ONLY, userns_fd, &mount_fd, &err);
	if (r < 0)
		find(finding, FINDING_WARN,
			"keep repositories readable for everybody (chmod -R a+rX), or on ext4, xfs "
			"or btrfs with Linux 5.12 or later",
			"no idmapped mounts on the root file system: %s", err.text);
	else
		find(finding, FINDING_OK, "", "idmapped mounts work on the root file system");
}

static void look_at_landlock(struct finding *finding)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);

	if (version < 0)
		find(finding, FINDING_WARN,
			"boot with lsm=landlock,... on a kernel with CONFIG_SECURITY_LANDLOCK",
			"no Landlock (%s): the daemon has one fence less", strerror(errno));
	else
		find(finding, FINDING_OK, "", "Landlock, ABI %ld", version);
}

static void look_at_seccomp(struct finding *finding)
{
	if (access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0 ||
		prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)
		find(finding, FINDING_OK, "", "seccomp filters can be set");
	else
		find(finding, FINDING_FAIL,
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
		find(finding, FINDING_WARN, "apt install fuse3, or dnf install fuse3",
			"no fusermount3: plain users cannot mount");
	else if (stat(path, &st) < 0 || !(st.st_mode & S_ISUID) || st.st_uid != 0)
		find(finding, FINDING_WARN, "chmod u+s it, as its package does",
			"%s is not set-user-ID root: plain users cannot mount", path);
	else if (!mount_allow_other())
		find(finding, FINDING_WARN, "write user_allow_other into /etc/fuse.conf",
			"a plain user's mount is visible to that user alone");
	else
		find(finding, FINDING_OK, "", "plain users can mount with %s", path);
}

/* Reads the whole file, at most POLICY_SIZE_MAX. */
static ssize_t read_policy(char **ret_text)
{
	_cleanup_close_ int fd = open(POLICY_PATH, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	if (fd < 0)
		return -errno;
	text = malloc(POLICY_SIZE_MAX);
	if (!text)
		return -ENOMEM;
	n = read(fd, text, POLICY_SIZE_MAX);
	if (n < 0)
		return -errno;
	*ret_text = steal_ptr(&text);
	return n;
}

static void look_at_policy(struct finding *finding)
{
	_cleanup_free_ char *text = NULL;
	struct policy *policy = NULL;
	struct error err = {0};
	ssize_t n = read_policy(&text);

	if (n == -ENOENT) {
		find(finding, FINDING_OK, "",
			"no %s: annotations name nothing in root's containers", POLICY_PATH);
	} else if (n < 0) {
		find(finding, FINDING_WARN, "make it readable, or run this as root", "%s: %s",
			POLICY_PATH, strerror((int)-n));
	} else if (policy_parse(text, (size_t)n, geteuid() == 0, &policy, &err) < 0) {
		find(finding, FINDING_FAIL,
			"correct it: until then the hook refuses every container", "%s: %s",
			POLICY_PATH, err.text);
	} else {
		find(finding, FINDING_OK, "", "%s is valid", POLICY_PATH);
		policy_free(policy);
	}
}

static int count_dead(void *ctx, const struct workspace_info *info)
{
	*(unsigned *)ctx += !info->alive;
	return 0;
}

static void look_at_workspaces(struct finding *finding)
{
	struct error err = {0};
	unsigned dead = 0;

	if (workspace_for_each(count_dead, &dead, &err) < 0)
		find(finding, FINDING_FAIL, "", "%s", err.text);
	else if (dead)
		find(finding, FINDING_WARN, "git-overlayfs gc",
			"%u dead workspaces have left something", dead);
	else
		find(finding, FINDING_OK, "", "no dead workspaces");
}

static int find_dead_mount(void *ctx, const struct mountinfo *info)
{
	struct finding *finding = ctx;

	if (strcmp(info->type, MOUNTINFO_OURS) != 0 || !mountinfo_is_dead(info->mountpoint))
		return 0;
	find(finding, FINDING_WARN, "git-overlayfs umount it",
		"%s is a mount whose daemon has died", info->mountpoint);
	return 1;
}

static void look_at_mounts(struct finding *finding)
{
	if (mountinfo_for_each(find_dead_mount, finding) == 0)
		find(finding, FINDING_OK, "", "no mounts without a daemon");
}

const struct probe doctor_probes[] = {
	{"fuse", look_at_fuse},
	{"passthrough", look_at_passthrough},
	{"user namespaces", look_at_userns},
	{"idmapped mounts", look_at_idmap},
	{"landlock", look_at_landlock},
	{"seccomp", look_at_seccomp},
	{"fusermount3", look_at_fusermount},
	{"policy", look_at_policy},
	{"workspaces", look_at_workspaces},
	{"mounts", look_at_mounts},
	{NULL, NULL},
};
