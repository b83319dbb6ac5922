/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor-files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define TEXT_MAX (1u << 20)

void finding_set(struct finding *finding, enum finding_state state, const char *remedy,
	const char *format, ...)
{
	va_list ap;

	finding->state = state;
	va_start(ap, format);
	vsnprintf(finding->text, sizeof(finding->text), format, ap);
	va_end(ap);
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
}

const char *doctor_path(const char *path)
{
	static char below[PATH_MAX];
	const char *root = getenv("GIT_OVERLAYFS_DOCTOR_ROOT");

	if (!root)
		return path;
	snprintf(below, sizeof(below), "%s%s", root, path);
	return below;
}

bool doctor_exists(const char *path)
{
	return access(doctor_path(path), F_OK) == 0;
}

bool doctor_has_program(const char *name)
{
	static const char *const directories[] = {
		"/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directories[i], name);
		if (doctor_exists(path))
			return true;
	}
	return false;
}

char *doctor_read(const char *path)
{
	_cleanup_close_ int fd = open(doctor_path(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	text = malloc(TEXT_MAX + 1);
	if (!text)
		return NULL;
	/* Files of /proc say no size. */
	for (ssize_t n = 1; n > 0 && size<TEXT_MAX; size += n> 0 ? (size_t)n : 0)
		n = read(fd, text + size, TEXT_MAX - size);
	text[size] = '\0';
	return steal_ptr(&text);
}

long doctor_read_number(const char *path, long otherwise)
{
	_cleanup_free_ char *text = doctor_read(path);
	char *end;
	long number;

	if (!text)
		return otherwise;
	number = strtol(text, &end, 10);
	return end == text ? otherwise : number;
}

void doctor_each_file(const char *directory, const char *suffix,
	void (*each)(void *ctx, const char *path), void *ctx)
{
	struct dirent **entries;
	int count = scandir(doctor_path(directory), &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		size_t n = strlen(name), m = strlen(suffix);
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", directory, name);
		if (n > m && !strcmp(name + n - m, suffix))
			each(ctx, path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

/* --- TOML, as far as lists of strings go --- */

static const char *skip_string(const char *p)
{
	char quote = *p++;

	for (; *p && *p != quote && *p != '\n'; p++)
		if (quote == '"' && *p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

/* Behind the value that begins at p: a line, or as many as an array has. */
static const char *value_end(const char *p)
{
	bool is_array = *p == '[';

	while (*p && (is_array || *p != '\n')) {
		if (*p == '"' || *p == '\'') {
			p = skip_string(p);
			continue;
		}
		if (*p == '#') {
			p += strcspn(p, "\n");
			continue;
		}
		if (is_array && *p == ']')
			return p + 1;
		p++;
	}
	return p;
}

/* A copy without blanks at its ends; the caller frees it. */
static char *trimmed(const char *start, const char *end)
{
	while (start < end && strchr(" \t\r\n", *start))
		start++;
	while (end > start && strchr(" \t\r\n", end[-1]))
		end--;
	return strndup(start, (size_t)(end - start));
}

static const char *take_pair(const char *p, const char *section,
	void (*each)(void *ctx, const char *section, const char *key, const char *value), void *ctx)
{
	size_t line = strcspn(p, "\n"), n = strcspn(p, "=\n");
	_cleanup_free_ char *key = NULL, *value = NULL;
	const char *end;

	if (n == line)
		return p + line;
	key = trimmed(p, p + n);
	p += n + 1;
	p += strspn(p, " \t");
	end = value_end(p);
	value = strndup(p, (size_t)(end - p));
	if (key && value)
		each(ctx, section, key, value);
	return end;
}

void toml_each(const char *text,
	void (*each)(void *ctx, const char *section, const char *key, const char *value), void *ctx)
{
	_cleanup_free_ char *section = strdup("");

	for (const char *p = text; section && *(p += strspn(p, " \t\r\n"));) {
		size_t line = strcspn(p, "\n");

		if (*p == '[') {
			free(section);
			section = trimmed(p + 1, p + 1 + strcspn(p + 1, "]\n"));
			if (section)
				each(ctx, section, "", "");
			p += line;
		} else if (*p == '#') {
			p += line;
		} else {
			p = take_pair(p, section, each, ctx);
		}
	}
}

void toml_each_string(const char *value, void (*each)(void *ctx, const char *string), void *ctx)
{
	for (const char *p = value; *p;) {
		_cleanup_free_ char *string = NULL;
		const char *end;

		if (*p == '#') {
			p += strcspn(p, "\n");
			continue;
		}
		if (*p != '"' && *p != '\'') {
			p++;
			continue;
		}
		end = skip_string(p);
		string = end - p >= 2 ? strndup(p + 1, (size_t)(end - p) - 2) : NULL;
		if (string)
			each(ctx, string);
		p = end;
	}
}
