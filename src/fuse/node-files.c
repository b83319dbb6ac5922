/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuse/node-files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <git-overlayfs/session.h>

#include "util/lock.h"

/*
 * So few that to look through them costs less than to open one: whoever reads or writes one more
 * at the same time pays for an open. A file of git may hold its content in memory meanwhile.
 */
#define PLACES SESSION_FILES_KEPT

struct file_place {
	uint64_t node; /* 0: the place is free */
	struct overlay_file *file;
	uint64_t used_at; /* a count of all uses */
	unsigned users;
	bool can_write;
	bool is_dropped; /* the last user closes it */
};

struct node_files {
	struct overlay *ov; /* borrowed */
	struct mutex lock;
	/* Protected by lock. */
	struct file_place places[PLACES];
	uint64_t uses;
};

struct node_files *node_files_new(struct overlay *ov)
{
	struct node_files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->ov = ov;
	mutex_init(&files->lock);
	return files;
}

void node_files_free(struct node_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < PLACES; i++)
		if (files->places[i].node)
			overlay_release(files->ov, files->places[i].file);
	mutex_destroy(&files->lock);
	free(files);
}

/* --- places --- */

/* What was in it, for the caller to close without the lock. */
static struct overlay_file *clear(struct file_place *place)
{
	struct overlay_file *file = place->file;

	*place = (struct file_place){.node = 0};
	return file;
}

/* A free one, or the one that was used longest ago, or NULL where all are in use. */
static struct file_place *choose(struct node_files *files) requires_lock(files->lock)
{
	struct file_place *oldest = NULL;

	for (size_t i = 0; i < PLACES; i++) {
		struct file_place *place = &files->places[i];

		if (!place->node)
			return place;
		if (place->users == 0 && (!oldest || place->used_at < oldest->used_at))
			oldest = place;
	}
	return oldest;
}

static void use(struct node_files *files, struct file_place *place, struct node_file *ret_file)
	requires_lock(files->lock)
{
	place->users++;
	place->used_at = ++files->uses;
	*ret_file = (struct node_file){.file = place->file, .place = place};
}

/* Of a node that is open, for writing where that is wanted. */
static bool reuse(struct node_files *files, uint64_t node, bool writes, struct node_file *ret_file)
	requires_lock(files->lock)
{
	for (size_t i = 0; i < PLACES; i++) {
		struct file_place *place = &files->places[i];

		if (place->node == node && !place->is_dropped && (place->can_write || !writes)) {
			use(files, place, ret_file);
			return true;
		}
	}
	return false;
}

/* Gives it a place, if there is one, in use. What had the place before is the caller's to close. */
static struct overlay_file *settle(struct node_files *files, uint64_t node,
	struct overlay_file *file, bool can_write, struct node_file *ret_file)
	requires_lock(files->lock)
{
	struct file_place *place = choose(files);
	struct overlay_file *former = NULL;

	*ret_file = (struct node_file){.file = file};
	if (!place)
		return NULL;
	if (place->node)
		former = clear(place);
	*place = (struct file_place){.node = node, .file = file, .can_write = can_write};
	use(files, place, ret_file);
	return former;
}

static void close_file(struct node_files *files, struct overlay_file *file)
{
	if (file)
		overlay_release(files->ov, file);
}

/* --- use --- */

/* What may only be appended to can be opened for that alone. */
static int try_open(
	struct node_files *files, uint64_t node, bool writes, struct overlay_file **ret_file)
{
	int r = overlay_open(files->ov, node, writes ? O_RDWR : O_RDONLY, ret_file);

	if (r == -EPERM && writes)
		r = overlay_open(files->ov, node, O_RDWR | O_APPEND, ret_file);
	return r;
}

/* What is kept for others makes room: whoever has a file open must be able to read it. */
static int open_node(
	struct node_files *files, uint64_t node, bool writes, struct overlay_file **ret_file)
{
	int r = try_open(files, node, writes, ret_file);

	if (!node_files_make_room(files, r))
		return r;
	return try_open(files, node, writes, ret_file);
}

int node_files_take(
	struct node_files *files, uint64_t node, bool writes, struct node_file *ret_file)
{
	struct overlay_file *file, *former;
	bool is_open;
	int r;

	mutex_lock(&files->lock);
	is_open = reuse(files, node, writes, ret_file);
	mutex_unlock(&files->lock);
	if (is_open)
		return 0;
	r = open_node(files, node, writes, &file);
	if (r < 0)
		return r;
	mutex_lock(&files->lock);
	/* Another thread may have opened it as well. */
	former = reuse(files, node, writes, ret_file) ? file
						      : settle(files, node, file, writes, ret_file);
	mutex_unlock(&files->lock);
	close_file(files, former);
	return 0;
}

void node_files_give_back(struct node_files *files, struct node_file *file)
{
	struct file_place *place = file->place;
	struct overlay_file *last = place ? NULL : file->file;

	if (place) {
		mutex_lock(&files->lock);
		if (--place->users == 0 && place->is_dropped)
			last = clear(place);
		mutex_unlock(&files->lock);
	}
	close_file(files, last);
	*file = (struct node_file){.file = NULL};
}

void node_files_add(struct node_files *files, uint64_t node, struct overlay_file *file)
{
	struct overlay_file *former;
	struct node_file used;

	mutex_lock(&files->lock);
	former = settle(files, node, file, true, &used);
	mutex_unlock(&files->lock);
	close_file(files, former);
	node_files_give_back(files, &used);
}

void node_files_drop(struct node_files *files, uint64_t node)
{
	struct overlay_file *unused[PLACES];
	size_t count = 0;

	mutex_lock(&files->lock);
	for (size_t i = 0; i < PLACES; i++) {
		struct file_place *place = &files->places[i];

		if (!place->node || (node && place->node != node))
			continue;
		if (place->users > 0)
			place->is_dropped = true;
		else
			unused[count++] = clear(place);
	}
	mutex_unlock(&files->lock);
	for (size_t i = 0; i < count; i++)
		close_file(files, unused[i]);
}

bool node_files_make_room(struct node_files *files, int error)
{
	if (!files || (error != -ENFILE && error != -EMFILE))
		return false;
	node_files_drop(files, 0);
	return true;
}
