/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/loop.h"

#include <errno.h>
#include <malloc.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "fuse/server.h"
#include "util/clock.h"
#include "util/pages.h"

/* Nobody else's: it only makes a read(2) return. */
#define INTERRUPT SIGUSR1

/* How often the overseer looks whether requests are being taken, while there are any. */
#define TICK_NS INT64_C(2000000)
/*
 * While one request after the other comes to the near server it looks less and less often, up to
 * this: a thread that wakes up beside the two has the scheduler take the client elsewhere, who is
 * to be found again.
 */
#define TICK_MAX_NS (4 * TICK_NS)
/* A request for each of these is one after the other. */
#define DENSE_NS 100000
/* Without a request for so many ticks it sleeps until there is one. */
#define IDLE_TICKS 50
/* How long an interrupted server may take before it is interrupted again, at first. */
#define INTERRUPT_NS 200000
/* Requests after which a rest gives pages back, or bytes that are free, which large files leave. */
#define MUCH_WORK 128
#define MUCH_FREE (4 << 20)

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->is_stopped, true);
	sem_post(&loop->overseer);
}

/* --- the overseer --- */

/* What ends the process comes to the overseer. */
static int start_server(struct loop *loop)
{
	sigset_t set, old;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	r = pthread_create(&loop->servers[loop->server_count], NULL, server_run, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		loop->server_count++;
	return -r;
}

/* Without memory for another one those that are there go on. */
static int send_in(struct loop *loop)
{
	unsigned active = atomic_fetch_add(&loop->active, 1);
	int r = 0;

	if (active < loop->server_count)
		sem_post(&loop->reserve);
	else if (loop->server_count < LOOP_SERVERS_MAX)
		r = start_server(loop);
	else
		r = -EAGAIN;
	if (r < 0)
		atomic_fetch_sub(&loop->active, 1);
	return r;
}

/* Of one that waits the wait ends, too: requests would wake it, though it takes none. */
static bool replace_near(struct loop *loop)
{
	if (!server_replace_near(loop))
		return false;
	if (atomic_load(&loop->near_state) != NEAR_WORKS)
		pthread_kill(loop->near_server, INTERRUPT);
	return true;
}

/*
 * Where it waits in read(2) it cannot be told from one that has a request and gets no time to come
 * back with it: it is called out, to wait in poll(2). True: it has time until the next tick. One
 * that is replaced, and was on its way into read(2) when it was called, is called again.
 */
static bool call_near_out(struct loop *loop)
{
	bool serves = atomic_load(&loop->near_serves);

	if (atomic_load(&loop->near_state) != NEAR_READS ||
		(atomic_exchange(&loop->near_is_called, true) && serves))
		return false;
	pthread_kill(loop->near_server, INTERRUPT);
	return serves;
}

static void send_help(struct loop *loop)
{
	if (!replace_near(loop))
		send_in(loop);
}

/*
 * For a tick nothing was taken: whether somebody should take something. The near server yields the
 * processor to everybody else, so it may be at a request or have one before it and get no time.
 */
static bool is_held_up(struct loop *loop)
{
	if (atomic_load(&loop->near_serves))
		return atomic_load(&loop->near_state) != NEAR_WAITS || server_is_wanted(loop);
	/* It was woken for a request, and then replaced: nobody else will be. */
	if (atomic_load(&loop->near_state) == NEAR_READS && server_is_wanted(loop))
		return true;
	/* All are at the same requests as a tick ago, and nobody is there for the next. */
	return atomic_load(&loop->readers) == 0;
}

static struct timespec after(int64_t ns)
{
	int64_t end = clock_now_ns() + ns;

	return (struct timespec){.tv_sec = end / NS_PER_S, .tv_nsec = end % NS_PER_S};
}

/* True: a tick has passed. The clock is looked at only while there are requests. */
static bool sleep_or_tick(struct loop *loop, bool watch, int64_t tick_ns)
{
	struct timespec until;

	if (!watch) {
		sem_wait(&loop->overseer);
		return false;
	}
	until = after(tick_ns);
	return sem_clockwait(&loop->overseer, CLOCK_MONOTONIC, &until) < 0 && errno == ETIMEDOUT;
}

static int64_t next_tick(const struct loop *loop, int64_t tick_ns, unsigned taken)
{
	if (taken < tick_ns / DENSE_NS || !atomic_load(&loop->near_serves))
		return TICK_NS;
	return tick_ns < TICK_MAX_NS ? tick_ns * 2 : tick_ns;
}

/* Most of what getting started took, or much work, is not needed any more. */
static void give_back(void)
{
	pages_release();
	malloc_trim(0);
}

static void oversee(struct loop *loop)
{
	unsigned seen = atomic_load(&loop->taken), idle = IDLE_TICKS;
	unsigned rested_at = seen, rest_after = 1;
	int64_t tick_ns = TICK_NS;

	while (!atomic_load(&loop->is_stopped)) {
		unsigned taken;
		bool ticked;

		if (idle >= IDLE_TICKS)
			atomic_store(&loop->is_watched, false);
		if (idle == IDLE_TICKS && seen != rested_at &&
			(seen - rested_at >= rest_after || mallinfo2().fordblks > MUCH_FREE)) {
			rested_at = seen;
			rest_after = MUCH_WORK;
			give_back();
		}
		if (idle == IDLE_TICKS && loop->at_rest)
			loop->at_rest(loop->data);
		/* What comes next may find every processor busy. */
		if (idle == IDLE_TICKS)
			replace_near(loop);
		/* Who took a request before that was not told to call, and has counted it. */
		if (seen != atomic_load(&loop->taken))
			atomic_store(&loop->is_watched, true);
		ticked = sleep_or_tick(loop, atomic_load(&loop->is_watched), tick_ns);
		if (atomic_exchange(&loop->is_behind, false))
			send_help(loop);
		taken = atomic_load(&loop->taken);
		if (taken != seen)
			idle = 0;
		else if (ticked)
			idle++;
		if (ticked && taken == seen && !call_near_out(loop) && is_held_up(loop)) {
			idle = 0;
			send_help(loop);
		}
		tick_ns = next_tick(loop, tick_ns, taken - seen);
		seen = taken;
	}
}

static void on_interrupt(int number)
{
}

/*
 * Who is interrupted may have been on the way into read(2): it is interrupted again, each time
 * after twice as long. For where it is at a request its calls begin anew, and some, fallocate(2)
 * on a tmpfs, get nowhere while there are signals.
 */
static void join_server(pthread_t server)
{
	const struct timespec look = {.tv_nsec = INTERRUPT_NS};
	int64_t pause_ns = INTERRUPT_NS, next = 0;

	while (pthread_tryjoin_np(server, NULL) == EBUSY) {
		int64_t now = clock_now_ns();

		if (now >= next) {
			pthread_kill(server, INTERRUPT);
			next = now + pause_ns;
			pause_ns *= 2;
		}
		nanosleep(&look, NULL);
	}
}

static void join_servers(struct loop *loop)
{
	for (unsigned i = 0; i < loop->server_count; i++)
		sem_post(&loop->reserve);
	for (unsigned i = 0; i < loop->server_count; i++)
		join_server(loop->servers[i]);
	loop->server_count = 0;
	if (!atomic_load(&loop->has_near))
		return;
	sem_post(&loop->near_turn);
	join_server(loop->near_server);
}

void loop_init(struct loop *loop, struct fuse_session *fuse, unsigned parallel)
{
	loop->fuse = fuse;
	loop->parallel = parallel < LOOP_SERVERS_MAX ? parallel : LOOP_SERVERS_MAX;
	sem_init(&loop->overseer, 0, 0);
	sem_init(&loop->reserve, 0, 0);
	sem_init(&loop->near_turn, 0, 0);
}

void loop_destroy(struct loop *loop)
{
	sem_destroy(&loop->overseer);
	sem_destroy(&loop->reserve);
	sem_destroy(&loop->near_turn);
}

int loop_run(struct loop *loop)
{
	/* Without SA_RESTART: read(2) must return. */
	struct sigaction act = {.sa_handler = on_interrupt};
	int r;

	sigaction(INTERRUPT, &act, NULL);
	r = send_in(loop);
	if (r < 0)
		return r;
	oversee(loop);
	join_servers(loop);
	return atomic_load(&loop->error);
}
