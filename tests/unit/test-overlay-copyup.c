/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one truth for metadata: stat before a copy-up == after it == after a remount, whatever the
 * owner, mode, type and id map. And what was opened before a copy-up follows it.
 */
#include "overlay-fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool same_metadata(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_rdev == b->st_rdev &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void expect_same(
	const char *when, const char *path, const struct stat *a, const struct stat *b)
{
	if (same_metadata(a, b))
		return;
	fail_msg("%s, '%s': mode %o/%o uid %u/%u gid %u/%u size %lld/%lld ino %llx/%llx "
		 "rdev %llx/%llx mtime %lld.%ld/%lld.%ld",
		when, path, a->st_mode, b->st_mode, a->st_uid, b->st_uid, a->st_gid, b->st_gid,
		(long long)a->st_size, (long long)b->st_size, (unsigned long long)a->st_ino,
		(unsigned long long)b->st_ino, (unsigned long long)a->st_rdev,
		(unsigned long long)b->st_rdev, (long long)a->st_mtim.tv_sec, a->st_mtim.tv_nsec,
		(long long)b->st_mtim.tv_sec, b->st_mtim.tv_nsec);
}

/* A copy-up that changes nothing that is compared: a link, or an attribute. */
static int copy_up(struct fixture *fx, const char *path)
{
	struct overlay_entry entry;
	struct stat st;
	int r = fx_walk(fx, path, &entry);

	if (r < 0)
		return r;
	r = overlay_setattr(fx->ov, entry.node, NULL, &entry.st, OVERLAY_SET_MTIME, &st);
	fx_forget(fx, entry.node);
	return r;
}

/* --- the property --- */

static const mode_t types[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

static uint32_t pick_id(const struct idmap_table *table, uint32_t own)
{
	const struct idmap_extent *e;

	/* Without the right to give files away there is one owner only. */
	if (geteuid() != 0)
		return own;
	if (table->count == 0)
		return (uint32_t)rand() % 70000;
	e = &table->extents[(size_t)rand() % table->count];
	return e->storage + (uint32_t)rand() % e->count;
}

static void random_map(struct idmap *map, enum idmap_kind kind)
{
	char text[128];
	uint32_t own = kind == IDMAP_UID ? geteuid() : getegid();

	if (geteuid() != 0)
		snprintf(text, sizeof(text), "%d:%u:1", rand() % 1000, own);
	else
		snprintf(text, sizeof(text), "0:%d:1000:1000:%d:500", rand() % 1000,
			200000 + rand() % 1000);
	if (rand() % 3)
		assert_int_equal(idmap_parse(map, kind, text, NULL), 0);
}

static void random_entry(struct fixture *fx, const char *path)
{
	static const char content[] = "some content that is copied";
	struct mem_entry entry = {.path = path,
		.mode = types[(size_t)rand() % TYPE_COUNT] | ((mode_t)rand() & 07777),
		.uid = pick_id(&fx->ids.tables[IDMAP_UID], geteuid()),
		.gid = pick_id(&fx->ids.tables[IDMAP_GID], getegid()),
		.mtime = {.tv_sec = rand() - 1000000000, .tv_nsec = rand() % 1000000000},
		.data = content};

	if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode)) {
		entry.rdev = makedev(1, 3);
		if (geteuid() != 0) {
			entry.mode = S_IFIFO | (entry.mode & 07777);
			entry.rdev = 0;
		}
	}
	if (S_ISREG(entry.mode) || S_ISLNK(entry.mode))
		entry.length = 1 + (size_t)rand() % (sizeof(content) - 1);
	if (S_ISLNK(entry.mode))
		entry.mode = S_IFLNK | 0777;
	assert_int_equal(mem_tree_add(fx->trees[0], &entry), 0);
}

static void one_round(unsigned seed)
{
	struct stat before[8], st;
	struct fixture fx;
	char path[16];

	srand(seed);
	fixture_init(&fx, 1);
	random_map(&fx.ids, IDMAP_UID);
	random_map(&fx.ids, IDMAP_GID);
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "e%d", i);
		random_entry(&fx, path);
	}
	fixture_mount(&fx);
	for (int pass = 0; pass < 3; pass++) {
		for (int i = 0; i < 8; i++) {
			snprintf(path, sizeof(path), "e%d", i);
			assert_int_equal(fx_stat(&fx, path, pass ? &st : &before[i]), 0);
			if (pass > 0)
				expect_same(pass == 1 ? "after copy-up" : "after remount", path,
					&before[i], &st);
			if (pass == 0 && copy_up(&fx, path) != 0)
				fail_msg("seed %u: copy-up of '%s' failed", seed, path);
		}
		if (pass == 1) {
			fixture_unmount(&fx);
			fixture_mount(&fx);
		}
	}
	fixture_end(&fx);
}

static void stat_survives_copyup_and_remount(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)getpid();

	printf("# SEED=%u, %s\n", seed,
		geteuid() == 0 ? "owners at random" : "one owner (not root)");
	for (unsigned i = 0; i < 40; i++)
		one_round(seed + i);
}

