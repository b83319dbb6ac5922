/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on the data of files. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#define BUFFER_SIZE (512 * 1024)
#define PATH_SIZE   1024

/* For O_DIRECT too. */
static unsigned char buffer[BUFFER_SIZE] __attribute__((aligned(4096)));

static size_t fill(const struct value *length, const struct value *pattern)
{
	size_t size = (size_t)length->number;

	for (size_t i = 0; i < size; i++)
		buffer[i] = (unsigned char)('a' + (pattern->number + (long)(i % 251)) % 26);
	return size;
}

static void tell_read(struct outcome *out, ssize_t n)
{
	outcome_set(out, n);
	if (n > 0)
		outcome_add_bytes(out, buffer, (size_t)n);
}

static void op_read(struct side *side, const struct step *step, struct outcome *out)
{
	tell_read(out, read(slot_of(side, &step->arg[0]), buffer, (size_t)step->arg[1].number));
}

static void op_pread(struct side *side, const struct step *step, struct outcome *out)
{
	tell_read(out, pread(slot_of(side, &step->arg[0]), buffer, (size_t)step->arg[2].number,
			       step->arg[1].number));
}

static void op_write(struct side *side, const struct step *step, struct outcome *out)
{
	size_t size = fill(&step->arg[1], &step->arg[2]);

	outcome_set(out, write(slot_of(side, &step->arg[0]), buffer, size));
}

static void op_pwrite(struct side *side, const struct step *step, struct outcome *out)
{
	size_t size = fill(&step->arg[2], &step->arg[3]);

	outcome_set(out, pwrite(slot_of(side, &step->arg[0]), buffer, size, step->arg[1].number));
}

static void op_writev(struct side *side, const struct step *step, struct outcome *out)
{
	size_t size = fill(&step->arg[1], &step->arg[2]);
	struct iovec parts[3] = {{buffer, size / 3}, {buffer + size / 3, size / 3},
		{buffer + 2 * (size / 3), size - 2 * (size / 3)}};

	outcome_set(out, writev(slot_of(side, &step->arg[0]), parts, 3));
}

/* Whether [from, to) reads as zeros; at most the buffer's size of it. */
static bool is_zero(int fd, off_t from, off_t to)
{
	ssize_t n = pread(
		fd, buffer, to - from < BUFFER_SIZE ? (size_t)(to - from) : BUFFER_SIZE, from);

	for (ssize_t i = 0; i < n; i++)
		if (buffer[i])
			return false;
	return true;
}

static bool holes_are_exact(const struct side *side)
{
	return side->without & FEATURE_MMAP && side->without & FEATURE_UNWRITTEN;
}

/*
 * A file system may call data what could be a hole, and ext4 does where a mapping was written to,
 * and for an allocated range that nobody wrote where a reader left pages in the cache, by however
 * many the kernel read ahead: with either about, only what is said to be a hole is looked at.
 */
static void seek_data(
	const struct side *side, int fd, off_t offset, int whence, struct outcome *out)
{
	off_t position = lseek(fd, 0, SEEK_CUR), at = lseek(fd, offset, whence);
	struct stat st;

	outcome_set(out, at);
	if (holes_are_exact(side) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || position < 0)
		return;
	if (offset < st.st_size)
		*out = (struct outcome){0};
	if (offset < st.st_size && whence == SEEK_DATA &&
		!is_zero(fd, offset, at < 0 ? st.st_size : at))
		outcome_add(out, " skips data");
	if (whence == SEEK_HOLE && at >= 0 && at < st.st_size && !is_zero(fd, at, at + 1))
		outcome_add(out, " sees a hole in data");
	lseek(fd, position, SEEK_SET);
}

/* Positions in a directory are each file system's own. */
static void op_seek(struct side *side, const struct step *step, struct outcome *out)
{
	int fd = slot_of(side, &step->arg[0]), whence = (int)step->arg[2].number;
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return;
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		seek_data(side, fd, step->arg[1].number, whence, out);
	else
		outcome_set(out, lseek(fd, step->arg[1].number, whence));
}

static void op_ftruncate(struct side *side, const struct step *step, struct outcome *out)
{
	int fd = slot_of(side, &step->arg[0]);
	struct stat st;

	if (side->without & FEATURE_SAMESIZE && fstat(fd, &st) == 0 &&
		st.st_size == step->arg[1].number)
		outcome_set(out, 0);
	else
		outcome_set(out, ftruncate(fd, step->arg[1].number));
}

static void op_fallocate(struct side *side, const struct step *step, struct outcome *out)
{
	outcome_set(out, fallocate(slot_of(side, &step->arg[0]), (int)step->arg[1].number,
				 step->arg[2].number, step->arg[3].number));
}

/* In whole blocks, for nothing else is taken. Where FUSE refuses, nothing happens natively either.
 */
static void shift(struct side *side, const struct step *step, int mode, struct outcome *out)
{
	if (side->other && side->other->error == EOPNOTSUPP)
		*out = *side->other;
	else
		outcome_set(out, fallocate(slot_of(side, &step->arg[0]), mode,
					 4096 * step->arg[1].number, 4096));
}

static void op_collapse(struct side *side, const struct step *step, struct outcome *out)
{
	shift(side, step, FALLOC_FL_COLLAPSE_RANGE, out);
}

