/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Contents of one file: whole, or in blocks of 4 KiB here and there. */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define MIB   (1024 * 1024)
#define BLOCK 4096
#define WARM  5 /* times as many: they take so much less time */

static int open_file(const char *file, int flags)
{
	int fd = open(file, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		err(1, "%s", file);
	return fd;
}

/* Never the same twice in a file, so that nothing can be shared; never freed. */
static unsigned char *buffer(void)
{
	unsigned char *data = aligned_alloc(BLOCK, MIB);

	if (!data)
		err(1, "aligned_alloc");
	for (size_t i = 0; i < MIB; i++)
		data[i] = (unsigned char)(i * 2654435761U >> 13);
	return data;
}

static void write_all(int fd, unsigned char *data, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		data[0] = (unsigned char)i;
		if (write(fd, data, MIB) != MIB)
			err(1, "write");
	}
}

void do_fill(char **args)
{
	int fd = open_file(args[0], O_CREAT | O_TRUNC | O_WRONLY);

	write_all(fd, buffer(), number(args[1]));
	if (close(fd) < 0)
		err(1, "close");
}

static size_t size_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size < MIB)
		errx(1, "no file of at least 1 MiB");
	return (size_t)st.st_size;
}

static size_t read_all(int fd, unsigned char *data)
{
	size_t total = 0;
	ssize_t got;

	while ((got = read(fd, data, MIB)) > 0)
		total += (size_t)got;
	if (got < 0)
		err(1, "read");
	return total;
}

void do_sequential_read(char **args)
{
	unsigned char *data = buffer();
	size_t passes = number(args[1]), total = 0;
	double started = now();

	for (size_t i = 0; i < passes; i++) {
		int fd = open_file(args[0], O_RDONLY);

		total += read_all(fd, data);
		close(fd);
	}
	report("seqread", total / MIB, started);
}

void do_sequential_write(char **args)
{
	unsigned char *data = buffer();
	size_t passes = number(args[1]), total = 0;
	double started = now();

	for (size_t i = 0; i < passes; i++) {
		int fd = open_file(args[0], O_WRONLY);
		size_t count = size_of(fd) / MIB;

		write_all(fd, data, count);
		total += count;
		if (close(fd) < 0)
			err(1, "close");
	}
	report("seqwrite", total, started);
}

/* xorshift: the same blocks for every peer */
static off_t random_block(uint64_t *state, size_t size)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (off_t)(*state % (size / BLOCK) * BLOCK);
}

static void read_blocks(const char *verb, int fd, size_t size, size_t count, unsigned char *data)
{
	uint64_t state = 88172645463325252;
	double started = now();

	for (size_t i = 0; i < count; i++) {
		if (pread(fd, data, BLOCK, random_block(&state, size)) != BLOCK)
			err(1, "pread");
	}
	report(verb, count, started);
}

void do_random_read(char **args)
{
	unsigned char *data = buffer();
	size_t count = number(args[1]);
	int fd = open_file(args[0], O_RDONLY);
	size_t size = size_of(fd);

	read_blocks("randread-cold", fd, size, count, data);
	read_all(fd, data);
	read_blocks("randread", fd, size, count * WARM, data);
	close(fd);
}

void do_random_write(char **args)
{
	unsigned char *data = buffer();
	size_t count = number(args[1]);
	int fd = open_file(args[0], O_WRONLY);
	size_t size = size_of(fd);
	uint64_t state = 88172645463325252;
	double started = now();

	for (size_t i = 0; i < count; i++) {
		if (pwrite(fd, data, BLOCK, random_block(&state, size)) != BLOCK)
			err(1, "pwrite");
	}
	if (close(fd) < 0)
		err(1, "close");
	report("randwrite", count, started);
}
