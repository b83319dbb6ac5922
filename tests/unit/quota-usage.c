/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "quota-usage.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

static bool is_known_link(struct usage *usage, const struct stat *st)
{
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return false;
	for (size_t i = 0; i < usage->linked_count; i++)
		if (usage->linked[i] == st->st_ino)
			return true;
	assert_true(usage->linked_count < 4096);
	usage->linked[usage->linked_count++] = st->st_ino;
	return false;
}

static void count_object(struct usage *usage, const struct stat *st)
{
	if ((S_ISCHR(st->st_mode) && st->st_rdev == 0) || is_known_link(usage, st))
		return;
	usage->bytes += (uint64_t)st->st_blocks * 512;
	usage->inodes++;
}

static void count_below(struct usage *usage, int dir_fd)
{
	_cleanup_closedir_ DIR *dir = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;
	struct stat st;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		assert_int_equal(fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		count_object(usage, &st);
		if (S_ISDIR(st.st_mode)) {
			_cleanup_close_ int fd = openat(dir_fd, entry->d_name, O_PATH);

			count_below(usage, fd);
		}
	}
}

void count_upper(struct fixture *fx, struct usage *ret)
{
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(fstat(fx->upper_fd, &st), 0);
	count_object(ret, &st);
	count_below(ret, fx->upper_fd);
}

/* What the overlay says, by its statfs. */
void counted(struct fixture *fx, struct usage *ret)
{
	struct statvfs st;

	assert_int_equal(overlay_statfs(fx->ov, &st), 0);
	ret->bytes = (st.f_blocks - st.f_bfree) * st.f_frsize;
	ret->inodes = st.f_files - st.f_ffree;
}

/* No more than all of it is shown as used. */
static void cap(const struct fixture *fx, struct usage *usage)
{
	if (usage->bytes > fx->max_bytes)
		usage->bytes = fx->max_bytes;
	if (usage->inodes > fx->max_inodes)
		usage->inodes = fx->max_inodes;
}

void expect_counted(struct fixture *fx, int line)
{
	static struct usage real, told;

	count_upper(fx, &real);
	cap(fx, &real);
	counted(fx, &told);
	if (real.bytes != told.bytes || real.inodes != told.inodes)
		fail_msg("line %d: counted %llu bytes, %llu inodes; there are %llu, %llu", line,
			(unsigned long long)told.bytes, (unsigned long long)told.inodes,
			(unsigned long long)real.bytes, (unsigned long long)real.inodes);
}

void begin_bounded(struct fixture *fx, size_t trees, uint64_t bytes, uint64_t inodes)
{
	const char *base = getenv("UPPER_BASE");

	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	fixture_init_at(fx, trees, base);
	/* Both are bounded, so that both are counted. */
	fx->max_bytes = bytes ? bytes : 1 << 30;
	fx->max_inodes = inodes ? inodes : 1 << 20;
}

ssize_t fill(struct fixture *fx, struct overlay_file *file, off_t offset, size_t size)
{
	static const char data[1 << 20];

	assert_true(size <= sizeof(data));
	return overlay_write(fx->ov, file, data, size, offset);
}

int set_size(struct fixture *fx, const char *path, off_t size)
{
	struct stat st = {.st_size = size};
	struct overlay_entry entry;
	int r = fx_walk(fx, path, &entry);

	if (r < 0)
		return r;
	r = overlay_setattr(fx->ov, entry.node, NULL, &st, OVERLAY_SET_SIZE, &st);
	fx_forget(fx, entry.node);
	return r;
}
