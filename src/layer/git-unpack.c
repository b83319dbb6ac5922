/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/git-bases.h"
#include "layer/git-delta.h"
#include "layer/git-inflate.h"
#include "layer/git-peek.h"
#include "layer/git-window.h"
#include "util/cleanup.h"

#define BASES_KEPT (8u << 20)
/* git allows 4095; only a cycle has more. */
#define CHAIN_MAX 5000
/* What the sizes of a delta are inflated from: tables and the first bytes fit well. */
#define PEEK_SIZE 512
/* deflate makes nothing smaller than a 1032nd part of it (zlib's technical notes). */
#define INFLATE_FACTOR_MAX 1032
/* What goes on where there is room, as nothing else says it. */
#define WANTS_ROOM (-E2BIG)

struct unpacker {
	struct inflater_pool inflaters;
	struct pack_windows *windows;
	struct base_cache *bases;
};

struct unpacker *unpacker_new(void)
{
	struct unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (!unpacker)
		return NULL;
	inflater_pool_init(&unpacker->inflaters);
	unpacker->windows = pack_windows_new();
	unpacker->bases = base_cache_new(BASES_KEPT);
	if (unpacker->windows && unpacker->bases)
		return unpacker;
	unpacker_free(unpacker);
	return NULL;
}

void unpacker_free(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
	base_cache_free(unpacker->bases);
	pack_windows_free(unpacker->windows);
	inflater_pool_release(&unpacker->inflaters);
	free(unpacker);
}

static int fail(const char **ret_fault, int r)
{
	if (r == -EINVAL)
		*ret_fault = "the pack is damaged";
	else if (r < 0)
		*ret_fault = strerror(-r);
	return r;
}

/* --- entries --- */

/* An entry as far as it was read. */
struct peek {
	uint8_t bytes[PEEK_SIZE];
	size_t size;
	struct pack_entry entry;
};

static int peek_at(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	size_t size, struct peek *peek)
{
	uint64_t left = offset < pack->end ? pack->end - offset : 0;
	ssize_t n;

	if (offset < 12 || left == 0)
		return -EINVAL;
	n = pack_windows_read(
		unpacker->windows, pack, peek->bytes, left < size ? left : size, offset);
	if (n < 0)
		return (int)n;
	peek->size = (size_t)n;
	return pack_entry_parse(peek->bytes, peek->size, &peek->entry);
}

static int find_base(const struct held_pack *pack, uint64_t offset, const struct pack_entry *entry,
	uint64_t *ret_offset)
{
	if (entry->type == PACK_OFFSET_DELTA) {
		if (entry->base_distance > offset)
			return -EINVAL;
		*ret_offset = offset - entry->base_distance;
		return 0;
	}
	return pack_index_find(&pack->index, entry->base_id, ret_offset) > 0 ? 0 : -EINVAL;
}

/* A buffer for what an entry claims to be, if the rest of the pack can hold it. */
static void *alloc_content(const struct held_pack *pack, uint64_t start, uint64_t size)
{
	if (start > pack->end || size / INFLATE_FACTOR_MAX > pack->end - start) {
		errno = EINVAL;
		return NULL;
	}
	return malloc(size + 1);
}

static int inflate_entry(struct unpacker *unpacker, const struct held_pack *pack, uint64_t start,
	uint64_t size, void **ret_data)
{
	const struct deflated in = {unpacker->windows, pack, start};
	_cleanup_free_ char *data = alloc_content(pack, start, size);
	int r = data ? inflate_whole(&unpacker->inflaters, &in, data, size) : -errno;

	if (r < 0)
		return r;
	data[size] = '\0';
	*ret_data = steal_ptr(&data);
	return 0;
}

/* --- headers --- */

/* What a delta makes, by its first bytes. */
static int result_size(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	const struct peek *peek, uint64_t *ret_size)
{
	size_t header = peek->entry.header_size, n;
	const struct deflated in = {unpacker->windows, pack, offset + header};
	uint8_t start[DELTA_HEADER_MAX];
	struct delta_header delta;
	int r;

	n = deflate_peek(peek->bytes + header, peek->size - header, start, DELTA_HEADER_LIKELY);
	r = delta_header_parse(start, n, &delta);
	if (r == -EINVAL) {
		r = inflate_start(&unpacker->inflaters, &in, start, sizeof(start), &n);
		if (r == 0)
			r = delta_header_parse(start, n, &delta);
	}
	if (r == 0)
		*ret_size = delta.result_size;
	return r;
}

