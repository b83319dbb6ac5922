/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounting by descriptor, waiting for a server, idmapped clones; skips without privileges. */
#include <limits.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <cmocka.h>

#include <git-overlayfs/mount.h>

#include "child.h"

static char dir[] = "/tmp/unit-mountapi.XXXXXX";

static int group_setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int group_teardown(void **state)
{
	return rmdir(dir);
}

static const struct fuse_mount_options options = {
	.source = "/srv/a b,c.git@main",
	.allow_other = true,
	.read_only = true,
	.nosuid = true,
	.nodev = true,
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* /dev/fuse, mounted on `dir`. CHILD_CANNOT where /dev/fuse is not to be had. */
static int mount_dir(int *ret_fuse_fd, int *ret_mount_fd)
{
	struct error err = {0};
	int target;

	if (mount_open_fuse(ret_fuse_fd, &err) < 0) {
		dprintf(2, "%s\n", err.text);
		return CHILD_CANNOT;
	}
	target = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	expect(target >= 0);
	if (mount_fuse(*ret_fuse_fd, target, &options, ret_mount_fd, &err) < 0)
		dprintf(2, "%s\n", err.text);
	expect(err.code == 0);
	return 0;
}

static bool mounts_say(const char *words)
{
	static char line[8192];
	FILE *file = fopen("/proc/self/mounts", "re");
	bool found = false;

	while (file && fgets(line, sizeof(line), file)) {
		if (!strstr(line, dir))
			continue;
		found = found || strstr(line, words);
		if (!found)
			dprintf(2, "%s", line);
	}
	if (file)
		fclose(file);
	return found;
}

static int what_mounts_shows(void)
{
	int fuse_fd = -1, mount_fd = -1, r = mount_dir(&fuse_fd, &mount_fd);

	if (r)
		return r;
	expect(mounts_say("/srv/a\\040b,c.git@main "));
	expect(mounts_say(" fuse.git-overlayfs ro,nosuid,nodev,"));
	expect(mounts_say("default_permissions,allow_other"));
	close(mount_fd);
	expect(mount_unmount(dir, false, NULL) == 0);
	expect(!mounts_say("fuse"));
	return 0;
}

static int silent_server(void)
{
	int fuse_fd = -1, mount_fd = -1, r = mount_dir(&fuse_fd, &mount_fd);
	int64_t start = now_ms();
	struct error err = {0};

	if (r)
		return r;
	expect(mount_wait_ready(mount_fd, 100, &err) == -ETIMEDOUT);
	expect(now_ms() - start < 2000);
	expect(strcmp(err.text, "the mount did not answer within 100 ms") == 0);
	return 0;
}

/* Answers INIT, and then takes requests and never answers them. */
static void answer_init(int fuse_fd)
{
	char request[8192 + 4096];
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} reply = {.init = {.major = 7, .minor = 31, .max_write = 4096}};

	if (read(fuse_fd, request, sizeof(request)) < (ssize_t)sizeof(struct fuse_in_header))
		_exit(1);
	reply.header.len = sizeof(reply);
	reply.header.unique = ((struct fuse_in_header *)request)->unique;
	if (write(fuse_fd, &reply, sizeof(reply)) != sizeof(reply))
		_exit(2);
}

/* The stat is in the server's hands: not even SIGKILL ends it. */
static int stuck_server(void)
{
	int fuse_fd = -1, mount_fd = -1, r = mount_dir(&fuse_fd, &mount_fd);
	char request[8192 + 4096];
	struct error err = {0};
	int64_t start;
	pid_t server;

	if (r)
		return r;
	server = fork();
	if (server == 0) {
		answer_init(fuse_fd);
		if (read(fuse_fd, request, sizeof(request)) < 0)
			_exit(3);
		pause();
	}
	start = now_ms();
	expect(mount_wait_ready(mount_fd, 200, &err) == -ETIMEDOUT);
	expect(now_ms() - start < 2000);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	close(fuse_fd);
	/* With the last descriptor of the connection the child that was stuck is gone too. */
	alarm(5);
	expect(wait(NULL) > 0 && wait(NULL) < 0 && errno == ECHILD);
	return 0;
}

static int dead_server(void)
{
	int fuse_fd = -1, mount_fd = -1, r = mount_dir(&fuse_fd, &mount_fd);
	struct error err = {0};

	if (r)
		return r;
	close(fuse_fd);
	expect(mount_wait_ready(mount_fd, 5000, &err) == -ENOTCONN);
	expect(strstr(err.text, "the daemon ended"));
	return 0;
}

static int busy_mount(void)
{
	int fuse_fd = -1, mount_fd = -1, r = mount_dir(&fuse_fd, &mount_fd), inside;
	struct error err = {0};

	if (r)
		return r;
	inside = open(dir, O_PATH | O_CLOEXEC);
	expect(inside >= 0);
	close(mount_fd);
	expect(mount_unmount(dir, false, &err) == -EBUSY);
	expect(err.status == EXIT_STATUS_BUSY);
	close(inside);
	expect(mount_unmount(dir, true, &err) == 0);
	expect(mount_unmount(dir, false, &err) == -EINVAL);
	expect(strstr(err.text, "not a mountpoint"));
	return 0;
}

