/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a name stands in a listing of the overlay: by a hash, so that a name has its place whatever
 * else comes and goes. A layer that reads ahead goes by it, too.
 */
#pragma once

#include <stdint.h>

/* FNV-1a. */
static inline uint64_t name_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		h = (h ^ *p) * 0x100000001b3u;
	return h ^ (h >> 29);
}

/* Less than 2^62; of two names the one with the lesser order is listed first. */
static inline uint64_t name_order(const char *name)
{
	return name_hash(name) >> 2;
}
