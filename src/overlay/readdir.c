/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "overlay/call.h"
#include "overlay/lookup.h"
#include "overlay/merge.h"
#include "util/cleanup.h"

/* Offsets: 1 lies behind ".", 2 behind "..", and that behind an entry is its place. */
enum { DOT, DOT_DOT, ENTRIES };

/* A larger one is not merged anew for each part that is read while the directory changes. */
#define RELIST_MAX 4096

/*
 * A listing is a snapshot, taken at offset 0 and kept until somebody has read to its end, or too
 * many others have come. Nobody says when a directory is opened or closed: all who read it go on
 * in the one that it has. So does the kernel, which keeps listings too, and appends what one reader
 * gets to what another got before: an offset means the same to all of them.
 */
struct listing {
	unsigned users;	  /* protected by table; the directory is one of them */
	uint64_t changes; /* of the directory, when it was made */
	struct merged_list list;
};

static struct listing *drop_user_locked(struct listing *listing)
{
	return listing && --listing->users == 0 ? listing : NULL;
}

static void listing_free(struct listing *listing)
{
	if (listing)
		merged_list_release(&listing->list);
	free(listing);
}

static void stop_using(struct overlay *ov, struct listing *listing)
{
	struct listing *unused;

	mutex_lock(&ov->table);
	unused = drop_user_locked(listing);
	mutex_unlock(&ov->table);
	listing_free(unused);
}

/* Out of its directory. Returns what is to be freed. */
static struct listing *take_out_locked(struct overlay *ov, struct node_dir *dir)
	requires_lock(ov->table)
{
	struct listing *listing = steal_ptr(&dir->listing);

	for (size_t i = 0; listing && i < LISTINGS_MAX; i++)
		if (ov->listed[i] == dir)
			ov->listed[i] = NULL;
	return drop_user_locked(listing);
}

void directory_drop_listing(struct overlay *ov, struct node_dir *dir)
{
	struct listing *unused;

	mutex_lock(&ov->table);
	unused = take_out_locked(ov, dir);
	mutex_unlock(&ov->table);
	listing_free(unused);
}

/* The directory has it from now on, in place of another one; so does the caller. */
static void keep_listing(struct overlay *ov, struct node_dir *dir, struct listing *listing)
{
	struct listing *old, *oldest = NULL;
	struct node_dir **slot;

	mutex_lock(&ov->table);
	old = take_out_locked(ov, dir);
	slot = &ov->listed[ov->listed_next++ % LISTINGS_MAX];
	if (*slot)
		oldest = take_out_locked(ov, *slot);
	*slot = dir;
	listing->users = 2;
	dir->listing = listing;
	mutex_unlock(&ov->table);
	listing_free(old);
	listing_free(oldest);
}

static int make_listing(struct overlay *ov, struct node *node, struct listing **ret_listing)
{
	_cleanup_hold_ struct dir_hold hold = {.dir = NULL};
	struct listing *listing;
	int r = dir_hold(ov, node, false, &hold);

	if (r < 0)
		return r;
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return -ENOMEM;
	listing->changes = atomic_load(&node->dir->changes);
	r = merge_directory(ov, &hold, &listing->list);
	if (r < 0) {
		free(listing);
		return r;
	}
	/* Still held: what is kept is never older than what was. */
	keep_listing(ov, node->dir, listing);
	*ret_listing = listing;
	return 0;
}

static bool is_usable(const struct node_dir *dir, uint64_t offset)
{
	const struct listing *listing = dir->listing;

	if (!listing)
		return false;
	return listing->changes == atomic_load(&dir->changes) ||
	       (offset > 0 && listing->list.count > RELIST_MAX);
}

static int use_listing(
	struct overlay *ov, struct node *node, uint64_t offset, struct listing **ret_listing)
{
	struct listing *listing = NULL;

