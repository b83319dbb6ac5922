/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the machine itself takes for the steps that a file system in a process is made of. */
#include "bench.h"

#include <err.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS  300000
#define TURNS  30000
#define FAULTS 20000
#define STARTS 100
#define PAGE   4096

static void go_to(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "sched_setaffinity");
}

static void pass(int from, int to, char byte)
{
	if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
		_exit(1);
}

/* There and back, between processes, as a request and its answer. */
static void take_turns(const char *verb, int first, int second)
{
	int there[2], back[2];
	char byte = 0;
	double started;
	pid_t pid;

	if (pipe(there) < 0 || pipe(back) < 0)
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	go_to(pid ? first : second);
	if (pid == 0) {
		for (int i = 0; i < TURNS; i++)
			pass(there[0], back[1], byte);
		_exit(0);
	}
	started = now();
	for (int i = 0; i < TURNS; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			errx(1, "%s: the other process has ended", verb);
	report(verb, TURNS, started);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(there[i]);
		close(back[i]);
	}
}

static void touch_pages(void)
{
	double started;
	char *pages = mmap(NULL, (size_t)FAULTS * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		err(1, "mmap");
	madvise(pages, (size_t)FAULTS * PAGE, MADV_NOHUGEPAGE);
	started = now();
	for (size_t i = 0; i < FAULTS; i++)
		pages[i * PAGE] = 1;
	report("fault", FAULTS, started);
	munmap(pages, (size_t)FAULTS * PAGE);
}

static void start_programs(void)
{
	double started = now();

	for (int i = 0; i < STARTS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
	report("start", STARTS, started);
}

void do_machine(char **args)
{
	double started = now();

	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	report("call", CALLS, started);
	touch_pages();
	start_programs();
	take_turns("turn", 0, 0);
	take_turns("wake", 0, 1);
}
