/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git2/sys/odb_backend.h>

#include "util/cleanup.h"

/*
 * The parts of an index that are read here, gitformat-pack(5): in version 2 a
 * header of 8 bytes, 256 counts, then the ids; in version 1 256 counts, then
 * offsets of 4 bytes with an id each.
 */
#define INDEX_MAGIC  "\377tOc"
#define INDEX_HEADER 8
#define INDEX_FANOUT 1024
#define INDEX_SUFFIX ".idx"
#define PACK_SUFFIX  ".pack"

/* 1 and the first id in the index; 0 where it has none. */
static int read_first_id(int fd, git_oid *ret_id)
{
	off_t fanout = INDEX_HEADER, first = INDEX_HEADER + INDEX_FANOUT;
	uint8_t magic[4], count[4], id[GIT_OID_RAWSZ];

	if (pread(fd, magic, sizeof(magic), 0) != sizeof(magic))
		return -EINVAL;
	if (memcmp(magic, INDEX_MAGIC, sizeof(magic)) != 0) {
		fanout = 0;
		first = INDEX_FANOUT + 4;
	}
	if (pread(fd, count, sizeof(count), fanout + INDEX_FANOUT - 4) != sizeof(count))
		return -EINVAL;
	if (!memcmp(count, "\0\0\0\0", sizeof(count)))
		return 0;
	if (pread(fd, id, sizeof(id), first) != sizeof(id))
		return -EINVAL;
	git_oid_fromraw(ret_id, id);
	return 1;
}

/* "pack-x.pack" for "pack-x.idx". */
static char *path_of_pack(const char *index_path)
{
	size_t stem = strlen(index_path) - strlen(INDEX_SUFFIX);
	char *path = malloc(stem + sizeof(PACK_SUFFIX));

	if (path) {
		memcpy(path, index_path, stem);
		memcpy(path + stem, PACK_SUFFIX, sizeof(PACK_SUFFIX));
	}
	return path;
}

/* Whether both files can be opened: libgit2 would not say why one cannot. */
static int probe(const char *index_path, int *ret_index_fd)
{
	_cleanup_free_ char *pack_path = path_of_pack(index_path);
	_cleanup_close_ int index_fd = -1, pack_fd = -1;

	if (!pack_path)
		return -ENOMEM;
	index_fd = open(index_path, O_RDONLY | O_CLOEXEC);
	if (index_fd < 0)
		return -errno;
	pack_fd = open(pack_path, O_RDONLY | O_CLOEXEC);
	if (pack_fd < 0)
		return -errno;
	*ret_index_fd = steal_fd(&index_fd);
	return 0;
}

static void say(struct object_cause *cause, const char *path, const char *what)
{
	snprintf(cause->text, sizeof(cause->text), "pack %s: %s", strrchr(path, '/') + 1, what);
}

static const char *library_message(void)
{
	const git_error *error = git_error_last();

	return error ? error->message : "cannot be read";
}

/* A look-up of an id that is in the index makes libgit2 open both files for good. */
static void hold(struct held_pack *pack, const git_oid *first, struct object_cause *cause)
{
	git_odb_backend *backend;

	if (git_odb_backend_one_pack(&backend, pack->index_path) < 0) {
		say(cause, pack->index_path, library_message());
		return;
	}
	if (!backend->exists(backend, first)) {
		say(cause, pack->index_path, library_message());
		backend->free(backend);
		return;
	}
	pack->backend = backend;
}

int held_pack_open(
	const char *index_path, struct held_pack **ret_pack, struct object_cause *ret_cause)
{
	_cleanup_close_ int index_fd = -1;
	struct held_pack *pack;
	git_oid first;
	int r;

	ret_cause->text[0] = '\0';
	r = probe(index_path, &index_fd);
	if (r == -ENOENT || r == -EMFILE || r == -ENFILE || r == -ENOMEM)
		return r;
	pack = calloc(1, sizeof(*pack));
	if (pack)
		pack->index_path = strdup(index_path);
	if (!pack || !pack->index_path) {
		held_pack_close(pack);
		return -ENOMEM;
	}
	if (r < 0) {
		say(ret_cause, index_path, strerror(-r));
	} else {
		r = read_first_id(index_fd, &first);
		if (r > 0)
			hold(pack, &first, ret_cause);
		else if (r < 0)
			say(ret_cause, index_path, "its index is cut off");
	}
	*ret_pack = pack;
	return 0;
}

void held_pack_close(struct held_pack *pack)
{
	if (!pack)
		return;
	if (pack->backend)
		pack->backend->free(pack->backend);
	free(pack->index_path);
	free(pack);
}
