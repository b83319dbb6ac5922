/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POSIX ACLs: whose they are in the mount and in the store, and what becomes of them. */
#include "overlay-fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACCESS	"system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"
#define NOBODY	UINT32_MAX

/* The tags of an entry, as the kernel writes them: linux/posix_acl.h. */
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	uint32_t version;
	struct acl_entry entries[8];
};

#define ACL_SIZE(count) (4 + (size_t)(count) * sizeof(struct acl_entry))

static struct acl acl_of(uint32_t uid, uint32_t gid)
{
	return (struct acl){2, {
				       {USER_OBJ, 6, NOBODY},
				       {USER, 7, uid},
				       {GROUP_OBJ, 4, NOBODY},
				       {GROUP, 5, gid},
				       {MASK, 6, NOBODY},
				       {OTHER, 0, NOBODY},
			       }};
}

#define FULL ACL_SIZE(6)

/* The upper must be able to hold one. */
static void need_acls(struct fixture *fx)
{
	if (overlay_has_acls(fx->ov))
		return;
	fixture_end(fx);
	print_message("no ACLs in /tmp\n");
	skip();
}

static uint32_t stored_id(const struct fixture *fx, const char *path, size_t index)
{
	char full[128];
	struct acl acl;

	snprintf(full, sizeof(full), "%s/upper/%s", fx->dir, path);
	assert_true(getxattr(full, ACCESS, &acl, sizeof(acl)) >= (ssize_t)ACL_SIZE(index + 1));
	return acl.entries[index].id;
}

static bool has_stored(const struct fixture *fx, const char *path, const char *name)
{
	char full[128];

	snprintf(full, sizeof(full), "%s/upper/%s", fx->dir, path);
	return getxattr(full, name, NULL, 0) > 0;
}

static ssize_t get(struct fixture *fx, const char *path, const char *name, struct acl *ret)
{
	struct overlay_entry entry;
	ssize_t n = fx_walk(fx, path, &entry);

	assert_int_equal(n, 0);
	n = overlay_getxattr(fx->ov, entry.node, name, ret, ret ? sizeof(*ret) : 0);
	fx_forget(fx, entry.node);
	return n;
}

static int set(struct fixture *fx, const char *path, const char *name, const struct acl *acl,
	size_t size, int flags)
{
	struct overlay_entry entry;
	int r = fx_walk(fx, path, &entry);

	assert_int_equal(r, 0);
	r = overlay_setxattr(fx->ov, entry.node, name, acl, size, flags);
	fx_forget(fx, entry.node);
	return r;
}

/* Ids in it are translated both ways; the stranger does not show, and is not lost. */
static void mapped(void **state)
{
	struct acl acl = acl_of(100007, 55), got;
	struct fixture fx;

	if (geteuid() != 0)
		skip();
	fixture_init(&fx, 1);
	assert_int_equal(idmap_parse(&fx.ids, IDMAP_UID, "0:100000:1000", NULL), 0);
	assert_int_equal(idmap_parse(&fx.ids, IDMAP_GID, "0:100000:1000", NULL), 0);
	fixture_file(&fx, 0, "f", 0660, "x");
	mem_tree_set_attr(fx.trees[0], "f", 0660, 100001, 100001, (struct timespec){0});
	mem_tree_set_xattr(fx.trees[0], "f", ACCESS, &acl, FULL);
	fixture_mount(&fx);
	need_acls(&fx);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(get(&fx, "f", ACCESS, NULL), ACL_SIZE(5));
		assert_int_equal(get(&fx, "f", ACCESS, &got), ACL_SIZE(5));
		assert_int_equal(got.entries[1].tag, USER);
		assert_int_equal(got.entries[1].id, 7);
		assert_int_equal(got.entries[3].tag, MASK);
		assert_int_equal(fx_chmod(&fx, "f", 0660), 0);
	}
	assert_int_equal(stored_id(&fx, "f", 1), 100007);
	assert_int_equal(stored_id(&fx, "f", 3), 55);
	acl = acl_of(8, 9);
	assert_int_equal(set(&fx, "f", ACCESS, &acl, FULL, 0), 0);
	assert_int_equal(stored_id(&fx, "f", 1), 100008);
	assert_int_equal(stored_id(&fx, "f", 3), 100009);
	acl = acl_of(1000, 9);
	assert_int_equal(set(&fx, "f", ACCESS, &acl, FULL, 0), -EINVAL);
	assert_int_equal(set(&fx, "f", ACCESS, &acl, FULL - 1, 0), -EINVAL);
	assert_int_equal(set(&fx, "f", ACCESS, &acl, 3, 0), -EINVAL);
	acl.version = 1;
	assert_int_equal(set(&fx, "f", ACCESS, &acl, FULL, 0), -EINVAL);
	fixture_end(&fx);
}