static void unmapped_owners(void **state)
{
	struct mem_entry entry = {.path = "f", .mode = S_IFREG | 0644, .uid = 5, .gid = 5};
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	assert_int_equal(idmap_parse(&fx.ids, IDMAP_UID, "0:100000:1000", NULL), 0);
	mem_tree_set_attr(
		fx.trees[0], "", 0755, geteuid(), getegid(), (struct timespec){.tv_sec = 1});
	assert_int_equal(mem_tree_add(fx.trees[0], &entry), 0);
	fixture_mount(&fx);
	assert_int_equal(fx_stat(&fx, "f", &st), 0);
	assert_int_equal(st.st_uid, IDMAP_OVERFLOW_ID);
	assert_int_equal(st.st_gid, 5);
	assert_int_equal(fx_write(&fx, "f", 0, "x"), -EOVERFLOW);
	fx.caller.uid = 5000;
	assert_int_equal(fx_create(&fx, "n", 0644, ""), -EINVAL);
	fixture_end(&fx);
}

/* --- content --- */

static void data_and_holes(void **state)
{
	struct mem_entry sparse = {.path = "sparse",
		.mode = S_IFREG | 0644,
		.uid = geteuid(),
		.gid = getegid(),
		.data = "head",
		.length = 4,
		.size = 3 << 20};
	static char big[3 << 20], back[3 << 20];
	struct overlay_entry entry;
	struct overlay_file *file;
	struct fixture fx;

	fixture_init(&fx, 1);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 >> 3);
	assert_int_equal(mem_tree_add(fx.trees[0], &sparse), 0);
	sparse = (struct mem_entry){.path = "big",
		.mode = S_IFREG | 0644,
		.uid = geteuid(),
		.gid = getegid(),
		.data = big,
		.length = sizeof(big)};
	assert_int_equal(mem_tree_add(fx.trees[0], &sparse), 0);
	fixture_mount(&fx);
	assert_int_equal(copy_up(&fx, "big"), 0);
	assert_int_equal(fx_walk(&fx, "big", &entry), 0);
	assert_int_equal(overlay_open(fx.ov, entry.node, O_RDONLY, &file), 0);
	assert_int_equal(overlay_read(fx.ov, file, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(back, big, sizeof(big));
	overlay_release(fx.ov, file);
	fx_forget(&fx, entry.node);
	assert_int_equal(copy_up(&fx, "sparse"), 0);
	assert_int_equal(fx_walk(&fx, "sparse", &entry), 0);
	assert_int_equal(entry.st.st_size, 3 << 20);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

static void readers_follow_a_copyup(void **state)
{
	struct overlay_entry entry;
	struct overlay_file *reader, *writer;
	struct fixture fx;
	char buf[16] = "";

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "old");
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(overlay_open(fx.ov, entry.node, O_RDONLY, &reader), 0);
	assert_int_equal(overlay_read(fx.ov, reader, buf, 3, 0), 3);
	assert_string_equal(buf, "old");
	assert_int_equal(overlay_open(fx.ov, entry.node, O_RDWR, &writer), 0);
	assert_int_equal(overlay_write(fx.ov, writer, "newer", 5, 0), 5);
	assert_int_equal(overlay_read(fx.ov, reader, buf, 15, 0), 5);
	assert_string_equal(buf, "newer");
	/* Also when the name has gone. */
	assert_int_equal(fx_unlink(&fx, "f"), 0);
	assert_int_equal(overlay_write(fx.ov, writer, "NEWER", 5, 0), 5);
	overlay_release(fx.ov, writer);
	assert_int_equal(overlay_read(fx.ov, reader, buf, 15, 0), 5);
	assert_string_equal(buf, "NEWER");
	overlay_release(fx.ov, reader);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

static void truncation_copies_no_data(void **state)
{
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "old");
	fixture_mount(&fx);
	mem_tree_fail(fx.trees[0], MEM_OPEN_FILE, NULL, EIO, 1);
	assert_int_equal(fx_write(&fx, "f", O_TRUNC, "new"), 0);
	assert_content(&fx, "f", "new");
	fixture_end(&fx);
}

static void xattrs_come_along(void **state)
{
	struct overlay_entry entry;
	struct fixture fx;
	char buf[64];

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "x");
	mem_tree_set_xattr(fx.trees[0], "f", "user.mine", "value", 5);
	mem_tree_set_xattr(fx.trees[0], "f", "user.overlay.origin", "junk", 4);
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	for (int pass = 0; pass < 2; pass++) {
		assert_int_equal(overlay_getxattr(fx.ov, entry.node, "user.mine", buf, 64), 5);
		assert_memory_equal(buf, "value", 5);
		assert_int_equal(overlay_listxattr(fx.ov, &fx.caller, entry.node, buf, 64), 10);
		assert_string_equal(buf, "user.mine");
		assert_int_equal(
			overlay_getxattr(fx.ov, entry.node, "user.overlay.origin", buf, 64),
			-ENODATA);
		assert_int_equal(copy_up(&fx, "f"), 0);
	}
	/* A name that only looks like a mark belongs to the user. */
	assert_int_equal(overlay_setxattr(fx.ov, entry.node, "user.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(overlay_getxattr(fx.ov, entry.node, "user.overlay.opaque", buf, 64), 1);
	assert_int_equal(overlay_removexattr(fx.ov, entry.node, "user.overlay.opaque"), 0);
	assert_int_equal(overlay_removexattr(fx.ov, entry.node, "user.overlay.opaque"), -ENODATA);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

static void directories_keep_their_times(void **state)
{
	struct fixture fx;
	struct stat before, after;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_dir(&fx, 0, "d/e", 0755);
	fixture_file(&fx, 0, "d/e/f", 0644, "x");
	fixture_mount(&fx);
	assert_int_equal(fx_stat(&fx, "d/e", &before), 0);
	assert_int_equal(fx_write(&fx, "d/e/f", 0, "y"), 0);
	assert_int_equal(fx_stat(&fx, "d/e", &after), 0);
	expect_same("after the copy-up of an entry", "d/e", &before, &after);
	assert_int_equal(fx_stat(&fx, "d", &after), 0);
	assert_int_equal(after.st_mtim.tv_sec, 3000);
	fixture_end(&fx);
}

/* The root of an upper of our own is the layer's, once; later changes stay. */
static void a_new_root_is_the_layers(void **state)
{
	struct timespec mtime = {.tv_sec = 4000, .tv_nsec = 9};
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	mem_tree_set_attr(fx.trees[0], "", 0751, geteuid(), getegid(), mtime);
	fixture_mount(&fx);
	assert_int_equal(fx_stat(&fx, "", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0755);
	fixture_unmount(&fx);
	fx.adopts_root = true;
	fixture_mount(&fx);
	assert_int_equal(fx_stat(&fx, "", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0751);
	assert_int_equal(st.st_mtim.tv_sec, 4000);
	assert_int_equal(st.st_mtim.tv_nsec, 9);
	assert_int_equal(fx_chmod(&fx, "", 0700), 0);
	fixture_unmount(&fx);
	fixture_mount(&fx);
	assert_int_equal(fx_stat(&fx, "", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	fixture_end(&fx);
}

/* --- failure --- */

/* Whatever call of the layer fails: the error comes out, nothing is left, the next try works. */
static void faults_leave_nothing(void **state)
{
	static const struct {
		enum mem_operation operation;
		int error;
	} rows[] = {{MEM_GETATTR, EIO}, {MEM_OPEN_FILE, EIO}, {MEM_OPEN_FILE, EMFILE},
		{MEM_LISTXATTR, EIO}, {MEM_GETXATTR, EIO}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct overlay_entry entry;
		struct fixture fx;
		struct stat st;

		fixture_init(&fx, 1);
		fixture_file(&fx, 0, "f", 0644, "content");
		mem_tree_set_xattr(fx.trees[0], "f", "user.a", "1", 1);
		fixture_mount(&fx);
		assert_int_equal(fx_walk(&fx, "f", &entry), 0);
		mem_tree_fail(fx.trees[0], rows[i].operation, "f", rows[i].error, 1);
		assert_int_equal(
			overlay_setattr(fx.ov, entry.node, NULL, &entry.st, OVERLAY_SET_MODE, &st),
			-rows[i].error);
		assert_int_equal(fstatat(fx.upper_fd, "f", &st, 0), -1);
		fx_forget(&fx, entry.node);
		assert_int_equal(fx_write(&fx, "f", 0, "C"), 0);
		assert_content(&fx, "f", "Content");
		fixture_end(&fx);
	}
}

/* An error of a layer is never an absence. */
static void errors_are_errors(void **state)
{
	struct fixture fx;
	struct stat st;
	char buf[64];

	fixture_init(&fx, 2);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_dir(&fx, 1, "d", 0755);
	fixture_file(&fx, 1, "d/f", 0644, "x");
	fixture_mount(&fx);
	mem_tree_fail(fx.trees[0], MEM_LOOKUP, "d", EIO, 1);
	assert_int_equal(fx_stat(&fx, "d/f", &st), -EIO);
	mem_tree_fail(fx.trees[1], MEM_READDIR, "d", ENOMEM, 1);
	assert_int_equal(fx_list(&fx, "d", buf, sizeof(buf)), -ENOMEM);
	mem_tree_fail(fx.trees[1], MEM_LOOKUP, "d", EMFILE, 1);
	assert_int_equal(fx_unlink(&fx, "d/f"), -EMFILE);
	assert_content(&fx, "d/f", "x");
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_survives_copyup_and_remount),
		cmocka_unit_test(unmapped_owners),
		cmocka_unit_test(data_and_holes),
		cmocka_unit_test(readers_follow_a_copyup),
		cmocka_unit_test(truncation_copies_no_data),
		cmocka_unit_test(xattrs_come_along),
		cmocka_unit_test(directories_keep_their_times),
		cmocka_unit_test(a_new_root_is_the_layers),
		cmocka_unit_test(faults_leave_nothing),
		cmocka_unit_test(errors_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
