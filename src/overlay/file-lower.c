/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are open on a layer, and what the kernel may be given of them before it asks. */
#include <stdlib.h>

#include "overlay/file.h"
#include "overlay/node.h"
#include "overlay/quota.h"
#include "util/cleanup.h"

/*
 * Counts the file among those on the lower. False when the node is an upper one by now. While the
 * first of them hands the content to the kernel, the others wait: a read of theirs would hold pages
 * that the first one waits for.
 */
static bool count_open(struct overlay_file *file)
{
	struct overlay *ov = file->ov;
	struct node *node = file->node;
	bool is_lower;

	mutex_lock(&ov->table);
	while (node->is_filling)
		mutex_wait(&ov->table, &ov->copied);
	is_lower = !node_is_upper(node);
	if (is_lower) {
		node_use(node)->lower_opens++;
		file->is_first = !node->was_opened;
		file->is_late = node->is_lasting;
		file->counts_late = node_use(node)->lasts_in_fd;
		node->was_opened = true;
	}
	mutex_unlock(&ov->table);
	return is_lower;
}

static void uncount_open(struct overlay_file *file)
{
	struct overlay *ov = file->ov;
	struct node_use *use = node_use(file->node);
	int fd = -1;

	mutex_lock(&ov->table);
	if (--use->lower_opens == 0)
		fd = node_take_fd(ov, &use->coherent_fd);
	mutex_unlock(&ov->table);
	quota_close(ov->quota, fd);
	close_keep_errno(fd);
}

static int open_content(struct overlay_file *file)
{
	const struct node *node = file->node;
	int r = layer_open_file(node->lower.layer, node->lower.node, &file->lower);

	if (r == 0 && file->lower.fd >= 0) {
		r = overlay_file_take_descriptor(file);
		if (r < 0)
			layer_file_release(&file->lower);
	}
	return r;
}

/*
 * What comes out of a pack that is held can be had at any time. Once it was seen to be there and
 * sound, the next opens leave it until somebody reads: mostly the kernel has it all.
 */
static void note_lasting(struct overlay_file *file)
{
	mutex_lock(&file->ov->table);
	file->node->is_lasting = true;
	node_use(file->node)->lasts_in_fd = file->lower.fd >= 0;
	mutex_unlock(&file->ov->table);
}

int lower_file_open(struct overlay_file *file)
{
	int r = node_prepare(file->node);

	if (r < 0 || !count_open(file))
		return r;
	if (!file->is_late)
		r = open_content(file);
	else if (file->counts_late)
		r = overlay_file_take_descriptor(file); /* it is had when somebody reads */
	if (r == 0 && !file->is_late && file->lower.is_lasting)
		note_lasting(file);
	if (r < 0)
		uncount_open(file);
	return r < 0 ? r : 1;
}

static void close_late(struct layer_file *content)
{
	if (content)
		layer_file_release(content);
	free(content);
}

void lower_file_close(struct overlay_file *file)
{
	close_late(atomic_load(&file->late));
	layer_file_release(&file->lower);
	uncount_open(file);
}

int lower_file_content(struct overlay_file *file, const struct layer_file **ret_content)
{
	struct layer_file *late = atomic_load(&file->late), *fresh;
	int r;

	*ret_content = file->is_late ? late : &file->lower;
	if (*ret_content)
		return 0;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	r = layer_open_file(file->node->lower.layer, file->node->lower.node, fresh);
	if (r < 0) {
		free(fresh);
		return r;
	}
	/* Of two threads one was faster. */
	if (atomic_compare_exchange_strong(&file->late, &late, fresh)) {
		*ret_content = fresh;
	} else {
		close_late(fresh);
		*ret_content = late;
	}
	return 0;
}

int lower_file_extent(struct overlay_file *file, int *ret_fd, uint64_t *ret_size)
{
	const struct node *node = file->node;
	struct stat st = {.st_size = (off_t)file->lower.size};
	int r = 0;

	/* To inflate it only to know its length would take long. */
	if (file->is_late)
		r = layer_getattr_with_mapping(
			node->lower.layer, node->lower.node, ID_VIEW_STORAGE, &st);
	if (r < 0)
		return r;
	/* Where a blob lies in a file for a while, that one may have holes for zeros. */
	*ret_fd = file->is_late || node->lower.layer->has_no_holes ? -1 : file->lower.fd;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

bool overlay_begin_fill(
	struct overlay_file *file, size_t max, const void **ret_data, size_t *ret_size)
{
	struct node *node = file->node;
	bool may_fill;

	if (file->fd >= 0 || !file->is_first || !file->lower.data || file->lower.size == 0 ||
		file->lower.size > max)
		return false;
	mutex_lock(&file->ov->table);
	/* Nobody else has opened it meanwhile, and nobody can write. */
	may_fill = node_use(node)->lower_opens == 1 && !node->is_copying && !node_is_upper(node);
	node->is_filling = may_fill;
	mutex_unlock(&file->ov->table);
	*ret_data = file->lower.data;
	*ret_size = file->lower.size;
	return may_fill;
}

void overlay_end_fill(struct overlay_file *file)
{
	mutex_lock(&file->ov->table);
	file->node->is_filling = false;
	pthread_cond_broadcast(&file->ov->copied);
	mutex_unlock(&file->ov->table);
	/* The kernel has it: what lasts we need not keep as long as it is open. */
	if (!file->lower.is_lasting)
		return;
	layer_file_release(&file->lower);
	file->is_late = true;
}
