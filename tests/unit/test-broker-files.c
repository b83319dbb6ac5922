/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that lie, or are opened, where the descriptor alone tells little: on a read-only mount of
 * the upper's own file system, by a daemon in a user namespace, beside an upper on an overlayfs.
 */
#include "broker-talk.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <git-overlayfs/mount.h>

#include "child.h"

/* --- a read-only mount --- */

/* Its device is the upper's, and what is seen through it stays as it is all the same. */
static void a_read_only_mount_stays_so(void **state)
{
	struct place *place = place_of(state);
	int mount_fd = -1, shown, path;
	struct stat st, top_st;
	char link[64];

	close(open_file("file", O_RDWR));
	if (mount_clone_tree(top_fd, "", CLONE_TREE_READ_ONLY, -1, &mount_fd, NULL) < 0)
		fail_msg("a read-only mount: %s", strerror(errno));
	shown = openat(mount_fd, "file", O_RDONLY | O_CLOEXEC);
	path = openat(mount_fd, "file", O_PATH | O_CLOEXEC);
	assert_true(shown >= 0 && path >= 0);
	assert_true(fstat(shown, &st) == 0 && fstat(top_fd, &top_st) == 0);
	assert_int_equal(st.st_dev, top_st.st_dev);
	assert_int_equal(ask(place, shown), -EACCES);
	assert_int_equal(ask(place, path), -EACCES);
	/* What would be taken is not to be had, not even by root. */
	assert_int_equal(openat(mount_fd, "file", O_RDWR | O_CLOEXEC), -1);
	assert_int_equal(errno, EROFS);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path);
	assert_int_equal(open(link, O_RDWR | O_CLOEXEC), -1);
	assert_int_equal(errno, EROFS);
	close(shown);
	close(path);
	close(mount_fd);
}

/* --- a daemon in a user namespace --- */

#define CONTAINED 100000

#define CANNOT_OPEN 0
#define IS_TAKEN    1

static const struct attempt {
	const char *what, *name;
	int flags;
	bool by_path; /* how a path is made a file, where one may */
	int wanted;   /* or -errno */
} attempts[] = {
	{"a file of its own", "theirs", O_RDWR, false, IS_TAKEN},
	{"a file of root's", "secret", O_RDWR, false, CANNOT_OPEN},
	{"the path of a file of root's", "secret", O_PATH, false, -EACCES},
	{"that path, opened", "secret", O_RDWR, true, CANNOT_OPEN},
	{"a file that all may read", "shown", O_RDWR, false, CANNOT_OPEN},
	{"that file for reading", "shown", O_RDONLY, false, -EACCES},
	{"its path", "shown", O_PATH, false, -EACCES},
	{"a file of its own, again", "theirs", O_RDWR, false, IS_TAKEN},
};
#define ATTEMPTS (sizeof(attempts) / sizeof(attempts[0]))

static int open_attempt(const struct attempt *attempt)
{
	char link[64];
	int fd = openat(
		top_fd, attempt->name, (attempt->by_path ? O_PATH : attempt->flags) | O_CLOEXEC);
	int again;

	if (!attempt->by_path)
		return fd;
	/* The path itself is to be had. */
	if (fd < 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	again = open(link, attempt->flags | O_CLOEXEC);
	close_keep_errno(fd);
	return again;
}

static int receive_socket(int line)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(line, &message, 0) == 1 && message.msg_controllen >= sizeof(control.header))
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* The exit status: 0, or what did not go as it must. */
static int contained(int line)
{
	const struct broker_request request = {.version = BROKER_VERSION, .operation = BROKER_OPEN};
	char byte = 0;
	int socket_fd;

	expect(unshare(CLONE_NEWUSER) == 0);
	expect(write(line, &byte, 1) == 1 && read(line, &byte, 1) == 1);
	expect(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	expect(write(line, &byte, 1) == 1);
	socket_fd = receive_socket(line);
	expect(socket_fd >= 0);
	for (size_t i = 0; i < ATTEMPTS; i++) {
		int fd = open_attempt(&attempts[i]);

		if (attempts[i].wanted == CANNOT_OPEN) {
			expect(fd == -1 && errno == EACCES);
			continue;
		}
		expect(fd >= 0);
		expect(try_send(socket_fd, &request, sizeof(request), &fd, 1, 0) ==
			sizeof(request));
		close(fd);
	}
	/* The broker looks at its ids once, and that is not to be too late. */
	(void)!read(line, &byte, 1);
	return 0;
}

static void map_ids(pid_t pid)
{
	char path[64], map[64];

	snprintf(map, sizeof(map), "0 %d 65536", CONTAINED);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	assert_int_equal(child_write(path, map), 0);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	assert_int_equal(child_write(path, map), 0);
}

static pid_t start_contained(int *ret_line)
{
	int line[2];
	char byte;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(line[0]);
		_exit(contained(line[1]));
	}
	close(line[1]);
	assert_int_equal(read(line[0], &byte, 1), 1);
	map_ids(pid);
	assert_int_equal(write(line[0], "", 1), 1);
	assert_int_equal(read(line[0], &byte, 1), 1);
	*ret_line = line[0];
	return pid;
}

