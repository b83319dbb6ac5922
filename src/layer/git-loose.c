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

struct loose_file {
	const char *fault; /* what is wrong with it */
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

static int corrupt(struct loose_file *file, const char *what)
{
	file->fault = what;
	return -EIO;
}

static void loose_close(struct loose_file *file)
{
	inflateEnd(&file->stream);
	close_keep_errno(file->fd);
}

/* Inflates until `size` bytes are there or the stream ends. */
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
				return corrupt(file, strerror(errno));
			if (n == 0)
				return corrupt(file, "the loose object is cut off");
			stream->next_in = file->input;
			stream->avail_in = (unsigned)n;
		}
		stream->avail_out = left < (1u << 30) ? (unsigned)left : 1u << 30;
		r = inflate(stream, Z_NO_FLUSH);
	}
	if (r != Z_OK && r != Z_STREAM_END)
		return corrupt(file, "the loose object cannot be inflated");
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
		return corrupt(file, "the loose object has no header");
	memcpy(type, head, (size_t)(space - head));
	type[space - head] = '\0';
	errno = 0;
	file->size = strtoull(space + 1, &digits_end, 10);
	file->type = object_type_from_name(type);
	if (errno || digits_end != end || file->type == GIT_OBJECT_INVALID)
		return corrupt(file, "the loose object has a broken header");
	if (file->size / INFLATE_FACTOR_MAX > file->file_size)
		return corrupt(file, "the loose object claims more than its file can hold");
	file->content_start = (size_t)(end + 1 - head);
	return 0;
}

/* 1, 0 where there is none, or -errno. */
static int open_file(const char *objects_dir, const git_oid *id, struct loose_file *file)
{
	char hex[GIT_OID_HEXSZ + 1];
	_cleanup_free_ char *path = NULL;
	bool has_made_room = false;
	struct stat st;

	id_to_hex(id, hex);
	if (asprintf(&path, "%s/%.2s/%s", objects_dir, hex, hex + 2) < 0) {
		path = NULL;
		return corrupt(file, "out of memory");
	}
	do
		file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (file->fd < 0 && !has_made_room && (has_made_room = fdcache_make_room(errno)));
	if (file->fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : corrupt(file, strerror(errno));
	if (fstat(file->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(file->fd);
		return corrupt(file, "the loose object is no file");
	}
	file->file_size = (uint64_t)st.st_size;
	return 1;
}

/* Opens the object and reads its header: 1, and the caller ends it with loose_close(). */
static int loose_open(const char *objects_dir, const git_oid *id, struct loose_file *file)
{
	int r;

	memset(file, 0, offsetof(struct loose_file, input));
	r = open_file(objects_dir, id, file);
	if (r <= 0)
		return r;
	if (inflateInit(&file->stream) != Z_OK) {
		close(file->fd);
		return corrupt(file, "zlib cannot be initialised");
	}
	r = inflate_some(file, file->head, sizeof(file->head), &file->head_length);
	if (r == 0)
		r = parse_header(file);
	if (r < 0)
		loose_close(file);
	return r < 0 ? r : 1;
}

/* The whole content; `out` has room for file->size + 1 bytes. */
static int read_content(struct loose_file *file, char *out)
{
	size_t ready = file->head_length - file->content_start, more = 0;
	int r;

	if (ready > file->size)
		return corrupt(file, "the loose object is longer than its header says");
	memcpy(out, file->head + file->content_start, ready);
	/* One byte more than there should be, to see the end of the stream. */
	r = inflate_some(file, out + ready, file->size + 1 - ready, &more);
	if (r < 0)
		return r;
	if (ready + more != file->size)
		return corrupt(file, "the loose object has another length than its header says");
	out[file->size] = '\0';
	return 0;
}

static int read_whole(struct loose_file *file, struct room_share *share, char **ret_data)
{
	_cleanup_free_ char *data = NULL;
	int r;

	if (file->size > share->object_max)
		return -EFBIG;
	room_share_take(share, file->size);
	data = malloc(file->size + 1);
	r = data ? read_content(file, data) : corrupt(file, "out of memory");
	if (r == 0)
		*ret_data = steal_ptr(&data);
	return r;
}

int loose_read(const char *objects_dir, const git_oid *id, struct room_share *share,
	struct object_bytes *ret_bytes, const char **ret_fault)
{
	_cleanup_free_ char *data = NULL;
	struct loose_file file;
	int r = loose_open(objects_dir, id, &file);

	*ret_fault = file.fault;
	if (r <= 0)
		return r;
	r = read_whole(&file, share, &data);
	loose_close(&file);
	*ret_fault = file.fault;
	if (r < 0)
		return r;
	*ret_bytes = (struct object_bytes){steal_ptr(&data), file.size, file.type};
	return 1;
}

/* What was inflated with the header, and then the rest. */
static int pour_content(struct loose_file *file, struct object_sink *sink)
{
	size_t ready = file->head_length - file->content_start;
	_cleanup_free_ void *piece = malloc(OBJECT_PIECE_SIZE);
	uint64_t done = ready;
	int r = sink->begin(sink, file->type, file->size);

	if (!piece)
		return corrupt(file, "out of memory");
	if (r == 0)
		r = sink->take(sink, file->head + file->content_start, ready);
	while (r == 0 && !file->is_at_end && done <= file->size) {
		size_t more = 0;

		r = inflate_some(file, piece, OBJECT_PIECE_SIZE, &more);
		if (r == 0)
			r = sink->take(sink, piece, more);
		done += more;
	}
	if (r == 0 && done != file->size)
		r = corrupt(file, "the loose object has another length than its header says");
	return r;
}

int loose_read_pieces(const char *objects_dir, const git_oid *id, struct object_sink *sink,
	const char **ret_fault)
{
	struct loose_file file;
	int r = loose_open(objects_dir, id, &file);

	if (r > 0) {
		r = pour_content(&file, sink);
		loose_close(&file);
		r = r < 0 ? r : 1;
	}
	*ret_fault = file.fault;
	return r;
}

int loose_read_header(const char *objects_dir, const git_oid *id, git_object_t *ret_type,
	uint64_t *ret_size, const char **ret_fault)
{
	struct loose_file file;
	int r = loose_open(objects_dir, id, &file);

	*ret_fault = file.fault;
	if (r <= 0)
		return r;
	*ret_type = file.type;
	*ret_size = file.size;
	loose_close(&file);
	return 1;
}

/* Looks through the one directory that objects of this prefix (two digits or more) lie in. */
int loose_find_prefix(
	const char *objects_dir, const git_oid *prefix, size_t length, git_oid *ret_id)
{
	char hex[GIT_OID_HEXSZ + 1], found[GIT_OID_HEXSZ + 1] = "";
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;

	id_to_hex(prefix, hex);
	if (length < 2 || asprintf(&path, "%s/%.2s", objects_dir, hex) < 0) {
		path = NULL;
		return 0;
	}
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (strlen(entry->d_name) != GIT_OID_HEXSZ - 2 ||
			strncmp(entry->d_name, hex + 2, length - 2) != 0)
			continue;
		if (*found)
			return 2;
		snprintf(found, sizeof(found), "%.2s%.38s", hex, entry->d_name);
	}
	return *found && id_from_hex(found, ret_id) ? 1 : 0;
}
