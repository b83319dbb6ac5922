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

/* --- chains --- */

/* A delta on the way to the base. */
struct step {
	uint64_t offset, start; /* of the entry, and of what is deflated in it */
	uint64_t size;
};

struct chain {
	struct step *steps;
	size_t count, space;
	struct base *base; /* what the last step is made against; of no step the object itself */
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

/* The object at the end of the chain. It is kept only where something is made of it. */
static int load_end(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	const struct peek *peek, struct chain *chain, struct base *ret_object)
{
	struct base content = {.size = peek->entry.size, .type = (int)peek->entry.type};
	void *data;
	int r = inflate_entry(
		unpacker, pack, offset + peek->entry.header_size, peek->entry.size, &data);

	if (r < 0)
		return r;
	content.data = data;
	if (chain->count == 0) {
		*ret_object = content;
		return 0;
	}
	chain->base = base_cache_add(unpacker->bases, pack->number, offset, &content);
	return chain->base ? 0 : -ENOMEM;
}

/*
 * Goes down the deltas to a base that is known, or to the end. *ret_object is set when there was no
 * delta at all.
 */
static int walk_chain(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	struct chain *chain, struct base *ret_object)
{
	struct peek peek;
	int r;

	for (;;) {
		chain->base = base_cache_get(unpacker->bases, pack->number, offset);
		if (chain->base)
			return 0;
		r = peek_at(unpacker, pack, offset, PACK_ENTRY_HEADER_MAX, &peek);
		if (r < 0)
			return r;
		if (!pack_entry_is_delta(&peek.entry))
			return load_end(unpacker, pack, offset, &peek, chain, ret_object);
		r = add_step(chain,
			&(struct step){offset, offset + peek.entry.header_size, peek.entry.size});
		if (r == 0)
			r = find_base(pack, offset, &peek.entry, &offset);
		if (r < 0)
			return r;
	}
}

/* One delta: what comes of the base. */
static int apply(struct unpacker *unpacker, const struct held_pack *pack, const struct step *step,
	const struct base *base, struct base *ret_result)
{
	_cleanup_free_ void *delta = NULL;
	_cleanup_free_ char *out = NULL;
	struct delta_header header;
	int r = inflate_entry(unpacker, pack, step->start, step->size, &delta);

	if (r == 0)
		r = delta_header_parse(delta, step->size, &header);
	if (r < 0)
		return r;
	if (!delta_can_make(step->size, header.result_size))
		return -EINVAL;
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
static int apply_chain(struct unpacker *unpacker, const struct held_pack *pack, struct chain *chain,
	struct base *ret_object)
{
	for (size_t i = chain->count; i-- > 0;) {
		struct base result, *next;
		int r = apply(unpacker, pack, &chain->steps[i], chain->base, &result);

		if (r < 0)
			return r;
		if (i == 0) {
			*ret_object = result;
			return 0;
		}
		next = base_cache_add(
			unpacker->bases, pack->number, chain->steps[i].offset, &result);
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

int unpack_object(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	struct object_bytes *ret_bytes, const char **ret_fault)
{
	struct chain chain = {.base = NULL};
	struct base object = {.data = NULL};
	int r = walk_chain(unpacker, pack, offset, &chain, &object);

	if (r == 0 && chain.count)
		r = apply_chain(unpacker, pack, &chain, &object);
	else if (r == 0 && chain.base)
		r = copy_base(chain.base, &object);
	chain_release(unpacker->bases, &chain);
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

/* --- headers --- */

/* What a delta makes, by its first bytes. */
static int result_size(struct unpacker *unpacker, const struct held_pack *pack, uint64_t offset,
	const struct peek *peek, uint64_t *ret_size)
{
	size_t header = peek->entry.header_size, n;
	uint8_t start[DELTA_HEADER_LIKELY];
	struct delta_header delta;
	_cleanup_free_ void *whole = NULL;
	int r;

	n = deflate_peek(peek->bytes + header, peek->size - header, start, sizeof(start));
	r = delta_header_parse(start, n, &delta);
	if (r == -EINVAL)
		r = inflate_entry(unpacker, pack, offset + header, peek->entry.size, &whole);
	if (r == 0 && whole)
		r = delta_header_parse(whole, peek->entry.size, &delta);
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
