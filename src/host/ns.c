/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/mount.h>

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

int namespace_is_shared(pid_t pid, const char *name)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &ours) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	if (stat(path, &theirs) < 0)
		return -errno;
	return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static const char *nstype_name(int nstype)
{
	switch (nstype) {
	case CLONE_NEWUSER:
		return "user";
	case CLONE_NEWNS:
		return "mount";
	case CLONE_NEWNET:
		return "network";
	case CLONE_NEWPID:
		return "pid";
	default:
		return "wanted";
	}
}

int namespace_enter(int pidfd, int nstype, struct error *err)
{
	if (setns(pidfd, nstype) == 0)
		return 0;
	if (errno == ESRCH)
		return error_set(err, ESRCH, EXIT_STATUS_FAILED,
			"the process whose %s namespace was to be entered has ended",
			nstype_name(nstype));
	return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "cannot enter the %s namespace",
		nstype_name(nstype));
}

/* Id 0 if /proc/self/{uid,gid}_map has it, else the first that it has. */
static int first_mapped_id(const char *map_path, unsigned *ret_id)
{
	FILE *map = fopen(map_path, "re");
	unsigned inside, outside, count, first = 0;
	bool found = false;

	if (!map)
		return -errno;
	while (fscanf(map, "%u %u %u", &inside, &outside, &count) == 3) { /* NOLINT(cert-err34-c) */
		if (!found || inside == 0)
			first = inside;
		found = true;
	}
	fclose(map);
	if (!found)
		return -ENOENT;
	*ret_id = first;
	return 0;
}

int namespace_become_root(struct error *err)
{
	unsigned uid = 0, gid = 0;
	int r = first_mapped_id("/proc/self/uid_map", &uid);

	if (!r)
		r = first_mapped_id("/proc/self/gid_map", &gid);
	if (r == -ENOENT)
		return error_set(err, ENOENT, EXIT_STATUS_MACHINE,
			"the user namespace has no mapped ids (newuidmap was not run?)");
	if (r)
		return error_set_errno(
			err, -r, EXIT_STATUS_MACHINE, "cannot read the maps of the user namespace");
	/* Forbidden where /proc/self/setgroups says "deny": then there is nothing to drop. */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "setgroups");
	if (setresgid(gid, gid, gid) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			"cannot become group %u of the user namespace", gid);
	if (setresuid(uid, uid, uid) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE,
			"cannot become user %u of the user namespace", uid);
	return 0;
}
