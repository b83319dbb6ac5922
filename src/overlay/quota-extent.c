/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/quota-extent.h"

#include <errno.h>
#include <stdbool.h>

#include "overlay/call.h"

/* A stretch of a file that takes up room, empty at the end. */
struct extent {
	uint64_t start, end;
};

/*
 * tmpfs has no map of its extents, and takes what is allocated but was never written for a
 * hole. A file that has as many blocks as its size wants has none.
 */
static int next_by_seek(int fd, uint64_t at, struct extent *ret)
{
	struct stat st;
	off_t start, end;
	int r = call_fstat(fd, &st);

	if (r < 0)
		return r;
	if ((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size && at < (uint64_t)st.st_size) {
		*ret = (struct extent){at, (uint64_t)st.st_size};
		return 0;
	}
	start = call_lseek(fd, (off_t)at, SEEK_DATA);
	if (start == -ENXIO) {
		*ret = (struct extent){UINT64_MAX, UINT64_MAX};
		return 0;
	}
	if (start < 0)
		return (int)start;
	end = call_lseek(fd, start, SEEK_HOLE);
	*ret = (struct extent){(uint64_t)start, end < 0 ? UINT64_MAX : (uint64_t)end};
	return end == -ENXIO || end >= 0 ? 0 : (int)end;
}

/* The first at or behind `at`. */
static int next_extent(int fd, uint64_t at, uint64_t end, struct extent *ret)
{
	uint64_t length;
	int r = call_next_extent(fd, at, end - at, &ret->start, &length);

	if (r == -EOPNOTSUPP || r == -ENOTTY || r == -EINVAL)
		return next_by_seek(fd, at, ret);
	if (r < 0)
		return r;
	ret->end = r ? ret->start + length : UINT64_MAX;
	if (r == 0)
		ret->start = UINT64_MAX;
	return 0;
}

ssize_t extent_affordable(int fd, const struct extent_range *range, uint64_t block, uint64_t left,
	uint64_t *ret_taken)
{
	uint64_t at = range->offset - range->offset % block, end = range->offset + range->size;
	uint64_t taken = 0;

	while (at < end) {
		struct extent extent;
		uint64_t hole, want;
		int r = next_extent(fd, at, end, &extent);

		if (r < 0)
			return r;
		/* Blocks are taken or not as a whole. */
		hole = extent.start < end ? extent.start - extent.start % block : end;
		want = hole > at ? (hole - at + block - 1) / block * block : 0;
		if (want > left - taken) {
			at += (left - taken) / block * block;
			taken += (left - taken) / block * block;
			break;
		}
		taken += want;
		at = extent.start < end ? (extent.end + block - 1) / block * block : end;
		if (extent.end >= end || extent.end > UINT64_MAX - block)
			at = end;
	}
	if (at > end)
		at = end;
	*ret_taken = taken;
	return at > range->offset ? (ssize_t)(at - range->offset) : 0;
}
