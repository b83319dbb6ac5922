/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The broker registers files with the kernel for the daemon, which then reads and writes them
 * without asking it (FUSE passthrough). It is a process of its own beside the supervisor, for two
 * reasons: the call takes CAP_SYS_ADMIN in the initial user namespace, which neither the daemon
 * may have nor the supervisor needs; and what a daemon in foreign hands sends, and how often,
 * must not reach who watches over it. It serves one daemon over one SEQPACKET socket:
 *
 *   BROKER_OPEN    with one descriptor: answered by an id above 0, or -errno
 *   BROKER_CLOSE   with an id that was given: no answer
 *
 * A file is registered only if the daemon could read and write it by itself: a regular file on the
 * upper's device, opened for both, not for appending. Others are answered by an error. What is no
 * message of these ends the broker, and with it the daemon.
 *
 * It ends when the daemon has closed its end, and with it goes the last copy of the descriptor of
 * /dev/fuse: who waits for the dead daemon's mount gets ENOTCONN at once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <git-overlayfs/error.h>
#include <git-overlayfs/sandbox.h>

#define BROKER_VERSION 0x676f6232u /* "gob2" */

/*
 * So many files are registered at once: each is an open file that counts for nobody. Less than
 * what a daemon may open by itself.
 */
#define BROKER_IDS_MAX 16384

enum broker_operation { BROKER_OPEN = 1, BROKER_CLOSE };

struct broker_request {
	uint32_t version;
	uint32_t operation;
	int32_t id; /* BROKER_CLOSE; else 0 */
	/*
	 * One more than the processor that the daemon keeps to, 0: none. The broker goes there, for
	 * to wake one on another processor takes longer than all else; what it may not have, or
	 * there is not, it takes for 0.
	 */
	uint32_t processor;
};

struct broker_reply {
	uint32_t version;
	int32_t result; /* an id, or -errno */
};

/* Its exit status. */
enum broker_end {
	BROKER_DONE,	 /* the daemon has gone */
	BROKER_NONSENSE, /* the daemon sent what it may not */
	BROKER_FAILED,	 /* it could not begin, or was in the way of its own sandbox */
};

struct broker {
	pid_t pid;
	int pidfd;    /* -1: there is none */
	int setup_fd; /* for the descriptor of /dev/fuse; -1: it has it */
};

struct broker_wish {
	int daemon_fd; /* the broker's end of its socket with the daemon */
	pid_t daemon;
	int upper_fd, work_fd; /* directories */
	enum seccomp_mode seccomp;
};

/*
 * Forks it; both functions are the supervisor's. It waits for the descriptor, and for the daemon
 * to be what it will be: by then the ids that the daemon serves with are settled.
 */
int broker_start(const struct broker_wish *wish, struct broker *ret_broker, struct error *err);
/* Borrows `fuse_fd`. */
int broker_give_device(struct broker *broker, int fuse_fd, struct error *err);
/* Waits for its end, and tells which it was. */
enum broker_end broker_wait(struct broker *broker);
/* Ends it, if there is one, and waits. Idempotent. */
void broker_end(struct broker *broker);

/*
 * Of file systems on top of each other, ours included and not counted: 1; 2 where the upper's may
 * lie on another one. More than the kernel needs to be told costs that the mount can be no layer
 * of an overlayfs.
 */
unsigned broker_stack_depth(int upper_fd);

/*
 * Serves: what the forked process does once it has all it needs. For tests, too. `device` is that
 * of regular files of the upper. Never fails but by what the daemon does.
 */
enum broker_end broker_serve(int daemon_fd, int fuse_fd, dev_t device);
