/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-loose.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "util/cleanup.h"
#include "util/fdcache.h"

/* "commit ", 20 digits and a NUL, with room. */
#define HEADER_MAX 64
/* deflate makes nothing smaller than a 1032nd part of it (zlib's technical notes). */
#define INFLATE_FACTOR_MAX 1032
#define INPUT_SIZE	   16384

struct loose_backend {
	git_odb_backend base;
	char *dir; /* immutable */
};

static int corrupt(const char *what)
{
	git_error_set_str(GIT_ERROR_ODB, what);
	return GIT_ERROR;
}

static int not_found(void)
{
	git_error_set_str(GIT_ERROR_ODB, "no such loose object");
	return GIT_ENOTFOUND;
}

/* --- one file --- */

struct loose_file {
	int fd;
	uint64_t file_size;
	z_stream stream;
	bool is_at_end;
	unsigned char input[INPUT_SIZE];
	/* What was inflated with the header. */
	unsigned char head[HEADER_MAX];
	size_t head_length, content_start;
	git_object_t type;
	uint64_t size;
};

static void loose_close(struct loose_file *file)
{
	inflateEnd(&file->stream);
	close_keep_errno(file->fd);
}

/* Inflates until `size` bytes are there or the stream ends. GIT_ERROR where it is broken. */
static int inflate_some(struct loose_file *file, void *out, size_t size, size_t *ret_done)
{
	z_stream *stream = &file->stream;
	int r = Z_OK;

	stream->next_out = out;
	while (r == Z_OK && !file->is_at_end) {
		/* zlib counts in unsigned ints. */
		size_t done = (size_t)(stream->next_out - (unsigned char *)out);
		size_t left = size - done;

		if (left == 0)
			break;
		if (stream->avail_in == 0) {
			ssize_t n = read(file->fd, file->input, sizeof(file->input));

			if (n < 0)
				return corrupt(strerror(errno));
			if (n == 0)
				return corrupt("the loose object is cut off");
			stream->next_in = file->input;
			stream->avail_in = (unsigned)n;
		}
		stream->avail_out = left < (1u << 30) ? (unsigned)left : 1u << 30;
		r = inflate(stream, Z_NO_FLUSH);
	}
	if (r != Z_OK && r != Z_STREAM_END)
		return corrupt("the loose object cannot be inflated");
	file->is_at_end |= r == Z_STREAM_END;
	*ret_done = (size_t)(stream->next_out - (unsigned char *)out);
	return 0;
}

static int parse_header(struct loose_file *file)
{
	const char *head = (const char *)file->head;
	const char *end = memchr(head, '\0', file->head_length);
	const char *space = end ? strchr(head, ' ') : NULL;
	char type[16], *digits_end;

	if (!space || space == head || (size_t)(space - head) >= sizeof(type) || space[1] < '0' ||
		space[1] > '9')
		return corrupt("the loose object has no header");
	memcpy(type, head, (size_t)(space - head));
	type[space - head] = '\0';
	errno = 0;
	file->size = strtoull(space + 1, &digits_end, 10);
	file->type = git_object_string2type(type);
	if (errno || digits_end != end || file->type == GIT_OBJECT_INVALID)
		return corrupt("the loose object has a broken header");
	if (file->size / INFLATE_FACTOR_MAX > file->file_size)
		return corrupt("the loose object claims more than its file can hold");
	file->content_start = (size_t)(end + 1 - head);
	return 0;
}