static void op_insert(struct side *side, const struct step *step, struct outcome *out)
{
	shift(side, step, FALLOC_FL_INSERT_RANGE, out);
}

static void op_fsync(struct side *side, const struct step *step, struct outcome *out)
{
	outcome_set(out, fdatasync(slot_of(side, &step->arg[0])));
}

static void op_copy_range(struct side *side, const struct step *step, struct outcome *out)
{
	off_t in_offset = step->arg[1].number, out_offset = step->arg[3].number;

	outcome_set(out,
		copy_file_range(slot_of(side, &step->arg[0]), &in_offset,
			slot_of(side, &step->arg[2]), &out_offset, (size_t)step->arg[4].number, 0));
}

static void op_sendfile(struct side *side, const struct step *step, struct outcome *out)
{
	off_t offset = step->arg[2].number;

	outcome_set(out, sendfile(slot_of(side, &step->arg[0]), slot_of(side, &step->arg[1]),
				 &offset, (size_t)step->arg[3].number));
}

/* --- by name, without a descriptor that stays --- */

static int open_arg(const struct value *value, int flags)
{
	char path[PATH_SIZE];

	step_expand(value->text, path, sizeof(path));
	return open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666);
}

static void op_write_file(struct side *side, const struct step *step, struct outcome *out)
{
	int fd = open_arg(&step->arg[0], (int)step->arg[1].number | O_WRONLY);
	size_t size = fill(&step->arg[2], &step->arg[3]);

	outcome_set(out, fd < 0 ? -1 : write(fd, buffer, size));
	if (fd >= 0)
		close(fd);
}

static void op_read_file(struct side *side, const struct step *step, struct outcome *out)
{
	int fd = open_arg(&step->arg[0], O_RDONLY);

	tell_read(out, fd < 0 ? -1 : read(fd, buffer, BUFFER_SIZE));
	if (fd >= 0)
		close(fd);
}

/* Writes and reads back in whole blocks. */
static void op_direct(struct side *side, const struct step *step, struct outcome *out)
{
	off_t offset = 4096 * step->arg[1].number;
	int fd = open_arg(&step->arg[0], O_RDWR | O_DIRECT);
	ssize_t n;

	if (fd < 0) {
		outcome_set(out, -1);
		return;
	}
	fill(&(struct value){.number = 8192}, &step->arg[2]);
	n = pwrite(fd, buffer, 8192, offset);
	outcome_set(out, n);
	memset(buffer, 0, 65536);
	n = n < 0 ? n : pread(fd, buffer, 65536, 0);
	outcome_add(out, " then read %zd", n < 0 ? -errno : n);
	if (n > 0)
		outcome_add_bytes(out, buffer, (size_t)n);
	close(fd);
}

/* The map of data and holes, as far as it is compared. */
static void op_holes(struct side *side, const struct step *step, struct outcome *out)
{
	int fd = open_arg(&step->arg[0], O_RDONLY);
	struct outcome one;
	struct stat st;
	off_t at = 0;

	outcome_set(out, fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	for (int i = 0; i < 12 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && at >= 0; i++) {
		one = (struct outcome){0};
		seek_data(side, fd, at, i % 2 ? SEEK_HOLE : SEEK_DATA, &one);
		if (holes_are_exact(side))
			outcome_add(out, " %ld", one.result);
		outcome_add(out, "%s", one.detail);
		at = lseek(fd, at, i % 2 ? SEEK_HOLE : SEEK_DATA);
	}
	close(fd);
}

const struct operation data_operations[] = {
	{"read", 10, op_read, {&kind_slot, &kind_length}},
	{"pread", 12, op_pread, {&kind_slot, &kind_offset, &kind_length}},
	{"write", 14, op_write, {&kind_slot, &kind_length, &kind_fill}},
	{"pwrite", 12, op_pwrite, {&kind_slot, &kind_offset, &kind_length, &kind_fill}},
	{"writev", 4, op_writev, {&kind_slot, &kind_length, &kind_fill}},
	{"seek", 10, op_seek, {&kind_slot, &kind_offset, &kind_whence}},
	{"ftruncate", 7, op_ftruncate, {&kind_slot, &kind_length}},
	{"fallocate", 10, op_fallocate, {&kind_slot, &kind_allocate, &kind_offset, &kind_length}},
	{"collapse-range", 2, op_collapse, {&kind_slot, &kind_count}},
	{"insert-range", 2, op_insert, {&kind_slot, &kind_count}},
	{"fdatasync", 1, op_fsync, {&kind_slot}},
	{"copy-range", 8, op_copy_range,
		{&kind_slot, &kind_offset, &kind_slot, &kind_offset, &kind_length}},
	{"sendfile", 4, op_sendfile, {&kind_slot, &kind_slot, &kind_offset, &kind_length}},
	{"write-file", 20, op_write_file, {&kind_path, &kind_write, &kind_length, &kind_fill}},
	{"read-file", 20, op_read_file, {&kind_path}},
	{"direct", 4, op_direct, {&kind_path, &kind_count, &kind_fill}},
	{"holes", 4, op_holes, {&kind_path}},
	{NULL},
};
