/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-store.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/log.h>

#include "layer/git-hash.h"
#include "layer/git-loose.h"
#include "layer/git-packs.h"
#include "layer/git-pour.h"
#include "layer/git-unpack.h"
#include "util/cleanup.h"

/* What is not small has so much at one time, or one of it. */
#define ROOM_FOR_LARGE (128u << 20)

struct object_store {
	char **dirs; /* NULL-terminated; immutable after open, as the next two */
	size_t dir_count;
	struct unpacker *unpacker;
	struct packs packs;
	atomic_size_t last_found; /* objects that are wanted together lie together */
	struct room room;	  /* for what has to be in memory as a whole */
};

void object_bytes_release(struct object_bytes *bytes)
{
	free(bytes->data);
	bytes->data = NULL;
}

/* --- life --- */

void object_store_close(struct object_store *store)
{
	if (!store)
		return;
	packs_release(&store->packs);
	for (size_t i = 0; i < store->dir_count; i++)
		free(store->dirs[i]);
	free(store->dirs);
	unpacker_free(store->unpacker);
	room_release(&store->room);
	free(store);
}

static void cleanup_storep(struct object_store **store)
{
	object_store_close(*store);
}

static int add_directories(struct object_store *store, const char *const *object_dirs)
{
	size_t count = 0;

	while (object_dirs[count])
		count++;
	store->dirs = calloc(count + 1, sizeof(*store->dirs));
	for (; store->dirs && store->dir_count < count; store->dir_count++) {
		store->dirs[store->dir_count] = strdup(object_dirs[store->dir_count]);
		if (!store->dirs[store->dir_count])
			return -ENOMEM;
	}
	return store->dirs ? 0 : -ENOMEM;
}

static int pack_error(struct error *err, int code)
{
	if (code == EMFILE || code == ENFILE)
		return error_set(err, code, EXIT_STATUS_MACHINE,
			"the repository has more packs than this process may open; "
			"run 'git repack -ad' in it or raise the limit (ulimit -n)");
	return error_set_errno(err, code, EXIT_STATUS_SOURCE, "the packs of the repository");
}

int object_store_open(
	const char *const *object_dirs, struct object_store **ret_store, struct error *err)
{
	_cleanup_(cleanup_storep) struct object_store *store = calloc(1, sizeof(*store));
	int r;

	if (!store)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	room_init(&store->room, ROOM_FOR_LARGE);
	store->unpacker = unpacker_new();
	r = packs_init(&store->packs);
	if (r == 0)
		r = add_directories(store, object_dirs);
	if (r < 0 || !store->unpacker)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	r = packs_look_again(&store->packs, store->dirs, packs_now(&store->packs));
	if (r < 0)
		return pack_error(err, -r);
	*ret_store = steal_ptr(&store);
	return 0;
}

/* --- reading --- */

/* One read of one object, tried in one place after the other. */
struct request {
	const git_oid *id;
	git_object_t type;
	bool wants_size_only;
	uint64_t size;
	struct object_bytes bytes;
	struct pour *pour; /* instead of into `bytes`; NULL: none */
	uint64_t size_max; /* of what may go into `bytes` */
	bool is_broken;	   /* a place has it, but not whole; `cause` says how */
	bool is_too_large; /* a place has one that may not */
	struct object_cause *cause;
};

static void blame(struct request *request, const char *what)
{
	char hex[GIT_OID_HEXSZ + 1];

	id_to_hex(request->id, hex);
	snprintf(request->cause->text, sizeof(request->cause->text), "object %s %s", hex, what);
}

static bool has_its_id(struct request *request, git_object_t type)
{
	git_oid actual;

	if (request->pour)
		return pour_is_sound(request->pour, request->id);
	return object_hash(type, request->bytes.data, request->bytes.size, &actual) == 0 &&
	       id_equal(&actual, request->id);
}

static bool is_valid(struct request *request, git_object_t type)
{
	if (request->type != GIT_OBJECT_ANY && type != request->type &&
		!(type == GIT_OBJECT_ANY && request->wants_size_only)) {
		blame(request, "is of another type than its name says");
		return false;
	}
	if (request->wants_size_only)
		return true;
	if (!has_its_id(request, type)) {
		blame(request, "is corrupt: its content has another id");
		return false;
	}
	return true;
}

/*
 * What a place said: 1, it has the object; 0, it has not; or -errno. Whether it is intact, or no
 * other place is to be asked.
 */
static bool judge(struct request *request, int found, git_object_t type, const char *fault)
{
	char what[160];

	if (found == 0)
		return false;
	if (request->pour && request->pour->failure)
		return true;
	if (found == -EFBIG) {
		request->is_too_large = true;
		return false;
	}
	if (found > 0 && is_valid(request, type))
		return true;
	request->is_broken = true;
	if (found > 0) {
		object_bytes_release(&request->bytes);
		return false;
	}
	snprintf(what, sizeof(what), "cannot be read: %s", fault);
	blame(request, what);
	return false;
}

static bool try_pack(
	struct object_store *store, const struct held_pack *pack, struct request *request)
{
	struct room_share share = {&store->room, request->size_max};
	const char *fault = "its index is corrupt";
	bool is_whole;
	git_object_t type = GIT_OBJECT_INVALID;
	uint64_t offset;
	int r = pack->fd < 0 ? 0 : pack_index_find(&pack->index, request->id->id, &offset);

	if (r == 0)
		return false;
	if (r > 0 && request->wants_size_only) {
		r = unpack_header(store->unpacker, pack, offset, &type, &request->size, &fault);
	} else if (r > 0 && request->pour) {
		r = pour_packed(request->pour, store->unpacker, pack, offset, &fault);
		type = request->pour->type;
		request->bytes.is_held = true;
	} else if (r > 0) {
		r = unpack_object(store->unpacker, pack, offset, &share, &request->bytes, &fault);
		type = request->bytes.type;
		request->bytes.is_held = true;
	}
	is_whole = judge(request, r < 0 ? r : 1, type, fault);
	room_share_end(&share);
	return is_whole;
}