int unpack_header(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	git_object_t *ret_type, uint64_t *ret_size, const char **ret_fault)
{
	struct peek peek;
	uint64_t size;
	int r = peek_at(unpacker, pack, offset, PEEK_SIZE, &peek);

	if (r < 0)
		return fail(ret_fault, r);
	size = peek.entry.size;
	if (pack_entry_is_delta(&peek.entry))
		r = result_size(unpacker, pack, offset, &peek, &size);
	if (r < 0)
		return fail(ret_fault, r);
	*ret_type =
		pack_entry_is_delta(&peek.entry) ? GIT_OBJECT_ANY : (git_object_t)peek.entry.type;
	*ret_size = size;
	return 0;
}

/* --- chains --- */

/* An entry on the way to the base. */
struct step {
	uint64_t offset, start; /* of the entry, and of what is deflated in it */
	uint64_t size;
};

struct chain {
	const struct held_pack *pack; /* borrowed, as the next */
	struct room_share *share;
	struct step *steps; /* deltas that are still to be applied; the last is the next */
	size_t count, space;
	struct base *base; /* what the next is made against, once it is there */
	struct step end;   /* where that is; unset where it was there from the beginning */
	int end_type;
};

static void chain_release(struct base_cache *bases, struct chain *chain)
{
	base_put(bases, chain->base);
	free(chain->steps);
}

static int add_step(struct chain *chain, const struct step *step)
{
	if (chain->count == CHAIN_MAX)
		return -EINVAL;
	if (chain->count == chain->space) {
		size_t space = chain->space ? chain->space * 2 : 16;
		struct step *steps = reallocarray(chain->steps, space, sizeof(*steps));

		if (!steps)
			return -ENOMEM;
		chain->steps = steps;
		chain->space = space;
	}
	chain->steps[chain->count++] = *step;
	return 0;
}

/* Goes down the deltas to a base that is known, or to the end. Nothing is inflated. */
static int walk_chain(struct unpacker *unpacker, struct chain *chain, uint64_t offset)
{
	const struct held_pack *pack = chain->pack;
	struct peek peek;
	struct step step;
	int r;

	for (;;) {
		chain->base = base_cache_get(unpacker->bases, pack->number, offset);
		if (chain->base)
			return 0;
		r = peek_at(unpacker, pack, offset, PACK_ENTRY_HEADER_MAX, &peek);
		if (r < 0)
			return r;
		step = (struct step){offset, offset + peek.entry.header_size, peek.entry.size};
		if (!pack_entry_is_delta(&peek.entry)) {
			chain->end = step;
			chain->end_type = (int)peek.entry.type;
			return 0;
		}
		r = add_step(chain, &step);
		if (r == 0)
			r = find_base(pack, offset, &peek.entry, &offset);
		if (r < 0)
			return r;
	}
}

/* The object at the end of the chain. It is kept only where something is made of it. */
static int load_end(struct unpacker *unpacker, struct chain *chain, struct base *ret_object)
{
	const struct step *end = &chain->end;
	struct base content = {.size = end->size, .type = chain->end_type};
	void *data;
	int r;

	if (chain->count == 0 && end->size > chain->share->object_max)
		return -EFBIG;
	if (!room_share_covers(chain->share, end->size))
		return WANTS_ROOM;
	r = inflate_entry(unpacker, chain->pack, end->start, end->size, &data);
	if (r < 0)
		return r;
	content.data = data;
	if (chain->count == 0) {
		*ret_object = content;
		return 0;
	}
	chain->base = base_cache_add(unpacker->bases, chain->pack->number, end->offset, &content);
	return chain->base ? 0 : -ENOMEM;
}

