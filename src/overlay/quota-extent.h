/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which parts of a file take up room already, so that to write there takes no more. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct extent_range {
	uint64_t offset, size;
};

/*
 * How many bytes from the start of the range can be written when `left` bytes may be allocated
 * for it, in whole blocks; *ret_taken are those that it takes. 0, or -errno.
 */
ssize_t extent_affordable(int fd, const struct extent_range *range, uint64_t block, uint64_t left,
	uint64_t *ret_taken);
