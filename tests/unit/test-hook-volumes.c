/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lies below a target: which of it is visible, and what may be opened, without a mount. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../hooks/hook.h"
#include "../../hooks/volumes.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Fills from words, separated by spaces. */
static void add_all(struct volumes *volumes, const char *words)
{
	char text[200], *save;

	volumes_init(volumes, "/workspace");
	snprintf(text, sizeof(text), "%s", words);
	for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
		assert_int_equal(volumes_add(volumes, p, NULL), 0);
}

static void hidden_ones_are_dropped(void **state)
{
	static const char *const rows[][2] = {
		{"", ""},
		{"cache", "cache "},
		{"cache cache/deep", "cache "},
		{"cache/deep cache", "cache "},
		{"a/b/c a-b a a+ a/b", "a-b a a+ "},
		{"x/y x/z", "x/y x/z "},
		{"b/c/d a b/c a/b/c/d", "a b/c "},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct volumes volumes;
		char left[200] = "";

		add_all(&volumes, rows[i][0]);
		volumes_drop_hidden(&volumes);
		for (size_t k = 0; k < volumes.count; k++) {
			strcat(left, volumes.items[k].path);
			strcat(left, " ");
		}
		if (strcmp(left, rows[i][1]) != 0)
			fail_msg("of '%s' '%s' is left, wanted '%s'", rows[i][0], left, rows[i][1]);
		volumes_release(&volumes);
	}
}

static void entries_on_the_way(void **state)
{
	static const struct {
		const char *name;
		bool wanted;
	} rows[] = {
		{"a", true}, {"x", true}, {"b", false}, {"x/y", true}, {"ax", false}, {"", false}};
	struct volumes volumes;

	add_all(&volumes, "a x/y/z");
	for (size_t i = 0; i < ROWS(rows); i++)
		if (volumes_lead_through(&volumes, rows[i].name) != rows[i].wanted)
			fail_msg("'%s': wanted %d", rows[i].name, rows[i].wanted);
	volumes_release(&volumes);
}

static void there_is_an_end_of_them(void **state)
{
	struct error err = {0};
	struct volumes volumes;

	volumes_init(&volumes, "/workspace");
	for (size_t i = 0; i < VOLUMES_MAX; i++)
		assert_int_equal(volumes_add(&volumes, "x", &err), 0);
	assert_int_equal(volumes_add(&volumes, "x", &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than 64 volumes"));
	volumes_release(&volumes);
}

static char top[] = "/tmp/unit-volumes.XXXXXX";
static int top_fd = -1;

static int setup(void **state)
{
	strcpy(top + sizeof(top) - 7, "XXXXXX");
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	mkdirat(top_fd, "dir", 0755);
	return symlinkat("dir", top_fd, "link");
}

static int teardown(void **state)
{
	char command[100];

	close(top_fd);
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

/* A path that shows no mount by now was renamed; a link, or nothing, is no better. */
static void what_is_no_mount_is_not_opened(void **state)
{
	static const struct {
		const char *path;
		int code;
	} rows[] = {{"dir", ESTALE}, {"link", ELOOP}, {"link/x", ELOOP}, {"none", ENOENT},
		{"../etc", EXDEV}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct error err = {0};
		struct volumes volumes;
		int r;

		add_all(&volumes, rows[i].path);
		r = volumes_open(&volumes, top_fd, &err);
		if (r != -rows[i].code)
			fail_msg("'%s': %d (%s), wanted %d", rows[i].path, r, err.text,
				-rows[i].code);
		volumes_release(&volumes);
	}
}

static void content_of_a_target(void **state)
{
	char name[256] = "";
	struct volumes volumes;

	add_all(&volumes, "dir/cache link");
	assert_int_equal(target_find_content(top_fd, &volumes, name, sizeof(name)), 0);
	assert_int_equal(mkdirat(top_fd, "more", 0755), 0);
	assert_int_equal(target_find_content(top_fd, &volumes, name, sizeof(name)), 1);
	assert_string_equal(name, "more");
	volumes_release(&volumes);
}

#define with_dir(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hidden_ones_are_dropped),
		cmocka_unit_test(entries_on_the_way),
		cmocka_unit_test(there_is_an_end_of_them),
		with_dir(what_is_no_mount_is_not_opened),
		with_dir(content_of_a_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
