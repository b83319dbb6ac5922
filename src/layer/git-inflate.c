/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-inflate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "layer/git-pack.h"
#include "layer/git-sink.h"
#include "layer/git-window.h"
#include "util/cleanup.h"
#include "util/fully.h"

#define INPUT_SIZE 65536
/* A stream that may be longer than this is read in parts. */
#define WHOLE_INPUT_MAX (8u << 20)

struct inflater {
	struct inflater *next; /* protected by the pool's lock */
	z_stream stream;
	bool has_stream;
#ifdef HAVE_LIBDEFLATE
	struct libdeflate_decompressor *whole;
#endif
	unsigned char input[INPUT_SIZE];
};

void inflater_pool_init(struct inflater_pool *pool) no_lock_analysis
{
	mutex_init(&pool->lock);
	pool->idle = NULL;
}

static void inflater_free(struct inflater *inflater)
{
	if (inflater->has_stream)
		inflateEnd(&inflater->stream);
#ifdef HAVE_LIBDEFLATE
	if (inflater->whole)
		libdeflate_free_decompressor(inflater->whole);
#endif
	free(inflater);
}

void inflater_pool_release(struct inflater_pool *pool) no_lock_analysis
{
	struct inflater *next;

	for (; pool->idle; pool->idle = next) {
		next = pool->idle->next;
		inflater_free(pool->idle);
	}
	mutex_destroy(&pool->lock);
}

/* There are never more than threads that inflate at the same time. */
static struct inflater *take(struct inflater_pool *pool)
{
	struct inflater *inflater;

	mutex_lock(&pool->lock);
	inflater = pool->idle;
	if (inflater)
		pool->idle = inflater->next;
	mutex_unlock(&pool->lock);
	if (inflater)
		return inflater;
	/* Its buffer is not touched before it is read into. */
	inflater = malloc(sizeof(*inflater));
	if (!inflater)
		return NULL;
	inflater->stream = (z_stream){0};
	inflater->has_stream = false;
#ifdef HAVE_LIBDEFLATE
	inflater->whole = NULL;
#endif
	return inflater;
}

static void give_back(struct inflater_pool *pool, struct inflater *inflater)
{
	mutex_lock(&pool->lock);
	inflater->next = pool->idle;
	pool->idle = inflater;
	mutex_unlock(&pool->lock);
}

/* --- in parts --- */

static int begin_stream(struct inflater *inflater)
{
	z_stream *stream = &inflater->stream;

	stream->next_in = NULL;
	stream->avail_in = 0;
	if (inflater->has_stream)
		return inflateReset(stream) == Z_OK ? 0 : -EINVAL;
	if (inflateInit(stream) != Z_OK)
		return -ENOMEM;
	inflater->has_stream = true;
	return 0;
}

/* More input, where there is any before the end. */
static int feed(struct inflater *inflater, const struct deflated *in, uint64_t *at)
{
	uint64_t end = in->pack->end, left = end > *at ? end - *at : 0;
	ssize_t n = pread_fully(
		in->pack->fd, inflater->input, left < INPUT_SIZE ? left : INPUT_SIZE, *at);

	if (n <= 0)
		return n < 0 ? (int)n : -EINVAL;
	inflater->stream.next_in = inflater->input;
	inflater->stream.avail_in = (unsigned)n;
	*at += (uint64_t)n;
	return 0;
}

static int zlib_result(int r)
{
	return r == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
}

/* How far a stream was inflated. */
struct position {
	const struct deflated *in;
	uint64_t at; /* what is to be read next */
	bool is_at_end;
};

/* Fewer than `room` bytes only where the stream ends. */
static int inflate_some(struct inflater *inflater, struct position *position, void *out,
	size_t room, size_t *ret_done)
{
	z_stream *stream = &inflater->stream;
	size_t done = 0;

	while (done < room && !position->is_at_end) {
		/* zlib counts in unsigned ints. */
		size_t left = room - done, now = left < (1u << 30) ? left : 1u << 30;
		int z, r = stream->avail_in ? 0 : feed(inflater, position->in, &position->at);

		if (r < 0)
			return r;
		stream->next_out = (unsigned char *)out + done;
		stream->avail_out = (unsigned)now;
		z = inflate(stream, Z_NO_FLUSH);
		if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
			return zlib_result(z);
		done += now - stream->avail_out;
		position->is_at_end = z == Z_STREAM_END;
	}
	*ret_done = done;
	return 0;
}