/* In a user namespace the kernel writes -1 for somebody it does not know: that cannot be copied. */
static void unknown_to_the_namespace(void **state)
{
	struct acl acl = acl_of(NOBODY, 1), got;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0660, "x");
	mem_tree_set_xattr(fx.trees[0], "f", ACCESS, &acl, FULL);
	fixture_mount(&fx);
	need_acls(&fx);
	assert_int_equal(get(&fx, "f", ACCESS, &got), ACL_SIZE(5));
	assert_int_equal(fx_chmod(&fx, "f", 0600), -EOVERFLOW);
	fixture_end(&fx);
}

/* The overflow id, too, may be meant by an ACL, other than by an owner. */
static void overflow_id(void **state)
{
	struct acl acl = acl_of(IDMAP_OVERFLOW_ID, 1), got;
	struct fixture fx;

	fixture_init(&fx, 1);
	fx.ids.overflow_is_unmapped[IDMAP_UID] = true;
	fixture_file(&fx, 0, "f", 0660, "x");
	mem_tree_set_xattr(fx.trees[0], "f", ACCESS, &acl, FULL);
	fixture_mount(&fx);
	need_acls(&fx);
	assert_int_equal(get(&fx, "f", ACCESS, &got), FULL);
	assert_int_equal(got.entries[1].id, IDMAP_OVERFLOW_ID);
	fixture_end(&fx);
}

/* Asking for what is not there, and taking it away, copies nothing up. */
static void none(void **state)
{
	struct overlay_entry entry;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "x");
	fixture_mount(&fx);
	need_acls(&fx);
	assert_int_equal(get(&fx, "f", ACCESS, NULL), -ENODATA);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(overlay_removexattr(fx.ov, entry.node, ACCESS), 0);
	assert_int_equal(overlay_removexattr(fx.ov, entry.node, "user.none"), -ENODATA);
	fx_forget(&fx, entry.node);
	assert_int_equal(mem_tree_calls(fx.trees[0], MEM_OPEN_FILE), 0);
	assert_int_equal(faccessat(fx.upper_fd, "f", F_OK, 0), -1);
	fixture_end(&fx);
}

