/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How each inode is open. The kernel takes no mixture: while a file is open, or mapped, through its
 * page cache nobody can open it with a registered file behind, nor the other way round, nor with
 * another registered file, and who tries gets EIO. So the first open of an inode decides, and
 * those that follow have the same mode until all are closed. An open file counts from before
 * the kernel is answered until its RELEASE, which the kernel sends after it has uncounted it: what
 * is counted here is never less than what the kernel counts.
 *
 * Memory only, any thread. Registering takes long and lies with the caller, who is told to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io_modes;

struct io_open {
	uint64_t node;
	uint64_t generation; /* an id of a node may live again as another one's */
	bool may_pass;	     /* the file may have a registered one behind */
	bool may_map;	     /* it is opened O_RDWR: who maps it can change it unseen */
};

enum io_way {
	IO_CACHED,   /* through the kernel's page cache and the daemon */
	IO_PASSED,   /* by `backing_id` */
	IO_REGISTER, /* the caller registers the file and calls io_modes_registered() */
};

struct io_mode {
	enum io_way way;
	int backing_id;
	int stale_id; /* above 0: the caller is to give it back */
	/* IO_REGISTER: the page cache would not stay true, for a mapping may be left from before.
	 */
	bool is_fleeting;
	/* IO_CACHED: what the page cache holds may be older than what was written past it. */
	bool drops_cache;
	/* IO_CACHED, though it may pass: others have it open so. */
	bool is_bound;
	/* Attributes that the kernel has may be old from now on: it is to drop them. */
	bool turns_fleeting;
};

/* Up to `kept_max` files stay registered while nobody has them open. NULL without memory. */
struct io_modes *io_modes_new(size_t kept_max);
void io_modes_free(struct io_modes *modes);

/* An open begins. 0, or -ENOMEM. Waits while another thread registers the same file. */
int io_modes_enter(struct io_modes *modes, const struct io_open *open, struct io_mode *ret_mode);
/* What came of IO_REGISTER: an id, or 0 where it failed. */
void io_modes_registered(
	struct io_modes *modes, const struct io_open *open, int id, struct io_mode *ret_mode);
/* It is closed, or the kernel did not take it. Returns an id to be given back, or 0. */
int io_modes_leave(struct io_modes *modes, uint64_t node, bool was_taken);

/*
 * The kernel forgets a node: take the mark, give up its references, and if they were the last ones
 * io_modes_forget(), which does nothing when the node was opened meanwhile. Returns an id to be
 * given back, or 0. A mapping keeps the inode, so nothing can change unseen any more.
 */
uint64_t io_modes_mark(struct io_modes *modes, uint64_t node);
int io_modes_forget(struct io_modes *modes, uint64_t node, uint64_t mark);

/* Whether attributes of the node may become old without a request. */
bool io_modes_is_fleeting(struct io_modes *modes, uint64_t node);
/* Files that are registered. */
size_t io_modes_registered_count(struct io_modes *modes);
