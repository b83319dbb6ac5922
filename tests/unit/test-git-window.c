/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Blocks of packs: whatever was read before, and by whom, a read gives what the file has. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "layer/git-pack.h"
#include "layer/git-window.h"

#define PACKS	3
#define THREADS 4
#define ROUNDS	20000
/* More than all blocks together, and no multiple of one. */
#define PACK_SIZE 700001

static struct held_pack packs[PACKS];
static uint8_t content[PACKS][PACK_SIZE];

static int make_packs(void **state)
{
	for (unsigned i = 0; i < PACKS; i++) {
		packs[i] = (struct held_pack){.fd = memfd_create("pack", MFD_CLOEXEC), .number = i};
		for (size_t at = 0; at < PACK_SIZE; at++)
			content[i][at] = (uint8_t)rand();
		assert_int_equal(write(packs[i].fd, content[i], PACK_SIZE), PACK_SIZE);
	}
	return 0;
}

static int close_packs(void **state)
{
	for (unsigned i = 0; i < PACKS; i++)
		close(packs[i].fd);
	return 0;
}

/* Each buffer is malloc'ed to its size, so that the sanitizers see the first byte too many. */
static bool read_is_right(struct pack_windows *windows, unsigned pack, size_t size, uint64_t offset)
{
	size_t left = offset < PACK_SIZE ? PACK_SIZE - offset : 0;
	size_t wanted = size < left ? size : left;
	uint8_t *buffer = malloc(size ? size : 1);
	ssize_t n = pack_windows_read(windows, &packs[pack], buffer, size, offset);
	bool is_right = n == (ssize_t)wanted &&
			memcmp(buffer, content[pack] + (PACK_SIZE - left), wanted) == 0;

	free(buffer);
	return is_right;
}

static void test_edges(void **state)
{
	static const size_t sizes[] = {0, 1, 32, 512, 4096, 4097, 20000};
	static const uint64_t offsets[] = {0, 1, 16383, 16384, 16385, 32760, PACK_SIZE - 513,
		PACK_SIZE - 1, PACK_SIZE, PACK_SIZE + 1, PACK_SIZE + 70000};
	struct pack_windows *windows = pack_windows_new();

	for (unsigned twice = 0; twice < 2; twice++)
		for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++)
			for (unsigned j = 0; j < sizeof(sizes) / sizeof(*sizes); j++)
				assert_true(
					read_is_right(windows, i % PACKS, sizes[j], offsets[i]));
	pack_windows_free(windows);
}

/* What was read is not read again. */
static void test_is_kept(void **state)
{
	struct pack_windows *windows = pack_windows_new();
	struct held_pack pack = {.fd = memfd_create("pack", MFD_CLOEXEC), .number = PACKS};
	uint8_t byte = 1, got = 0;

	assert_int_equal(write(pack.fd, &byte, 1), 1);
	assert_int_equal(pack_windows_read(windows, &pack, &got, 1, 0), 1);
	close(pack.fd);
	pack.fd = -1;
	assert_int_equal(pack_windows_read(windows, &pack, &got, 1, 0), 1);
	assert_int_equal(got, byte);
	assert_int_equal(pack_windows_read(windows, &pack, &got, 1, 1 << 20), -EBADF);
	pack_windows_free(windows);
}

struct reader {
	pthread_t thread;
	struct pack_windows *windows;
	unsigned seed, wrong;
};

static void *read_much(void *data)
{
	struct reader *reader = data;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned pack = (unsigned)rand_r(&reader->seed) % PACKS;
		size_t size = (size_t)rand_r(&reader->seed) % 5000;
		uint64_t offset = (uint64_t)rand_r(&reader->seed) % (PACK_SIZE + 100);

		reader->wrong += !read_is_right(reader->windows, pack, size, offset);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct pack_windows *windows = pack_windows_new();
	struct reader readers[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		readers[i] = (struct reader){.windows = windows, .seed = i};
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_much, &readers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].wrong, 0);
	}
	pack_windows_free(windows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_is_kept),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, make_packs, close_packs);
}
