/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/server.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>

#include "fuse/loop.h"
#include "fuse/near.h"
#include "fuse/pace.h"
#include "util/clock.h"

/* A read(2) that took longer has waited; one of much data is no sign. */
#define WAITED_NS 10000
#define MUCH	  65536
/*
 * A request that takes longer waits for a disk or computes, so a wake-up matters little, and a
 * SCHED_IDLE server would only come later. After so many on end the near server gives its place up.
 */
#define LONG_NS	 400000
#define LONG_RUN 4
/* Rounds that the others rest after the near server; doubled while it serves fewer requests. */
#define PAUSE_MAX   256
#define WELL_SERVED 1024

/* What a server remembers of its last requests. */
struct server {
	struct loop *loop;
	struct fuse_buf buffer;
	unsigned long_run;
	struct pace pace;
	bool is_slow;
};

/* Also at the end of the connection. False after `timeout_ms` (-1: for ever), or a signal. */
static bool has_request(struct loop *loop, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fuse_session_fd(loop->fuse), .events = POLLIN};

	return poll(&poll_fd, 1, timeout_ms) > 0;
}

bool server_is_wanted(struct loop *loop)
{
	return has_request(loop, 0);
}

/* --- taking a request --- */

/* Its size; -EINTR; or else the connection has ended. */
static int receive(struct server *server)
{
	struct loop *loop = server->loop;
	int n = fuse_session_receive_buf(loop->fuse, &server->buffer), none = 0;

	if (n > 0)
		atomic_fetch_add(&loop->taken, 1);
	else if (n < 0 && n != -EINTR)
		atomic_compare_exchange_strong(&loop->error, &none, n);
	return n;
}

static uint32_t opcode_of(const struct server *server)
{
	const struct fuse_in_header *header = server->buffer.mem;

	return header->opcode;
}

/* False: the connection has ended, or the loop. */
static bool take(struct server *server)
{
	struct loop *loop = server->loop;
	int64_t begun = clock_now_ns(), wait;
	bool waited;
	int n;

	atomic_fetch_add(&loop->readers, 1);
	do
		n = receive(server);
	while (n == -EINTR && !atomic_load(&loop->is_stopped));
	atomic_fetch_sub(&loop->readers, 1);
	if (n <= 0)
		return false;
	wait = clock_now_ns() - begun;
	waited = n < MUCH && wait > WAITED_NS;
	pace_take(&server->pace, opcode_of(server), waited);
	server->is_slow = n < MUCH && !server->long_run && pace_is_slow(&server->pace, wait);
	return true;
}

static void serve(struct server *server)
{
	int64_t begun = clock_now_ns();

	fuse_session_process_buf(server->loop->fuse, &server->buffer);
	server->long_run = clock_now_ns() - begun > LONG_NS ? server->long_run + 1 : 0;
}

/* Before a request is served, for it may take long. */
static void call_overseer(struct server *server)
{
	struct loop *loop = server->loop;
	bool is_behind = pace_is_behind(&server->pace);

	if (is_behind) {
		is_behind = atomic_load(&loop->active) < loop->parallel &&
			    !atomic_exchange(&loop->is_behind, true);
	}
	if (is_behind || !atomic_exchange(&loop->is_watched, true))
		sem_post(&loop->overseer);
}

/* --- who serves --- */

/* One less of the active, but for the last one. */
static bool give_place_up(struct loop *loop)
{
	unsigned active = atomic_load(&loop->active);

	while (active > 1)
		if (atomic_compare_exchange_weak(&loop->active, &active, active - 1))
			return true;
	return false;
}

/* True: this server is not needed any more. The last one stays. */
static bool leave(struct server *server)
{
	return pace_is_idle(&server->pace) && give_place_up(server->loop);
}

static bool start_near(struct loop *loop)
{
	if (atomic_exchange(&loop->has_near, true))
		return true;
	/* The signals that this thread blocks the new one blocks, too. */
	if (pthread_create(&loop->near_server, NULL, server_run_near, loop) == 0)
		return true;
	atomic_store(&loop->has_near, false);
	return false;
}

