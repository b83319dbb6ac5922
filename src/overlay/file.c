/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/create.h"
#include "overlay/privileges.h"
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
	return node_is_upper(file->node) ? atomic_load(&node_use(file->node)->coherent_fd) : -1;
}

int overlay_file_upper_fd(const struct overlay_file *file)
{
	return file->fd >= 0 ? file->fd : coherent_fd(file);
}

bool overlay_file_is_writer(const struct overlay_file *file)
{
	return (file->flags & O_ACCMODE) != O_RDONLY;
}

int overlay_file_write_fd(const struct overlay_file *file)
{
	return overlay_file_is_writer(file) ? file->fd : -1;
}

bool overlay_file_is_immutable(const struct overlay_file *file)
{
	return file->fd < 0 && file->ov->upper_fd < 0;
}

bool overlay_file_is_solid(const struct overlay_file *file)
{
	const struct layer *layer = file->node->lower.layer;

	return overlay_file_upper_fd(file) < 0 && layer && layer->has_no_holes;
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
int overlay_file_take_descriptor(struct overlay_file *file)
{
	struct overlay *ov = file->ov;

	if (atomic_fetch_add(&ov->open_count, 1) >= ov->open_max) {
		atomic_fetch_sub(&ov->open_count, 1);
		return -ENFILE;
	}
	file->is_counted = true;
	return 0;
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
	int r = overlay_file_take_descriptor(file);

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
	else
		upper_lend(ov, file->node, file->fd);
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
	} else {
		r = lower_file_open(file);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return open_in_upper(ov, file);
}

static void count_writer(const struct overlay_file *file)
{
	if (overlay_file_is_writer(file))
		atomic_fetch_add(&node_use(file->node)->write_opens, 1);
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
	count_writer(file);
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
	int r = file ? overlay_file_take_descriptor(file) : -ENOMEM;

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
	count_writer(file);
	upper_lend(ov, file->node, file->fd);
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
	struct node_use *use = node_use(file->node);

	/* Who closes a file is told what could not be written. */
	if (overlay_file_is_writer(file) && atomic_fetch_sub(&use->write_opens, 1) == 1) {
		atomic_store(&use->write_error, 0);
		overlay_file_keep_mtime(ov, file->node, NULL);
	}
	if (file->fd >= 0) {
		quota_close(ov->quota, file->fd);
		upper_close_lent(ov, file->node, file->fd);
	} else {
		lower_file_close(file);
	}
	node_put(ov, file->node);
	file_free(file);
}
