/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/*
 * The first bytes of a zlib stream of which `in_size` bytes are at hand, for headers of a few
 * bytes: no tables for fast decoding are built, which is what zlib spends its time with there.
 * Returns how many it found, at most `size`. There may be more where that is less: it stops at
 * whatever is not plain. Nothing is checked but that nothing outside of the two buffers is touched.
 */
size_t deflate_peek(const void *in, size_t in_size, void *out, size_t size);