/* True: the near server has the place of this one. */
static bool hand_over(struct server *server)
{
	struct loop *loop = server->loop;
	bool serves = false;

	if (!server->is_slow || atomic_load(&loop->active) > 1 || atomic_load(&loop->near_is_off) ||
		!start_near(loop))
		return false;
	/* It may still be at a request that made somebody replace it. */
	if (atomic_load(&loop->near_state) != NEAR_WAITS || atomic_load(&loop->near_serves))
		return false;
	atomic_store(&loop->near_at, atomic_load(&loop->taken));
	atomic_store(&loop->near_from, sched_getcpu());
	if (!atomic_compare_exchange_strong(&loop->near_serves, &serves, true))
		return false;
	sem_post(&loop->near_turn);
	return true;
}

bool server_replace_near(struct loop *loop)
{
	unsigned pause = atomic_load(&loop->near_pause), served;
	bool serves = true;

	if (!atomic_compare_exchange_strong(&loop->near_serves, &serves, false))
		return false;
	served = atomic_load(&loop->taken) - atomic_load(&loop->near_at);
	if (served >= WELL_SERVED)
		pause /= 2;
	else if (pause < PAUSE_MAX)
		pause = pause ? pause * 2 : 1;
	atomic_store(&loop->near_pause, pause);
	if (!give_place_up(loop))
		sem_post(&loop->reserve);
	return true;
}

static void wait_in_reserve(struct server *server)
{
	struct loop *loop = server->loop;

	while (sem_wait(&loop->reserve) < 0 && !atomic_load(&loop->is_stopped))
		;
	server->pace = (struct pace){.rest = atomic_load(&loop->near_pause)};
}

void *server_run(void *data)
{
	struct loop *loop = data;
	struct server server = {.loop = loop};

	while (!atomic_load(&loop->is_stopped) && take(&server)) {
		call_overseer(&server);
		serve(&server);
		if (leave(&server) || hand_over(&server))
			wait_in_reserve(&server);
	}
	free(server.buffer.mem);
	loop_stop(loop);
	return NULL;
}

/* --- the near server --- */

/*
 * In poll(2), without a claim: of those who wait in read(2) a request wakes one alone, which should
 * be none who is replaced. False: it is, or all has ended, which the read(2) of others tells.
 */
static bool await(struct loop *loop)
{
	while (atomic_load(&loop->near_serves) && !atomic_load(&loop->is_stopped))
		if (has_request(loop, -1))
			return atomic_load(&loop->near_serves);
	return false;
}

/*
 * The client runs as soon as it is answered, on this processor, so when this thread does again the
 * next request is mostly there, and need not be looked for. False: another server has its place.
 */
static bool go_to_read(struct loop *loop, bool looks)
{
	/* Before it has one: it may be held up as soon as it has. */
	atomic_store(&loop->near_is_called, false);
	atomic_store(&loop->near_state, looks ? NEAR_WORKS : NEAR_READS);
	if (atomic_load(&loop->near_serves))
		return true;
	atomic_store(&loop->near_state, NEAR_WAITS);
	return false;
}

static void serve_near(struct server *server, struct near *near)
{
	struct loop *loop = server->loop;
	int64_t begun = clock_now_ns();
	bool looks = true;

	server->long_run = 0;
	/* Beside another server it may be held up unnoticed. */
	while (server->long_run < LONG_RUN && !near->is_off && atomic_load(&loop->active) == 1 &&
		(!looks || await(loop)) && go_to_read(loop, looks)) {
		int n = receive(server);

		if (n > 0) {
			atomic_store(&loop->near_state, NEAR_WORKS);
			near_note(near, clock_now_ns() - begun);
			if (pace_looks(&server->pace, opcode_of(server)))
				pace_look(&server->pace, has_request(loop, 0));
			call_overseer(server);
			serve(server);
			begun = clock_now_ns();
		}
		atomic_store(&loop->near_state, NEAR_WAITS);
		if (n <= 0 && n != -EINTR) {
			loop_stop(loop);
			return;
		}
		looks = n < 0;
	}
}

static bool wait_for_turn(struct loop *loop)
{
	while (sem_wait(&loop->near_turn) < 0 && !atomic_load(&loop->is_stopped))
		;
	return !atomic_load(&loop->is_stopped);
}

void *server_run_near(void *data)
{
	struct loop *loop = data;
	struct server server = {.loop = loop};
	struct near near;

	near_init(&near);
	atomic_store(&loop->near_is_off, near.is_off);
	while (wait_for_turn(loop)) {
		near_begin(&near, atomic_load(&loop->near_from));
		serve_near(&server, &near);
		near_end(&near);
		atomic_store(&loop->near_is_off, near.is_off);
		server_replace_near(loop);
	}
	free(server.buffer.mem);
	return NULL;
}
