/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The bound of the upper: what counts, and what is refused. */
#include "quota-usage.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

/* --- files --- */

static uint64_t left(struct fixture *fx)
{
	struct statvfs st;

	assert_int_equal(overlay_statfs(fx->ov, &st), 0);
	return st.f_bavail * st.f_frsize;
}

/* To the last byte. */
static struct overlay_file *fill_up(struct fixture *fx, const char *path)
{
	struct overlay_file *file;
	off_t at = 0;
	ssize_t n;

	assert_int_equal(fx_create(fx, path, 0644, ""), 0);
	file = fx_open(fx, path, O_RDWR);
	while ((n = fill(fx, file, at, 60000)) > 0)
		at += n;
	assert_int_equal(n, -ENOSPC);
	assert_int_equal(left(fx), 0);
	return file;
}

static void writes_end_at_the_bound(void **state)
{
	struct fixture fx;
	struct overlay_file *file, *other;
	struct stat before, after;

	begin_bounded(&fx, 1, 1 << 20, 0);
	fixture_mount(&fx);
	file = fill_up(&fx, "full");
	assert_counted(&fx);
	/* What it has it may write, and cut, and write again. */
	assert_int_equal(fill(&fx, file, 0, 100000), 100000);
	assert_int_equal(fill(&fx, file, 5000, 17), 17);
	assert_int_equal(fx_create(&fx, "none", 0644, ""), 0);
	assert_int_equal(fx_stat(&fx, "none", &before), 0);
	assert_int_equal(fx_write(&fx, "none", 0, "x"), -ENOSPC);
	assert_int_equal(fx_stat(&fx, "none", &after), 0);
	assert_int_equal(after.st_size, 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
	assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
	/* A hole in the middle makes room, for whoever comes. */
	assert_int_equal(overlay_fallocate(fx.ov, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 8 * BLOCK, 2 * BLOCK),
		0);
	assert_int_equal(left(&fx), 2 * BLOCK);
	assert_counted(&fx);
	assert_int_equal(fx_write(&fx, "none", 0, "x"), 0);
	/* One block is left: of a write over both of the hole the first part is made. */
	assert_int_equal(fill(&fx, file, 7 * BLOCK, 4 * BLOCK), 2 * BLOCK);
	assert_int_equal(fill(&fx, file, 9 * BLOCK, 2 * BLOCK), -ENOSPC);
	other = fx_open(&fx, "none", O_RDWR);
	assert_int_equal(overlay_copy_file_range(fx.ov, file, 0, other, 0, BLOCK), BLOCK);
	assert_int_equal(
		overlay_copy_file_range(fx.ov, file, 0, other, BLOCK, 10 * BLOCK), -ENOSPC);
	assert_int_equal(overlay_fallocate(fx.ov, other, 0, 0, 3 * BLOCK), -ENOSPC);
	assert_int_equal(fx_stat(&fx, "none", &after), 0);
	assert_int_equal(after.st_size, BLOCK);
	overlay_release(fx.ov, other);
	assert_counted(&fx);
	overlay_release(fx.ov, file);
	assert_int_equal(fx_unlink(&fx, "full"), 0);
	assert_counted(&fx);
	assert_true(left(&fx) > 1000000);
	fixture_end(&fx);
}

static void cutting_frees(void **state)
{
	struct fixture fx;
	struct overlay_file *file;

	begin_bounded(&fx, 1, 1 << 20, 0);
	fixture_mount(&fx);
	file = fill_up(&fx, "full");
	assert_int_equal(set_size(&fx, "full", 5 * BLOCK), 0);
	assert_counted(&fx);
	/* Larger without being fuller. */
	assert_int_equal(set_size(&fx, "full", 1 << 30), 0);
	assert_counted(&fx);
	assert_int_equal(fill(&fx, file, (1 << 30) - 10, 10), 10);
	assert_counted(&fx);
	overlay_release(fx.ov, file);
	file = fx_open(&fx, "full", O_WRONLY | O_TRUNC);
	assert_counted(&fx);
	assert_true(left(&fx) > 1000000);
	overlay_release(fx.ov, file);
	fixture_end(&fx);
}

static void what_is_allocated_can_be_written(void **state)
{
	struct fixture fx;
	struct overlay_file *file, *filler;

	begin_bounded(&fx, 1, 1 << 20, 0);
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "promised", 0644, ""), 0);
	file = fx_open(&fx, "promised", O_RDWR);
	assert_int_equal(overlay_fallocate(fx.ov, file, 0, 0, 50 * BLOCK), 0);
	assert_counted(&fx);
	filler = fill_up(&fx, "full");
	assert_int_equal(fill(&fx, file, 10, 50 * BLOCK - 10), 50 * BLOCK - 10);
	assert_int_equal(fill(&fx, file, 50 * BLOCK, 1), -ENOSPC);
	assert_counted(&fx);
	overlay_release(fx.ov, filler);
	overlay_release(fx.ov, file);
	fixture_end(&fx);
}