	mutex_lock(&ov->table);
	if (is_usable(node->dir, offset)) {
		listing = node->dir->listing;
		listing->users++;
	}
	mutex_unlock(&ov->table);
	if (!listing)
		return make_listing(ov, node, ret_listing);
	*ret_listing = listing;
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

/* The number that stat would report; a name that has gone meanwhile has any. */
static int find_ino(
	struct overlay *ov, struct node *dir, const struct merged_entry *entry, uint64_t *ret_ino)
{
	struct node *node;
	int r;

	*ret_ino = entry->ino;
	if (entry->ino)
		return 0;
	r = lookup_node(ov, dir, entry->name, &node);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_ino = r == 0 ? node->ino : OVERLAY_ROOT_ID;
	if (r == 0)
		node_put(ov, node);
	return 0;
}

static int emit_dot(
	struct overlay *ov, struct node *dir, uint64_t offset, overlay_emit_fn emit, void *ctx)
{
	struct overlay_dirent out = {.next = offset + 1, .type = S_IFDIR};

	out.name = offset == DOT ? "." : "..";
	out.ino = offset == DOT ? dir->ino : parent_ino(ov, dir);
	return emit(ctx, &out) ? 1 : 0;
}

/* 0; or 1, the reader has had enough; or -errno. */
static int emit_entry(struct overlay *ov, struct node *dir, const struct merged_entry *entry,
	overlay_emit_fn emit, void *ctx)
{
	struct overlay_dirent out = {
		.next = entry->place, .name = entry->name, .type = entry->type};
	int r = find_ino(ov, dir, entry, &out.ino);

	if (r < 0)
		return r;
	return emit(ctx, &out) ? 1 : 0;
}

static int emit_from(struct overlay *ov, struct node *dir, const struct merged_list *list,
	uint64_t offset, overlay_emit_fn emit, void *ctx)
{
	uint64_t at = offset;
	size_t first, i;
	int r = 0;

	for (; r == 0 && at < ENTRIES; at++)
		r = emit_dot(ov, dir, at, emit, ctx);
	if (r != 0)
		return r < 0 ? r : 0;
	first = i = merged_list_behind(list, at);
	for (; r == 0 && i < list->count; i++)
		r = emit_entry(ov, dir, &list->entries[i], emit, ctx);
	/* Who is told of the end does not come again. */
	if (at == offset && first == list->count)
		directory_drop_listing(ov, dir->dir);
	/* What was given before an error counts: who asks on from there is told of it. */
	return r < 0 && at == offset && i == first + 1 ? r : 0;
}

static int read_directory(
	struct overlay *ov, struct node *dir, uint64_t offset, overlay_emit_fn emit, void *ctx)
{
	struct listing *listing;
	int r = node_is_dir(dir) ? use_listing(ov, dir, offset, &listing) : -ENOTDIR;

	if (r < 0)
		return r;
	r = emit_from(ov, dir, &listing->list, offset, emit, ctx);
	stop_using(ov, listing);
	return r;
}

int overlay_readdir(
	struct overlay *ov, uint64_t id, uint64_t offset, overlay_emit_fn emit, void *ctx)
{
	struct node *node = node_get(ov, id);
	int r;

	if (!node)
		return -ESTALE;
	r = read_directory(ov, node, offset, emit, ctx);
	node_put(ov, node);
	return r;
}

static int sync_directory(struct overlay *ov, struct node *node, bool data_only)
{
	struct upper_pin pin;
	_cleanup_close_ int fd = -1;
	int r = node_is_dir(node) ? upper_pin(ov, node, &pin) : -ENOTDIR;

	if (r < 0 || pin.fd < 0)
		return r;
	fd = call_openat(pin.fd, ".", O_RDONLY | O_DIRECTORY, 0);
	upper_unpin(ov, &pin);
	return fd < 0 ? fd : call_fsync(fd, data_only);
}

int overlay_fsyncdir(struct overlay *ov, uint64_t id, bool data_only)
{
	struct node *node = node_get(ov, id);
	int r;

	if (!node)
		return -ESTALE;
	r = ov->is_volatile ? 0 : sync_directory(ov, node, data_only);
	node_put(ov, node);
	return r;
}
