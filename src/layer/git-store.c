/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-store.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git2/sys/odb_backend.h>

#include <git-overlayfs/log.h>

#include "layer/git-loose.h"
#include "layer/git-pack.h"
#include "util/cleanup.h"
#include "util/lock.h"

/* As many times a directory is listed again when packs vanish while it is. */
#define SCAN_TRIES 5

/* Sorted by path. Never changed: a scan publishes a new one. */
struct pack_list {
	struct pack_list *older; /* what readers may still look at; freed at close */
	size_t count;
	struct held_pack *packs[];
};

struct object_store {
	char **dirs;		 /* immutable after open, as the next two */
	git_odb_backend **loose; /* one for each directory */
	size_t dir_count;
	_Atomic(struct pack_list *) packs;
	atomic_size_t last_found; /* objects that are wanted together lie together */
	struct mutex scan_lock;	  /* one thread at a time looks for new packs */
};

void object_bytes_release(struct object_bytes *bytes)
{
	if (bytes->data)
		git_odb_backend_data_free(bytes->backend, bytes->data);
	bytes->data = NULL;
}

/* --- packs --- */

static int compare_packs(const void *a, const void *b)
{
	const struct held_pack *const *x = a, *const *y = b;

	return strcmp((*x)->index_path, (*y)->index_path);
}

static bool pack_is_known(const struct pack_list *list, const char *path)
{
	struct held_pack key = {.index_path = (char *)(uintptr_t)path}, *key_pointer = &key;

	return bsearch(
		&key_pointer, list->packs, list->count, sizeof(list->packs[0]), compare_packs);
}

struct scan {
	const struct pack_list *known;
	struct held_pack **found;
	size_t count, space;
	bool has_vanished; /* a pack was removed while we looked: something replaces it */
};

static int scan_add(struct scan *scan, const char *path)
{
	struct object_cause cause;
	int r;

	if (pack_is_known(scan->known, path))
		return 0;
	if (scan->count == scan->space) {
		size_t space = scan->space ? scan->space * 2 : 16;
		struct held_pack **found = reallocarray(scan->found, space, sizeof(*scan->found));

		if (!found)
			return -ENOMEM;
		scan->found = found;
		scan->space = space;
	}
	r = held_pack_open(path, &scan->found[scan->count], &cause);
	if (r == -ENOENT) {
		scan->has_vanished = true;
		return 0;
	}
	if (r < 0)
		return r;
	if (*cause.text)
		log_warning("%s", cause.text);
	scan->count++;
	return 0;
}