/* A default ACL of a directory that only a layer has decides about new objects, not the umask. */
static void inherited_from_below(void **state)
{
	struct acl acl = acl_of(1, 2);
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	mem_tree_set_xattr(fx.trees[0], "d", DEFAULT, &acl, FULL);
	fx.caller.umask = 077;
	fixture_mount(&fx);
	need_acls(&fx);
	assert_int_equal(fx_create(&fx, "d/f", 0666, ""), 0);
	assert_int_equal(fx_stat(&fx, "d/f", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0660);
	assert_int_equal(stored_id(&fx, "d/f", 3), 2);
	assert_int_equal(fx_mkdir(&fx, "d/sub", 0777), 0);
	assert_true(has_stored(&fx, "d/sub", DEFAULT));
	assert_true(has_stored(&fx, "d/sub", ACCESS));
	fixture_end(&fx);
}

/* Somebody else's, in a set-group-ID directory: made aside, with the same result. */
static void inherited_by_another_owner(void **state)
{
	struct acl acl = acl_of(1, 2);
	struct fixture fx;
	struct stat st;

	if (geteuid() != 0)
		skip();
	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 02777);
	mem_tree_set_attr(fx.trees[0], "d", 02777, 0, 77, (struct timespec){0});
	mem_tree_set_xattr(fx.trees[0], "d", DEFAULT, &acl, FULL);
	fx.caller = (struct overlay_caller){.uid = 1234, .gid = 1234, .umask = 077};
	fixture_mount(&fx);
	need_acls(&fx);
	assert_int_equal(fx_create(&fx, "d/f", 04755, ""), 0);
	assert_int_equal(fx_stat(&fx, "d/f", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 04640);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 77);
	assert_int_equal(stored_id(&fx, "d/f", 1), 1);
	assert_int_equal(fx_mkdir(&fx, "d/sub", 0777), 0);
	assert_int_equal(fx_stat(&fx, "d/sub", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 02660);
	assert_true(has_stored(&fx, "d/sub", DEFAULT));
	fixture_end(&fx);
}

/* Not shown: then it does not count either, and is kept for who looks without the mount. */
static void hidden(void **state)
{
	struct acl acl = acl_of(1, 2);
	struct overlay_entry entry;
	struct fixture fx;
	char names[64];
	struct stat st;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	mem_tree_set_xattr(fx.trees[0], "d", DEFAULT, &acl, FULL);
	fx.no_acls = true;
	fx.caller.umask = 022;
	fixture_mount(&fx);
	assert_false(overlay_has_acls(fx.ov));
	assert_int_equal(get(&fx, "d", DEFAULT, NULL), -EOPNOTSUPP);
	assert_int_equal(set(&fx, "d", DEFAULT, &acl, FULL, 0), -EOPNOTSUPP);
	assert_int_equal(fx_walk(&fx, "d", &entry), 0);
	assert_int_equal(overlay_listxattr(fx.ov, &fx.caller, entry.node, names, sizeof(names)), 0);
	fx_forget(&fx, entry.node);
	assert_int_equal(fx_create(&fx, "d/f", 0666, ""), 0);
	assert_int_equal(fx_stat(&fx, "d/f", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_false(has_stored(&fx, "d/f", ACCESS));
	fixture_unmount(&fx);
	fx.no_acls = false;
	fixture_mount(&fx);
	need_acls(&fx);
	assert_int_equal(get(&fx, "d", DEFAULT, &acl), FULL);
	fixture_end(&fx);
}

static void squashed(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 1);
	fx.ids.squash[IDMAP_GID] = true;
	fixture_mount(&fx);
	assert_false(overlay_has_acls(fx.ov));
	fixture_end(&fx);
}

/* Set-group-ID goes where the caller says so, and only with an access ACL. */
static void kills_sgid(void **state)
{
	struct acl acl = acl_of(1, 2);
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 06770);
	fixture_mount(&fx);
	need_acls(&fx);
	assert_int_equal(set(&fx, "d", DEFAULT, &acl, FULL, OVERLAY_XATTR_KILL_SGID), 0);
	assert_int_equal(set(&fx, "d", ACCESS, &acl, FULL, 0), 0);
	assert_int_equal(fx_stat(&fx, "d", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 06660);
	assert_int_equal(set(&fx, "d", ACCESS, &acl, FULL, OVERLAY_XATTR_KILL_SGID), 0);
	assert_int_equal(fx_stat(&fx, "d", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 04660);
	fixture_end(&fx);
}

/* A default ACL of the directory around upper and work is not for what is staged there. */
static void work_inherits_nothing(void **state)
{
	struct acl acl = acl_of(1, 2);
	struct fixture fx;
	char path[128];
	struct stat st;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "x");
	snprintf(path, sizeof(path), "%s/work", fx.dir);
	if (setxattr(path, DEFAULT, &acl, FULL, 0) < 0) {
		assert_int_equal(errno, EOPNOTSUPP);
		fixture_end(&fx);
		skip();
	}
	fixture_mount(&fx);
	assert_int_equal(fx_chmod(&fx, "f", 0600), 0);
	assert_int_equal(fx_stat(&fx, "f", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_false(has_stored(&fx, "f", ACCESS));
	fixture_end(&fx);
}

/* An upper made for the overlay takes over the attributes of the layer's root, and loses its own.
 */
static void adopted_by_the_root(void **state)
{
	struct acl own = acl_of(5, 6), acl = acl_of(1, 2), got;
	struct fixture fx;
	char path[128];

	fixture_init(&fx, 1);
	fx.adopts_root = true;
	snprintf(path, sizeof(path), "%s/upper", fx.dir);
	if (setxattr(path, DEFAULT, &own, FULL, 0) < 0) {
		assert_int_equal(errno, EOPNOTSUPP);
		fixture_end(&fx);
		skip();
	}
	mem_tree_set_xattr(fx.trees[0], "", ACCESS, &acl, FULL);
	mem_tree_set_xattr(fx.trees[0], "", "user.a", "b", 1);
	fixture_mount(&fx);
	assert_int_equal(get(&fx, "", DEFAULT, NULL), -ENODATA);
	assert_int_equal(get(&fx, "", ACCESS, &got), FULL);
	assert_int_equal(got.entries[1].id, 1);
	assert_int_equal(get(&fx, "", "user.a", NULL), 1);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped),
		cmocka_unit_test(unknown_to_the_namespace),
		cmocka_unit_test(overflow_id),
		cmocka_unit_test(none),
		cmocka_unit_test(inherited_from_below),
		cmocka_unit_test(inherited_by_another_owner),
		cmocka_unit_test(hidden),
		cmocka_unit_test(squashed),
		cmocka_unit_test(kills_sgid),
		cmocka_unit_test(work_inherits_nothing),
		cmocka_unit_test(adopted_by_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
