/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/passthrough.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <git-overlayfs/overlay-backing.h>

#include "fuse/io-modes.h"
#include "fuse/near.h"
#include "fuse/ops.h"
#include "fuse/wire.h"
#include "util/cleanup.h"

/* Each is an open file of the kernel's, and one that was removed takes up room until it goes. */
#define KEPT_MAX 512

/*
 * To register a file takes as long as a few reads and writes through us. So one that is no larger
 * than this is not for who only reads it, and new ones are not after so many on end that were no
 * larger when they were closed.
 */
#define SMALL	  (64u << 10)
#define SMALL_RUN 8

struct passthrough {
	const struct session_backing *backing; /* borrowed; NULL: none */
	struct io_modes *modes;
	_Atomic bool is_refused;    /* for good */
	_Atomic unsigned small_run; /* new files on end that were small when they were closed */
	struct session_counters *counters; /* borrowed */
};

struct passthrough *passthrough_new(
	const struct session_backing *backing, struct session_counters *counters)
{
	struct passthrough *pass = calloc(1, sizeof(*pass));

	if (!pass)
		return NULL;
	pass->backing = backing;
	pass->counters = counters;
	pass->modes = io_modes_new(KEPT_MAX);
	if (!pass->modes)
		free(steal_ptr(&pass));
	return pass;
}

/* What is registered ends with the connection. */
void passthrough_free(struct passthrough *pass)
{
	if (!pass)
		return;
	io_modes_free(pass->modes);
	free(pass);
}

static void give_back(struct passthrough *pass, int id)
{
	if (id <= 0)
		return;
	session_count(&pass->counters->unregistrations, 1);
	(void)pass->backing->close(pass->backing->data, id);
	near_has_yielded();
}

/* Whether no other file would fare better. */
static bool is_final(int r)
{
	switch (r) {
	case -EPERM:
	case -ELOOP:
	case -ENOSYS:
	case -ENOTTY:
	case -EOPNOTSUPP:
	case -EPIPE:
	case -ECONNRESET:
	case -ENOTCONN:
		return true;
	default:
		return false;
	}
}

/* An id, or 0. */
static int register_file(struct passthrough *pass, struct overlay_file *file)
{
	_cleanup_close_ int own_fd = -1;
	int fd = -1, r = overlay_file_open_backing(file, &fd);

	if (r < 0)
		return 0;
	if (r > 0)
		own_fd = fd;
	r = pass->backing->open(pass->backing->data, fd);
	near_has_yielded();
	if (is_final(r)) {
		atomic_store(&pass->counters->passthrough_error, (uint64_t)-r);
		atomic_store(&pass->is_refused, true);
	}
	if (r > 0)
		session_count(&pass->counters->registrations, 1);
	return r > 0 ? r : 0;
}

static void count_plain(struct passthrough *pass, enum session_plain reason)
{
	session_count(&pass->counters->plain_opens[reason], 1);
}

/*
 * What is opened for reading, too, or to be appended to, is a database, a log or a linker's: it
 * stays open or grows.
 */
static bool is_likely_small(struct passthrough *pass, int flags)
{
	return flags & O_CREAT && (flags & O_ACCMODE) == O_WRONLY && !(flags & O_APPEND) &&
	       atomic_load(&pass->small_run) >= SMALL_RUN;
}

/* The kernel keeps what is read until somebody has written past it: most are read once. */
static bool is_small_to_read(const struct overlay_file *file, int flags)
{
	uint64_t size;

	return (flags & O_ACCMODE) == O_RDONLY && overlay_file_size(file, &size) == 0 &&
	       size <= SMALL;
}

static void learn_size(struct passthrough *pass, const struct overlay_file *file)
{
	uint64_t size;

	if (!overlay_file_is_new(file, &size))
		return;
	if (size > SMALL)
		atomic_store(&pass->small_run, 0);
	else if (atomic_load(&pass->small_run) < SMALL_RUN)
		atomic_fetch_add(&pass->small_run, 1);
}

static enum session_plain reason_of(const struct passthrough *pass, enum overlay_passing passing,
	const struct io_mode *mode, bool is_small)
{
	if (passing == OVERLAY_IS_LOWER)
		return SESSION_PLAIN_LOWER;
	if (passing == OVERLAY_MUST_SEE)
		return SESSION_PLAIN_FILE;
	if (is_small && !atomic_load(&pass->is_refused))
		return SESSION_PLAIN_NEW;
	return mode->is_bound ? SESSION_PLAIN_CACHED : SESSION_PLAIN_REFUSED;
}

int passthrough_enter(struct passthrough *pass, fuse_ino_t ino, struct overlay_file *file,
	int flags, struct passthrough_open *ret_open)
{
	bool is_misfit = flags & O_DIRECT && !overlay_file_has_direct(file);
	bool is_small = is_likely_small(pass, flags), is_read = false;
	enum overlay_passing passing;
	struct io_open open;
	struct io_mode mode;
	int r;

	*ret_open = (struct passthrough_open){.keep_cache = true};
	if (!pass->backing || !wire_has_passthrough()) {
		count_plain(pass, SESSION_PLAIN_OFF);
		return 0;
	}
	passing = overlay_file_passing(file);
	open = (struct io_open){
		.node = ino,
		.generation = overlay_file_generation(file),
		.may_pass = passing == OVERLAY_MAY_PASS && !is_misfit && !is_small &&
			    !atomic_load(&pass->is_refused),
		.may_map = (flags & O_ACCMODE) == O_RDWR,
	};
	r = io_modes_enter(pass->modes, &open, &mode);
	if (r < 0)
		return r;
	if (mode.way == IO_REGISTER) {
		is_read = !mode.is_fleeting && is_small_to_read(file, flags);
		io_modes_registered(
			pass->modes, &open, is_read ? 0 : register_file(pass, file), &mode);
	}
	give_back(pass, mode.stale_id);
	/* The kernel would say EIO. */
	if (mode.way == IO_PASSED && is_misfit) {
		give_back(pass, io_modes_leave(pass->modes, ino, false));
		return -EINVAL;
	}
	ret_open->backing_id = mode.backing_id;
	ret_open->keep_cache = !mode.drops_cache;
	ret_open->turns_fleeting = mode.turns_fleeting;
	if (mode.way == IO_PASSED)
		session_count(&pass->counters->passthrough_opens, 1);
	else if (is_read)
		count_plain(pass, SESSION_PLAIN_SMALL);
	else
		count_plain(pass, reason_of(pass, passing, &mode, is_small));
	return 0;
}

void passthrough_release(
	struct passthrough *pass, fuse_ino_t ino, struct overlay_file *file, bool was_taken)
{
	/* Where nothing is registered nobody asks. */
	if (pass->backing && wire_has_passthrough() && !atomic_load(&pass->is_refused))
		learn_size(pass, file);
	give_back(pass, io_modes_leave(pass->modes, ino, was_taken));
}

void passthrough_forget(
	struct passthrough *pass, struct overlay *ov, fuse_ino_t ino, uint64_t count)
{
	uint64_t mark = io_modes_mark(pass->modes, ino);

	if (overlay_forget(ov, ino, count))
		give_back(pass, io_modes_forget(pass->modes, ino, mark));
}

double passthrough_attr_timeout(struct passthrough *pass, fuse_ino_t ino)
{
	return io_modes_is_fleeting(pass->modes, ino) ? 0 : VALID_FOREVER;
}
