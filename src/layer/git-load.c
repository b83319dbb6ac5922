/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "util/cleanup.h"
#include "util/fdcache.h"
#include "util/fully.h"

static void explain(struct object_cause *cause, const git_oid *id, const char *what)
{
	char hex[GIT_OID_HEXSZ + 1];

	id_to_hex(id, hex);
	snprintf(cause->text, sizeof(cause->text), "object %s: %s", hex, what);
}

static void keep_in_memory(struct object_bytes *bytes, struct object_content *content)
{
	content->data = steal_ptr(&bytes->data);
	content->size = bytes->size;
	content->fd = -1;
	content->is_held = bytes->is_held;
}

/* The tree without entries: every git has it, whether or not it is in the repository. */
static bool is_empty_tree(const git_oid *id)
{
	git_oid empty;

	return id_from_hex("4b825dc642cb6eb9a060e54bf8d69288fbee4904", &empty) &&
	       id_equal(id, &empty);
}

static void warn_of_omissions(
	const struct layer *layer, const git_oid *id, const struct tree_view *view)
{
	char hex[GIT_OID_HEXSZ + 1];

	if (!view->impossible_count && !view->duplicate_count && !view->unknown_count)
		return;
	id_to_hex(id, hex);
	log_warning("%s: tree %s: %u impossible names, %u duplicates and %u entries of an unknown "
		    "type are not shown",
		layer->name, hex, view->impossible_count, view->duplicate_count,
		view->unknown_count);
}

int load_tree(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause)
{
	const struct object_loader *loader = arg;
	struct object_content content = {.fd = -1};
	struct object_bytes bytes = {0};
	const char *fault;
	int r = 0;

	if (is_empty_tree(id))
		bytes.data = calloc(1, 1);
	else
		r = object_store_read(loader->store, id, GIT_OBJECT_TREE, &bytes, ret_cause);
	if (r < 0)
		return r;
	r = bytes.data ? tree_view_parse(bytes.data, bytes.size, &content.tree, &fault) : -ENOMEM;
	if (r == 0) {
		keep_in_memory(&bytes, &content);
		content.sizes = calloc(content.tree.count + 1, sizeof(*content.sizes));
	} else {
		explain(ret_cause, id, r == -EINVAL ? fault : strerror(-r));
		object_bytes_release(&bytes);
		return r == -EINVAL ? -EIO : r;
	}
	warn_of_omissions(loader->layer, id, &content.tree);
	*ret_content = content;
	return 0;
}

int load_size(const struct object_loader *loader, const struct cached_object *tree, uint32_t index,
	uint64_t *ret_size, struct object_cause *ret_cause)
{
	const struct object_content *content = cached_object_content(tree);
	_Atomic(uint32_t) *known = content->sizes ? &content->sizes[index] : NULL;
	uint32_t size = known ? atomic_load_explicit(known, memory_order_relaxed) : 0;
	struct tree_entry entry;
	git_oid id;
	int r;

	if (size > 0) {
		*ret_size = size - 1;
		return 0;
	}
	entry = tree_view_entry(&content->tree, index);
	id = git_entry_id(&entry);
	r = object_store_read_size(loader->store, &id, GIT_OBJECT_BLOB, ret_size, ret_cause);
	if (r == 0 && known && *ret_size < UINT32_MAX)
		atomic_store_explicit(known, (uint32_t)*ret_size + 1, memory_order_relaxed);
	return r;
}

int load_check_size(uint64_t told, uint64_t size, struct object_cause *ret_cause)
{
	if (size == told)
		return 0;
	snprintf(ret_cause->text, sizeof(ret_cause->text),
		"one copy of its object is damaged: it claims %" PRIu64 " bytes and has %" PRIu64,
		told, size);
	return -EIO;
}

