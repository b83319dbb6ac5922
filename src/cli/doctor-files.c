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

#include "configure/toml.h"
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

void finding_set_error(struct finding *finding, enum finding_state state, const char *remedy,
	const char *what, const struct error *err)
{
	const char *end = strrchr(err->text, ';');
	bool has_remedy = end && end[1] == ' ';
	size_t size = has_remedy ? (size_t)(end - err->text) : strlen(err->text);

	finding_set(finding, state, has_remedy ? end + 2 : remedy, "%s%s%.*s", what,
		*what ? ": " : "", (int)size, err->text);
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

/* The names of a path from `start` on, as one text. */
static void describe_from(
	const struct toml_path *path, size_t start, size_t end, char *ret_text, size_t size)
{
	struct toml_path part = {.size = end - start};

	memcpy(part.text, path->text + start, part.size);
	toml_path_describe(&part, ret_text, size);
}

int doctor_each_setting(const char *text, doctor_setting_fn each, void *ctx, struct error *err)
{
	const size_t size = strlen(text);
	char section[TOML_PATH_MAX], key[TOML_PATH_MAX];
	struct toml_statement statement;
	struct toml_scan scan;
	int r = toml_scan_begin(&scan, text, size, err);

	while (r >= 0 && (r = toml_scan_next(&scan, &statement, err)) > 0) {
		const bool is_key = statement.kind == TOML_KEY;
		const size_t table = is_key ? statement.table_size : statement.path.size;

		if (statement.kind == TOML_COMMENT)
			continue;
		describe_from(&statement.path, 0, table, section, sizeof(section));
		describe_from(&statement.path, table, statement.path.size, key, sizeof(key));
		each(ctx, section, key, is_key ? text + statement.value : "",
			is_key ? statement.value_end - statement.value : 0);
	}
	return r;
}
