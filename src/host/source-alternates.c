/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * objects/info/alternates, as git reads it: one directory a line, relative to the
 * objects directory that the file lies in; '#' starts a comment, a line that starts
 * with a double quote is quoted as in C.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include <git-overlayfs/log.h>

#include "host/source-read.h"
#include "util/cleanup.h"

/* As deep as git follows alternates of alternates. */
#define ALTERNATES_DEPTH_MAX 5

static int octal_digit(char c)
{
	return c >= '0' && c <= '7' ? c - '0' : -1;
}

/* One escape at *at, behind its backslash. -1: none that git knows. */
static int unescape(const char **at, const char *end)
{
	static const char letters[] = "abfnrtv\\\"";
	static const char values[] = "\a\b\f\n\r\t\v\\\"";
	const char *p = *at, *letter;

	if (p == end)
		return -1;
	letter = *p ? strchr(letters, *p) : NULL;
	if (letter) {
		*at = p + 1;
		return (unsigned char)values[letter - letters];
	}
	if (end - p < 3 || *p > '3' || octal_digit(p[0]) < 0 || octal_digit(p[1]) < 0 ||
		octal_digit(p[2]) < 0)
		return -1;
	*at = p + 3;
	return octal_digit(p[0]) << 6 | octal_digit(p[1]) << 3 | octal_digit(p[2]);
}

/* Undoes C quoting of the whole line into `out`. False: it is not quoted so. */
static bool unquote(const char *line, size_t length, char *out)
{
	const char *p = line + 1, *end = line + length;

	while (p < end && *p != '"') {
		int c = (unsigned char)*p++;

		if (c == '\\')
			c = unescape(&p, end);
		if (c <= 0)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return p + 1 == end;
}

int source_parse_alternate(const char *line, size_t length, char **ret_path)
{
	char *path;

	if (length == 0 || line[0] == '#')
		return 0;
	path = malloc(length + 1);
	if (!path)
		return -ENOMEM;
	/* What only looks quoted is taken as it stands, as git does. */
	if (line[0] != '"' || !unquote(line, length, path)) {
		memcpy(path, line, length);
		path[length] = '\0';
	}
	*ret_path = path;
	return 1;
}

/* The way from dir/objects down to the file that is being read. */
struct chain {
	const struct chain *above;
	const struct source_dir *objects;
	unsigned depth, line;
};

static bool is_same_dir(const struct source_dir *a, const struct source_dir *b)
{
	struct stat sa, sb;

	return fstat(a->fd, &sa) == 0 && fstat(b->fd, &sb) == 0 && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

static bool is_known(const struct source *source, const struct source_dir *dir)
{
	for (size_t i = 0; i < source->alternate_count; i++)
		if (is_same_dir(&source->alternates[i], dir))
			return true;
	return false;
}

static int check_chain(const struct chain *chain, const struct source_dir *found, struct error *err)
{
	if (chain->depth >= ALTERNATES_DEPTH_MAX)
		return error_set(err, ELOOP, EXIT_STATUS_SOURCE,
			"'%s/info/alternates': alternates nest deeper than %d",
			chain->objects->path, ALTERNATES_DEPTH_MAX);
	for (const struct chain *at = chain; at; at = at->above)
		if (is_same_dir(at->objects, found))
			return error_set(err, ELOOP, EXIT_STATUS_SOURCE,
				"'%s/info/alternates': a loop, line %u leads back",
				chain->objects->path, chain->line);
	return 0;
}

static int read_file(struct source *source, struct chain *chain, struct error *err);

/* Takes over `found`, which is released when there is no use for it. */
static int add_alternate(struct source *source, const struct chain *chain, struct source_dir *found,
	struct error *err)
{
	struct chain next = {.above = chain, .depth = chain->depth + 1};
	int r = check_chain(chain, found, err);

	if (r || is_known(source, found)) {
		source_dir_release(found);
		return r;
	}
	if (source->alternate_count == SOURCE_ALTERNATES_MAX) {
		source_dir_release(found);
		return error_set(err, E2BIG, EXIT_STATUS_SOURCE,
			"'%s/info/alternates': more than %d alternates", chain->objects->path,
			SOURCE_ALTERNATES_MAX);
	}
	next.objects = &source->alternates[source->alternate_count];
	source->alternates[source->alternate_count++] = *found;
	return read_file(source, &next, err);
}

static int follow(
	struct source *source, const struct chain *chain, const char *path, struct error *err)
{
	struct source_dir found;
	int r = source_dir_open(chain->objects->fd, path, &found);

	if (r == -ENOENT || r == -ENOTDIR) {
		/* git goes on too: what it held may lie elsewhere by now. */
		log_warning("%s/info/alternates: line %u leads to no directory; ignored",
			chain->objects->path, chain->line);
		return 0;
	}
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_SOURCE, "'%s/info/alternates': line %u",
			chain->objects->path, chain->line);
	return add_alternate(source, chain, &found, err);
}

static int read_file(struct source *source, struct chain *chain, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t length, at = 0;
	int r = source_read_text(chain->objects->fd, "info/alternates", &text, &length);

	if (r == -ENOENT)
		return 0;
	if (r)
		return error_set_errno(
			err, -r, EXIT_STATUS_SOURCE, "'%s/info/alternates'", chain->objects->path);
	for (r = 0; r >= 0 && at < length;) {
		_cleanup_free_ char *path = NULL;
		const char *end = memchr(text + at, '\n', length - at);
		size_t n = end ? (size_t)(end - (text + at)) : length - at;

		chain->line++;
		r = source_parse_alternate(text + at, n, &path);
		if (r > 0)
			r = follow(source, chain, path, err);
		at += n + 1;
	}
	return r < 0 ? r : 0;
}

int source_read_alternates(struct source *source, struct error *err)
{
	_cleanup_close_ int fd =
		openat(source->dir.fd, "objects", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct source_dir objects;
	struct chain chain = {.objects = &objects};
	int r = fd < 0 ? -errno : source_dir_adopt(fd, &objects);

	if (r)
		return error_set_errno(
			err, -r, EXIT_STATUS_SOURCE, "'%s/objects'", source->dir.path);
	steal_fd(&fd);
	r = read_file(source, &chain, err);
	source_dir_release(&objects);
	return r;
}
