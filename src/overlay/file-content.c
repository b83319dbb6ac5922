/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is in an open file: reading, writing, and what else a descriptor can do. */
#include "overlay/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "overlay/call.h"
#include "overlay/privileges.h"
#include "overlay/protect.h"
#include "overlay/quota.h"

ssize_t overlay_read(
	struct overlay *ov, struct overlay_file *file, void *buf, size_t size, off_t offset)
{
	int fd = overlay_file_upper_fd(file), r;
	const struct layer_file *lower;

	if (fd >= 0)
		return call_pread(fd, buf, size, offset);
	r = lower_file_content(file, &lower);
	return r < 0 ? r : layer_file_pread(lower, buf, size, offset);
}

/*
 * A file that was opened before it was protected: as ext4 has it. The kernel names the place
 * where it writes, also of one that is open for appending.
 */
static int check_write(struct overlay *ov, const struct overlay_file *file, off_t offset)
{
	int flags = protection_of(ov, file->node), r;
	struct stat st;

	if (flags <= 0)
		return flags;
	if (flags & FS_IMMUTABLE_FL)
		return -EPERM;
	if (!(file->flags & O_APPEND))
		return 0;
	r = call_fstat(file->fd, &st);
	return r < 0 ? r : offset == st.st_size ? 0 : -EPERM;
}

/* Of two at the same time one may be forgotten. */
static void note_end(struct overlay_file *file, uint64_t end)
{
	if (end > atomic_load_explicit(&file->end, memory_order_relaxed))
		atomic_store_explicit(&file->end, end, memory_order_relaxed);
}

static ssize_t write_counted(
	struct overlay *ov, struct overlay_file *file, const void *buf, size_t size, off_t offset)
{
	struct quota_grant grant;
	ssize_t n = quota_begin_write(ov->quota, file->fd, offset, size, &grant);

	if (n < 0)
		return n;
	n = call_pwrite(file->fd, buf, (size_t)n, offset);
	quota_end_write(ov->quota, file->fd, &grant);
	if (n > 0)
		note_end(file, (uint64_t)offset + (uint64_t)n);
	return n;
}

ssize_t overlay_write(
	struct overlay *ov, struct overlay_file *file, const void *buf, size_t size, off_t offset)
{
	int r = overlay_file_write_fd(file) < 0 ? -EBADF : check_write(ov, file, offset);

	return r < 0 ? r : write_counted(ov, file, buf, size, offset);
}

int overlay_kill_set_id(struct overlay_file *file)
{
	return file->fd < 0 ? 0 : privileges_kill(file->node, file->fd);
}

int overlay_kill_announced(struct overlay_file *file, uint32_t uid)
{
	return file->fd < 0 ? 0 : privileges_kill_announced(file->node, file->fd, uid);
}

/* --- what was collected --- */

void overlay_file_keep_mtime(struct overlay *ov, struct node *node, const struct timespec *mtime)
{
	struct node_use *use = S_ISREG(node->type) ? node_use(node) : NULL;

	if (!use)
		return;
	mutex_lock(&ov->table);
	use->has_kept_mtime = mtime && mtime->tv_nsec != UTIME_NOW;
	if (use->has_kept_mtime)
		use->kept_mtime = *mtime;
	mutex_unlock(&ov->table);
}

static bool kept_mtime(struct overlay *ov, struct node *node, struct timespec *ret_mtime)
{
	struct node_use *use = node_use(node);
	bool has;

	mutex_lock(&ov->table);
	has = use->has_kept_mtime;
	*ret_mtime = use->kept_mtime;
	mutex_unlock(&ov->table);
	return has;
}

/* That of the upper, before the first write moves it, is what it was told. */
static int find_kept_mtime(struct overlay *ov, struct overlay_file *file)
{
	struct timespec mtime;
	struct stat st;
	int r;

	if (kept_mtime(ov, file->node, &mtime))
		return 0;
	r = call_fstat(file->fd, &st);
	if (r == 0)
		overlay_file_keep_mtime(ov, file->node, &st.st_mtim);
	return r;
}

/*
 * Who collected it has moved mtime when it was written, and says so, before or after. Not always:
 * not where the time was the same by its clock.
 */
static void restore_mtime(struct overlay *ov, struct overlay_file *file)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}}, now;

	if (!kept_mtime(ov, file->node, &now))
		return;
	do {
		times[1] = now;
		(void)call_utimens(file->fd, times);
		/* It may have been told meanwhile, and lost by this one. */
	} while (kept_mtime(ov, file->node, &now) &&
		 (now.tv_sec != times[1].tv_sec || now.tv_nsec != times[1].tv_nsec));
}

ssize_t overlay_write_back(struct overlay *ov, struct overlay_file *file, const void *buf,
	size_t size, off_t offset, bool is_collected)
{
	struct privileges before = {.size = 0};
	ssize_t n;
	int r = 0;

	if (overlay_file_write_fd(file) < 0)
		return -EBADF;
	r = is_collected ? find_kept_mtime(ov, file) : protect_check(ov, file->node, PROTECT_ALL);
	if (r < 0)
		return r;
	if (!privileges_are_none(file->node))
		r = privileges_read(file->node, file->fd, &before);
	if (r < 0)
		return r;
	n = write_counted(ov, file, buf, size, offset);
	if (n == -ENOSPC || n == -EDQUOT)
		atomic_store(&node_use(file->node)->write_error, (int)n);
	if (is_collected)
		restore_mtime(ov, file);
	r = n < 0 ? 0 : privileges_restore(file->fd, &before);
	return r < 0 ? r : n;
}

