/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-names.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fully.h"

/* As git has it for references that are names of references. */
#define SYMBOLIC_DEPTH	5
#define NAME_MAX_LENGTH 1024
/* A configuration and a reference are a few lines, packed-refs 70 bytes for each of them. */
#define SMALL_MAX  ((size_t)1 << 16)
#define PACKED_MAX ((size_t)1 << 30)

struct text {
	char *data; /* terminated */
	size_t size;
};

static void text_release(struct text *text)
{
	free(text->data);
}

/* A regular file as a whole. 0, -ENOENT (also where there is a directory), or what failed. */
static int read_text(
	int dir_fd, const char *path, int more_flags, size_t max, struct text *ret_text)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | more_flags;
	_cleanup_close_ int fd = openat(dir_fd, path, flags);
	_cleanup_(text_release) struct text text = {0};
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -ENOENT : -EIO;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	text.data = malloc((size_t)st.st_size + 1);
	if (!text.data)
		return -ENOMEM;
	n = read_fully(fd, text.data, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	text.size = (size_t)n;
	text.data[text.size] = '\0';
	*ret_text = text;
	text.data = NULL;
	return 0;
}

/* --- what is asked for --- */

/* As of `git describe`, and abbreviations: an id is in it. */
static bool holds_digits(const char *rev)
{
	const char *end = rev + strlen(rev);

	for (const char *p = rev; (p = strstr(p, "-g")); p += 2)
		if (p + 2 + id_count_digits(p + 2) == end)
			return true;
	return rev + id_count_digits(rev) == end;
}

/* A part of a stricter git-check-ref-format(1): nothing that has a meaning in a revision. */
static bool is_plain_name(const char *rev)
{
	const char *last = "/";

	for (const char *p = rev; *p; last = p++)
		if (!(isalnum((unsigned char)*p) || strchr("._-/+", *p)) ||
			(strchr("./", *last) && strchr("./", *p)))
			return false;
	return *rev && *rev != '-' && !strchr("./", *last) && !strstr(rev, ".lock") &&
	       strlen(rev) <= NAME_MAX_LENGTH;
}

