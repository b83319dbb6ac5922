/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-pour.h"

#include <errno.h>

#include "layer/git-loose.h"
#include "layer/git-store.h"
#include "layer/git-unpack.h"

/* --- room --- */

void pour_room_init(struct pour_room *room, uint64_t limit) no_lock_analysis
{
	mutex_init(&room->lock);
	pthread_cond_init(&room->given, NULL);
	room->limit = limit;
	room->taken = 0;
}

void pour_room_release(struct pour_room *room)
{
	pthread_cond_destroy(&room->given);
	mutex_destroy(&room->lock);
}

void pour_room_take(struct pour_room *room, uint64_t size)
{
	mutex_lock(&room->lock);
	while (room->taken > 0 && (size > room->limit || room->taken > room->limit - size))
		mutex_wait(&room->lock, &room->given);
	room->taken += size;
	mutex_unlock(&room->lock);
}

void pour_room_give(struct pour_room *room, uint64_t size)
{
	mutex_lock(&room->lock);
	room->taken -= size;
	pthread_cond_broadcast(&room->given);
	mutex_unlock(&room->lock);
}

/* --- what passes --- */

static int note_failure(struct pour *pour, int r)
{
	if (r < 0)
		pour->failure = r;
	return r;
}

static int begin(struct object_sink *base, git_object_t type, uint64_t size)
{
	struct pour *pour = (struct pour *)base;

	object_hasher_free(pour->hasher);
	pour->type = type;
	pour->hasher = object_hasher_new(type, size);
	return note_failure(
		pour, pour->hasher ? pour->sink->begin(pour->sink, type, size) : -ENOMEM);
}

static int take(struct object_sink *base, const void *data, size_t size)
{
	struct pour *pour = (struct pour *)base;

	object_hasher_add(pour->hasher, data, size);
	return note_failure(pour, pour->sink->take(pour->sink, data, size));
}

void pour_init(struct pour *pour, struct object_sink *sink, struct pour_room *room)
{
	*pour = (struct pour){
		.base = {begin, take}, .sink = sink, .room = room, .type = GIT_OBJECT_INVALID};
}

void pour_release(struct pour *pour)
{
	object_hasher_free(pour->hasher);
}

bool pour_is_sound(struct pour *pour, const git_oid *id)
{
	git_oid actual;

	return pour->hasher && object_hasher_end(pour->hasher, &actual) == 0 &&
	       id_equal(&actual, id);
}

static int pour_bytes(struct pour *pour, const struct object_bytes *bytes)
{
	int r = begin(&pour->base, bytes->type, bytes->size);

	return r < 0 ? r : take(&pour->base, bytes->data, bytes->size);
}

/* --- places --- */

/* What it is made of is mostly as large as it is. */
static uint64_t room_for(uint64_t size)
{
	return size < UINT64_MAX / 2 ? size * 2 : UINT64_MAX;
}

static int pour_unpacked(struct pour *pour, struct unpacker *unpacker, const struct held_pack *pack,
	uint64_t offset, uint64_t size, const char **ret_fault)
{
	struct object_bytes bytes = {0};
	int r;

	pour_room_take(pour->room, room_for(size));
	r = unpack_object(unpacker, pack, offset, &bytes, ret_fault);
	if (r == 0)
		r = pour_bytes(pour, &bytes);
	object_bytes_release(&bytes);
	pour_room_give(pour->room, room_for(size));
	return r;
}

int pour_packed(struct pour *pour, struct unpacker *unpacker, const struct held_pack *pack,
	uint64_t offset, const char **ret_fault)
{
	git_object_t type;
	uint64_t size;
	int r = unpack_header(unpacker, pack, offset, &type, &size, ret_fault);

	if (r < 0)
		return r;
	if (type == GIT_OBJECT_ANY || object_hash_asks_library())
		return pour_unpacked(pour, unpacker, pack, offset, size, ret_fault);
	return unpack_pieces(unpacker, pack, offset, &pour->base, ret_fault);
}

static int pour_read(struct pour *pour, const char *objects_dir, const git_oid *id, uint64_t size,
	const char **ret_fault)
{
	struct object_bytes bytes = {0};
	int r;

	pour_room_take(pour->room, size);
	r = loose_read(objects_dir, id, &bytes, ret_fault);
	if (r > 0 && pour_bytes(pour, &bytes) < 0)
		r = pour->failure;
	object_bytes_release(&bytes);
	pour_room_give(pour->room, size);
	return r;
}

int pour_loose(
	struct pour *pour, const char *objects_dir, const git_oid *id, const char **ret_fault)
{
	git_object_t type;
	uint64_t size;
	int r;

	if (!object_hash_asks_library())
		return loose_read_pieces(objects_dir, id, &pour->base, ret_fault);
	r = loose_read_header(objects_dir, id, &type, &size, ret_fault);
	return r <= 0 ? r : pour_read(pour, objects_dir, id, size, ret_fault);
}
