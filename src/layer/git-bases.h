/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects that deltas are made against, inflated, so that a chain of deltas is not gone through
 * again for each object of it. Named by their place: not verified, for what comes of them is.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/lock.h"

struct base_cache;

/* A reference; everything in it is immutable. */
struct base {
	const void *data;
	size_t size;
	int type; /* enum pack_entry_type, no delta */
};

/* Keeps up to `limit` bytes. NULL: out of memory. */
struct base_cache *base_cache_new(size_t limit);
void base_cache_free(struct base_cache *cache); /* all references are given back; NULL is fine */

/* The base at an offset in a pack, by the pack's number. NULL: not known. */
struct base *base_cache_get(struct base_cache *cache, uint32_t pack, uint64_t offset);
/*
 * Takes `data` over (malloc'ed), also on failure, and returns a reference; NULL: out of memory.
 */
struct base *base_cache_add(
	struct base_cache *cache, uint32_t pack, uint64_t offset, const struct base *content);
void base_put(struct base_cache *cache, struct base *base); /* NULL is fine */

size_t base_cache_bytes(struct base_cache *cache); /* for tests */
