/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Upper and work directories: which pairs are taken, and what is said of the others. */
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

#include "host/workspace-internal.h"
#include "supervisor/upper.h"

static char root[64];

static int set_up(void **state)
{
	static const char *const dirs[] = {"u", "w", "u/in", "lower", "lower/in", "left",
		"left/work", "left/#12", "left/index", "full", "full/precious", "n", "n/lower"};
	int fd;

	strcpy(root, "/tmp/test-upper-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdirat(fd, dirs[i], 0755) < 0)
			return -1;
	if (symlinkat("u", fd, "u-link") < 0)
		return -1;
	return close(fd);
}

static int tear_down(void **state)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	r = tree_remove(fd, root + 5);
	close(fd);
	return r;
}

static bool for_container, by_descriptor;

static int open_pair(const char *upper, const char *work, const char *lower,
	struct upper_dirs *dirs, struct error *err)
{
	struct upper_wish wish = {.upper_fd = -1, .work_fd = -1, .for_container = for_container};
	struct layer_spec layer = {.kind = (char[]){"dir"}};
	struct workspace_config config = {.layers = &layer, .layer_count = 1};
	struct source source = {0};
	char paths[3][128];
	int r;

	snprintf(paths[0], sizeof(paths[0]), "%s/%s", root, upper);
	snprintf(paths[1], sizeof(paths[1]), "%s%s%s", *work == '/' ? "" : root,
		*work == '/' ? "" : "/", work);
	snprintf(paths[2], sizeof(paths[2]), "%s/%s", root, lower);
	config.upper = paths[0];
	config.work = paths[1];
	layer.path = source.dir.path = paths[2];
	source.dir.fd = open(paths[2], O_PATH | O_CLOEXEC);
	upper_dirs_init(dirs);
	wish.config = &config;
	wish.sources = &source;
	if (by_descriptor) {
		wish.upper_fd = open(paths[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
		wish.work_fd = open(paths[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
		/* These names lead to nothing by now. */
		config.upper = config.work = (char[]){"/nowhere/at/all"};
	}
	r = upper_dirs_open(&wish, dirs, err);
	close(source.dir.fd);
	if (by_descriptor) {
		close(wish.upper_fd);
		close(wish.work_fd);
	}
	return r;
}

static void taken(void **state)
{
	static const struct {
		const char *upper, *work, *upper_below, *work_below;
	} rows[] = {
		{"u", "w", "u", "w"},
		{"u-link", "w", "u", "w"},
		{"u", "left", "u", "left"},
		{"u/in", "w", "u/in", "w"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upper_dirs dirs;
		struct error err = {0};
		struct stat a, b;

		if (open_pair(rows[i].upper, rows[i].work, "lower", &dirs, &err) < 0)
			fail_msg("%s, %s: %s", rows[i].upper, rows[i].work, err.text);
		assert_string_equal(dirs.upper_below, rows[i].upper_below);
		assert_string_equal(dirs.work_below, rows[i].work_below);
		assert_int_equal(fstatat(dirs.parent_fd, dirs.upper_below, &a, 0), 0);
		assert_int_equal(fstat(dirs.upper_fd, &b), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		upper_dirs_release(&dirs);
		upper_dirs_release(&dirs);
	}
}

static void refused(void **state)
{
	static const struct {
		const char *upper, *work, *lower;
		int code;
		const char *says;
	} rows[] = {
		{"missing", "w", "lower", ENOENT, "no such directory"},
		{"u", "missing", "lower", ENOENT, "no such directory"},
		{"u", "u", "lower", EINVAL, "same directory"},
		{"u", "u-link", "lower", EINVAL, "same directory"},
		{"u", "u/in", "lower", EINVAL, "inside the other"},
		{"u/in", "u", "lower", EINVAL, "inside the other"},
		{"lower", "w", "lower", ELOOP, "is the layer"},
		{"u", "lower", "lower", ELOOP, "is the layer"},
		{"lower/in", "w", "lower", ELOOP, "inside the layer"},
		{"u", "lower/in", "lower", ELOOP, "inside the layer"},
		{"n", "w", "n/lower", ELOOP, "lies inside upperdir"},
		{"u", "full", "lower", ENOTEMPTY, "'precious'"},
		{"u", "/proc/self", "lower", EXDEV, "different file systems"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upper_dirs dirs;
		struct error err = {0};
		int r = open_pair(rows[i].upper, rows[i].work, rows[i].lower, &dirs, &err);

		if (r != -rows[i].code || !strstr(err.text, rows[i].says))
			fail_msg("%s, %s: %d '%s', wanted %d '%s'", rows[i].upper, rows[i].work, r,
				err.text, -rows[i].code, rows[i].says);
		assert_int_equal(dirs.upper_fd, -1);
	}
}

static void by_descriptors(void **state)
{
	by_descriptor = true;
	taken(state);
	by_descriptor = false;
}

/* What lies beside the two is in the jail of the container's daemon. */
static void alone_for_a_container(void **state)
{
	static const struct {
		const char *upper, *work, *says; /* NULL: taken */
	} rows[] = {
		{"own/u", "own/w", NULL},
		{"far/a/u", "far/b/c/w", NULL},
		{"u", "w", "one directory of their own"},
		{"near/a/u", "near/w", "something lies beside"},
		{"more/u", "more/w", "something lies beside"},
	};
	static const char *const dirs[] = {"own", "own/u", "own/w", "far", "far/a", "far/a/u",
		"far/b", "far/b/c", "far/b/c/w", "near", "near/a", "near/a/u", "near/a/other",
		"near/w", "more", "more/u", "more/w", "more/precious"};
	char path[128];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	for_container = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct upper_dirs opened;
		struct error err = {0};
		int r = open_pair(rows[i].upper, rows[i].work, "lower", &opened, &err);

		if (r != (rows[i].says ? -ENOTEMPTY : 0) ||
			(rows[i].says && !strstr(err.text, rows[i].says)))
			fail_msg("%s, %s: %d '%s'", rows[i].upper, rows[i].work, r, err.text);
		upper_dirs_release(&opened);
	}
	for_container = false;
}

static void a_pair_is_used_once(void **state)
{
	struct upper_dirs first, second;
	struct error err = {0};

	assert_int_equal(open_pair("u", "w", "lower", &first, &err), 0);
	assert_int_equal(open_pair("u", "left", "lower", &second, &err), -EBUSY);
	assert_int_equal(err.status, EXIT_STATUS_BUSY);
	assert_int_equal(open_pair("u/in", "w", "lower", &second, &err), -EBUSY);
	upper_dirs_release(&first);
	assert_int_equal(open_pair("u", "left", "lower", &second, &err), 0);
	upper_dirs_release(&second);
}

static void not_writable(void **state)
{
	struct upper_dirs dirs;
	struct error err = {0};
	bool is_root = geteuid() == 0;
	char path[128];
	int r;

	snprintf(path, sizeof(path), "%s/w", root);
	assert_int_equal(chmod(root, 0755), 0);
	assert_int_equal(chmod(path, 0555), 0);
	/* Root may write everywhere, so it becomes nobody for a moment. */
	assert_int_equal(is_root ? seteuid(65534) : 0, 0);
	r = open_pair("u", "w", "lower", &dirs, &err);
	assert_int_equal(is_root ? seteuid(0) : 0, 0);
	assert_int_equal(r, -EACCES);
	assert_non_null(strstr(err.text, "not writable"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(taken),
		test(refused),
		test(by_descriptors),
		test(alone_for_a_container),
		test(a_pair_is_used_once),
		test(not_writable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
