/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/copydata.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "overlay/call.h"
#include "util/cleanup.h"

#define CHUNK (1u << 20)

static int write_all(int fd, const char *data, size_t size, off_t offset)
{
	while (size > 0) {
		ssize_t n = call_pwrite(fd, data, size, offset);

		if (n < 0)
			return (int)n;
		data += n;
		size -= (size_t)n;
		offset += n;
	}
	return 0;
}

static int copy_by_hand(int in, int out, off_t offset, uint64_t size)
{
	_cleanup_free_ char *buf = malloc(CHUNK);

	if (!buf)
		return -ENOMEM;
	while (size > 0) {
		ssize_t n = call_pread(in, buf, size < CHUNK ? size : CHUNK, offset);
		int r;

		if (n < 0)
			return (int)n;
		/* Shorter than it said: the layer changed behind our back, or lies. */
		if (n == 0)
			return -EIO;
		r = write_all(out, buf, (size_t)n, offset);
		if (r < 0)
			return r;
		offset += n;
		size -= (uint64_t)n;
	}
	return 0;
}

static int copy_range(int in, int out, off_t offset, uint64_t size)
{
	while (size > 0) {
		ssize_t n = call_copy_range(in, offset, out, offset, size);

		/* Other file systems, old kernels, a file that ends early: the plain way tells. */
		if (n <= 0)
			return copy_by_hand(in, out, offset, size);
		offset += n;
		size -= (uint64_t)n;
	}
	return 0;
}

/* Copies only where there is data, so that holes stay holes. */
static int copy_extents(int in, int out, uint64_t size)
{
	uint64_t end = 0;

	while (end < size) {
		off_t start = call_lseek(in, (off_t)end, SEEK_DATA);
		off_t hole;
		int r;

		if (start == -ENXIO)
			return 0;
		if (start < 0)
			return copy_range(in, out, (off_t)end, size - end);
		if ((uint64_t)start >= size)
			return 0;
		hole = call_lseek(in, start, SEEK_HOLE);
		end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
		r = copy_range(in, out, start, end - (uint64_t)start);
		if (r < 0)
			return r;
	}
	return 0;
}

int copy_data_room(
	const struct layer_file *file, uint64_t size, uint64_t block, uint64_t *ret_bytes)
{
	uint64_t room = 0, end = 0;

	*ret_bytes = size;
	if (file->fd < 0)
		return 0;
	while (end < size) {
		off_t start = call_lseek(file->fd, (off_t)end, SEEK_DATA);
		off_t hole;

		if (start == -ENXIO || start >= (off_t)size)
			break;
		/* Without such a map all of it is copied. */
		if (start < 0)
			return 0;
		hole = call_lseek(file->fd, start, SEEK_HOLE);
		end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
		start -= start % (off_t)block;
		room += (end - (uint64_t)start + block - 1) / block * block;
	}
	*ret_bytes = room;
	return 0;
}

/* Shares all of it on disk. False where it is to be copied. */
static bool clone_data(struct overlay *ov, int in, int out)
{
	int r;

	if (atomic_load(&ov->cannot_clone))
		return false;
	r = call_clone(in, out);
	/* Of a file on another file system it says EXDEV: so the upper's has no clones at all. */
	if (r == -EOPNOTSUPP)
		atomic_store(&ov->cannot_clone, true);
	return r == 0;
}

int copy_data(struct overlay *ov, const struct layer_file *file, const struct stat *st,
	uint64_t size, int out_fd)
{
	int r;

	if (size > file->size)
		size = file->size;
	if (file->fd < 0)
		return write_all(out_fd, file->data, size, 0);
	if (size == file->size && clone_data(ov, file->fd, out_fd))
		return 0;
	/* As many blocks as it is long: no holes to look for. */
	if ((uint64_t)st->st_blocks * 512 >= file->size)
		return copy_range(file->fd, out_fd, 0, size);
	r = call_ftruncate(out_fd, (off_t)size);
	return r < 0 ? r : copy_extents(file->fd, out_fd, size);
}
