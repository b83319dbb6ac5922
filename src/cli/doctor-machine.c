/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel and the administrator allow to plain users and containers. */
#include "doctor.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>

#include "doctor-files.h"
#include "mount-request.h"
#include "util/cleanup.h"

/* What podman and newuidmap's own tools hand out. */
#define RANGE_WANTED 65536

struct sysctl {
	const char *path;
	const char *name;
	bool is_off_when_zero; /* else when it is not */
	const char *meaning;
};

/* Told by the file, as well as tried: root may do what a plain user may not. */
static const struct sysctl sysctls[] = {
	{"/proc/sys/user/max_user_namespaces", "user.max_user_namespaces=10000", true,
		"nobody may make user namespaces"},
	{"/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone=1", true,
		"plain users may not make user namespaces"},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
		"kernel.apparmor_restrict_unprivileged_userns=0", false,
		"AppArmor takes the rights from plain users' user namespaces, but for programs "
		"with a profile that has userns"},
};

static bool find_sysctl(struct finding *finding)
{
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		const struct sysctl *s = &sysctls[i];
		long good = s->is_off_when_zero ? 1 : 0, value = doctor_read_number(s->path, good);
		char remedy[200];

		if ((value == 0) != s->is_off_when_zero)
			continue;
		snprintf(remedy, sizeof(remedy), "sysctl -w %s, and in a file of /etc/sysctl.d",
			s->name);
		finding_set(finding, FINDING_WARN, remedy, "%s: %s is %ld", s->meaning,
			s->path + strlen("/proc/sys/"), value);
		return true;
	}
	return false;
}

void look_at_userns(struct finding *finding)
{
	int status = 0;
	pid_t pid;

	if (find_sysctl(finding))
		return;
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		finding_set(finding, FINDING_WARN, "try unshare -Ur true",
			"user namespaces could not be tried");
	else if (WEXITSTATUS(status))
		finding_set(finding, FINDING_WARN,
			"look for what forbids unshare(2): seccomp of a container, user.max_*",
			"this user may not make user namespaces: %s",
			strerror(WEXITSTATUS(status)));
	else
		finding_set(finding, FINDING_OK, "", "user namespaces can be made");
}

/* The ids of all lines USER:FIRST:COUNT for this user, by name or number. */
static unsigned long count_ids(const char *path, const char *name, uid_t uid)
{
	_cleanup_free_ char *text = doctor_read(path);
	unsigned long sum = 0;
	char number[16], *save = NULL;

	snprintf(number, sizeof(number), "%u", uid);
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		char *first = strchr(line, ':'), *count = first ? strchr(first + 1, ':') : NULL;

		if (!count)
			continue;
		*first = '\0';
		if (!strcmp(line, name) || !strcmp(line, number))
			sum += strtoul(count + 1, NULL, 10);
	}
	return sum;
}

void look_at_ranges(struct finding *finding)
{
	const struct passwd *entry = getpwuid(geteuid());
	const char *name = entry ? entry->pw_name : "this user";
	unsigned long uids = count_ids("/etc/subuid", name, geteuid());
	unsigned long gids = count_ids("/etc/subgid", name, geteuid());
	char remedy[300];

	snprintf(remedy, sizeof(remedy),
		"usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST %.32s, with %d ids of "
		"nobody else's; then podman system migrate",
		name, RANGE_WANTED);
	if (geteuid() == 0)
		finding_set(finding, FINDING_OK, "",
			"root needs no ranges of ids; for those of a plain user run this as them");
	else if (uids < RANGE_WANTED || gids < RANGE_WANTED)
		finding_set(finding, FINDING_WARN, remedy,
			"%.32s has %lu ids in /etc/subuid and %lu in /etc/subgid: rootless "
			"containers have few owners, or one",
			name, uids, gids);
	else if (!doctor_has_program("newuidmap") || !doctor_has_program("newgidmap"))
		finding_set(finding, FINDING_WARN,
			"apt install uidmap, or dnf install shadow-utils",
			"no newuidmap and newgidmap: the ranges of ids cannot be used");
	else
		finding_set(finding, FINDING_OK, "", "%.32s has %lu ids for rootless containers",
			name, uids);
}

/* A workspace has the label fusefs_t, which container-selinux lets containers use. */
void look_at_selinux(struct finding *finding)
{
	static const char *const modules[] = {
		"/var/lib/selinux/targeted/active/modules/200/container",
		"/var/lib/selinux/targeted/active/modules/100/container",
		"/usr/share/selinux/packages/container.pp.bz2",
	};
	bool has_module = false;

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		has_module |= doctor_exists(modules[i]);
	if (doctor_read_number("/sys/fs/selinux/enforce", 0) != 1)
		finding_set(finding, FINDING_OK, "", "SELinux enforces nothing here");
	else if (has_module)
		finding_set(finding, FINDING_OK, "",
			"SELinux lets containers use workspaces, all of which have the label "
			"fusefs_t: categories do not keep them apart");
	else
		finding_set(finding, FINDING_WARN, "dnf install container-selinux",
			"SELinux is enforcing without the rules of container-selinux: containers "
			"may not use workspaces, which have the label fusefs_t");
}

/* The helper of plain users, and what it lets them do. */
void look_at_fusermount(struct finding *finding)
{
	char path[PATH_MAX];
	struct stat st;

	if (mount_find_fusermount(path, sizeof(path), NULL) < 0)
		finding_set(finding, FINDING_WARN, "apt install fuse3, or dnf install fuse3",
			"no fusermount3 in PATH: plain users cannot mount");
	else if (stat(path, &st) < 0 || !(st.st_mode & S_ISUID) || st.st_uid != 0)
		finding_set(finding, FINDING_WARN, "chmod u+s it, as its package does",
			"%.300s is not set-user-ID root: plain users cannot mount", path);
	else if (getuid() != 0 && !getpwuid(getuid()))
		finding_set(finding, FINDING_WARN,
			"add a line for it to /etc/passwd, or mount as root",
			"user id %u has no name, and fusermount3 mounts for none without",
			(unsigned)getuid());
	else if (!mount_allow_other())
		finding_set(finding, FINDING_WARN, "write user_allow_other into /etc/fuse.conf",
			"a plain user's mount is visible to that user alone");
	else
		finding_set(finding, FINDING_OK, "", "plain users can mount with %.300s", path);
}
