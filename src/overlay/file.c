/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/create.h"
#include "overlay/protect.h"
#include "overlay/quota.h"
#include "overlay/upper.h"
#include "util/cleanup.h"

/* What the upper's file is opened with of the flags that a process gave. */
#define KEPT_FLAGS (O_ACCMODE | O_TRUNC)

/*
 * A file that is opened on the lower is counted, so that a copy-up keeps a descriptor for
 * it. Afterwards coherent_fd is what it reads from.
 */
static int coherent_fd(const struct overlay_file *file)
{
	return node_is_upper(file->node) ? atomic_load(&file->node->coherent_fd) : -1;
}

int overlay_file_upper_fd(const struct overlay_file *file)
{
	return file->fd >= 0 ? file->fd : coherent_fd(file);
}

int overlay_file_write_fd(const struct overlay_file *file)
{
	return (file->flags & O_ACCMODE) == O_RDONLY ? -1 : file->fd;
}

bool overlay_file_is_immutable(const struct overlay_file *file)
{
	return file->fd < 0 && file->ov->upper_fd < 0;
}

static struct overlay_file *file_new(struct overlay *ov, struct node *node, int flags)
{
	struct overlay_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	*file = (struct overlay_file){
		.ov = ov, .node = node, .fd = -1, .flags = flags, .lower = {.fd = -1}};
	return file;
}

static void file_free(struct overlay_file *file)
{
	if (file && file->is_counted)
		atomic_fetch_sub(&file->ov->open_count, 1);
	free(file);
}

/* --- opening --- */

/*
 * Who opens one file too many is told so. The descriptors that are left are for directories and
 * requests: everything else goes on.
 */
static int take_descriptor(struct overlay_file *file)
{
	struct overlay *ov = file->ov;

	if (atomic_fetch_add(&ov->open_count, 1) >= ov->open_max) {
		atomic_fetch_sub(&ov->open_count, 1);
		return -ENFILE;
	}
	file->is_counted = true;
	return 0;
}

/* Counts the file among those on the lower. False when the node is an upper one by now. */
static bool count_lower_open(struct overlay *ov, struct node *node)
{
	bool is_lower;

	mutex_lock(&ov->table);
	is_lower = !node_is_upper(node);
	if (is_lower)
		node->lower_opens++;
	mutex_unlock(&ov->table);
	return is_lower;
}

static void uncount_lower_open(struct overlay *ov, struct node *node)
{
	int fd = -1;

	mutex_lock(&ov->table);
	if (--node->lower_opens == 0)
		fd = node_take_fd(ov, &node->coherent_fd);
	mutex_unlock(&ov->table);
	quota_close(ov->quota, fd);
	close_keep_errno(fd);
}

static int open_on_lower(struct overlay *ov, struct overlay_file *file)
{
	struct node *node = file->node;
	int r = layer_open_file(node->lower.layer, node->lower.node, &file->lower);

	if (r == 0 && file->lower.fd >= 0) {
		r = take_descriptor(file);
		if (r < 0)
			layer_file_release(&file->lower);
	}
	if (r < 0)
		uncount_lower_open(ov, node);
	return r;
}

/* What the file takes up must be known before the open cuts it. */
static int track_before_cut(struct overlay *ov, struct node *node)
{
	_cleanup_close_ int fd = -1;
	int r = ov->quota ? upper_open(ov, node, O_PATH, &fd) : 0;

	return r < 0 ? r : quota_track(ov->quota, fd);
}

static int open_in_upper(struct overlay *ov, struct overlay_file *file)
{
	bool cuts = file->flags & O_TRUNC;
	int r = take_descriptor(file);

	if (r == 0 && cuts)
		r = track_before_cut(ov, file->node);
	if (r < 0)
		return r;
	if (cuts)
		quota_begin_shrink(ov->quota);
	r = upper_open(ov, file->node, (file->flags & KEPT_FLAGS) | O_NONBLOCK, &file->fd);
	if (cuts)
		quota_end_shrink(ov->quota);
	if (r == 0)
		r = quota_open(ov->quota, file->fd);
	if (r < 0)
		close_keep_errno(steal_fd(&file->fd));
	return r;
}

/* Append-only: written at its end alone. */
static int check_open(struct overlay *ov, const struct overlay_file *file)
{
	bool appends = file->flags & O_APPEND && !(file->flags & O_TRUNC);

	return protect_check(ov, file->node, appends ? FS_IMMUTABLE_FL : PROTECT_ALL);
}

static int open_node(struct overlay *ov, struct overlay_file *file)
{
	int flags = file->flags;
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
	int r;

	if (writes) {
		if (ov->upper_fd < 0)
			return -EROFS;
		r = check_open(ov, file);
		if (r < 0)
			return r;
		r = copyup_node(ov, file->node, flags & O_TRUNC ? 0 : COPYUP_ALL);
		if (r < 0)
			return r;
	} else if (count_lower_open(ov, file->node)) {
		return open_on_lower(ov, file);
	}
	return open_in_upper(ov, file);
}

int overlay_open(struct overlay *ov, uint64_t id, int flags, struct overlay_file **ret_file)
{
	struct node *node = node_get(ov, id);
	struct overlay_file *file;
	int r = -EINVAL;

	if (!node)
		return -ESTALE;
	file = file_new(ov, node, flags);
	if (!file)
		r = -ENOMEM;
	else if (S_ISDIR(node->type))
		r = -EISDIR;
	else if (S_ISREG(node->type))
		r = open_node(ov, file);
	if (r < 0) {
		file_free(file);
		node_put(ov, node);
		return r;
	}
	*ret_file = file;
	return 0;
}

