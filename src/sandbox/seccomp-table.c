/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls of a file server that reads git repositories with libgit2: files by
 * descriptor, memory, threads, time. Whatever is not here kills the process.
 * Rows without a comment are what the part's title says; the odd ones say why.
 */
#include "sandbox/seccomp-table.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* The kernel reads these arguments as 32 bits: the upper half is anybody's. */
#define LOW_HALF 0xffffffffu

/* FUSE_DEV_IOC_BACKING_OPEN and _CLOSE, younger than many headers. */
#define BACKING_OPEN  _IOC(_IOC_WRITE, 229, 1, 16)
#define BACKING_CLOSE _IOC(_IOC_WRITE, 229, 2, 4)

/* What clone(2) may put a thread into of its own; CLONE_NEWTIME is clone3's alone. */
#define CLONE_NEW_ANY                                                                  \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
		CLONE_NEWPID | CLONE_NEWNET)

/* clang-format off */
#define MASKED(index, mask, value) {TEST_MASKED, (index), (mask), (value)}
#define OWN_PID(index)		   {TEST_OWN_PID, (index), 0, 0}

#define ALLOW(name)		  {name, 0, CALL_ALLOW, {{0}}}
#define ALLOW_IF(name, ...)	  {name, 0, CALL_ALLOW, {__VA_ARGS__}}
#define ALLOW_NEW(name, number)	  {name, number, CALL_ALLOW, {{0}}}
#define ABSENT(name, number)	  {name, number, CALL_ENOSYS, {{0}}}
#define READ_ONLY(name)		  {name, 0, CALL_EROFS, {{0}}}
#define IOCTL(request)		  ALLOW_IF("ioctl", MASKED(1, LOW_HALF, (request)))
#define FCNTL(command)		  ALLOW_IF("fcntl", MASKED(1, LOW_HALF, (command)))
#define PRCTL(option)		  ALLOW_IF("prctl", MASKED(0, LOW_HALF, (option)))