/* FETCH_HEAD and its like have a format of their own. */
static bool is_special_name(const char *rev)
{
	return rev[strspn(rev, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] == '\0';
}

static bool is_whole_id(const char *rev)
{
	return strlen(rev) == GIT_OID_HEXSZ && id_count_digits(rev) == GIT_OID_HEXSZ;
}

static const char *spelled_out(const char *rev)
{
	return !*rev || !strcmp(rev, "@") ? "HEAD" : rev;
}

static bool is_there(int dir_fd, const char *name)
{
	return faccessat(dir_fd, name, F_OK, 0) == 0;
}

/* A repository of version 0 has no extensions, and its own directory holds all of it. */
static bool is_plain_repository(int dir_fd)
{
	_cleanup_(text_release) struct text config = {0};
	const char *version;

	if (!is_there(dir_fd, "HEAD") || !is_there(dir_fd, "refs") ||
		!is_there(dir_fd, "objects") || is_there(dir_fd, "commondir") ||
		read_text(dir_fd, "config", O_NOFOLLOW, SMALL_MAX, &config) < 0)
		return false;
	if (strcasestr(config.data, "extensions") || strcasestr(config.data, "include"))
		return false;
	version = strcasestr(config.data, "repositoryformatversion");
	return version && version[strcspn(version, "0123456789\n")] == '0';
}

bool names_can_find(int git_dir_fd, const char *rev)
{
	rev = spelled_out(rev);
	if (strcmp(rev, "HEAD") != 0 && !is_whole_id(rev) &&
		(!is_plain_name(rev) || is_special_name(rev) || holds_digits(rev)))
		return false;
	return is_plain_repository(git_dir_fd);
}

/* --- where it is --- */

/* 0 or 1. Lines are "ID NAME", and of a tag that is an object also "^ID"; the first is a comment.
 */
static int find_packed(const struct text *packed, const char *name, git_oid *ret_id)
{
	const size_t length = strlen(name), before = GIT_OID_HEXSZ + 1;
	const char *p = packed->data, *end = packed->data + packed->size;

	while (p && (p = memmem(p, (size_t)(end - p), name, length))) {
		const char *line = (size_t)(p - packed->data) >= before ? p - before : NULL;

		/* The name ends at the end of the file, too. */
		if (line && (p[length] == '\n' || !p[length]) &&
			(line == packed->data || line[-1] == '\n') && p[-1] == ' ' &&
			id_from_hex(line, ret_id))
			return 0;
		p += length;
	}
	return 1;
}

struct search {
	int dir_fd;
	struct text packed; /* read when it is needed */
	unsigned depth;
};

static int find_reference(
	struct search *search, const char *name, git_oid *ret_id, struct error *err);

static int damaged(const char *name, struct error *err)
{
	return error_set(err, EIO, EXIT_STATUS_SOURCE, "the reference '%s' is damaged", name);
}

/* "ref: NAME", or an id. */
static int read_loose(
	struct search *search, const char *name, char *content, git_oid *ret_id, struct error *err)
{
	size_t digits, length = strlen(content);

	while (length && isspace((unsigned char)content[length - 1]))
		content[--length] = '\0';
	if (strncmp(content, "ref:", 4) == 0) {
		const char *target = content + 4 + strspn(content + 4, " \t");

		if (strncmp(target, "refs/", 5) != 0 || strstr(target, "..") ||
			++search->depth > SYMBOLIC_DEPTH)
			return damaged(name, err);
		return find_reference(search, target, ret_id, err);
	}
	digits = id_count_digits(content);
	if (digits != GIT_OID_HEXSZ || !id_from_hex(content, ret_id) ||
		(content[digits] && !isspace((unsigned char)content[digits])))
		return damaged(name, err);
	return 0;
}

static int find_reference(
	struct search *search, const char *name, git_oid *ret_id, struct error *err)
{
	_cleanup_(text_release) struct text loose = {0};
	int r = read_text(search->dir_fd, name, 0, SMALL_MAX, &loose);

	if (r == 0)
		return read_loose(search, name, loose.data, ret_id, err);
	if (r == -ENOENT && !search->packed.data)
		r = read_text(search->dir_fd, "packed-refs", 0, PACKED_MAX, &search->packed);
	else if (r == -ENOENT)
		r = 0;
	if (r == 0)
		return find_packed(&search->packed, name, ret_id);
	return r == -ENOENT
		       ? 1
		       : error_set(err, -r, EXIT_STATUS_SOURCE,
				 "the reference '%s' cannot be read: %s", name, error_name(-r));
}

int names_find(int git_dir_fd, const char *rev, git_oid *ret_id, struct error *err)
{
	static const struct {
		const char *before, *after;
	} places[] = {{"", ""}, {"refs/", ""}, {"refs/tags/", ""}, {"refs/heads/", ""},
		{"refs/remotes/", ""}, {"refs/remotes/", "/HEAD"}};
	struct search search = {.dir_fd = git_dir_fd};
	char name[NAME_MAX_LENGTH + 32];
	int r = 1;

	rev = spelled_out(rev);
	if (is_whole_id(rev))
		return id_from_hex(rev, ret_id) ? 0 : 1;
	for (size_t i = 0; r == 1 && i < sizeof(places) / sizeof(places[0]); i++) {
		/* Other files than references lie there, too. */
		if (i == 0 && strcmp(rev, "HEAD") != 0 && strncmp(rev, "refs/", 5) != 0)
			continue;
		snprintf(name, sizeof(name), "%s%s%s", places[i].before, rev, places[i].after);
		search.depth = 0;
		r = find_reference(&search, name, ret_id, err);
	}
	text_release(&search.packed);
	return r;
}

/* --- what HEAD is --- */

/* Whether it is a file, or a directory with one in or below it. */
static bool has_files(int dir_fd, const char *name)
{
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;
	bool found = false;

	if (fd < 0)
		return errno == ENOTDIR;
	dir = fdopendir(fd);
	if (dir)
		steal_fd(&fd);
	while (dir && !found && (entry = readdir(dir)))
		found = *entry->d_name != '.' && has_files(dirfd(dir), entry->d_name);
	return found;
}

static bool has_references(int git_dir_fd)
{
	_cleanup_(text_release) struct text packed = {0};

	if (read_text(git_dir_fd, "packed-refs", 0, PACKED_MAX, &packed) == 0 &&
		strstr(packed.data, " refs/"))
		return true;
	return has_files(git_dir_fd, "refs");
}

int names_explain_head(int git_dir_fd, const char *label, struct error *err)
{
	_cleanup_(text_release) struct text head = {0};
	const char *target = "?";

	if (!has_references(git_dir_fd))
		return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
			"%s: the repository has no commit yet", label);
	if (read_text(git_dir_fd, "HEAD", 0, SMALL_MAX, &head) == 0 &&
		!strncmp(head.data, "ref:", 4)) {
		target = head.data + 4 + strspn(head.data + 4, " \t");
		head.data[strcspn(head.data, "\r\n")] = '\0';
	}
	return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
		"%s: HEAD names the branch '%s', which does not exist; name a revision that does "
		"('git branch -a' lists them)",
		label, target);
}