static void open_files_count_without_a_name(void **state)
{
	struct fixture fx;
	struct overlay_file *file, *second;
	struct overlay_entry entry;
	struct usage told;

	begin_bounded(&fx, 1, 1 << 20, 100);
	fixture_mount(&fx);
	file = fill_up(&fx, "full");
	assert_int_equal(fx_link(&fx, "full", "again"), 0);
	assert_counted(&fx);
	assert_int_equal(fx_unlink(&fx, "full"), 0);
	assert_counted(&fx);
	assert_int_equal(fx_walk(&fx, "again", &entry), 0);
	assert_int_equal(overlay_open(fx.ov, entry.node, O_RDONLY, &second), 0);
	assert_int_equal(fx_unlink(&fx, "again"), 0);
	counted(&fx, &told);
	assert_int_equal(told.inodes, 2);
	assert_int_equal(left(&fx), 0);
	overlay_release(fx.ov, file);
	assert_int_equal(left(&fx), 0);
	overlay_release(fx.ov, second);
	/* Somebody may still know it, by O_PATH, and open it again: its room is not free. */
	assert_int_equal(left(&fx), 0);
	assert_int_equal(overlay_open(fx.ov, entry.node, O_RDWR, &second), 0);
	assert_int_equal(left(&fx), 0);
	overlay_release(fx.ov, second);
	assert_int_equal(left(&fx), 0);
	fx_forget(&fx, entry.node);
	assert_counted(&fx);
	assert_true(left(&fx) > 1000000);
	fixture_end(&fx);
}

/* The only name in the work directory's directory. */
static void assert_nothing_staged(struct fixture *fx)
{
	_cleanup_closedir_ DIR *dir =
		fdopendir(openat(fx->work_fd, "work", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			fail_msg("left in the work directory: %s", entry->d_name);
}

static void copy_ups_are_refused_before_they_begin(void **state)
{
	static char text[20 * BLOCK + 1];
	struct fixture fx;
	struct stat before, after;
	struct overlay_file *filler;

	memset(text, 'l', sizeof(text) - 1);
	begin_bounded(&fx, 1, 1 << 20, 0);
	fixture_dir(&fx, 0, "dir", 0755);
	fixture_file(&fx, 0, "dir/big", 0644, text);
	fixture_mount(&fx);
	filler = fill_up(&fx, "full");
	overlay_release(fx.ov, filler);
	assert_int_equal(set_size(&fx, "full", (1 << 20) - 25 * BLOCK), 0);
	assert_int_equal(fx_mkdir(&fx, "new", 0755), 0);
	assert_int_equal(fx_chmod(&fx, "dir", 0711), 0);
	assert_int_equal(fx_chmod(&fx, "dir/big", 0600), 0);
	assert_int_equal(fx_unlink(&fx, "dir/big"), 0);
	assert_counted(&fx);
	fixture_unmount(&fx);

	fixture_file(&fx, 0, "dir/two", 0644, text);
	fixture_mount(&fx);
	filler = fill_up(&fx, "second");
	assert_int_equal(fx_stat(&fx, "dir/two", &before), 0);
	assert_int_equal(fx_chmod(&fx, "dir/two", 0600), -ENOSPC);
	assert_int_equal(fx_write(&fx, "dir/two", 0, "x"), -ENOSPC);
	assert_int_equal(fx_rename(&fx, "dir/two", "dir/three", 0), -ENOSPC);
	assert_int_equal(fx_link(&fx, "dir/two", "three"), -ENOSPC);
	assert_int_equal(fx_stat(&fx, "dir/two", &after), 0);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_nothing_staged(&fx);
	assert_listing(&fx, "dir", "two");
	/* Cut to nothing it needs no room, and a write of it then has none. */
	assert_int_equal(fx_write(&fx, "dir/two", O_TRUNC, "x"), -ENOSPC);
	assert_int_equal(fx_stat(&fx, "dir/two", &after), 0);
	assert_int_equal(after.st_size, 0);
	assert_counted(&fx);
	overlay_release(fx.ov, filler);
	fixture_end(&fx);
}

static void inodes_are_bounded(void **state)
{
	struct fixture fx;
	struct overlay_entry entry;
	struct usage told;

	begin_bounded(&fx, 1, 0, 5);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_dir(&fx, 0, "d/e", 0755);
	fixture_file(&fx, 0, "d/e/f", 0644, "low");
	fixture_file(&fx, 0, "low", 0644, "low");
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "a", 0644, "a"), 0);
	assert_int_equal(fx_mkdir(&fx, "b", 0755), 0);
	assert_int_equal(fx_symlink(&fx, "to", "c"), 0);
	assert_int_equal(overlay_mknod(fx.ov, &fx.caller, OVERLAY_ROOT_ID, "fifo", S_IFIFO | 0600,
				 0, &entry),
		0);
	fx_forget(&fx, entry.node);
	assert_counted(&fx);
	assert_int_equal(fx_create(&fx, "x", 0644, "x"), -ENOSPC);
	assert_int_equal(fx_mkdir(&fx, "x", 0755), -ENOSPC);
	assert_int_equal(fx_symlink(&fx, "to", "x"), -ENOSPC);
	assert_int_equal(
		overlay_mknod(fx.ov, &fx.caller, OVERLAY_ROOT_ID, "x", S_IFIFO | 0600, 0, &entry),
		-ENOSPC);
	assert_int_equal(fx_chmod(&fx, "low", 0600), -ENOSPC);
	/* Another name is no inode, and bytes are not bounded. */
	assert_int_equal(fx_link(&fx, "a", "a2"), 0);
	assert_int_equal(fx_write(&fx, "a", 0, "more"), 0);
	assert_listing(&fx, "", "a a2 b c d fifo low");
	/* To remove works always; the directories above are the price, and may go past the bound.
	 */
	assert_int_equal(fx_unlink(&fx, "low"), 0);
	assert_counted(&fx);
	assert_int_equal(fx_unlink(&fx, "d/e/f"), 0);
	assert_int_equal(fx_rmdir(&fx, "d/e"), 0);
	assert_listing(&fx, "d", "");
	assert_counted(&fx);
	assert_int_equal(fx_rmdir(&fx, "d"), 0);
	assert_listing(&fx, "", "a a2 b c fifo");
	counted(&fx, &told);
	assert_int_equal(told.inodes, 5);
	assert_int_equal(fx_unlink(&fx, "a"), 0);
	assert_int_equal(fx_create(&fx, "x", 0644, "x"), -ENOSPC);
	assert_int_equal(fx_unlink(&fx, "a2"), 0);
	assert_int_equal(fx_create(&fx, "low", 0644, "x"), 0);
	assert_counted(&fx);
	/* A rename over another frees that one. */
	assert_int_equal(fx_rename(&fx, "low", "c", 0), 0);
	assert_counted(&fx);
	assert_int_equal(fx_create(&fx, "y", 0644, "y"), 0);
	assert_counted(&fx);
	fixture_end(&fx);
}

