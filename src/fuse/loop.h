/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who reads requests and serves them. A wake-up of another processor costs ten times what most
 * requests cost, and the kernel wakes whoever has waited longest: of two threads that wait for one
 * client the colder one, each time. So one thread reads and serves alone as long as it keeps up;
 * an overseer sends in another when requests queue up behind it, or when it does not come back
 * from one. Who then waits in vain leaves again. Where waking up is what takes the time, the near
 * server (near.h) takes the place of the last one, until the overseer puts another there again.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

struct fuse_session;

/* Also of those who are held up: what one of them waits for may need another. */
#define LOOP_SERVERS_MAX 16

/* What the near server is at. */
enum near_state {
	NEAR_WAITS, /* in poll(2), or for its turn */
	NEAR_READS, /* in read(2): it waits there, or has a request and has not come back with it */
	NEAR_WORKS, /* it has a request, or there is one for it to read */
};

struct loop {
	struct fuse_session *fuse;   /* immutable */
	unsigned parallel;	     /* immutable: as many serve at once where none is held up */
	void (*at_rest)(void *data); /* immutable: called when there were no requests for a while */
	void *data;
	sem_t overseer;	 /* something for the overseer to do */
	sem_t reserve;	 /* what the servers wait on who are not needed now */
	sem_t near_turn; /* and the near one, until it is to take somebody's place */
	_Atomic bool is_stopped;
	_Atomic int error;	     /* the first that ended a server, -errno; 0: none */
	_Atomic bool is_watched;     /* the overseer looks at the clock */
	_Atomic bool is_behind;	     /* requests queue up: another server is wanted */
	_Atomic unsigned active;     /* servers that read or serve, at least one */
	_Atomic unsigned readers;    /* of these, but the near one, who waits for a request */
	_Atomic unsigned taken;	     /* requests, ever; it may wrap */
	_Atomic bool near_serves;    /* the near server is one of the active */
	_Atomic int near_state;	     /* enum near_state */
	_Atomic bool near_is_called; /* out of read(2), since it went into it */
	_Atomic bool near_is_off;    /* there is nothing to choose for it */
	_Atomic int near_from;	     /* the processor where the server was whose place it takes */
	_Atomic unsigned near_at;    /* `taken` when it began */
	_Atomic unsigned near_pause; /* what others rest after it has served for a short time */
	/* The overseer's own. */
	pthread_t servers[LOOP_SERVERS_MAX];
	unsigned server_count;
	/* The near server's, of who creates it. */
	_Atomic bool has_near;
	pthread_t near_server;
};

/* `parallel` servers at most while requests are served in time. */
void loop_init(struct loop *loop, struct fuse_session *fuse, unsigned parallel);
void loop_destroy(struct loop *loop);

/*
 * Serves until the connection ends or loop_stop(), with the calling thread as the overseer; what
 * was begun is finished. 0 or -errno.
 */
int loop_run(struct loop *loop);

/* Async-signal-safe. */
void loop_stop(struct loop *loop);
