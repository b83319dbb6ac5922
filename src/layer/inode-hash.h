/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A 64-bit hash for inode numbers that must be the same at every open and on
 * every machine: never change it. FNV-1a, finished with the mixer of splitmix64,
 * for FNV's high bits are weak on short names.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define INODE_HASH_SEED 0xcbf29ce484222325ull

static inline uint64_t inode_hash_mix(uint64_t h)
{
	h ^= h >> 30;
	h *= 0xbf58476d1ce4e5b9ull;
	h ^= h >> 27;
	h *= 0x94d049bb133111ebull;
	return h ^ (h >> 31);
}

static inline uint64_t inode_hash(uint64_t seed, const void *data, size_t length, uint64_t salt)
{
	const unsigned char *p = data;
	uint64_t h = seed ^ inode_hash_mix(salt);

	for (size_t i = 0; i < length; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return inode_hash_mix(h);
}
