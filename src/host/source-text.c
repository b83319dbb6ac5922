/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/source.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/source-read.h"
#include "util/cleanup.h"

/* "FD:GITDIR:FD,FD...": each byte of GITDIR may take three. */
#define FD_TEXT_MAX 12

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '/' || c == '.' || c == '_' || c == '-';
}

static char *escape(char *out, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (; *text; text++) {
		if (is_plain(*text)) {
			*out++ = *text;
			continue;
		}
		*out++ = '%';
		*out++ = hex[(unsigned char)*text >> 4];
		*out++ = hex[*text & 15];
	}
	return out;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int unescape(const char *text, size_t length, char **ret)
{
	char *out = malloc(length + 1);
	size_t n = 0;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < length; i++) {
		int high = -1, low = -1;

		if (text[i] == '%' && length - i > 2) {
			high = hex_digit(text[i + 1]);
			low = hex_digit(text[i + 2]);
			i += 2;
		} else if (is_plain(text[i])) {
			high = (unsigned char)text[i] >> 4;
			low = text[i] & 15;
		}
		if (high < 0 || low < 0 || (high == 0 && low == 0)) {
			free(out);
			return -EINVAL;
		}
		out[n++] = (char)(high << 4 | low);
	}
	out[n] = '\0';
	*ret = out;
	return 0;
}

static int set_close_on_exec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int source_to_text(const struct source *source, char **ret_text)
{
	const char *git_dir = source->git_dir ? source->git_dir : "";
	size_t size = (source->alternate_count + 1) * FD_TEXT_MAX + 3 * strlen(git_dir) + 4;
	_cleanup_free_ char *text = malloc(size);
	char *out = text;
	int r;

	if (!text)
		return -ENOMEM;
	r = set_close_on_exec(source->dir.fd, false);
	if (r)
		return r;
	out += sprintf(out, "%d:", source->dir.fd);
	out = escape(out, git_dir);
	*out++ = ':';
	for (size_t i = 0; i < source->alternate_count; i++) {
		r = set_close_on_exec(source->alternates[i].fd, false);
		if (r)
			return r;
		out += sprintf(out, "%s%d", i ? "," : "", source->alternates[i].fd);
	}
	*out = '\0';
	*ret_text = steal_ptr(&text);
	return 0;
}

/* A descriptor above the standard ones, ended by `end` or the end of the text. */
static int parse_fd(const char **at, char end, int *ret_fd)
{
	const char *p = *at;
	long value = 0;

	if (*p < '1' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9' && value < 10000000; p++)
		value = value * 10 + (*p - '0');
	if ((*p != end && *p != '\0') || value <= STDERR_FILENO)
		return -EINVAL;
	*at = p;
	*ret_fd = (int)value;
	return 0;
}

static int adopt(int fd, struct source_dir *ret_dir)
{
	int r = set_close_on_exec(fd, true);

	return r ? r : source_dir_adopt(fd, ret_dir);
}

static int parse_source(const char *text, struct source *source)
{
	const char *colon;
	int fd, r = parse_fd(&text, ':', &fd);

	if (r || *text != ':')
		return -EINVAL;
	colon = strchr(++text, ':');
	if (!colon)
		return -EINVAL;
	r = unescape(text, (size_t)(colon - text), &source->git_dir);
	if (!r)
		r = adopt(fd, &source->dir);
	for (text = colon + 1; !r && *text; text += *text == ',') {
		if (source->alternate_count == SOURCE_ALTERNATES_MAX)
			return -E2BIG;
		r = parse_fd(&text, ',', &fd);
		if (!r)
			r = adopt(fd, &source->alternates[source->alternate_count]);
		if (!r)
			source->alternate_count++;
	}
	return r;
}

int source_from_text(const char *text, struct source *ret_source, struct error *err)
{
	struct source source = {.dir = {.fd = -1}};
	int r = parse_source(text, &source);

	if (r) {
		source_release(&source);
		return error_set_errno(
			err, -r, EXIT_STATUS_USAGE, "'%s' does not describe a source", text);
	}
	*ret_source = source;
	return 0;
}
