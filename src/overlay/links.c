/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/links.h"

#include <errno.h>

#include "overlay/call.h"
#include "overlay/merge.h"

/* How many directories are in the upper's part alone, or -errno. */
static int64_t count_upper(struct overlay *ov, const struct dir_hold *hold)
{
	struct stat st;
	int r = call_fstat(hold->pin.fd, &st);

	if (r < 0)
		return r;
	return ov->upper_counts_links && st.st_nlink >= 2 ? (int64_t)st.st_nlink - 2 : -ENOTSUP;
}

/* The same of one layer's part. */
static int64_t count_lower(const struct lower_ref *ref)
{
	uint32_t count;
	int r = layer_count_directories(ref->layer, ref->node, &count);

	return r < 0 ? r : (int64_t)count;
}

/* Whiteouts and the parts of a directory hide each other: only the whole listing tells. */
static int64_t count_merged(struct overlay *ov, const struct dir_hold *hold)
{
	struct merged_list list = {0};
	int64_t count = 0;
	int r = merge_directory(ov, hold, &list);

	for (size_t i = 0; r == 0 && i < list.count; i++)
		count += S_ISDIR(list.entries[i].type);
	merged_list_release(&list);
	return r < 0 ? r : count;
}

/*
 * Parts at the bottom without any directory have nothing to add, and nothing below them that they
 * could hide. One part that is left then is right by itself. So most directories are counted
 * without being listed.
 */
static int64_t count_parts(struct overlay *ov, const struct dir_hold *hold)
{
	const struct lower_set *lowers = &hold->dir->dir->lowers;
	size_t left = lowers->count;
	int64_t count = 0;

	while (left > 0 && (count = count_lower(&lowers->refs[left - 1])) == 0)
		left--;
	if (count < 0)
		return count;
	if (left == 0 && hold->pin.fd >= 0)
		count = count_upper(ov, hold);
	if (count == -ENOTSUP || left > 1 || (left == 1 && hold->pin.fd >= 0))
		return count_merged(ov, hold);
	return count;
}

static int64_t count_directories(struct overlay *ov, struct node *dir)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	int64_t count = dir_hold(ov, dir, false, &hold);

	if (count == 0)
		count = count_parts(ov, &hold);
	/* Names change only under the exclusive lock: from here on the table keeps count. */
	if (count >= 0)
		node_set_subdirs(ov, dir, count);
	return count;
}

nlink_t directory_links(struct overlay *ov, struct node *dir)
{
	int64_t count;

	if (ov->static_nlink)
		return 1;
	count = node_subdirs(ov, dir);
	if (count < 0)
		count = count_directories(ov, dir);
	/* The layer has logged why. Listing the directory is an error, its attributes are none. */
	return count < 0 ? 1 : (nlink_t)count + 2;
}

int probe_work(struct overlay *ov)
{
	char temp[TEMP_NAME_MAX];
	struct stat before, after, made;
	int r;

	work_temp_name(ov, temp);
	r = call_fstat(ov->work_fd, &before);
	if (r == 0)
		r = call_mkdirat(ov->work_fd, temp, 0700);
	if (r < 0)
		return r;
	r = call_fstat(ov->work_fd, &after);
	ov->upper_counts_links = r == 0 && before.st_nlink == 2 && after.st_nlink == 3;
	if (call_fstatat(ov->work_fd, temp, &made) == 0) {
		ov->work_uid = made.st_uid;
		ov->work_gid = made.st_gid;
	}
	return work_remove(ov, temp);
}
