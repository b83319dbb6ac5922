/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inflating zlib streams of a known size: with libdeflate where it is there (twice as fast), with
 * zlib what is very large. What that needs is kept for the next one. Any thread may call; no lock
 * is held meanwhile.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/lock.h"

struct inflater;

struct inflater_pool {
	struct mutex lock;
	struct inflater *idle guarded_by(lock);
};

void inflater_pool_init(struct inflater_pool *pool);
void inflater_pool_release(struct inflater_pool *pool);

struct held_pack;
struct object_sink;
struct pack_windows;

/* A stream that begins at `start` in a pack, and must have ended where the pack's objects do. */
struct deflated {
	struct pack_windows *windows;
	const struct held_pack *pack;
	uint64_t start;
};

/*
 * Inflates a stream that must hold `size` bytes, neither more nor less. 0, -EINVAL where it does
 * not, or what pread(2) said, or -ENOMEM.
 */
int inflate_whole(
	struct inflater_pool *pool, const struct deflated *stream, void *out, size_t size);
/* The first `size` bytes, fewer where it has no more. What comes behind them is not looked at. */
int inflate_start(struct inflater_pool *pool, const struct deflated *stream, void *out, size_t size,
	size_t *ret_done);
/* The whole piece by piece, by zlib: the sink has begun, and what it returns ends it. */
int inflate_pieces(struct inflater_pool *pool, const struct deflated *stream, uint64_t size,
	struct object_sink *sink);
