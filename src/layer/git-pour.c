/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-pour.h"

#include <errno.h>

#include "layer/git-loose.h"
#include "layer/git-store.h"
#include "layer/git-unpack.h"

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

void pour_init(struct pour *pour, struct object_sink *sink, struct room *room)
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

static int pour_unpacked(struct pour *pour, struct unpacker *unpacker, const struct held_pack *pack,
	uint64_t offset, const char **ret_fault)
{
	struct room_share share = {pour->room, .object_max = UINT64_MAX};
	struct object_bytes bytes = {0};
	int r = unpack_object(unpacker, pack, offset, &share, &bytes, ret_fault);

	if (r == 0)
		r = pour_bytes(pour, &bytes);
	object_bytes_release(&bytes);
	room_share_end(&share);
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
		return pour_unpacked(pour, unpacker, pack, offset, ret_fault);
	return unpack_pieces(unpacker, pack, offset, &pour->base, ret_fault);
}

static int pour_read(
	struct pour *pour, const char *objects_dir, const git_oid *id, const char **ret_fault)
{
	struct room_share share = {pour->room, .object_max = UINT64_MAX};
	struct object_bytes bytes = {0};
	int r = loose_read(objects_dir, id, &share, &bytes, ret_fault);

	if (r > 0 && pour_bytes(pour, &bytes) < 0)
		r = pour->failure;
	object_bytes_release(&bytes);
	room_share_end(&share);
	return r;
}

int pour_loose(
	struct pour *pour, const char *objects_dir, const git_oid *id, const char **ret_fault)
{
	return object_hash_asks_library()
		       ? pour_read(pour, objects_dir, id, ret_fault)
		       : loose_read_pieces(objects_dir, id, &pour->base, ret_fault);
}