/* Root, mode and owner in the initial user namespace. */
static void make_file(const char *name, uid_t owner, mode_t mode)
{
	int fd = open_file(name, O_RDWR);

	assert_int_equal(fchown(fd, owner, owner), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void a_contained_daemon_passes_on_its_own(void **state)
{
	int line, status;
	char ids[256];
	void *other;
	pid_t pid;

	place_of(state);
	if (CHILD_HAS_THREADS) {
		print_message("skipped: a process with threads makes no user namespace\n");
		skip();
	}
	make_file("secret", 0, 0600);
	make_file("shown", 0, 0644);
	make_file("theirs", CONTAINED, 0600);
	assert_int_equal(fchmod(top_fd, 0711), 0);
	pid = start_contained(&line);
	setup_for(&other, pid);
	send_raw(line, "", 1, &((struct place *)other)->socket_fd, 1);
	for (size_t i = 0; i < ATTEMPTS; i++) {
		int r = attempts[i].wanted == CANNOT_OPEN ? CANNOT_OPEN : hear(other);

		if ((r > 0 ? IS_TAKEN : r) != attempts[i].wanted)
			fail_msg("%s: %d, wanted %d", attempts[i].what, r, attempts[i].wanted);
	}
	read_status(((struct place *)other)->broker.pid, "Uid:\t", ids, sizeof(ids));
	assert_string_equal(ids, "0\t0\t0\t100000");
	close(line);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	teardown(&other);
}

/* --- an upper on an overlayfs --- */

static int make_dir(int dir_fd, const char *name)
{
	assert_int_equal(mkdirat(dir_fd, name, 0700), 0);
	return openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void mount_at(const char *type, const char *name, const char *options)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	if (mount("none", path, type, 0, options) < 0)
		fail_msg("%s: %s", type, strerror(errno));
}

/* Its layers are on two file systems: then its files have neither's device. */
static int mount_overlay(void)
{
	char options[512];

	close(make_dir(top_fd, "low"));
	close(make_dir(top_fd, "mem"));
	close(make_dir(top_fd, "high"));
	mount_at("tmpfs", "mem", NULL);
	snprintf(options, sizeof(options), "%s/mem/upper", top);
	assert_int_equal(mkdir(options, 0700), 0);
	snprintf(options, sizeof(options), "%s/mem/work", top);
	assert_int_equal(mkdir(options, 0700), 0);
	snprintf(options, sizeof(options),
		"lowerdir=%s/low,upperdir=%s/mem/upper,workdir=%s/mem/work", top, top, top);
	mount_at("overlay", "high", options);
	return openat(top_fd, "high", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void unmount_overlay(void)
{
	static const char *const names[] = {"high", "mem", "low"};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		umount2(path, MNT_DETACH);
		rmdir(path);
	}
}

static bool has_overlayfs(void)
{
	char line[128];
	bool has = false;
	FILE *file = fopen("/proc/filesystems", "re");

	while (file && !has && fgets(line, sizeof(line), file))
		has = strcmp(line, "nodev\toverlay\n") == 0;
	if (file)
		fclose(file);
	return has;
}

static void only_files_of_the_overlayfs(void **state)
{
	static const struct {
		const char *what, *name; /* NULL: memory */
		int flags, wanted;
	} rows[] = {
		{"a new file on it", "high/file", O_CREAT, IS_TAKEN},
		{"the same, on the file system of its upper", "mem/upper/file", 0, -EXDEV},
		{"a file beside its upper", "mem/beside", O_CREAT, -EXDEV},
		{"a file of its layer's", "low/file", O_CREAT, -EXDEV},
		{"a file of procfs", "/proc/self/uid_map", 0, -EXDEV},
		{"memory", NULL, 0, -EXDEV},
		{"the first again", "high/file", 0, IS_TAKEN},
	};
	void *other;
	int dir_fd;

	place_of(state);
	if (!has_overlayfs()) {
		print_message("skipped: the kernel has no overlayfs\n");
		skip();
	}
	dir_fd = mount_overlay();
	assert_true(dir_fd >= 0);
	setup_at(&other, getpid(), dir_fd, 2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int flags = rows[i].flags | O_RDWR | O_CLOEXEC;
		int fd = rows[i].name ? openat(top_fd, rows[i].name, flags, 0600)
				      : memfd_create("broker", MFD_CLOEXEC);
		int r;

		if (fd < 0)
			fail_msg("%s: %s", rows[i].what, strerror(errno));
		r = ask(other, fd);
		if ((r > 0 ? IS_TAKEN : r) != rows[i].wanted)
			fail_msg("%s: %d, wanted %d", rows[i].what, r, rows[i].wanted);
		close(fd);
	}
	teardown(&other);
	close(dir_fd);
	unlinkat(top_fd, "low/file", 0);
	unmount_overlay();
}

/* --- what belongs to whom --- */

/* What a test mounts nobody else sees. */
static int make_private_top(void **state)
{
	if (geteuid() == 0 && child_private_mounts() < 0)
		return -1;
	return make_top(state);
}

static int remove_private_top(void **state)
{
	unlinkat(top_fd, "low/file", 0);
	unmount_overlay();
	unlinkat(top_fd, "shown", 0);
	unlinkat(top_fd, "theirs", 0);
	return remove_top(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_read_only_mount_stays_so, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_contained_daemon_passes_on_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(only_files_of_the_overlayfs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make_private_top, remove_private_top);
}
