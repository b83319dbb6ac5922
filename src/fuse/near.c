/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/near.h"

#include <stddef.h>
#include <sys/resource.h>

#include "fuse/pace.h"

/* So many slow ones on end, and another processor is tried for as many. */
#define SLOW_RUN 2
/* Processors that are tried on end. */
#define TRIALS 8
/* Slow waits after which it is tried again where it was in vain; doubled each time. */
#define PAUSE_MIN 4
#define PAUSE_MAX 512

/* Of the calling thread, while it serves. */
static _Thread_local struct near *current;

static long count_preempted(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) < 0 ? 0 : usage.ru_nivcsw;
}

void near_init(struct near *near)
{
	const struct sched_param none = {0};

	*near = (struct near){.cpu = -1, .count_preempted = count_preempted};
	near->is_off = sched_getaffinity(0, sizeof(near->allowed), &near->allowed) < 0 ||
		       CPU_COUNT(&near->allowed) < 2 ||
		       sched_setscheduler(0, SCHED_IDLE, &none) < 0;
}

static void go_to(struct near *near, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		near->is_off = true;
	near->cpu = cpu;
}

static int next_cpu(const struct near *near, int cpu)
{
	do
		cpu = (cpu + 1) % CPU_SETSIZE;
	while (!CPU_ISSET(cpu, &near->allowed));
	return cpu;
}

void near_begin(struct near *near, int cpu)
{
	near->sum_ns = 0;
	near->count = near->tried = near->rest = 0;
	near->pause = PAUSE_MIN;
	near->preempted = near->count_preempted();
	if (near->is_off)
		return;
	current = near;
	go_to(near, next_cpu(near, cpu));
}

void near_end(struct near *near)
{
	if (current)
		sched_setaffinity(0, sizeof(near->allowed), &near->allowed);
	current = NULL;
}

/* Not less than a quarter: chance is not to move a server to and fro. */
static bool is_better(int64_t now, int64_t before)
{
	return now * 4 < before * 3;
}

/* The client took the processor as soon as it was answered, so it is here. */
static bool was_preempted(struct near *near)
{
	long preempted = near->count_preempted();

	if (preempted == near->preempted)
		return false;
	near->preempted = preempted;
	return true;
}

static void try_next(struct near *near)
{
	near->tried++;
	go_to(near, next_cpu(near, near->cpu));
}

static void end_trial(struct near *near, int64_t mean)
{
	if (is_better(mean, near->slow_ns)) {
		near->tried = 0;
		if (near->pause > PAUSE_MIN)
			near->pause /= 2;
	} else if (near->tried < TRIALS && next_cpu(near, near->cpu) != near->first_cpu) {
		try_next(near);
	} else {
		near->tried = 0;
		near->rest = near->pause;
		if (near->pause < PAUSE_MAX)
			near->pause *= 2;
		go_to(near, near->first_cpu);
	}
}

static void end_run(struct near *near)
{
	int64_t mean = near->sum_ns / SLOW_RUN;

	near->count = 0;
	near->sum_ns = 0;
	if (near->tried > 0) {
		end_trial(near, mean);
		return;
	}
	near->slow_ns = mean;
	near->first_cpu = near->cpu;
	try_next(near);
}

void near_note(struct near *near, int64_t wait_ns)
{
	bool is_slow = wait_ns >= PACE_SLOW_NS;

	if (near->is_off || wait_ns > PACE_PROMPT_NS)
		return;
	if (near->tried == 0) {
		if (is_slow && near->rest > 0) {
			near->rest--;
			return;
		}
		if (!is_slow || was_preempted(near)) {
			near->count = 0;
			near->sum_ns = 0;
			return;
		}
	}
	near->sum_ns += wait_ns;
	if (++near->count == SLOW_RUN)
		end_run(near);
}

int near_current_cpu(void)
{
	return current ? current->cpu : -1;
}

void near_has_yielded(void)
{
	if (current)
		current->preempted = current->count_preempted();
}
