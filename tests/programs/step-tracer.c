/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * step-tracer PID CALLS FIRST LAST ERROR|kill: counts the system calls of a process and its
 * threads, of those named in CALLS ("openat,mkdirat", or "all" that are known here), from 1.
 * Those from FIRST to LAST fail with ERROR (a number), or the process is killed before FIRST.
 * Says "ready" when it traces, and at SIGTERM, or at the end of the process, how many calls there
 * were, and the name of the one that failed.
 *
 * The call that fails is made as getpid(2): a seccomp filter allows that, where it does not
 * allow the number -1 that a tracer would take otherwise.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 256

#ifndef __x86_64__
int main(void)
{
	puts("knows the registers of x86-64 only");
	return 77;
}
#else

static const struct {
	const char *name;
	long number;
} known[] = {
	{"openat", SYS_openat},
	{"mkdirat", SYS_mkdirat},
	{"mknodat", SYS_mknodat},
	{"symlinkat", SYS_symlinkat},
	{"linkat", SYS_linkat},
	{"unlinkat", SYS_unlinkat},
	{"renameat2", SYS_renameat2},
	{"fchownat", SYS_fchownat},
	{"fchmodat", SYS_fchmodat},
	{"utimensat", SYS_utimensat},
	{"ftruncate", SYS_ftruncate},
	{"fsync", SYS_fsync},
	{"setxattr", SYS_setxattr},
	{"fsetxattr", SYS_fsetxattr},
	{"removexattr", SYS_removexattr},
	{"fremovexattr", SYS_fremovexattr},
	{"getxattr", SYS_getxattr},
	{"fgetxattr", SYS_fgetxattr},
	{"listxattr", SYS_listxattr},
	{"flistxattr", SYS_flistxattr},
	{"newfstatat", SYS_newfstatat},
	{"fstat", SYS_fstat},
	{"readlinkat", SYS_readlinkat},
	{"getdents64", SYS_getdents64},
	{"pread64", SYS_pread64},
	{"pwrite64", SYS_pwrite64},
	{"fallocate", SYS_fallocate},
	{"copy_file_range", SYS_copy_file_range},
	{"fcntl", SYS_fcntl},
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

struct thread {
	pid_t id;
	bool fails;
};

static struct thread threads[THREADS_MAX];
static bool is_counted[KNOWN_COUNT];
static uint64_t first, last, calls;
static int error; /* 0: kill */
static pid_t process;
static const char *failed = "";

static void die(const char *what)
{
	fprintf(stderr, "step-tracer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void report(void)
{
	printf("%llu %s\n", (unsigned long long)calls, failed);
	fflush(stdout);
}

/* Whoever exits lets all that it traces go on. */
static void on_end(int number)
{
	report();
	_exit(0);
}

static struct thread *find_thread(pid_t id)
{
	struct thread *empty = NULL;

	for (size_t i = 0; i < THREADS_MAX; i++) {
		if (threads[i].id == id)
			return &threads[i];
		if (!threads[i].id && !empty)
			empty = &threads[i];
	}
	if (!empty) {
		fprintf(stderr, "step-tracer: too many threads\n");
		exit(1);
	}
	*empty = (struct thread){.id = id};
	return empty;
}

static void choose_calls(char *list)
{
	char *save = NULL;
	bool all = strcmp(list, "all") == 0;

	for (char *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < KNOWN_COUNT; i++)
			is_counted[i] |= all || strcmp(known[i].name, p) == 0;
}

static const char *counted_name(long number)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (known[i].number == number)
			return is_counted[i] ? known[i].name : NULL;
	return NULL;
}

static void enter_call(struct thread *thread, struct user_regs_struct *regs)
{
	const char *name = counted_name((long)regs->orig_rax);

	if (!name || ++calls < first || calls > last || first == 0)
		return;
	failed = name;
	if (error == 0) {
		kill(process, SIGKILL);
		return;
	}
	thread->fails = true;
	regs->orig_rax = SYS_getpid;
	ptrace(PTRACE_SETREGS, thread->id, NULL, regs);
}

static void leave_call(struct thread *thread, struct user_regs_struct *regs)
{
	if (!thread->fails)
		return;
	thread->fails = false;
	regs->rax = (unsigned long long)-error;
	ptrace(PTRACE_SETREGS, thread->id, NULL, regs);
}

static void at_call(struct thread *thread)
{
	struct __ptrace_syscall_info info;
	struct user_regs_struct regs;

	/* Killed meanwhile. */
	if (ptrace(PTRACE_GET_SYSCALL_INFO, thread->id, (void *)sizeof(info), &info) < 0 ||
		ptrace(PTRACE_GETREGS, thread->id, NULL, &regs) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		enter_call(thread, &regs);
	else
		leave_call(thread, &regs);
}

static void on_stop(pid_t id, int status)
{
	struct thread *thread = find_thread(id);
	int deliver = 0;

	if (WSTOPSIG(status) == (SIGTRAP | 0x80))
		at_call(thread);
	else if (status >> 16 == 0)
		deliver = WSTOPSIG(status);
	ptrace(PTRACE_SYSCALL, id, NULL, (void *)(intptr_t)deliver);
}

static void seize_all(void)
{
	char path[64];
	struct dirent *entry;
	DIR *stream;

	snprintf(path, sizeof(path), "/proc/%d/task", process);
	stream = opendir(path);
	if (!stream)
		die(path);
	while ((entry = readdir(stream))) {
		pid_t id = atoi(entry->d_name);
		const intptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;

		if (id <= 0)
			continue;
		if (ptrace(PTRACE_SEIZE, id, NULL, (void *)options) < 0 ||
			ptrace(PTRACE_INTERRUPT, id, NULL, NULL) < 0)
			die("PTRACE_SEIZE");
		if (waitpid(id, NULL, __WALL) != id)
			die("waitpid");
		find_thread(id);
		ptrace(PTRACE_SYSCALL, id, NULL, NULL);
	}
	closedir(stream);
}

int main(int argc, char **argv)
{
	int status;
	pid_t id;

	if (argc != 6) {
		fprintf(stderr, "usage: step-tracer PID CALLS FIRST LAST ERROR|kill\n");
		return 2;
	}
	process = atoi(argv[1]);
	choose_calls(argv[2]);
	first = strtoull(argv[3], NULL, 10);
	last = strtoull(argv[4], NULL, 10);
	error = strcmp(argv[5], "kill") == 0 ? 0 : atoi(argv[5]);
	signal(SIGTERM, on_end);
	seize_all();
	puts("ready");
	fflush(stdout);
	while ((id = waitpid(-1, &status, __WALL)) > 0)
		if (WIFSTOPPED(status))
			on_stop(id, status);
	report();
	return 0;
}
#endif