static int open_file(const struct loose_backend *self, const git_oid *id, struct loose_file *file)
{
	char hex[GIT_OID_HEXSZ + 1];
	_cleanup_free_ char *path = NULL;
	bool has_made_room = false;
	struct stat st;

	git_oid_tostr(hex, sizeof(hex), id);
	if (asprintf(&path, "%s/%.2s/%s", self->dir, hex, hex + 2) < 0) {
		path = NULL;
		return corrupt("out of memory");
	}
	do
		file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (file->fd < 0 && !has_made_room && (has_made_room = fdcache_make_room(errno)));
	if (file->fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? not_found() : corrupt(strerror(errno));
	if (fstat(file->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(file->fd);
		return corrupt("the loose object is no file");
	}
	file->file_size = (uint64_t)st.st_size;
	return 0;
}

/* Opens the object and reads its header. The caller ends it with loose_close(). */
static int loose_open(const struct loose_backend *self, const git_oid *id, struct loose_file *file)
{
	int r;

	memset(file, 0, offsetof(struct loose_file, input));
	r = open_file(self, id, file);
	if (r < 0)
		return r;
	if (inflateInit(&file->stream) != Z_OK) {
		close(file->fd);
		return corrupt("zlib cannot be initialised");
	}
	r = inflate_some(file, file->head, sizeof(file->head), &file->head_length);
	if (r == 0)
		r = parse_header(file);
	if (r < 0)
		loose_close(file);
	return r;
}

/* The whole content; `out` has room for file->size + 1 bytes. */
static int read_content(struct loose_file *file, char *out)
{
	size_t ready = file->head_length - file->content_start, more = 0;
	int r;

	if (ready > file->size)
		return corrupt("the loose object is longer than its header says");
	memcpy(out, file->head + file->content_start, ready);
	/* One byte more than there should be, to see the end of the stream. */
	r = inflate_some(file, out + ready, file->size + 1 - ready, &more);
	if (r < 0)
		return r;
	if (ready + more != file->size)
		return corrupt("the loose object has another length than its header says");
	out[file->size] = '\0';
	return 0;
}

/* --- the backend --- */

static int backend_read(void **ret_data, size_t *ret_size, git_object_t *ret_type,
	git_odb_backend *backend, const git_oid *id)
{
	struct loose_file file;
	char *data;
	int r = loose_open((struct loose_backend *)backend, id, &file);

	if (r < 0)
		return r;
	data = git_odb_backend_data_alloc(backend, file.size + 1);
	r = data ? read_content(&file, data) : corrupt("out of memory");
	loose_close(&file);
	if (r < 0) {
		git_odb_backend_data_free(backend, data);
		return r;
	}
	*ret_data = data;
	*ret_size = file.size;
	*ret_type = file.type;
	return 0;
}

static int backend_read_header(
	size_t *ret_size, git_object_t *ret_type, git_odb_backend *backend, const git_oid *id)
{
	struct loose_file file;
	int r = loose_open((struct loose_backend *)backend, id, &file);

	if (r < 0)
		return r;
	*ret_size = file.size;
	*ret_type = file.type;
	loose_close(&file);
	return 0;
}

static int backend_exists(git_odb_backend *backend, const git_oid *id)
{
	struct loose_file file = {.fd = -1};
	int r = open_file((struct loose_backend *)backend, id, &file);

	if (r == 0)
		close(file.fd);
	return r == 0;
}

/* Looks through the one directory that objects of this prefix (two digits or more) lie in. */
static int backend_exists_prefix(
	git_oid *ret_id, git_odb_backend *backend, const git_oid *prefix, size_t length)
{
	char hex[GIT_OID_HEXSZ + 1], found[GIT_OID_HEXSZ + 1] = "";
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;

	git_oid_tostr(hex, sizeof(hex), prefix);
	if (length < 2 ||
		asprintf(&path, "%s/%.2s", ((struct loose_backend *)backend)->dir, hex) < 0) {
		path = NULL;
		return not_found();
	}
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (strlen(entry->d_name) != GIT_OID_HEXSZ - 2 ||
			strncmp(entry->d_name, hex + 2, length - 2) != 0)
			continue;
		if (*found) {
			git_error_set_str(GIT_ERROR_ODB, "several loose objects");
			return GIT_EAMBIGUOUS;
		}
		snprintf(found, sizeof(found), "%.2s%.38s", hex, entry->d_name);
	}
	return *found && git_oid_fromstr(ret_id, found) == 0 ? 0 : not_found();
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

static void backend_free(git_odb_backend *backend)
{
	struct loose_backend *self = (struct loose_backend *)backend;

	free(self->dir);
	free(self);
}

git_odb_backend *loose_backend_new(const char *objects_dir)
{
	struct loose_backend *self = calloc(1, sizeof(*self));

	if (!self)
		return NULL;
	self->dir = strdup(objects_dir);
	if (!self->dir || git_odb_init_backend(&self->base, GIT_ODB_BACKEND_VERSION) < 0) {
		backend_free(&self->base);
		return NULL;
	}
	self->base.read = backend_read;
	self->base.read_header = backend_read_header;
	self->base.read_prefix = backend_read_prefix;
	self->base.exists = backend_exists;
	self->base.exists_prefix = backend_exists_prefix;
	self->base.free = backend_free;
	return &self->base;
}