static int try_open_scratch(int dir_fd)
{
	int fd = -1;

	if (dir_fd >= 0)
		fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	/* Not every file system has O_TMPFILE, and a full one may have no inode left. */
	if (fd < 0)
		fd = memfd_create("git-overlayfs-blob", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_scratch(int dir_fd)
{
	int fd = try_open_scratch(dir_fd);

	return fd < 0 && fdcache_make_room(-fd) ? try_open_scratch(dir_fd) : fd;
}

/* The same file, for reading only: nobody we hand it to can change it. */
static int reopen_read_only(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int write_scratch(int dir_fd, const struct object_bytes *bytes, int *ret_fd)
{
	_cleanup_close_ int fd = open_scratch(dir_fd);
	int r = fd < 0 ? fd : write_fully(fd, bytes->data, bytes->size);

	if (r < 0)
		return r;
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* The upper may be full; to read a file is no reason to say so. */
static bool must_go_to_memory(const struct object_loader *loader, int r)
{
	return (r == -ENOSPC || r == -EDQUOT) && loader->scratch_fd >= 0;
}

/* Takes the descriptor over. */
static void keep_file(int fd, uint64_t size, bool is_held, struct object_content *content)
{
	int read_only = reopen_read_only(fd);

	if (read_only >= 0)
		close_keep_errno(fd);
	content->fd = read_only >= 0 ? read_only : fd;
	content->size = size;
	content->is_held = is_held;
}

static int keep_in_file(const struct object_loader *loader, const struct object_bytes *bytes,
	struct object_content *content)
{
	int fd, r = write_scratch(loader->scratch_fd, bytes, &fd);

	if (must_go_to_memory(loader, r))
		r = write_scratch(-1, bytes, &fd);
	if (r < 0)
		return r;
	keep_file(fd, bytes->size, bytes->is_held, content);
	return 0;
}

static int load_content(const struct object_loader *loader, const git_oid *id,
	struct object_content *ret_content, struct object_cause *ret_cause)
{
	struct object_bytes bytes;
	int r = object_store_read_small(loader->store, id, &bytes, ret_cause);

	if (r < 0)
		return r;
	if (bytes.size <= CONTENT_IN_MEMORY_MAX)
		keep_in_memory(&bytes, ret_content);
	else
		r = keep_in_file(loader, &bytes, ret_content);
	if (r < 0)
		explain(ret_cause, id, strerror(-r));
	object_bytes_release(&bytes);
	return r;
}

/* A large blob's file, written while it is inflated. */
struct scratch {
	struct object_sink sink;
	int dir_fd, fd;
	uint64_t size;
};

static int scratch_begin(struct object_sink *sink, git_object_t type, uint64_t size)
{
	struct scratch *scratch = (struct scratch *)sink;

	close_keep_errno(steal_fd(&scratch->fd));
	scratch->size = size;
	scratch->fd = open_scratch(scratch->dir_fd);
	return scratch->fd < 0 ? scratch->fd : 0;
}

static int scratch_take(struct object_sink *sink, const void *data, size_t size)
{
	return write_fully(((struct scratch *)sink)->fd, data, size);
}

static int load_large(const struct object_loader *loader, const git_oid *id,
	struct object_content *ret_content, struct object_cause *ret_cause)
{
	struct scratch scratch = {
		.sink = {scratch_begin, scratch_take}, .dir_fd = loader->scratch_fd, .fd = -1};
	bool is_held;
	int r = object_store_pour(
		loader->store, id, GIT_OBJECT_BLOB, &scratch.sink, &is_held, ret_cause);

	if (must_go_to_memory(loader, r)) {
		scratch.dir_fd = -1;
		r = object_store_pour(
			loader->store, id, GIT_OBJECT_BLOB, &scratch.sink, &is_held, ret_cause);
	}
	if (r < 0) {
		close_keep_errno(scratch.fd);
		return r;
	}
	keep_file(scratch.fd, scratch.size, is_held, ret_content);
	return 0;
}

int load_blob(void *arg, const git_oid *id, struct object_content *ret_content,
	struct object_cause *ret_cause)
{
	const struct object_loader *loader = arg;
	uint64_t size;
	int r = object_store_read_size(loader->store, id, GIT_OBJECT_BLOB, &size, ret_cause);

	if (r < 0)
		return r;
	/* Nobody has verified the size yet. */
	r = size <= OBJECT_SMALL_MAX ? load_content(loader, id, ret_content, ret_cause) : -EFBIG;
	return r == -EFBIG ? load_large(loader, id, ret_content, ret_cause) : r;
}

/* Somebody's file, which may have what another place had of the object. */
struct target {
	struct object_sink sink;
	int fd, failure;
	uint64_t told;
	struct object_cause *cause;
};

/* At its whole length: a file system that guesses how far it will grow would take too much room. */
static int target_begin(struct object_sink *sink, git_object_t type, uint64_t size)
{
	struct target *target = (struct target *)sink;
	int r = load_check_size(target->told, size, target->cause);

	if (r < 0)
		return r;
	if (ftruncate(target->fd, 0) < 0 || ftruncate(target->fd, (off_t)size) < 0 ||
		lseek(target->fd, 0, SEEK_SET) < 0)
		target->failure = -errno;
	return target->failure;
}

static int target_take(struct object_sink *sink, const void *data, size_t size)
{
	struct target *target = (struct target *)sink;

	target->failure = write_fully(target->fd, data, size);
	return target->failure;
}

int load_into_file(const struct object_loader *loader, const git_oid *id, uint64_t size, int fd,
	struct object_cause *ret_cause)
{
	struct object_cause cause = {""}, damage = {""};
	struct target target = {
		.sink = {target_begin, target_take}, .fd = fd, .told = size, .cause = &damage};
	bool is_held;
	int r = object_store_pour(
		loader->store, id, GIT_OBJECT_BLOB, &target.sink, &is_held, &cause);

	if (target.failure == 0)
		*ret_cause = damage.text[0] ? damage : cause;
	return r;
}