static bool try_loose(struct object_store *store, const char *objects_dir, struct request *request)
{
	struct room_share share = {&store->room, request->size_max};
	bool is_whole;
	git_object_t type = GIT_OBJECT_INVALID;
	const char *fault;
	int r;

	if (request->wants_size_only) {
		r = loose_read_header(objects_dir, request->id, &type, &request->size, &fault);
	} else if (request->pour) {
		r = pour_loose(request->pour, objects_dir, request->id, &fault);
		type = request->pour->type;
		request->bytes.is_held = false;
	} else {
		r = loose_read(objects_dir, request->id, &share, &request->bytes, &fault);
		type = request->bytes.type;
	}
	is_whole = judge(request, r, type, fault);
	room_share_end(&share);
	return is_whole;
}

static bool try_all(
	struct object_store *store, const struct pack_list *list, struct request *request)
{
	size_t hint = atomic_load_explicit(&store->last_found, memory_order_relaxed);

	/* Starts where something was found last, and goes round once. */
	for (size_t i = 0; i < list->count; i++) {
		size_t at = (hint + i) % list->count;

		if (!try_pack(store, list->packs[at], request))
			continue;
		if (at != hint)
			atomic_store_explicit(&store->last_found, at, memory_order_relaxed);
		return true;
	}
	for (size_t i = 0; i < store->dir_count; i++)
		if (try_loose(store, store->dirs[i], request))
			return true;
	return false;
}

static int serve(struct object_store *store, struct request *request)
{
	const struct pack_list *seen = packs_now(&store->packs);

	if (try_all(store, seen, request))
		return 0;
	if (request->is_too_large)
		return -EFBIG;
	/* A gc may have moved it into a new pack, also between our two looks. */
	if (packs_look_again(&store->packs, store->dirs, seen) < 0)
		log_warning("new packs cannot be held");
	if (try_all(store, packs_now(&store->packs), request))
		return 0;
	if (request->is_too_large)
		return -EFBIG;
	if (!request->is_broken)
		blame(request, "missing");
	return -EIO;
}

static int read_up_to(struct object_store *store, struct request *request, uint64_t size_max,
	struct object_bytes *ret_bytes)
{
	int r;

	request->size_max = size_max;
	r = serve(store, request);
	if (r == 0)
		*ret_bytes = request->bytes;
	return r;
}

int object_store_read(struct object_store *store, const git_oid *id, git_object_t type,
	struct object_bytes *ret_bytes, struct object_cause *ret_cause)
{
	struct request request = {.id = id, .type = type, .cause = ret_cause};

	return read_up_to(store, &request, UINT64_MAX, ret_bytes);
}

int object_store_read_small(struct object_store *store, const git_oid *id,
	struct object_bytes *ret_bytes, struct object_cause *ret_cause)
{
	struct request request = {.id = id, .type = GIT_OBJECT_BLOB, .cause = ret_cause};

	return read_up_to(store, &request, OBJECT_SMALL_MAX, ret_bytes);
}

int object_store_pour(struct object_store *store, const git_oid *id, git_object_t type,
	struct object_sink *sink, bool *ret_is_held, struct object_cause *ret_cause)
{
	struct pour pour;
	struct request request = {.id = id, .type = type, .pour = &pour, .cause = ret_cause};
	int r;

	pour_init(&pour, sink, &store->room);
	r = serve(store, &request);
	if (pour.failure) {
		r = pour.failure;
		blame(&request, strerror(-r));
	}
	pour_release(&pour);
	if (r == 0)
		*ret_is_held = request.bytes.is_held;
	return r;
}

int object_store_read_size(struct object_store *store, const git_oid *id, git_object_t type,
	uint64_t *ret_size, struct object_cause *ret_cause)
{
	struct request request = {
		.id = id, .type = type, .wants_size_only = true, .cause = ret_cause};
	int r = serve(store, &request);

	if (r == 0)
		*ret_size = request.size;
	return r;
}

/* --- abbreviated ids --- */

struct prefix_search {
	const git_oid *prefix;
	size_t length;
	git_oid found;
	bool has_found;
};

/* Of what one place has. 0 to go on, GIT_EAMBIGUOUS. */
static int note(struct prefix_search *search, int count, const git_oid *id)
{
	if (count == 0)
		return 0;
	if (count > 1 || (search->has_found && !id_equal(id, &search->found)))
		return GIT_EAMBIGUOUS;
	search->found = *id;
	search->has_found = true;
	return 0;
}

static int search_pack(struct prefix_search *search, const struct held_pack *pack)
{
	const uint8_t *raw = NULL;
	git_oid id = {{0}};
	int count = pack->fd < 0 ? 0
				 : pack_index_find_prefix(
					   &pack->index, search->prefix->id, search->length, &raw);

	if (raw)
		id = id_from_raw(raw);
	return note(search, count, &id);
}

int object_store_find_prefix(
	struct object_store *store, const git_oid *prefix, size_t length, git_oid *ret_id)
{
	const struct pack_list *list = packs_now(&store->packs);
	struct prefix_search search = {.prefix = prefix, .length = length};
	git_oid id;
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = search_pack(&search, list->packs[i]);
	for (size_t i = 0; r == 0 && i < store->dir_count; i++)
		r = note(&search, loose_find_prefix(store->dirs[i], prefix, length, &id), &id);
	if (r < 0)
		return r;
	if (!search.has_found)
		return GIT_ENOTFOUND;
	*ret_id = search.found;
	return 0;
}
