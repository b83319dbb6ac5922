/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-odb.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct store_backend {
	git_odb_backend base;
	struct object_store *store; /* borrowed */
};

static struct object_store *store_of(git_odb_backend *backend)
{
	return ((struct store_backend *)backend)->store;
}

static int missing(const struct object_cause *cause)
{
	git_library()->error_set_str(GIT_ERROR_ODB, cause->text);
	return GIT_ENOTFOUND;
}

static int backend_read(void **ret_data, size_t *ret_size, git_object_t *ret_type,
	git_odb_backend *backend, const git_oid *id)
{
	_cleanup_(object_bytes_release) struct object_bytes bytes = {0};
	struct object_cause cause;
	void *data;

	if (object_store_read(store_of(backend), id, GIT_OBJECT_ANY, &bytes, &cause) < 0)
		return missing(&cause);
	data = git_library()->odb_backend_data_alloc(backend, bytes.size + 1);
	if (!data)
		return GIT_ERROR;
	memcpy(data, bytes.data, bytes.size + 1);
	*ret_data = data;
	*ret_size = bytes.size;
	*ret_type = bytes.type;
	return 0;
}

static int backend_exists_prefix(
	git_oid *ret_id, git_odb_backend *backend, const git_oid *prefix, size_t length)
{
	return object_store_find_prefix(store_of(backend), prefix, length, ret_id);
}

static int backend_read_prefix(git_oid *ret_id, void **ret_data, size_t *ret_size,
	git_object_t *ret_type, git_odb_backend *backend, const git_oid *prefix, size_t length)
{
	git_oid id;
	int r = backend_exists_prefix(&id, backend, prefix, length);

	if (r == 0)
		r = backend_read(ret_data, ret_size, ret_type, backend, &id);
	if (r == 0)
		*ret_id = id;
	return r;
}

static int backend_read_header(
	size_t *ret_size, git_object_t *ret_type, git_odb_backend *backend, const git_oid *id)
{
	void *data;
	int r = backend_read(&data, ret_size, ret_type, backend, id);

	if (r == 0)
		git_library()->odb_backend_data_free(backend, data);
	return r;
}

static int backend_exists(git_odb_backend *backend, const git_oid *id)
{
	struct object_cause cause;
	uint64_t size;

	return object_store_read_size(store_of(backend), id, GIT_OBJECT_ANY, &size, &cause) == 0;
}

static void backend_free(git_odb_backend *backend)
{
	free(backend);
}

git_odb *store_odb_new(struct object_store *store)
{
	struct store_backend *self = calloc(1, sizeof(*self));
	git_odb *odb = NULL;

	if (!self)
		return NULL;
	git_library()->odb_init_backend(&self->base, GIT_ODB_BACKEND_VERSION);
	self->base.read = backend_read;
	self->base.read_header = backend_read_header;
	self->base.read_prefix = backend_read_prefix;
	self->base.exists = backend_exists;
	self->base.exists_prefix = backend_exists_prefix;
	self->base.free = backend_free;
	self->store = store;
	if (git_library()->odb_new(&odb) < 0 ||
		git_library()->odb_add_backend(odb, &self->base, 1) < 0) {
		if (odb)
			git_library()->odb_free(odb);
		free(self);
		return NULL;
	}
	return odb;
}
