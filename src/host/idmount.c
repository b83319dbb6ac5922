/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/mount.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"

/* A child that lives in a new user namespace until `release_fd` is closed. */
static int start_holder(pid_t *ret_pid, int *ret_release_fd)
{
	int ready[2], release[2];
	unsigned char byte = 0;
	ssize_t n;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(release, O_CLOEXEC) < 0) {
		close_keep_errno(ready[0]);
		close_keep_errno(ready[1]);
		return -errno;
	}
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		close(release[1]);
		byte = unshare(CLONE_NEWUSER) < 0 ? (unsigned char)errno : 0;
		if (write(ready[1], &byte, 1) == 1)
			while (read(release[0], &byte, 1) < 0 && errno == EINTR)
				;
		_exit(0);
	}
	close_keep_errno(ready[1]);
	close_keep_errno(release[0]);
	n = pid < 0 ? -1 : TEMP_FAILURE_RETRY(read(ready[0], &byte, 1));
	close_keep_errno(ready[0]);
	if (n == 1 && byte == 0) {
		*ret_pid = pid;
		*ret_release_fd = release[1];
		return 0;
	}
	n = pid < 0 ? -errno : n == 1 ? -byte : -EIO;
	close_keep_errno(release[1]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return (int)n;
}

static int write_map(pid_t pid, const char *name, unsigned disk, unsigned shown)
{
	char path[64], line[64];
	_cleanup_close_ int fd = -1;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* An idmapped mount reads the map from the disk to the outside of the namespace. */
	n = snprintf(line, sizeof(line), "%u %u 1", disk, shown);
	return write(fd, line, (size_t)n) == n ? 0 : -errno;
}

static int map_and_open(
	pid_t pid, uid_t disk_uid, gid_t disk_gid, uid_t shown_uid, gid_t shown_gid, int *ret_fd)
{
	char path[64];
	int r = write_map(pid, "uid_map", disk_uid, shown_uid);

	if (!r)
		r = write_map(pid, "gid_map", disk_gid, shown_gid);
	if (r)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	r = open(path, O_RDONLY | O_CLOEXEC);
	if (r < 0)
		return -errno;
	*ret_fd = r;
	return 0;
}

int mount_idmap_userns(uid_t disk_uid, gid_t disk_gid, uid_t shown_uid, gid_t shown_gid,
	int *ret_userns_fd, struct error *err)
{
	int release_fd = -1, r;
	pid_t pid = -1;

	r = start_holder(&pid, &release_fd);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE,
			"cannot make a user namespace for an idmapped mount");
	r = map_and_open(pid, disk_uid, disk_gid, shown_uid, shown_gid, ret_userns_fd);
	close(release_fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE,
			"cannot map %u:%u to %u:%u for an idmapped mount", disk_uid, disk_gid,
			shown_uid, shown_gid);
	return 0;
}