static int scan_dir(struct scan *scan, const char *objects_dir)
{
	_cleanup_free_ char *pack_dir = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	int r = 0;

	if (asprintf(&pack_dir, "%s/pack", objects_dir) < 0) {
		pack_dir = NULL;
		return -ENOMEM;
	}
	dir = opendir(pack_dir);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');
		_cleanup_free_ char *path = NULL;

		if (!dot || strcmp(dot, ".idx") != 0)
			continue;
		if (asprintf(&path, "%s/%s", pack_dir, entry->d_name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = scan_add(scan, path);
	}
	return r ? r : -errno;
}

static int publish(struct object_store *store, const struct scan *scan)
{
	struct pack_list *old = atomic_load(&store->packs), *list;

	list = malloc(sizeof(*list) + (old->count + scan->count) * sizeof(list->packs[0]));
	if (!list)
		return -ENOMEM;
	list->older = old;
	list->count = old->count + scan->count;
	memcpy(list->packs, old->packs, old->count * sizeof(list->packs[0]));
	memcpy(list->packs + old->count, scan->found, scan->count * sizeof(list->packs[0]));
	qsort(list->packs, list->count, sizeof(list->packs[0]), compare_packs);
	atomic_store(&store->packs, list);
	return 0;
}

static int scan_once(struct object_store *store, bool *ret_has_vanished)
{
	struct scan scan = {.known = atomic_load(&store->packs)};
	int r = 0;

	for (size_t i = 0; r == 0 && i < store->dir_count; i++)
		r = scan_dir(&scan, store->dirs[i]);
	if (r == 0 && scan.count)
		r = publish(store, &scan);
	for (size_t i = 0; r < 0 && i < scan.count; i++)
		held_pack_close(scan.found[i]);
	free(scan.found);
	*ret_has_vanished = scan.has_vanished;
	return r;
}

/* Holds what is new since `seen`. Returns whether there is anything. */
static int scan(struct object_store *store, const struct pack_list *seen, bool *ret_is_new)
{
	bool has_vanished = true;
	int r = 0;

	mutex_lock(&store->scan_lock);
	/* Another thread may have been here since the caller looked in vain. */
	for (int i = 0; i < SCAN_TRIES && r == 0 && has_vanished; i++)
		if (i > 0 || atomic_load(&store->packs) == seen)
			r = scan_once(store, &has_vanished);
		else
			break;
	*ret_is_new = atomic_load(&store->packs) != seen;
	mutex_unlock(&store->scan_lock);
	return r;
}

/* --- life --- */

void object_store_close(struct object_store *store)
{
	struct pack_list *list, *older;

	if (!store)
		return;
	list = atomic_load(&store->packs);
	for (size_t i = 0; list && i < list->count; i++)
		held_pack_close(list->packs[i]);
	for (; list; list = older) {
		older = list->older;
		free(list);
	}
	for (size_t i = 0; i < store->dir_count; i++) {
		if (store->loose[i])
			store->loose[i]->free(store->loose[i]);
		free(store->dirs[i]);
	}
	free(store->dirs);
	free(store->loose);
	mutex_destroy(&store->scan_lock);
	free(store);
}

static void cleanup_storep(struct object_store **store)
{
	object_store_close(*store);
}

static int add_directory(struct object_store *store, const char *path)
{
	size_t i = store->dir_count;

	store->dirs[i] = strdup(path);
	if (!store->dirs[i])
		return -ENOMEM;
	store->dir_count++;
	store->loose[i] = loose_backend_new(path);
	return store->loose[i] ? 0 : -ENOMEM;
}

static int add_directories(struct object_store *store, const char *const *object_dirs)
{
	size_t count = 0;
	int r = 0;

	while (object_dirs[count])
		count++;
	store->dirs = calloc(count + 1, sizeof(*store->dirs));
	store->loose = calloc(count + 1, sizeof(*store->loose));
	if (!store->dirs || !store->loose)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_directory(store, object_dirs[i]);
	return r;
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
	struct pack_list *none = calloc(1, sizeof(*none));
	bool is_new;
	int r;

	if (!store || !none) {
		free(none);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	mutex_init(&store->scan_lock);
	atomic_store(&store->packs, none);
	r = add_directories(store, object_dirs);
	if (r < 0)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	r = scan(store, none, &is_new);
	if (r < 0)
		return pack_error(err, -r);
	*ret_store = steal_ptr(&store);
	return 0;
}

/* --- reading --- */

/* One read of one object, tried on one backend after the other. */
struct request {
	const git_oid *id;
	git_object_t type;
	bool wants_size_only;
	uint64_t size;
	struct object_bytes bytes;
	bool is_broken; /* a backend has it, but not whole; `cause` says how */
	struct object_cause *cause;
};

static void blame(struct request *request, const char *what)
{
	char hex[GIT_OID_HEXSZ + 1];

	git_oid_tostr(hex, sizeof(hex), request->id);
	snprintf(request->cause->text, sizeof(request->cause->text), "object %s %s", hex, what);
}

static bool is_valid(struct request *request, git_object_t type)
{
	git_oid actual;

	if (request->type != GIT_OBJECT_ANY && type != request->type) {
		blame(request, "is of another type than its name says");
		return false;
	}
	if (request->wants_size_only)
		return true;
	if (git_odb_hash(&actual, request->bytes.data, request->bytes.size, type) < 0 ||
		!git_oid_equal(&actual, request->id)) {
		blame(request, "is corrupt: its content has another id");
		return false;
	}
	return true;
}

/* Whether this backend had it, and intact. */
static bool try_backend(struct request *request, git_odb_backend *backend)
{
	git_object_t type = GIT_OBJECT_INVALID;
	size_t size = 0;
	int r;

	if (request->wants_size_only)
		r = backend->read_header(&size, &type, backend, request->id);
	else
		r = backend->read(&request->bytes.data, &size, &type, backend, request->id);
	if (r == GIT_ENOTFOUND || r == GIT_PASSTHROUGH)
		return false;
	if (r < 0) {
		const git_error *error = git_error_last();
		char what[160];

		snprintf(what, sizeof(what), "cannot be read: %s",
			error ? error->message : "unknown error");
		blame(request, what);
		request->is_broken = true;
		return false;
	}
	request->size = request->bytes.size = size;
	request->bytes.type = type;
	request->bytes.backend = backend;
	if (is_valid(request, type))
		return true;
	request->is_broken = true;
	object_bytes_release(&request->bytes);
	return false;
}

static bool try_all(
	struct object_store *store, const struct pack_list *list, struct request *request)
{
	size_t hint = atomic_load_explicit(&store->last_found, memory_order_relaxed);

	/* Starts where something was found last, and goes round once. */
	for (size_t i = 0; i < list->count; i++) {
		size_t at = (hint + i) % list->count;
		git_odb_backend *backend = list->packs[at]->backend;

		if (!backend || !try_backend(request, backend))
			continue;
		if (at != hint)
			atomic_store_explicit(&store->last_found, at, memory_order_relaxed);
		return true;
	}
	for (size_t i = 0; i < store->dir_count; i++)
		if (try_backend(request, store->loose[i]))
			return true;
	return false;
}

static int serve(struct object_store *store, struct request *request)
{
	struct pack_list *seen = atomic_load(&store->packs);
	bool is_new = false;

	git_error_clear();
	if (try_all(store, seen, request))
		return 0;
	/* A gc may have moved it into a new pack, also between our two looks. */
	if (scan(store, seen, &is_new) < 0)
		log_warning("new packs cannot be held");
	if (try_all(store, atomic_load(&store->packs), request))
		return 0;
	if (!request->is_broken)
		blame(request, "missing");
	return -EIO;
}

int object_store_read(struct object_store *store, const git_oid *id, git_object_t type,
	struct object_bytes *ret_bytes, struct object_cause *ret_cause)
{
	struct request request = {.id = id, .type = type, .cause = ret_cause};
	int r = serve(store, &request);

	if (r == 0)
		*ret_bytes = request.bytes;
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

/* 0 to go on, GIT_EAMBIGUOUS. A backend that fails has nothing to offer. */
static int search_backend(struct prefix_search *search, git_odb_backend *backend)
{
	git_oid id;
	int r = backend->exists_prefix(&id, backend, search->prefix, search->length);

	if (r == GIT_EAMBIGUOUS)
		return r;
	if (r < 0)
		return 0;
	if (search->has_found && !git_oid_equal(&id, &search->found))
		return GIT_EAMBIGUOUS;
	search->found = id;
	search->has_found = true;
	return 0;
}

int object_store_find_prefix(
	struct object_store *store, const git_oid *prefix, size_t length, git_oid *ret_id)
{
	const struct pack_list *list = atomic_load(&store->packs);
	struct prefix_search search = {.prefix = prefix, .length = length};
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++)
		if (list->packs[i]->backend)
			r = search_backend(&search, list->packs[i]->backend);
	for (size_t i = 0; r == 0 && i < store->dir_count; i++)
		r = search_backend(&search, store->loose[i]);
	if (r < 0)
		return r;
	if (!search.has_found)
		return GIT_ENOTFOUND;
	*ret_id = search.found;
	return 0;
}