/* A file that was just made counts as open. */
static int hand_out(struct overlay *ov, struct overlay_file *file,
	const struct overlay_entry *entry, struct overlay_file **ret_file)
{
	int r = quota_open(ov->quota, file->fd);

	if (r < 0) {
		overlay_release(ov, file);
		overlay_forget(ov, entry->node, 1);
		return r;
	}
	*ret_file = file;
	return 0;
}

/* A new file, open; without a name one that has none. */
static int make_open(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, int flags, struct overlay_entry *ret_entry,
	struct overlay_file **ret_file)
{
	struct overlay_file *file = file_new(ov, NULL, flags);
	int r = file ? take_descriptor(file) : -ENOMEM;

	if (r == 0 && name)
		r = overlay_create_node(
			ov, caller, parent, name, mode, ret_entry, &file->fd, &file->node);
	else if (r == 0)
		r = overlay_create_unnamed(
			ov, caller, parent, mode, flags, ret_entry, &file->fd, &file->node);
	if (r < 0) {
		file_free(file);
		return r;
	}
	return hand_out(ov, file, ret_entry, ret_file);
}

int overlay_create(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	const char *name, mode_t mode, int flags, struct overlay_entry *ret_entry,
	struct overlay_file **ret_file)
{
	return make_open(ov, caller, parent, name, mode, flags, ret_entry, ret_file);
}

int overlay_tmpfile(struct overlay *ov, const struct overlay_caller *caller, uint64_t parent,
	mode_t mode, int flags, struct overlay_entry *ret_entry, struct overlay_file **ret_file)
{
	return make_open(ov, caller, parent, NULL, mode, flags, ret_entry, ret_file);
}

void overlay_release(struct overlay *ov, struct overlay_file *file)
{
	if (file->fd >= 0) {
		quota_close(ov->quota, file->fd);
		close(file->fd);
	} else {
		layer_file_release(&file->lower);
		uncount_lower_open(ov, file->node);
	}
	node_put(ov, file->node);
	file_free(file);
}

/* --- content --- */

ssize_t overlay_read(
	struct overlay *ov, struct overlay_file *file, void *buf, size_t size, off_t offset)
{
	int fd = overlay_file_upper_fd(file);

	if (fd < 0)
		return layer_file_pread(&file->lower, buf, size, offset);
	return call_pread(fd, buf, size, offset);
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

static ssize_t write_counted(
	struct overlay *ov, struct overlay_file *file, const void *buf, size_t size, off_t offset)
{
	struct quota_grant grant;
	ssize_t n = quota_begin_write(ov->quota, file->fd, offset, size, &grant);

	if (n < 0)
		return n;
	n = call_pwrite(file->fd, buf, (size_t)n, offset);
	quota_end_write(ov->quota, file->fd, &grant);
	return n;
}

ssize_t overlay_write(
	struct overlay *ov, struct overlay_file *file, const void *buf, size_t size, off_t offset)
{
	int r = overlay_file_write_fd(file) < 0 ? -EBADF : check_write(ov, file, offset);

	return r < 0 ? r : write_counted(ov, file, buf, size, offset);
}

#define CAPABILITY	"security.capability"
#define CAPABILITY_SIZE 64 /* struct vfs_ns_cap_data has 24 */

/* Puts back what the file system took away because somebody seemed to write. */
static int restore_privileges(
	int fd, const struct stat *before, const void *capability, ssize_t size)
{
	struct stat now;
	int r = call_fstat(fd, &now);

	if (r == 0 && (now.st_mode & 07777) != (before->st_mode & 07777))
		r = call_chmod(fd, before->st_mode & 07777);
	/* Without the right to set it a daemon's write does not lose it either. */
	if (r == 0 && size > 0)
		r = call_setxattr(fd, CAPABILITY, capability, (size_t)size, 0);
	return r == -EPERM ? 0 : r;
}

ssize_t overlay_write_back(
	struct overlay *ov, struct overlay_file *file, const void *buf, size_t size, off_t offset)
{
	char capability[CAPABILITY_SIZE];
	ssize_t has, n;
	struct stat st;
	int r;

	if (overlay_file_write_fd(file) < 0)
		return -EBADF;
	r = call_fstat(file->fd, &st);
	if (r < 0)
		return r;
	has = call_getxattr(file->fd, CAPABILITY, capability, sizeof(capability));
	n = write_counted(ov, file, buf, size, offset);
	if (n < 0 || (has <= 0 && !(st.st_mode & (S_ISUID | S_ISGID))))
		return n;
	r = restore_privileges(file->fd, &st, capability, has);
	return r < 0 ? r : n;
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
	int fd = overlay_file_upper_fd(file);

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (fd < 0 && file->lower.fd < 0)
		return seek_in_memory(file->lower.size, offset, whence);
	/* The position of the descriptor is nobody's: reads and writes name theirs. */
	return call_lseek(fd >= 0 ? fd : file->lower.fd, offset, whence);
}

ssize_t overlay_copy_file_range(struct overlay *ov, struct overlay_file *in, off_t in_offset,
	struct overlay_file *out, off_t out_offset, size_t size)
{
	int in_fd = overlay_file_upper_fd(in);
	struct quota_grant grant;
	ssize_t n;

	if (overlay_file_write_fd(out) < 0)
		return -EBADF;
	if (in_fd < 0)
		in_fd = in->lower.fd;
	/* The kernel then copies by reads and writes. */
	if (in_fd < 0)
		return -EOPNOTSUPP;
	n = protect_check(ov, out->node, FS_IMMUTABLE_FL);
	if (n < 0)
		return n;
	n = quota_begin_write(ov->quota, out->fd, out_offset, size, &grant);
	if (n < 0)
		return n;
	n = call_copy_range(in_fd, in_offset, out->fd, out_offset, (size_t)n);
	quota_end_write(ov->quota, out->fd, &grant);
	return n;
}
