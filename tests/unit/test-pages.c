/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages of programs are given back, and come back as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/pages.h"

/* Of files, in KiB. */
static long resident_of_files(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "RssFile: %ld kB", &kib) == 1)
			break;
	fclose(file);
	assert_true(kib >= 0);
	return kib;
}

static int written = 1;
static const char constant[] = "as the file has it";
/* Written once, by the dynamic linker, and read-only afterwards. */
static const char *const relocated = constant;

static void code_is_given_back(void **state)
{
	long before, after;

	/* Code that is needed for this alone. */
	resident_of_files();
	before = resident_of_files();
	pages_release();
	after = resident_of_files();
	if (after >= before)
		fail_msg("%ld KiB of files before, %ld after", before, after);
}

static void nothing_is_lost(void **state)
{
	const char *volatile pointer = relocated;

	written = 2;
	pages_release();
	assert_int_equal(written, 2);
	assert_ptr_equal(pointer, constant);
	assert_string_equal(relocated, "as the file has it");
	assert_int_equal(getppid() > 0, 1);
}

/* Of what is mapped at an address, in KiB. */
static long resident_at(const void *start)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long begin;
	char line[4096];
	bool is_it = false;
	long kib = -1;

	assert_non_null(file);
	while (kib < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%*x ", &begin) == 1)
			is_it = begin == (unsigned long)start;
		if (is_it)
			(void)sscanf(line, "Rss: %ld kB", &kib);
	}
	fclose(file);
	return kib;
}

/* Those of a map, as long as it is said to be one; and its content is there again. */
static void maps_are_given_back(void **state)
{
	FILE *file = tmpfile();
	struct pages_map map, other;
	static char other_content[4];
	const size_t size = 1 << 20;
	volatile char *start;

	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), (off_t)size), 0);
	assert_int_equal(pwrite(fileno(file), "x", 1, (off_t)size - 1), 1);
	start = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fileno(file), 0);
	assert_true(start != MAP_FAILED);
	assert_int_equal(resident_at((void *)start), size >> 10);
	pages_add_map(&map, (void *)start, size);
	pages_add_map(&other, other_content, 0);
	pages_release();
	assert_int_equal(resident_at((void *)start), 0);
	assert_int_equal(start[size - 1], 'x');
	pages_remove_map(&map);
	assert_int_not_equal(resident_at((void *)start), 0);
	pages_release();
	assert_int_not_equal(resident_at((void *)start), 0);
	pages_remove_map(&other);
	munmap((void *)start, size);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_is_given_back),
		cmocka_unit_test(nothing_is_lost),
		cmocka_unit_test(maps_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