/* The kernel's own words, from the descriptor of the file system context. */
static int words_of_the_kernel(void)
{
	int null_fd = open("/dev/null", O_RDWR), target = open(dir, O_PATH | O_DIRECTORY);
	struct error err = {0};
	int r = mount_fuse(null_fd, target, &options, NULL, &err);

	expect(r < 0);
	expect(err.status == EXIT_STATUS_MACHINE);
	expect(strncmp(err.text, "fuse: ", 6) == 0);
	dprintf(2, "%s\n", err.text);
	expect(!mounts_say("fuse"));
	return 0;
}

static int clone_attributes(void)
{
	unsigned flags = CLONE_TREE_READ_ONLY | CLONE_TREE_NOEXEC | CLONE_TREE_NODEV;
	struct error err = {0};
	int fd = -1;

	expect(mount("none", dir, "tmpfs", 0, "mode=0755") == 0);
	if (mount_clone_tree(AT_FDCWD, dir, flags, -1, &fd, &err) < 0)
		dprintf(2, "%s\n", err.text);
	expect(fd >= 0);
	expect(mkdirat(fd, "x", 0755) < 0 && errno == EROFS);
	expect(mount_clone_tree(AT_FDCWD, "/nowhere", flags, -1, &fd, &err) == -ENOENT);
	expect(err.status == EXIT_STATUS_MACHINE);
	return 0;
}

/* What belongs to 4711:4712 on the disk belongs to 5:6 in the clone; others to nobody. */
static int idmapped_clone(void)
{
	struct error err = {0};
	int userns = -1, fd = -1;
	char path[PATH_MAX];
	struct stat st;

	if (CHILD_HAS_THREADS || geteuid() != 0 || chown(dir, 4711, 4712) < 0) {
		dprintf(2, "needs real root, and one thread\n");
		return CHILD_CANNOT;
	}
	snprintf(path, sizeof(path), "%s/other", dir);
	expect(mount("none", dir, "tmpfs", 0, "uid=4711,gid=4712,mode=0755") == 0);
	expect(mkdir(path, 0755) == 0);
	if (mount_idmap_userns(4711, 4712, 5, 6, &userns, &err) < 0)
		dprintf(2, "%s\n", err.text);
	expect(userns >= 0);
	if (mount_clone_tree(AT_FDCWD, dir, CLONE_TREE_READ_ONLY, userns, &fd, &err) < 0)
		dprintf(2, "%s\n", err.text);
	expect(fd >= 0);
	expect(fstat(fd, &st) == 0 && st.st_uid == 5 && st.st_gid == 6);
	expect(fstatat(fd, "other", &st, 0) == 0 && st.st_uid == 65534 && st.st_gid == 65534);
	return 0;
}

static int namespaces(void)
{
	struct error err = {0};
	int hold[2], pidfd;
	char byte;
	pid_t pid;

	expect(pipe2(hold, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		_exit(read(hold[0], &byte, 1) < 0);
	}
	expect(namespace_is_shared(pid, "mnt") == 1);
	expect(namespace_is_shared(pid, "user") == 1);
	expect(namespace_is_shared(pid, "no-such") == -ENOENT);
	expect(unshare(CLONE_NEWNS) == 0);
	expect(namespace_is_shared(pid, "mnt") == 0);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	expect(pidfd >= 0);
	expect(namespace_enter(pidfd, CLONE_NEWNS, &err) == 0);
	expect(namespace_is_shared(pid, "mnt") == 1);
	close(hold[1]);
	expect(waitpid(pid, NULL, 0) == pid);
	expect(namespace_enter(pidfd, CLONE_NEWNS, &err) == -ESRCH);
	expect(strstr(err.text, "has ended"));
	return 0;
}

static void mount_shows_type_and_source(void **state)
{
	child_check(what_mounts_shows);
}

static void a_silent_server_times_out(void **state)
{
	child_check(silent_server);
}

static void a_stuck_server_times_out(void **state)
{
	child_check(stuck_server);
}

static void a_dead_server_is_told(void **state)
{
	child_check(dead_server);
}

static void a_busy_mount_is_told(void **state)
{
	child_check(busy_mount);
}

static void the_kernel_says_why(void **state)
{
	child_check(words_of_the_kernel);
}

static void a_clone_is_restricted(void **state)
{
	child_check(clone_attributes);
}

static void a_clone_is_idmapped(void **state)
{
	child_check(idmapped_clone);
}

static void namespaces_are_compared_and_entered(void **state)
{
	child_check(namespaces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mount_shows_type_and_source),
		cmocka_unit_test(a_silent_server_times_out),
		cmocka_unit_test(a_stuck_server_times_out),
		cmocka_unit_test(a_dead_server_is_told),
		cmocka_unit_test(a_busy_mount_is_told),
		cmocka_unit_test(the_kernel_says_why),
		cmocka_unit_test(a_clone_is_restricted),
		cmocka_unit_test(a_clone_is_idmapped),
		cmocka_unit_test(namespaces_are_compared_and_entered),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
