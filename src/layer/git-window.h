/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The blocks of packs that were read last. What is near in a tree is mostly near in a pack, and of
 * most objects no more is asked for than some bytes of their headers, which without this are a
 * pread(2) each. No lock is held while a block is read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct held_pack;
struct pack_windows;

struct pack_windows *pack_windows_new(void);	      /* NULL: out of memory */
void pack_windows_free(struct pack_windows *windows); /* NULL is fine */

/*
 * Reads up to `size` bytes at `offset` of a pack, fewer only where the file ends. Any thread may
 * call. Returns the count, or -errno of pread(2).
 */
ssize_t pack_windows_read(struct pack_windows *windows, const struct held_pack *pack, void *buf,
	size_t size, uint64_t offset);