/* Of a descriptor that is open already: append-only does not matter, immutable does. */
int overlay_refuse_write(struct overlay *ov, struct overlay_file *file)
{
	int r = overlay_file_is_writer(file)
			? atomic_exchange(&node_use(file->node)->write_error, 0)
			: 0;

	return r < 0 || !overlay_file_is_writer(file)
		       ? r
		       : protect_check(ov, file->node, FS_IMMUTABLE_FL);
}

bool overlay_refuses_writes(struct overlay *ov, uint64_t id)
{
	struct node *node = node_get(ov, id);
	const struct node_use *use = node ? node_use(node) : NULL;
	bool refuses;

	refuses = use && atomic_load(&use->write_opens) > 0 &&
		  (atomic_load(&use->write_error) < 0 ||
			  protect_check(ov, node, FS_IMMUTABLE_FL) < 0);
	node_put(ov, node);
	return refuses;
}

bool overlay_file_is_written(const struct overlay_file *file)
{
	return atomic_load(&node_use(file->node)->write_opens) > 0;
}

int overlay_fsync(struct overlay *ov, struct overlay_file *file, bool data_only)
{
	int fd = overlay_file_upper_fd(file);

	return fd < 0 || ov->is_volatile ? 0 : call_fsync(fd, data_only);
}

/* A hole, or a stretch that goes: nothing is allocated. */
static int free_range(struct overlay *ov, int fd, int mode, off_t offset, off_t length)
{
	int r;

	quota_begin_shrink(ov->quota);
	r = call_fallocate(fd, mode, offset, length);
	quota_end_shrink(ov->quota);
	quota_settle(ov->quota, fd);
	return r;
}

int overlay_fallocate(
	struct overlay *ov, struct overlay_file *file, int mode, off_t offset, off_t length)
{
	int fd = overlay_file_write_fd(file), r;
	struct quota_grant grant;

	if (fd < 0)
		return -EBADF;
	r = protect_check(
		ov, file->node, mode & ~FALLOC_FL_KEEP_SIZE ? PROTECT_ALL : FS_IMMUTABLE_FL);
	if (r < 0)
		return r;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return free_range(ov, fd, mode, offset, length);
	r = quota_begin_allocation(ov->quota, fd, offset, length, &grant);
	if (r < 0)
		return r;
	r = call_fallocate(fd, mode, offset, length);
	quota_end_write(ov->quota, fd, &grant);
	return r;
}

/* A blob in memory is all data, with the hole that every file has at its end. */
static off_t seek_in_memory(uint64_t size, off_t offset, int whence)
{
	if (offset < 0 || (uint64_t)offset >= size)
		return -ENXIO;
	return whence == SEEK_DATA ? offset : (off_t)size;
}

off_t overlay_lseek(struct overlay *ov, struct overlay_file *file, off_t offset, int whence)
{
	int fd = overlay_file_upper_fd(file), r;
	uint64_t size = 0;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	r = fd < 0 ? lower_file_extent(file, &fd, &size) : 0;
	if (r < 0)
		return r;
	/* The position of the descriptor is nobody's: reads and writes name theirs. */
	return fd < 0 ? seek_in_memory(size, offset, whence) : call_lseek(fd, offset, whence);
}

/* Where a copy comes from: a descriptor, or memory from the offset on. */
struct source {
	int fd;
	const char *data;
};

/* Of what lies in memory *size becomes what there is. */
static int find_source(
	struct overlay_file *in, off_t offset, size_t *size, struct source *ret_source)
{
	const struct layer_file *lower;
	uint64_t left;
	int r;

	*ret_source = (struct source){.fd = overlay_file_upper_fd(in)};
	if (ret_source->fd >= 0)
		return 0;
	r = lower_file_content(in, &lower);
	if (r < 0)
		return r;
	ret_source->fd = lower->fd;
	if (lower->fd >= 0)
		return 0;
	left = (uint64_t)offset < lower->size ? lower->size - (uint64_t)offset : 0;
	ret_source->data = (const char *)lower->data + (lower->size - left);
	if (*size > left)
		*size = left;
	return 0;
}

ssize_t overlay_copy_file_range(struct overlay *ov, struct overlay_file *in, off_t in_offset,
	struct overlay_file *out, off_t out_offset, size_t size)
{
	struct source source;
	struct quota_grant grant;
	ssize_t n;

	if (overlay_file_write_fd(out) < 0)
		return -EBADF;
	n = find_source(in, in_offset, &size, &source);
	if (n == 0)
		n = protect_check(
			ov, out->node, out->flags & O_APPEND ? PROTECT_ALL : FS_IMMUTABLE_FL);
	if (n < 0 || size == 0)
		return n;
	if (source.data)
		return write_counted(ov, out, source.data, size, out_offset);
	n = quota_begin_write(ov->quota, out->fd, out_offset, size, &grant);
	if (n < 0)
		return n;
	n = call_copy_range(source.fd, in_offset, out->fd, out_offset, (size_t)n);
	quota_end_write(ov->quota, out->fd, &grant);
	if (n > 0)
		note_end(out, (uint64_t)out_offset + (uint64_t)n);
	return n;
}