static void whiteouts_are_one_inode(void **state)
{
	struct fixture fx;
	struct stat a, b;

	begin_bounded(&fx, 1, 0, 2);
	fixture_file(&fx, 0, "a", 0644, "a");
	fixture_file(&fx, 0, "b", 0644, "b");
	fixture_mount(&fx);
	assert_int_equal(fx_unlink(&fx, "a"), 0);
	assert_int_equal(fx_unlink(&fx, "b"), 0);
	assert_int_equal(fstatat(fx.upper_fd, "a", &a, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fstatat(fx.upper_fd, "b", &b, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISCHR(a.st_mode) && a.st_rdev == 0);
	assert_int_equal(a.st_ino, b.st_ino);
	fixture_unmount(&fx);
	/* The next mount goes on with it. */
	fixture_file(&fx, 0, "c", 0644, "c");
	fixture_mount(&fx);
	assert_int_equal(fx_unlink(&fx, "c"), 0);
	assert_int_equal(fstatat(fx.upper_fd, "c", &b, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_counted(&fx);
	fixture_end(&fx);
}

static void what_was_kept_is_counted(void **state)
{
	struct fixture fx;
	struct usage told;
	char deep[2048] = "deep";

	begin_bounded(&fx, 1, 1 << 20, 1000);
	fixture_file(&fx, 0, "low", 0644, "low");
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "one", 0644, "12345"), 0);
	assert_int_equal(fx_link(&fx, "one", "two"), 0);
	assert_int_equal(fx_unlink(&fx, "low"), 0);
	assert_int_equal(fx_symlink(&fx, "one", "link"), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(fx_mkdir(&fx, deep, 0755), 0);
		strcat(deep, "/d");
	}
	assert_int_equal(fx_create(&fx, deep, 0644, "down"), 0);
	assert_counted(&fx);
	fixture_unmount(&fx);
	fixture_mount(&fx);
	assert_counted(&fx);
	counted(&fx, &told);
	assert_int_equal(told.inodes, 1 + 1 + 1 + 100 + 1);
	/* Those of an earlier mount are freed as our own. */
	assert_int_equal(fx_unlink(&fx, "one"), 0);
	assert_int_equal(fx_unlink(&fx, deep), 0);
	assert_counted(&fx);
	assert_int_equal(fx_write(&fx, "two", O_TRUNC, ""), 0);
	assert_counted(&fx);
	fixture_unmount(&fx);
	/* One that holds more than it may gives nothing, and takes what makes it less. */
	fx.max_bytes = 100;
	fx.max_inodes = 3;
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "x", 0644, ""), -ENOSPC);
	assert_int_equal(fx_unlink(&fx, "two"), 0);
	assert_int_equal(fx_unlink(&fx, "link"), 0);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_end_at_the_bound),
		cmocka_unit_test(cutting_frees),
		cmocka_unit_test(what_is_allocated_can_be_written),
		cmocka_unit_test(open_files_count_without_a_name),
		cmocka_unit_test(copy_ups_are_refused_before_they_begin),
		cmocka_unit_test(inodes_are_bounded),
		cmocka_unit_test(whiteouts_are_one_inode),
		cmocka_unit_test(what_was_kept_is_counted),
	};

	return cmocka_run_group_tests_name("overlay-quota", tests, NULL, NULL);
}
