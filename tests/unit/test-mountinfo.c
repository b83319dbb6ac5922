/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's table of mounts: lines, escapes, and what is no line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host/mountinfo.h"

static void lines(void **state)
{
	static const struct {
		const char *line, *mountpoint, *type, *source;
		int id;
		unsigned minor;
	} rows[] = {
		{"36 35 0:48 / /mnt rw,relatime - fuse.git-overlayfs /srv/r.git@main rw,user_id=0",
			"/mnt", "fuse.git-overlayfs", "/srv/r.git@main", 36, 48},
		{"1 1 0:2 / / rw shared:1 master:2 - ext4 /dev/sda1 rw", "/", "ext4", "/dev/sda1",
			1, 2},
		{"7 1 0:9 /a\\040b /a\\040b\\134c\\011 rw - tmpfs no\\040ne rw", "/a b\\c\t",
			"tmpfs", "no ne", 7, 9},
		{"7 1 0:9 / /x\\0 rw - t s rw", "/x\\0", "t", "s", 7, 9},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mountinfo info = {0};
		int r = mountinfo_parse(rows[i].line, &info);

		if (r < 0 || info.id != rows[i].id || info.minor != rows[i].minor ||
			strcmp(info.mountpoint, rows[i].mountpoint) ||
			strcmp(info.type, rows[i].type) || strcmp(info.source, rows[i].source))
			fail_msg("'%s': %d, %d %u '%s' '%s' '%s'", rows[i].line, r, info.id,
				info.minor, info.mountpoint, info.type, info.source);
		mountinfo_release(&info);
		mountinfo_release(&info);
	}
}

static void where_it_is_mounted(void **state)
{
	static const struct {
		const char *line;
		int parent;
		bool is_shared;
	} rows[] = {
		{"36 35 0:48 / /mnt rw,relatime - fuse.git-overlayfs /srv/r.git@main rw", 35,
			false},
		{"1 1 0:2 / / rw shared:1 master:2 - ext4 /dev/sda1 rw", 1, true},
		{"1 9 0:2 / / rw master:2 propagate_from:7 shared:12 - ext4 /dev/sda1 rw", 9, true},
		{"1 9 0:2 / / rw master:2 unbindable - ext4 /dev/sda1 rw", 9, false},
		/* Names are no fields, and what comes after the separator is the file system's. */
		{"1 9 0:2 / /shared:1 rw - ext4 shared:1 rw,shared:1", 9, false},
		{"1 9 0:2 /a\\040shared:1 /b\\040shared:1 rw - t s rw shared:1", 9, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mountinfo info = {0};

		assert_int_equal(mountinfo_parse(rows[i].line, &info), 0);
		if (info.parent != rows[i].parent || info.is_shared != rows[i].is_shared)
			fail_msg("'%s': %d %d", rows[i].line, info.parent, info.is_shared);
		mountinfo_release(&info);
	}
}

static void refused(void **state)
{
	static const char *const rows[] = {"", "36", "36 35 0:48 / /mnt rw", "a b c:d / / - x y",
		"36 35 - x y", "36 x 0:48 / /mnt rw - x y", " - "};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mountinfo info = {0};

		if (mountinfo_parse(rows[i], &info) != -EINVAL)
			fail_msg("'%s' was taken", rows[i]);
	}
}

static void the_machine_has_a_root(void **state)
{
	struct mountinfo info = {0};

	assert_int_equal(mountinfo_find("/", &info), 0);
	assert_string_equal(info.mountpoint, "/");
	mountinfo_release(&info);
	assert_int_equal(mountinfo_find("/no/such/mountpoint", &info), -ENOENT);
	assert_false(mountinfo_is_dead("/"));
	assert_false(mountinfo_is_dead("/no/such/mountpoint"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(where_it_is_mounted),
		cmocka_unit_test(refused),
		cmocka_unit_test(the_machine_has_a_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