/* Nothing may come behind what has come. */
static int expect_end(struct inflater *inflater, struct position *position)
{
	unsigned char beyond;
	size_t done;
	int r = inflate_some(inflater, position, &beyond, 1, &done);

	return r == 0 && done > 0 ? -EINVAL : r;
}

static int inflate_in_parts(
	struct inflater *inflater, const struct deflated *in, void *out, size_t size)
{
	struct position position = {.in = in, .at = in->start};
	size_t done = 0;
	int r = begin_stream(inflater);

	if (r == 0)
		r = inflate_some(inflater, &position, out, size, &done);
	if (r < 0)
		return r;
	return done == size ? expect_end(inflater, &position) : -EINVAL;
}

int inflate_start(struct inflater_pool *pool, const struct deflated *stream, void *out, size_t size,
	size_t *ret_done)
{
	struct position position = {.in = stream, .at = stream->start};
	struct inflater *inflater = take(pool);
	int r;

	if (!inflater)
		return -ENOMEM;
	r = begin_stream(inflater);
	if (r == 0)
		r = inflate_some(inflater, &position, out, size, ret_done);
	give_back(pool, inflater);
	return r;
}

static int inflate_into_sink(struct inflater *inflater, const struct deflated *in, uint64_t size,
	struct object_sink *sink)
{
	struct position position = {.in = in, .at = in->start};
	_cleanup_free_ void *piece = malloc(OBJECT_PIECE_SIZE);
	int r = piece ? begin_stream(inflater) : -ENOMEM;

	while (r == 0 && size > 0) {
		size_t room = size < OBJECT_PIECE_SIZE ? size : OBJECT_PIECE_SIZE, done;

		r = inflate_some(inflater, &position, piece, room, &done);
		if (r == 0)
			r = done == room ? sink->take(sink, piece, room) : -EINVAL;
		size -= room;
	}
	return r < 0 ? r : expect_end(inflater, &position);
}

int inflate_pieces(struct inflater_pool *pool, const struct deflated *stream, uint64_t size,
	struct object_sink *sink)
{
	struct inflater *inflater = take(pool);
	int r;

	if (!inflater)
		return -ENOMEM;
	r = inflate_into_sink(inflater, stream, size, sink);
	give_back(pool, inflater);
	return r;
}

/* --- as a whole --- */

#ifdef HAVE_LIBDEFLATE
/* So much deflate makes of `size` bytes at most, if it does not mean to waste room. */
static uint64_t input_bound(size_t size)
{
	return (uint64_t)size + size / 1000 + 64;
}

static int inflate_from(
	struct inflater *inflater, const void *in, size_t in_size, void *out, size_t size)
{
	size_t used, made;

	if (!inflater->whole)
		inflater->whole = libdeflate_alloc_decompressor();
	if (!inflater->whole)
		return -ENOMEM;
	if (libdeflate_zlib_decompress_ex(inflater->whole, in, in_size, out, size, &used, &made) !=
			LIBDEFLATE_SUCCESS ||
		made != size)
		return -EINVAL;
	return 0;
}

static int inflate_at_once(
	struct inflater *inflater, const struct deflated *in, void *out, size_t size)
{
	uint64_t end = in->pack->end, there = end > in->start ? end - in->start : 0;
	uint64_t bound = input_bound(size);
	size_t in_size = there < bound ? there : bound;
	_cleanup_free_ unsigned char *large = NULL;
	unsigned char *input = inflater->input;
	ssize_t n;
	int r;

	if (in_size > INPUT_SIZE)
		input = large = malloc(in_size);
	if (!input)
		return -ENOMEM;
	n = pack_windows_read(in->windows, in->pack, input, in_size, in->start);
	if (n < 0)
		return (int)n;
	r = inflate_from(inflater, input, (size_t)n, out, size);
	/* It may have been longer than it had to be. */
	if (r == -EINVAL && there > bound)
		r = inflate_in_parts(inflater, in, out, size);
	return r;
}
#endif

int inflate_whole(struct inflater_pool *pool, const struct deflated *stream, void *out, size_t size)
{
	struct inflater *inflater = take(pool);
	int r;

	if (!inflater)
		return -ENOMEM;
#ifdef HAVE_LIBDEFLATE
	if (input_bound(size) <= WHOLE_INPUT_MAX)
		r = inflate_at_once(inflater, stream, out, size);
	else
#endif
		r = inflate_in_parts(inflater, stream, out, size);
	give_back(pool, inflater);
	return r;
}
