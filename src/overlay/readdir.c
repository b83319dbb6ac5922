/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "overlay/call.h"
#include "overlay/lookup.h"
#include "overlay/merge.h"
#include "util/cleanup.h"

/* Offsets: 1 lies behind ".", 2 behind "..", and that behind an entry is its place. */
#define RELIST_MAX 4096

enum { DOT, DOT_DOT, ENTRIES };

/*
 * A listing is a snapshot, taken at offset 0. The kernel keeps listings too, and goes on with one
 * handle where it began with what another gave, so an offset must mean the same to all of them.
 */
struct overlay_dir {
	struct node *node; /* a reference */
	struct merged_list list;
	uint64_t changes; /* of the directory, when the listing was made */
	bool is_listed;
};

int overlay_opendir(struct overlay *ov, uint64_t id, struct overlay_dir **ret_dir)
{
	struct node *node = node_get(ov, id);
	struct overlay_dir *dir;

	if (!node)
		return -ESTALE;
	dir = node_is_dir(node) ? calloc(1, sizeof(*dir)) : NULL;
	if (!dir) {
		int r = node_is_dir(node) ? -ENOMEM : -ENOTDIR;

		node_put(ov, node);
		return r;
	}
	dir->node = node;
	*ret_dir = dir;
	return 0;
}

void overlay_closedir(struct overlay *ov, struct overlay_dir *dir)
{
	merged_list_release(&dir->list);
	node_put(ov, dir->node);
	free(dir);
}

static int take_snapshot(struct overlay *ov, struct overlay_dir *dir)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	struct merged_list list = {0};
	uint64_t changes = 0;
	int r = dir_hold(ov, dir->node, false, &hold);

	if (r == 0)
		changes = atomic_load(&dir->node->dir->changes);
	if (r == 0)
		r = merge_directory(ov, &hold, &list);
	if (r < 0)
		return r;
	merged_list_release(&dir->list);
	dir->list = list;
	dir->changes = changes;
	dir->is_listed = true;
	return 0;
}

static uint64_t parent_ino(struct overlay *ov, struct node *node)
{
	uint64_t ino;

	mutex_lock(&ov->table);
	ino = node->names ? node->names->parent->ino : node->ino;
	mutex_unlock(&ov->table);
	return ino;
}

/* Finds the number that stat would report; a name that has gone meanwhile has any. */
static int find_ino(struct overlay *ov, struct overlay_dir *dir, struct merged_entry *entry)
{
	struct node *node;
	int r;

	if (entry->ino)
		return 0;
	r = lookup_node(ov, dir->node, entry->name, &node);
	if (r < 0 && r != -ENOENT)
		return r;
	entry->ino = r == 0 ? node->ino : OVERLAY_ROOT_ID;
	if (r == 0)
		node_put(ov, node);
	return 0;
}

static int emit_dot(struct overlay *ov, struct overlay_dir *dir, uint64_t offset,
	overlay_emit_fn emit, void *ctx)
{
	struct overlay_dirent out = {.next = offset + 1, .type = S_IFDIR};

	out.name = offset == DOT ? "." : "..";
	out.ino = offset == DOT ? dir->node->ino : parent_ino(ov, dir->node);
	return emit(ctx, &out) ? 1 : 0;
}

/* 0; or 1, the reader has had enough; or -errno. */
static int emit_entry(struct overlay *ov, struct overlay_dir *dir, struct merged_entry *entry,
	overlay_emit_fn emit, void *ctx)
{
	struct overlay_dirent out = {
		.next = entry->place, .name = entry->name, .type = entry->type};
	int r = find_ino(ov, dir, entry);

	if (r < 0)
		return r;
	out.ino = entry->ino;
	return emit(ctx, &out) ? 1 : 0;
}

/*
 * The kernel may append what this handle gives to what it has got from a later listing, and take
 * both together for the directory. A large one is not merged anew for each part that is read.
 */
static bool is_stale(const struct overlay_dir *dir)
{
	return !dir->is_listed || (dir->list.count <= RELIST_MAX &&
					  atomic_load(&dir->node->dir->changes) != dir->changes);
}

int overlay_readdir(struct overlay *ov, struct overlay_dir *dir, uint64_t offset,
	overlay_emit_fn emit, void *ctx)
{
	int r = offset == 0 || is_stale(dir) ? take_snapshot(ov, dir) : 0;
	uint64_t at = offset;
	size_t first, i;

	for (; r == 0 && at < ENTRIES; at++)
		r = emit_dot(ov, dir, at, emit, ctx);
	if (r != 0)
		return r < 0 ? r : 0;
	first = i = merged_list_behind(&dir->list, at);
	for (; r == 0 && i < dir->list.count; i++)
		r = emit_entry(ov, dir, &dir->list.entries[i], emit, ctx);
	/* What was given before an error counts: who asks on from there is told of it. */
	return r < 0 && at == offset && i == first + 1 ? r : 0;
}

int overlay_fsyncdir(struct overlay *ov, struct overlay_dir *dir, bool data_only)
{
	struct upper_pin pin;
	_cleanup_close_ int fd = -1;
	int r;

	if (ov->is_volatile)
		return 0;
	r = upper_pin(ov, dir->node, &pin);
	if (r < 0 || pin.fd < 0)
		return r;
	fd = call_openat(pin.fd, ".", O_RDONLY | O_DIRECTORY, 0);
	upper_unpin(ov, &pin);
	return fd < 0 ? fd : call_fsync(fd, data_only);
}