static uint64_t add_sizes(uint64_t a, uint64_t b)
{
	return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

/* What is in memory while a delta is applied. */
static uint64_t needed(uint64_t base_size, uint64_t delta_size, uint64_t result_size)
{
	return add_sizes(add_sizes(base_size, delta_size), result_size);
}

/* One delta: what comes of the base. */
static int apply(struct unpacker *unpacker, const struct chain *chain, const struct step *step,
	struct base *ret_result)
{
	const struct base *base = chain->base;
	_cleanup_free_ void *delta = NULL;
	_cleanup_free_ char *out = NULL;
	struct delta_header header;
	int r;

	if (!room_share_covers(chain->share, needed(base->size, step->size, 0)))
		return WANTS_ROOM;
	r = inflate_entry(unpacker, chain->pack, step->start, step->size, &delta);
	if (r == 0)
		r = delta_header_parse(delta, step->size, &header);
	if (r < 0)
		return r;
	if (!delta_can_make(step->size, header.result_size))
		return -EINVAL;
	if (chain->count == 1 && header.result_size > chain->share->object_max)
		return -EFBIG;
	if (!room_share_covers(chain->share, needed(base->size, step->size, header.result_size)))
		return WANTS_ROOM;
	out = malloc(header.result_size + 1);
	if (!out)
		return -ENOMEM;
	r = delta_apply(base->data, base->size, delta, step->size, out, header.result_size);
	if (r < 0)
		return r;
	out[header.result_size] = '\0';
	*ret_result = (struct base){steal_ptr(&out), header.result_size, base->type};
	return 0;
}

/* Back up the chain. All but the last result are bases of others, too. */
static int apply_chain(struct unpacker *unpacker, struct chain *chain, struct base *ret_object)
{
	while (chain->count > 0) {
		const struct step *step = &chain->steps[chain->count - 1];
		struct base result, *next;
		int r = apply(unpacker, chain, step, &result);

		if (r < 0)
			return r;
		if (--chain->count == 0) {
			*ret_object = result;
			return 0;
		}
		next = base_cache_add(unpacker->bases, chain->pack->number, step->offset, &result);
		if (!next)
			return -ENOMEM;
		base_put(unpacker->bases, chain->base);
		chain->base = next;
	}
	return 0;
}

/* The object is one that others are made against, and is there. */
static int copy_base(const struct base *base, struct base *ret_object)
{
	char *data = malloc(base->size + 1);

	if (!data)
		return -ENOMEM;
	memcpy(data, base->data, base->size + 1);
	*ret_object = (struct base){data, base->size, base->type};
	return 0;
}

/* WANTS_ROOM where it can go on with more room, from where it is: what it has is small. */
static int build(struct unpacker *unpacker, struct chain *chain, struct base *ret_object)
{
	int r;

	if (chain->base && chain->count == 0)
		return copy_base(chain->base, ret_object);
	if (!chain->base) {
		r = load_end(unpacker, chain, ret_object);
		if (r < 0 || chain->count == 0)
			return r;
	}
	return apply_chain(unpacker, chain, ret_object);
}

/* For all that is left to do, by the headers. */
static int take_room(struct unpacker *unpacker, struct chain *chain)
{
	uint64_t base = chain->base ? chain->base->size : chain->end.size, most = base;

	for (size_t i = chain->count; i-- > 0;) {
		const struct step *step = &chain->steps[i];
		struct peek peek;
		uint64_t result, now;
		int r = peek_at(unpacker, chain->pack, step->offset, PEEK_SIZE, &peek);

		if (r == 0)
			r = result_size(unpacker, chain->pack, step->offset, &peek, &result);
		if (r < 0)
			return r;
		now = needed(base, step->size, result);
		most = now > most ? now : most;
		base = result;
	}
	if (base > chain->share->object_max)
		return -EFBIG;
	room_share_take(chain->share, most);
	return 0;
}

int unpack_object(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	struct room_share *share, struct object_bytes *ret_bytes, const char **ret_fault)
{
	struct chain chain = {.pack = pack, .share = share};
	struct base object = {.data = NULL};
	int r = walk_chain(unpacker, &chain, offset);

	if (r == 0)
		r = build(unpacker, &chain, &object);
	if (r == WANTS_ROOM) {
		r = take_room(unpacker, &chain);
		if (r == 0)
			r = build(unpacker, &chain, &object);
	}
	chain_release(unpacker->bases, &chain);
	room_share_shrink(share, r < 0 ? 0 : object.size);
	/* The headers are not what they were. */
	if (r == WANTS_ROOM)
		r = -EINVAL;
	if (r < 0)
		return fail(ret_fault, r);
	*ret_bytes = (struct object_bytes){
		.data = (void *)(uintptr_t)object.data,
		.size = object.size,
		.type = (git_object_t)object.type,
	};
	return 0;
}

int unpack_pieces(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	struct object_sink *sink, const char **ret_fault)
{
	struct deflated in = {unpacker->windows, pack, offset};
	struct peek peek;
	int r = peek_at(unpacker, pack, offset, PACK_ENTRY_HEADER_MAX, &peek);

	if (r == 0 && pack_entry_is_delta(&peek.entry))
		r = -EINVAL;
	if (r == 0)
		r = sink->begin(sink, (git_object_t)peek.entry.type, peek.entry.size);
	in.start += peek.entry.header_size;
	if (r == 0)
		r = inflate_pieces(&unpacker->inflaters, &in, peek.entry.size, sink);
	return r < 0 ? fail(ret_fault, r) : 0;
}
