/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/layer.h>

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "layer/layer-kind.h"

#define NAME_LENGTH_MAX 255

int layer_base_init(struct layer *layer, const struct layer_ops *ops,
	const struct layer_config *config, const char *choice)
{
	const char *name = config->name ? config->name : choice;
	int n;

	if (name)
		n = asprintf(&layer->name, "%s layer %u (%s)", ops->kind, config->index, name);
	else
		n = asprintf(&layer->name, "%s layer %u", ops->kind, config->index);
	if (n < 0) {
		layer->name = NULL;
		return -ENOMEM;
	}
	layer->ops = ops;
	layer->index = config->index;
	layer->ids = config->ids;
	return 0;
}

void layer_base_release(struct layer *layer)
{
	free(layer->name);
	layer->name = NULL;
}

/* --- dispatch --- */

static const char *result_name(ssize_t result)
{
	return result < 0 ? error_name((int)-result) : "ok";
}

/* `node` is printed as it is: what it means only its layer knows. */
static void trace(const struct layer *layer, const char *operation, layer_node_t node,
	const char *name, ssize_t result)
{
	log_debug("%s: %s node %#" PRIx64 "%s%s: %s", layer->name, operation, node, name ? " " : "",
		name ? name : "", result_name(result));
}

static int check_name(const char *name)
{
	size_t length = strlen(name);

	if (length > NAME_LENGTH_MAX)
		return -ENAMETOOLONG;
	if (length == 0 || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return 0;
}

layer_node_t layer_root(struct layer *layer)
{
	return layer->ops->root(layer);
}

int layer_lookup(struct layer *layer, layer_node_t parent, const char *name, layer_node_t *ret_node)
{
	int r = check_name(name);

	if (!r)
		r = layer->ops->lookup(layer, parent, name, ret_node);
	trace(layer, "lookup", parent, name, r);
	return r;
}

static int lookup_then_attributes(struct layer *layer, layer_node_t parent, const char *name,
	layer_node_t *ret_node, struct stat *ret_st)
{
	layer_node_t node;
	int r = layer->ops->lookup(layer, parent, name, &node);

	if (r < 0)
		return r;
	r = layer->ops->getattr_with_mapping(layer, node, ID_VIEW_CONTAINER, ret_st);
	if (r < 0)
		layer->ops->forget(layer, node, 1);
	else
		*ret_node = node;
	return r;
}

int layer_lookup_attributes(struct layer *layer, layer_node_t parent, const char *name,
	layer_node_t *ret_node, struct stat *ret_st)
{
	int r = check_name(name);

	if (!r)
		r = layer->ops->shortcuts.lookup_attributes
			    ? layer->ops->shortcuts.lookup_attributes(
				      layer, parent, name, ret_node, ret_st)
			    : lookup_then_attributes(layer, parent, name, ret_node, ret_st);
	trace(layer, "lookup with attributes", parent, name, r);
	return r;
}

void layer_forget(struct layer *layer, layer_node_t node, uint64_t count)
{
	if (count == 0)
		return;
	trace(layer, "forget", node, NULL, 0);
	layer->ops->forget(layer, node, count);
}

static int identify_by_attributes(
	struct layer *layer, layer_node_t node, struct layer_identity *ret_identity)
{
	struct stat st;
	int r = layer->ops->getattr_with_mapping(layer, node, ID_VIEW_STORAGE, &st);

	if (r == 0)
		*ret_identity =
			(struct layer_identity){st.st_mode & S_IFMT, st.st_ino, st.st_nlink};
	return r;
}

int layer_identify(struct layer *layer, layer_node_t node, struct layer_identity *ret_identity)
{
	int r = layer->ops->shortcuts.identify
			? layer->ops->shortcuts.identify(layer, node, ret_identity)
			: identify_by_attributes(layer, node, ret_identity);

	trace(layer, "identify", node, NULL, r);
	return r;
}

static int count_one(void *ctx, const char *name, mode_t type, uint64_t ino, uint64_t next)
{
	*(uint32_t *)ctx += S_ISDIR(type);
	return 0;
}

static int count_by_listing(struct layer *layer, layer_node_t dir, uint32_t *ret_count)
{
	uint32_t count = 0;
	int r = layer->ops->readdir(layer, dir, 0, count_one, &count);

	if (r == 0)
		*ret_count = count;
	return r;
}

int layer_count_directories(struct layer *layer, layer_node_t dir, uint32_t *ret_count)
{
	int r = layer->ops->shortcuts.count_directories
			? layer->ops->shortcuts.count_directories(layer, dir, ret_count)
			: count_by_listing(layer, dir, ret_count);

	trace(layer, "count", dir, NULL, r);
	return r;
}

int layer_readdir(
	struct layer *layer, layer_node_t dir, uint64_t offset, layer_emit_fn emit, void *ctx)
{
	int r = layer->ops->readdir(layer, dir, offset, emit, ctx);

	trace(layer, "readdir", dir, NULL, r);
	return r;
}

int layer_getattr_with_mapping(
	struct layer *layer, layer_node_t node, enum id_view view, struct stat *ret_st)
{
	int r = layer->ops->getattr_with_mapping(layer, node, view, ret_st);

	trace(layer, "getattr", node, view == ID_VIEW_STORAGE ? "(storage)" : NULL, r);
	return r;
}

ssize_t layer_readlink(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	ssize_t r = layer->ops->readlink(layer, node, buf, size);

	trace(layer, "readlink", node, NULL, r);
	return r;
}

int layer_open_file(struct layer *layer, layer_node_t node, struct layer_file *ret_file)
{
	int r = layer->ops->open_file(layer, node, ret_file);

	trace(layer, "open", node, NULL, r);
	/* A kind that sets both, or neither, would be read wrongly later. */
	assert(r < 0 || (ret_file->fd >= 0) != (ret_file->data != NULL));
	return r;
}

int layer_write_file(struct layer *layer, layer_node_t node, uint64_t size, int fd)
{
	int r;

	if (!layer->ops->shortcuts.write_file)
		return -EOPNOTSUPP;
	r = layer->ops->shortcuts.write_file(layer, node, size, fd);
	trace(layer, "write", node, NULL, r);
	return r;
}

ssize_t layer_getxattr(
	struct layer *layer, layer_node_t node, const char *name, void *buf, size_t size)
{
	ssize_t r = *name ? layer->ops->getxattr(layer, node, name, buf, size) : -EINVAL;

	trace(layer, "getxattr", node, name, r);
	return r;
}

ssize_t layer_listxattr(struct layer *layer, layer_node_t node, char *buf, size_t size)
{
	ssize_t r = layer->ops->listxattr(layer, node, buf, size);

	trace(layer, "listxattr", node, NULL, r);
	return r;
}

int layer_get_traits(
	struct layer *layer, layer_node_t node, bool all_flags, struct layer_traits *ret_traits)
{
	int r;

	/* Nothing is asked: an object that is broken has no flags either, and can be removed. */
	if (!layer->ops->get_traits) {
		*ret_traits = (struct layer_traits){.btime_is_mtime = true};
		return 0;
	}
	r = layer->ops->get_traits(layer, node, all_flags, ret_traits);
	trace(layer, "traits", node, NULL, r);
	return r;
}

int layer_statfs(struct layer *layer, struct statvfs *ret_st)
{
	int r = layer->ops->statfs(layer, ret_st);

	trace(layer, "statfs", 0, NULL, r);
	return r;
}

void layer_close(struct layer *layer)
{
	if (!layer)
		return;
	log_debug("%s: close", layer->name);
	layer->ops->close(layer);
}

/* --- what kinds and callers share --- */

/* As read(2) does: what was read before an error counts. */
static ssize_t pread_most(int fd, void *buf, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buf + done, size - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return done ? (ssize_t)done : -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

ssize_t layer_file_pread(const struct layer_file *file, void *buf, size_t size, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	if (file->fd >= 0)
		return pread_most(file->fd, buf, size, offset);
	if ((uint64_t)offset >= file->size)
		return 0;
	if (size > file->size - (uint64_t)offset)
		size = file->size - (uint64_t)offset;
	memcpy(buf, (const char *)file->data + offset, size);
	return (ssize_t)size;
}

void layer_file_release(struct layer_file *file)
{
	void (*release)(struct layer_file *) = file->release;

	file->release = NULL;
	if (release)
		release(file);
	file->fd = -1;
	file->data = NULL;
	file->size = 0;
}

void layer_file_set_empty(struct layer_file *file)
{
	*file = (struct layer_file){.fd = -1, .data = ""};
}

ssize_t layer_copy_value(const void *value, size_t length, void *buf, size_t size)
{
	if (size == 0)
		return (ssize_t)length;
	if (size < length)
		return -ERANGE;
	memcpy(buf, value, length);
	return (ssize_t)length;
}

void layer_map_ids(const struct layer *layer, enum id_view view, uint32_t storage_uid,
	uint32_t storage_gid, struct stat *st)
{
	if (view == ID_VIEW_STORAGE) {
		st->st_uid = storage_uid;
		st->st_gid = storage_gid;
		return;
	}
	st->st_uid = idmap_to_container(layer->ids, IDMAP_UID, storage_uid);
	st->st_gid = idmap_to_container(layer->ids, IDMAP_GID, storage_gid);
}

void layer_log_failure(
	const struct layer *layer, const char *operation, const char *path, const char *format, ...)
{
	char cause[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(cause, sizeof(cause), format, ap);
	va_end(ap);
	log_error("%s: %s '%s': %s", layer->name, operation, path, cause);
}
