/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-hash.h"

#include <errno.h>
#include <stdlib.h>

#ifdef HAVE_NETTLE
#include <inttypes.h>
#include <nettle/sha1.h>
#include <stdio.h>

/*
 * Five times as fast as libgit2's, which looks for signs of a crafted collision besides. That is
 * for those to do who take objects in, as git does: here an id says that nothing is damaged.
 */
struct object_hasher {
	struct sha1_ctx sha1;
};

static void begin(struct object_hasher *hasher, git_object_t type, uint64_t size)
{
	char header[32];
	int length = snprintf(header, sizeof(header), "%s %" PRIu64, object_type_name(type), size);

	sha1_init(&hasher->sha1);
	sha1_update(&hasher->sha1, (size_t)length + 1, (const uint8_t *)header);
}

void object_hasher_add(struct object_hasher *hasher, const void *data, size_t size)
{
	sha1_update(&hasher->sha1, size, data);
}

int object_hasher_end(struct object_hasher *hasher, git_oid *ret_id)
{
	sha1_digest(&hasher->sha1, sizeof(ret_id->id), ret_id->id);
	return 0;
}

int object_hash(git_object_t type, const void *data, size_t size, git_oid *ret_id)
{
	struct object_hasher hasher;

	begin(&hasher, type, size);
	object_hasher_add(&hasher, data, size);
	return object_hasher_end(&hasher, ret_id);
}

bool object_hash_asks_library(void)
{
	return false;
}
#else
#include "layer/git-library.h"

int object_hash(git_object_t type, const void *data, size_t size, git_oid *ret_id)
{
	const struct git_library *library = git_library();

	return !library || library->odb_hash(ret_id, data, size, type) < 0 ? -EIO : 0;
}

/* libgit2 wants it whole: there is one piece, and it is hashed when it comes. */
struct object_hasher {
	git_object_t type;
	uint64_t size;
	git_oid id;
	int result;
};

static void begin(struct object_hasher *hasher, git_object_t type, uint64_t size)
{
	*hasher = (struct object_hasher){.type = type, .size = size, .result = -EIO};
}

void object_hasher_add(struct object_hasher *hasher, const void *data, size_t size)
{
	hasher->result =
		size == hasher->size ? object_hash(hasher->type, data, size, &hasher->id) : -EIO;
}

int object_hasher_end(struct object_hasher *hasher, git_oid *ret_id)
{
	*ret_id = hasher->id;
	return hasher->result;
}

bool object_hash_asks_library(void)
{
	return true;
}
#endif

struct object_hasher *object_hasher_new(git_object_t type, uint64_t size)
{
	struct object_hasher *hasher = malloc(sizeof(*hasher));

	if (hasher)
		begin(hasher, type, size);
	return hasher;
}

void object_hasher_free(struct object_hasher *hasher)
{
	free(hasher);
}
