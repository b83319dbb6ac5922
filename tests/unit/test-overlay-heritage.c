/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a directory hands on is remembered: what changes it counts from the next object on. */
#include "overlay-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEFAULT "system.posix_acl_default"
#define GROUP	55

/* u::rwx,g::r-x,o::--- with nobody named, as setfacl -d writes it */
static const unsigned char default_acl[] = {2, 0, 0, 0,				/* version */
	1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, /* owner, group */
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};					/* others */

static void give_group(struct fixture *fx, const char *path, mode_t mode)
{
	struct stat st = {.st_gid = GROUP, .st_mode = mode};
	struct overlay_entry entry;

	assert_int_equal(fx_walk(fx, path, &entry), 0);
	assert_int_equal(overlay_setattr(fx->ov, entry.node, NULL, &st,
				 OVERLAY_SET_GID | OVERLAY_SET_MODE, &st),
		0);
	fx_forget(fx, entry.node);
}

static void expect(struct fixture *fx, const char *path, mode_t mode, gid_t gid)
{
	struct stat st;

	assert_int_equal(fx_stat(fx, path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_gid, gid);
}

static void group_of_the_directory(void **state)
{
	struct fixture fx;

	if (geteuid() != 0)
		skip();
	fixture_init(&fx, 1);
	fixture_mount(&fx);
	assert_int_equal(fx_mkdir(&fx, "d", 0755), 0);
	assert_int_equal(fx_create(&fx, "d/before", 0644, ""), 0);
	give_group(&fx, "d", 02775);
	assert_int_equal(fx_create(&fx, "d/file", 0644, ""), 0);
	assert_int_equal(fx_mkdir(&fx, "d/dir", 0755), 0);
	assert_int_equal(fx_symlink(&fx, "x", "d/link"), 0);
	/* Made in a directory that was itself just made. */
	assert_int_equal(fx_create(&fx, "d/dir/file", 0644, ""), 0);
	assert_int_equal(fx_chmod(&fx, "d", 0755), 0);
	assert_int_equal(fx_create(&fx, "d/after", 0644, ""), 0);
	expect(&fx, "d/before", 0644, 0);
	expect(&fx, "d/file", 0644, GROUP);
	expect(&fx, "d/dir", 02755, GROUP);
	expect(&fx, "d/link", 0777, GROUP);
	expect(&fx, "d/dir/file", 0644, GROUP);
	expect(&fx, "d/after", 0644, 0);
	fixture_end(&fx);
}

static int set_default_acl(struct fixture *fx, const char *path, bool is_set)
{
	struct overlay_entry entry;
	int r;

	assert_int_equal(fx_walk(fx, path, &entry), 0);
	r = is_set ? overlay_setxattr(
			     fx->ov, entry.node, DEFAULT, default_acl, sizeof(default_acl), 0)
		   : overlay_removexattr(fx->ov, entry.node, DEFAULT);
	fx_forget(fx, entry.node);
	return r;
}

static void acl_of_the_directory(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_mount(&fx);
	if (!overlay_has_acls(fx.ov)) {
		fixture_end(&fx);
		skip();
	}
	fx.caller.umask = 022;
	assert_int_equal(fx_mkdir(&fx, "d", 0755), 0);
	assert_int_equal(fx_create(&fx, "d/before", 0666, ""), 0);
	assert_int_equal(set_default_acl(&fx, "d", true), 0);
	assert_int_equal(fx_create(&fx, "d/file", 0666, ""), 0);
	assert_int_equal(fx_mkdir(&fx, "d/dir", 0777), 0);
	assert_int_equal(fx_create(&fx, "d/dir/file", 0666, ""), 0);
	assert_int_equal(set_default_acl(&fx, "d", false), 0);
	assert_int_equal(fx_create(&fx, "d/after", 0666, ""), 0);
	expect(&fx, "d/before", 0644, getegid());
	expect(&fx, "d/file", 0640, getegid());
	expect(&fx, "d/dir", 0750, getegid());
	expect(&fx, "d/dir/file", 0640, getegid());
	expect(&fx, "d/after", 0644, getegid());
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(group_of_the_directory),
		cmocka_unit_test(acl_of_the_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
