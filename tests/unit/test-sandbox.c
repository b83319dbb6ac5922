/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox, one child a case: what the daemon needs goes on working, what it has no
 * business with kills it. Runs with any privileges.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/sandbox.h>

/* A build with a sanitizer has no filter. */
#ifdef SANDBOX_UNDER_SANITIZER
static const bool has_filter = false;
#else
static const bool has_filter = true;
#endif

static char top[PATH_MAX]; /* holds reads/ writes/ outside/ */
static int read_fd, write_fd, outside_fd;
static bool has_landlock;

static int open_dir(const char *name)
{
	char path[PATH_MAX], file[PATH_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	mkdir(path, 0755);
	snprintf(file, sizeof(file), "%s/file", path);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, "text", 4) != 4)
		return -1;
	close(fd);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int group_setup(void **state)
{
	strcpy(top, "/tmp/unit-sandbox.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	read_fd = open_dir("reads");
	write_fd = open_dir("writes");
	outside_fd = open_dir("outside");
	has_landlock = syscall(444, NULL, 0, 1) >= 2;
	return read_fd < 0 || write_fd < 0 || outside_fd < 0 ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int group_teardown(void **state)
{
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void lock(enum seccomp_mode mode)
{
	struct sandbox_config config = {
		.seccomp = mode,
		.read_fds = &read_fd,
		.read_count = 1,
		.write_fds = &write_fd,
		.write_count = 1,
	};
	struct error err = {0};

	if (sandbox_lock(&config, &err) < 0) {
		dprintf(2, "sandbox_lock: %s\n", err.text);
		_exit(99);
	}
}

/*
 * The status of a child that runs `action` in the sandbox and exits with what it returns.
 * What it writes to standard error is in `said`.
 */
static int run(int (*action)(void), enum seccomp_mode mode, char *said, size_t size)
{
	int pipe_fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (said)
			dup2(pipe_fds[1], 2);
		lock(mode);
		_exit(action());
	}
	close(pipe_fds[1]);
	n = said ? read(pipe_fds[0], said, size - 1) : 0;
	if (said)
		said[n > 0 ? n : 0] = '\0';
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* 0 when `condition` holds, else the line, for the exit status of the child. */
#define expect(condition)                                                                    \
	do {                                                                                 \
		if (!(condition)) {                                                          \
			dprintf(2, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, \
				errno);                                                      \
			return 1;                                                            \
		}                                                                            \
	} while (0)

/* What a file server does all day. */
static int files(void)
{
	char name[64], buffer[16];
	struct statx stx;
	int fd = openat(write_fd, "new", O_CREAT | O_RDWR | O_CLOEXEC, 0600), again;

	expect(fd >= 0);
	expect(pwrite(fd, "hello", 5, 0) == 5 && pread(fd, buffer, 5, 0) == 5);
	expect(fchmod(fd, 0640) == 0 && fchmodat(write_fd, "new", 0644, 0) == 0);
	expect(ftruncate(fd, 3) == 0 && fallocate(fd, 0, 0, 4096) == 0 && fsync(fd) == 0);
	expect(fchown(fd, geteuid(), getegid()) == 0);
	expect(utimensat(write_fd, "new", NULL, 0) == 0);
	expect(statx(write_fd, "new", 0, STATX_BASIC_STATS, &stx) == 0);
	expect(fsetxattr(fd, "user.x", "y", 1, 0) == 0 || errno == EOPNOTSUPP);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	expect(getxattr(name, "user.x", buffer, sizeof(buffer)) == 1 || errno == ENODATA ||
		errno == EOPNOTSUPP);
	again = open(name, O_RDONLY | O_CLOEXEC);
	expect(again >= 0);
	expect(mkdirat(write_fd, "dir", 0755) == 0);
	expect(symlinkat("to", write_fd, "link") == 0);
	expect(readlinkat(write_fd, "link", buffer, sizeof(buffer)) == 2);
	expect(mknodat(write_fd, "fifo", S_IFIFO | 0600, 0) == 0);
	expect(linkat(write_fd, "new", write_fd, "dir/two", 0) == 0 || errno == EXDEV);
	expect(syscall(SYS_renameat2, write_fd, "new", write_fd, "dir/three", RENAME_NOREPLACE) ==
		0);
	expect(unlinkat(write_fd, "dir/three", 0) == 0);
	unlinkat(write_fd, "dir/two", 0);
	expect(unlinkat(write_fd, "dir", AT_REMOVEDIR) == 0);
	expect(unlinkat(write_fd, "link", 0) == 0 && unlinkat(write_fd, "fifo", 0) == 0);
	expect(ioctl(fd, FICLONE, again) == 0 || errno != ENOSYS);
	return 0;
}

static void *thread_main(void *arg)
{
	pthread_setname_np(pthread_self(), "worker");
	*(int *)arg = 7;
	return NULL;
}

static int threads(void)
{
	pthread_t thread;
	int value = 0;

	expect(pthread_create(&thread, NULL, thread_main, &value) == 0);
	expect(pthread_join(thread, NULL) == 0 && value == 7);
	expect(pthread_kill(pthread_self(), 0) == 0);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 64);
}

static int library(void)
{
	char *memory = malloc(1 << 22);
	struct rlimit limit;

	expect(memory);
	memset(memory, 3, 1 << 22);
	qsort(memory, 4096, 64, compare);
	memory = realloc(memory, 1 << 23);
	expect(memory);
	free(memory);
	expect(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == limit.rlim_max);
	expect(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	expect(isatty(0) == 0 || errno == 0);
	expect(printf("# printed\n") > 0 && fflush(stdout) == 0);
	expect(fcntl(1, F_DUPFD_CLOEXEC, 3) > 2);
	return 0;
}

static int new_calls(void)
{
	if (!has_filter)
		return 0;
	expect(syscall(435, NULL, 0) < 0 && errno == ENOSYS);		  /* clone3 */
	expect(syscall(449, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS); /* futex_waitv */
	expect(syscall(462, NULL, 0, 0) < 0 && errno == ENOSYS);	  /* mseal */
	/* fchmodat2 where the kernel has it. */
	expect(syscall(452, write_fd, "file", 0644, 0) == 0 || errno == ENOSYS);
	return 0;
}

/* By path, where the kernel has them: libgit2 would make what it wants to write in. */
static int directories_by_path(void)
{
#ifdef SYS_mkdir
	if (!has_filter)
		return 0;
	expect(syscall(SYS_mkdir, "/unit-sandbox", 0755) < 0 && errno == EROFS);
	expect(syscall(SYS_rmdir, "/unit-sandbox") < 0 && errno == EROFS);
#endif
	return 0;
}

static const struct {
	const char *name;
	int (*action)(void);
} allowed[] = {
	{"files", files},
	{"threads", threads},
	{"library", library},
	{"new calls", new_calls},
	{"directories by path", directories_by_path},
};

static void allowed_calls_pass(void **state)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		char said[512];
		int status = run(allowed[i].action, SECCOMP_MODE_TRAP, said, sizeof(said));

		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: status %#x: %s", allowed[i].name, status, said);
	}
}

#define CALL(name, ...)                               \
	static int try_##name(void)                   \
	{                                             \
		return (int)syscall(__VA_ARGS__) & 0; \
	}

CALL(socket, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
CALL(socketpair, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, NULL)
CALL(connect, SYS_connect, 0, NULL, 0)
CALL(execve, SYS_execve, "/bin/true", NULL, NULL)
CALL(execveat, SYS_execveat, -1, "/bin/true", NULL, NULL, 0)
CALL(fork, SYS_clone, SIGCHLD, 0, 0, 0, 0)
CALL(vfork, SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0)
CALL(new_userns, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
/* Without CLONE_SIGHAND the kernel itself refuses, should the filter let it through. */
CALL(thread_netns, SYS_clone, CLONE_THREAD | CLONE_NEWNET, 0, 0, 0, 0)
CALL(thread_mntns, SYS_clone, CLONE_THREAD | CLONE_NEWNS, 0, 0, 0, 0)
CALL(thread_userns, SYS_clone, CLONE_THREAD | CLONE_NEWUSER, 0, 0, 0, 0)
CALL(ptrace, SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)
CALL(process_vm_readv, SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0)
CALL(mount, SYS_mount, "none", "/", "tmpfs", 0, NULL)
CALL(umount2, SYS_umount2, "/nowhere", 0)
CALL(move_mount, SYS_move_mount, -1, "", -1, "", 0)
CALL(open_tree, SYS_open_tree, -1, "", 0)
CALL(fsopen, SYS_fsopen, "tmpfs", 0)
CALL(mount_setattr, SYS_mount_setattr, -1, "", 0, NULL, 0)
CALL(pivot_root, SYS_pivot_root, "/", "/")
CALL(chroot, SYS_chroot, "/")
CALL(open_by_handle_at, SYS_open_by_handle_at, -1, NULL, 0)
CALL(name_to_handle_at, SYS_name_to_handle_at, -1, "", NULL, NULL, 0)
CALL(bpf, SYS_bpf, 0, NULL, 0)
CALL(perf_event_open, SYS_perf_event_open, NULL, 0, 0, -1, 0)
CALL(userfaultfd, SYS_userfaultfd, 0)
CALL(kill_init, SYS_kill, 1, 0)
CALL(tgkill_init, SYS_tgkill, 1, 1, 0)
CALL(pidfd_open, SYS_pidfd_open, 1, 0)
CALL(setns, SYS_setns, -1, 0)
CALL(unshare, SYS_unshare, CLONE_NEWNS)
CALL(keyctl, SYS_keyctl, 0, 0, 0, 0, 0)
CALL(add_key, SYS_add_key, NULL, NULL, NULL, 0, 0)
CALL(io_uring_setup, SYS_io_uring_setup, 1, NULL)
CALL(setuid, SYS_setuid, 0)
CALL(setresuid, SYS_setresuid, -1, -1, -1)
CALL(capset, SYS_capset, NULL, NULL)
CALL(seccomp, SYS_seccomp, 0, 0, NULL)
CALL(init_module, SYS_init_module, NULL, 0, "")
CALL(sethostname, SYS_sethostname, "x", 1)
CALL(personality, SYS_personality, 0xffffffff)
CALL(swapon, SYS_swapon, "/nowhere", 0)
CALL(prctl_dumpable, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)
CALL(prlimit_set, SYS_prlimit64, 0, RLIMIT_CORE, &(struct rlimit){1, 1}, NULL)
CALL(prlimit_other, SYS_prlimit64, 1, RLIMIT_CORE, NULL, NULL)
CALL(mmap_exec, SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
CALL(mprotect_exec, SYS_mprotect, 0, 0, PROT_READ | PROT_WRITE | PROT_EXEC)
CALL(pkey_mprotect, SYS_pkey_mprotect, 0, 0, 0, -1)
CALL(ioctl_tiocsti, SYS_ioctl, 0, TIOCSTI, "x")
CALL(ioctl_fitrim, SYS_ioctl, 0, FITRIM, NULL)
CALL(ioctl_backing_open, SYS_ioctl, 0, _IOW(229, 1, uint64_t[2]), NULL)
CALL(fcntl_setown, SYS_fcntl, 0, F_SETOWN, 1)
CALL(fcntl_setsig, SYS_fcntl, 0, F_SETSIG, 9)

#define FORBIDDEN(name)           \
	{                         \
#name, try_##name \
	}

static const struct {
	const char *name;
	int (*action)(void);
} forbidden[] = {FORBIDDEN(socket), FORBIDDEN(socketpair), FORBIDDEN(connect), FORBIDDEN(execve),
	FORBIDDEN(execveat), FORBIDDEN(fork), FORBIDDEN(vfork), FORBIDDEN(new_userns),
	FORBIDDEN(thread_netns), FORBIDDEN(thread_mntns), FORBIDDEN(thread_userns),
	FORBIDDEN(ptrace), FORBIDDEN(process_vm_readv), FORBIDDEN(mount), FORBIDDEN(umount2),
	FORBIDDEN(move_mount), FORBIDDEN(open_tree), FORBIDDEN(fsopen), FORBIDDEN(mount_setattr),
	FORBIDDEN(pivot_root), FORBIDDEN(chroot), FORBIDDEN(open_by_handle_at),
	FORBIDDEN(name_to_handle_at), FORBIDDEN(bpf), FORBIDDEN(perf_event_open),
	FORBIDDEN(userfaultfd), FORBIDDEN(tgkill_init), FORBIDDEN(pidfd_open), FORBIDDEN(kill_init),
	FORBIDDEN(setns), FORBIDDEN(unshare), FORBIDDEN(keyctl), FORBIDDEN(add_key),
	FORBIDDEN(io_uring_setup), FORBIDDEN(setuid), FORBIDDEN(setresuid), FORBIDDEN(capset),
	FORBIDDEN(seccomp), FORBIDDEN(init_module), FORBIDDEN(sethostname), FORBIDDEN(personality),
	FORBIDDEN(swapon), FORBIDDEN(prctl_dumpable), FORBIDDEN(prlimit_set),
	FORBIDDEN(prlimit_other), FORBIDDEN(mmap_exec), FORBIDDEN(mprotect_exec),
	FORBIDDEN(pkey_mprotect), FORBIDDEN(ioctl_tiocsti), FORBIDDEN(ioctl_fitrim),
	FORBIDDEN(ioctl_backing_open), FORBIDDEN(fcntl_setown), FORBIDDEN(fcntl_setsig)};

static void forbidden_calls_kill(void **state)
{
	if (!has_filter)
		skip();
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		int status = run(forbidden[i].action, SECCOMP_MODE_KILL, NULL, 0);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: status %#x, not killed by SIGSYS", forbidden[i].name, status);
	}
}

static void *thread_socket(void *arg)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
	return NULL;
}

static int socket_in_a_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_socket, NULL);
	pthread_join(thread, NULL);
	return 0;
}

static void threads_are_filtered_and_kill_the_process(void **state)
{
	int status;

	if (!has_filter)
		skip();
	status = run(socket_in_a_thread, SECCOMP_MODE_KILL, NULL, 0);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void trap_names_the_call(void **state)
{
	char said[256], wanted[128];
	int status;

	if (!has_filter)
		skip();
	status = run(try_socket, SECCOMP_MODE_TRAP, said, sizeof(said));

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
	snprintf(wanted, sizeof(wanted), "git-overlayfs: seccomp: forbidden system call %d\n",
		(int)SYS_socket);
	assert_string_equal(said, wanted);
}

static int socket_works(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0;
}

static void log_and_off_let_pass(void **state)
{
	assert_int_equal(run(socket_works, SECCOMP_MODE_LOG, NULL, 0), 0);
	assert_int_equal(run(socket_works, SECCOMP_MODE_OFF, NULL, 0), 0);
}

static void modes_have_names(void **state)
{
	static const char *const names[] = {"kill", "trap", "log", "off"};
	enum seccomp_mode mode;
	struct error err = {0};

	for (int i = 0; i < 4; i++) {
		assert_int_equal(seccomp_mode_parse(names[i], &mode, NULL), 0);
		assert_int_equal(mode, i);
	}
	assert_int_equal(seccomp_mode_parse("none", &mode, &err), -EINVAL);
	assert_int_equal(err.status, EXIT_STATUS_USAGE);
	assert_non_null(strstr(err.text, "trap"));
}

static int paths(void)
{
	char name[64];
	int fd, o_path;

	expect(openat(read_fd, "file", O_RDONLY) >= 0);
	expect(openat(write_fd, "file", O_RDWR | O_TRUNC) >= 0);
	expect(openat(read_fd, "file", O_WRONLY) < 0 && errno == EACCES);
	expect(openat(read_fd, "new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
	expect(mkdirat(read_fd, "new", 0700) < 0 && errno == EACCES);
	expect(openat(outside_fd, "file", O_RDONLY) < 0 && errno == EACCES);
	expect(openat(outside_fd, "new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
	expect(unlinkat(outside_fd, "file", 0) < 0 && errno == EACCES);
	expect(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	expect(open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	expect(renameat(write_fd, "file", outside_fd, "moved") < 0);
	/* A second opening through /proc/self/fd is judged by what it opens. */
	o_path = openat(outside_fd, "file", O_PATH);
	expect(o_path >= 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", o_path);
	expect(open(name, O_RDONLY) < 0 && errno == EACCES);
	o_path = openat(read_fd, "file", O_PATH);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", o_path);
	fd = open(name, O_RDONLY);
	expect(fd >= 0);
	return 0;
}

static void landlock_keeps_to_the_directories(void **state)
{
	char said[512];
	int status;

	if (!has_landlock)
		skip();
	status = run(paths, SECCOMP_MODE_TRAP, said, sizeof(said));
	if (status != 0)
		fail_msg("status %#x: %s", status, said);
}

static int landlock_without_seccomp(void)
{
	expect(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	/* Signals out of the sandbox (since Landlock's ABI 6). */
	expect(syscall(444, NULL, 0, 1) < 6 || (kill(getppid(), 0) < 0 && errno == EPERM));
	return 0;
}

static void landlock_stands_alone(void **state)
{
	if (!has_landlock)
		skip();
	assert_int_equal(run(landlock_without_seccomp, SECCOMP_MODE_OFF, NULL, 0), 0);
}

/* The number behind `key` in the status of a process. */
static uint64_t status_value(const char *text, const char *key, int base)
{
	const char *line = strstr(text, key);

	assert_non_null(line);
	return strtoull(line + strlen(key), NULL, base);
}

#define CAP(name) (UINT64_C(1) << CAP_##name)

static void check_status(const char *text, bool sys_admin)
{
	uint64_t all = CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(MKNOD) |
		       CAP(SETFCAP) | (sys_admin ? CAP(SYS_ADMIN) : 0);
	uint64_t wanted = geteuid() == 0 ? all : 0;

	assert_int_equal(status_value(text, "\nCapPrm:\t", 16), wanted);
	assert_int_equal(status_value(text, "\nCapEff:\t", 16), wanted);
	assert_int_equal(status_value(text, "\nCapInh:\t", 16), 0);
	assert_int_equal(status_value(text, "\nCapAmb:\t", 16), 0);
	if (geteuid() == 0)
		assert_int_equal(status_value(text, "\nCapBnd:\t", 16), 0);
	assert_int_equal(status_value(text, "\nNoNewPrivs:\t", 10), 1);
	assert_int_equal(status_value(text, "\nSeccomp:\t", 10), 2);
}

/* Reads its own status through a descriptor that was open before. */
static void status_shows_it(void **state)
{
	if (!has_filter)
		skip();
	for (int sys_admin = 0; sys_admin < 2; sys_admin++) {
		struct sandbox_config config = {.keep_sys_admin = sys_admin};
		char text[8192];
		int pipe_fds[2], status;
		ssize_t n;
		pid_t pid;

		assert_int_equal(pipe(pipe_fds), 0);
		pid = fork();
		if (pid == 0) {
			int fd = open("/proc/self/status", O_RDONLY);

			if (sandbox_lock(&config, NULL) < 0)
				_exit(1);
			n = read(fd, text, sizeof(text));
			_exit(write(pipe_fds[1], text, (size_t)n) != n);
		}
		close(pipe_fds[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		n = read(pipe_fds[0], text, sizeof(text) - 1);
		close(pipe_fds[0]);
		assert_true(n > 0);
		text[n] = '\0';
		check_status(text, sys_admin);
	}
}

static int not_dumpable(void)
{
	char name[64], buffer[4];
	int fd = openat(read_fd, "file", O_PATH);

	expect(prctl(PR_GET_DUMPABLE) == 0);
	/* /proc/self/fd belongs to root now, and works for us all the same. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	fd = open(name, O_RDONLY);
	expect(fd >= 0 && read(fd, buffer, 4) == 4);
	return 0;
}

static void own_descriptors_work_when_not_dumpable(void **state)
{
	assert_int_equal(run(not_dumpable, SECCOMP_MODE_OFF, NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forbidden_calls_kill),
		cmocka_unit_test(threads_are_filtered_and_kill_the_process),
		cmocka_unit_test(trap_names_the_call),
		cmocka_unit_test(status_shows_it),
		cmocka_unit_test(allowed_calls_pass),
		cmocka_unit_test(log_and_off_let_pass),
		cmocka_unit_test(modes_have_names),
		cmocka_unit_test(landlock_keeps_to_the_directories),
		cmocka_unit_test(landlock_stands_alone),
		cmocka_unit_test(own_descriptors_work_when_not_dumpable),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