static const struct call_rule daemon_rules[] = {
	/* Reading and writing what is open. */
	ALLOW("read"), ALLOW("readv"), ALLOW("pread64"), ALLOW("preadv"), ALLOW("preadv2"),
	ALLOW("write"), ALLOW("writev"), ALLOW("pwrite64"), ALLOW("pwritev"), ALLOW("pwritev2"),
	ALLOW("lseek"), ALLOW("close"), ALLOW("close_range"), ALLOW("dup"), ALLOW("pipe2"),
	ALLOW("splice"), ALLOW("vmsplice"), ALLOW("tee"), ALLOW("copy_file_range"),
	ALLOW("poll"), ALLOW("ppoll"),
	/* The control socket and the broker's: both were open before. */
	ALLOW("sendmsg"), ALLOW("recvmsg"),

	/* Memory. Nothing becomes executable any more: what runs was mapped before. */
	ALLOW("brk"), ALLOW("munmap"), ALLOW("mremap"), ALLOW("madvise"),
	ALLOW_IF("mmap", MASKED(2, PROT_EXEC, 0)),
	ALLOW_IF("mprotect", MASKED(2, PROT_EXEC, 0)),

	/*
	 * Threads, but no process: CLONE_THREAD is what tells them apart; and none in a
	 * namespace of its own, which CAP_SYS_ADMIN would give.
	 */
	ALLOW_IF("clone", MASKED(0, CLONE_THREAD | CLONE_NEW_ANY, CLONE_THREAD)),
	/* Its flags lie in memory, where a filter cannot see them; glibc then uses clone. */
	ABSENT("clone3", 435),
	ALLOW("futex"), ALLOW("set_robust_list"), ALLOW("rseq"), ALLOW("exit"),
	ALLOW("exit_group"), ALLOW("sched_yield"), ALLOW("sched_getaffinity"),
	ALLOW("gettid"), ALLOW("getpid"), ALLOW("restart_syscall"),
	/* Where a thread runs, itself alone, and only in spare time, and whether it had to yield. */
	ALLOW_IF("sched_setaffinity", MASKED(0, LOW_HALF, 0)),
	ALLOW_IF("sched_setscheduler", MASKED(0, LOW_HALF, 0), MASKED(1, LOW_HALF, SCHED_IDLE)),
	ALLOW_IF("sched_getscheduler", MASKED(0, LOW_HALF, 0)),
	ALLOW_IF("getrusage", MASKED(0, LOW_HALF, RUSAGE_THREAD)), ALLOW("getcpu"),
	/* pthread_cancel, pthread_kill and abort: threads of this process alone. */
	ALLOW_IF("tgkill", OWN_PID(0)),
	PRCTL(PR_SET_NAME),
	/* malloc names its arenas, since glibc 2.39. */
	PRCTL(PR_SET_VMA),

	/* Signals, time, random numbers, who am I. */
	ALLOW("rt_sigaction"), ALLOW("rt_sigprocmask"), ALLOW("rt_sigreturn"),
	ALLOW("rt_sigtimedwait"), ALLOW("sigaltstack"),
	ALLOW("clock_gettime"), ALLOW("clock_nanosleep"), ALLOW("nanosleep"),
	ALLOW("gettimeofday"), ALLOW("getrandom"),
	ALLOW("getuid"), ALLOW("geteuid"), ALLOW("getgid"), ALLOW("getegid"),
	/* The umask of files that are created for others is set once. */
	ALLOW("umask"),
	/* qsort(3) asks how much memory there is. */
	ALLOW("sysinfo"),
	/* getrlimit(3): reading our own, setting none. */
	ALLOW_IF("prlimit64", MASKED(0, LOW_HALF, 0), MASKED(2, ~UINT64_C(0), 0)),

	/* Files, by descriptor and name; Landlock and the jail say which. */
	ALLOW("openat"), ALLOW("openat2"), ALLOW("newfstatat"), ALLOW("fstat"), ALLOW("statx"),
	ALLOW("fstatfs"), ALLOW("faccessat"), ALLOW("faccessat2"), ALLOW("readlinkat"),
	ALLOW("getdents64"), ALLOW("fadvise64"), ALLOW("flock"),
	ALLOW("mkdirat"), ALLOW("mknodat"), ALLOW("symlinkat"), ALLOW("linkat"),
	ALLOW("unlinkat"), ALLOW("renameat"), ALLOW("renameat2"),
	ALLOW("fchmod"), ALLOW("fchmodat"), ALLOW_NEW("fchmodat2", 452), ALLOW("fchown"),
	ALLOW("fchownat"), ALLOW("utimensat"), ALLOW("ftruncate"), ALLOW("fallocate"),
	ALLOW("fsync"), ALLOW("fdatasync"), ALLOW("syncfs"), ALLOW("sync_file_range"),
	ALLOW("fgetxattr"), ALLOW("fsetxattr"), ALLOW("flistxattr"), ALLOW("fremovexattr"),
	/* On /proc/self/fd/N, since an O_PATH descriptor has no xattr calls of its own. */
	ALLOW("getxattr"), ALLOW("setxattr"), ALLOW("listxattr"), ALLOW("removexattr"),
	ALLOW("lgetxattr"), ALLOW("lsetxattr"), ALLOW("llistxattr"), ALLOW("lremovexattr"),
	/* A large blob is inflated into one where the upper has no O_TMPFILE. */
	ALLOW("memfd_create"),
	/* libgit2 looks at its repository by path. */
	ALLOW("access"), ALLOW("readlink"), ALLOW("getcwd"),
	/*
	 * It would make the directories of what it wants to write in a repository. All that it
	 * sees by path is read-only, and an answer that says so ends in an error of its own.
	 */
	READ_ONLY("mkdir"), READ_ONLY("rmdir"),

	FCNTL(F_GETFD), FCNTL(F_SETFD), FCNTL(F_GETFL), FCNTL(F_SETFL), FCNTL(F_DUPFD_CLOEXEC),
	FCNTL(F_GETPIPE_SZ), FCNTL(F_SETPIPE_SZ), FCNTL(F_SETLK),
	FCNTL(F_OFD_GETLK), FCNTL(F_OFD_SETLK),

	/* One more channel to the same FUSE connection, for another thread. */
	IOCTL(FUSE_DEV_IOC_CLONE),
	/* A copy-up that shares its blocks, whole or in part. */
	IOCTL(FICLONE), IOCTL(FICLONERANGE),
	/* lsattr and chattr on files of the upper, and lsattr on those of a directory layer. */
	IOCTL(FS_IOC_GETFLAGS), IOCTL(FS_IOC_SETFLAGS), IOCTL(FS_IOC_FSGETXATTR),
	IOCTL(FS_IOC_FSSETXATTR), IOCTL(FS_IOC_GETVERSION),
	/* At the bound of the upper: what a file has already it may write. */
	IOCTL(FS_IOC_FIEMAP),
	/* stdio asks whether a stream is a terminal, which none is any more. */
	{"ioctl", 0, CALL_ENOTTY, {MASKED(1, LOW_HALF, TCGETS)}},

	/* What newer C libraries try first, and have another way for. */
	ABSENT("futex_waitv", 449), ABSENT("cachestat", 451), ABSENT("map_shadow_stack", 453),
	ABSENT("futex_wake", 454), ABSENT("futex_wait", 455), ABSENT("futex_requeue", 456),
	ABSENT("mseal", 462), ABSENT("setxattrat", 463), ABSENT("getxattrat", 464),
	ABSENT("listxattrat", 465), ABSENT("removexattrat", 466),
	ABSENT("file_getattr", 468), ABSENT("file_setattr", 469),
	ABSENT("membarrier", 0), ABSENT("memfd_secret", 447),
};

/* Descriptors come by a socket, are looked at, and handed to FUSE. */
static const struct call_rule broker_rules[] = {
	ALLOW("recvmsg"), ALLOW("sendto"), ALLOW("close"),
	ALLOW("fstat"), ALLOW_IF("newfstatat", MASKED(3, LOW_HALF, AT_EMPTY_PATH)),
	FCNTL(F_GETFL), IOCTL(BACKING_OPEN), IOCTL(BACKING_CLOSE),
	/* Itself alone: it follows the daemon. */
	ALLOW_IF("sched_setaffinity", MASKED(0, LOW_HALF, 0)),
	ALLOW_IF("sched_getaffinity", MASKED(0, LOW_HALF, 0)),
	ALLOW("restart_syscall"), ALLOW("exit_group"),
};
/* clang-format on */

const struct call_table daemon_calls = {
	daemon_rules, sizeof(daemon_rules) / sizeof(daemon_rules[0])};
const struct call_table broker_calls = {
	broker_rules, sizeof(broker_rules) / sizeof(broker_rules[0])};
