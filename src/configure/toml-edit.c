/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "toml.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define BEGIN "# BEGIN git-overlayfs configure"
#define END   "# END git-overlayfs configure"

/* Where the section is: start == end when there is none. */
struct span {
	size_t start, end;
};

static bool comment_is(const char *text, const struct toml_statement *statement, const char *marker)
{
	size_t at = statement->start + strspn(text + statement->start, " \t");
	size_t n = strlen(marker);

	return statement->end - at >= n && !memcmp(text + at, marker, n);
}

static int edited(unsigned line, struct error *err)
{
	return error_set(err, EINVAL, EXIT_STATUS_FAILED,
		"line %u: the comments BEGIN and END of git-overlayfs's section were edited; put them "
		"back, or remove the section by hand",
		line);
}

/* Comments, and no text of a string that looks like one. */
static int find_section(const char *text, size_t size, struct span *ret_span, struct error *err)
{
	struct toml_statement statement;
	struct toml_scan scan;
	struct span span = {0};
	unsigned begins = 0, ends = 0, line = 0;
	int r = toml_scan_begin(&scan, text, size, err);

	if (r < 0)
		return r;
	while ((r = toml_scan_next(&scan, &statement, err)) > 0) {
		if (statement.kind != TOML_COMMENT)
			continue;
		if (comment_is(text, &statement, BEGIN)) {
			span.start = statement.start;
			begins++;
			line = statement.line;
		} else if (comment_is(text, &statement, END)) {
			span.end = statement.end;
			line = statement.line;
			if (++ends != begins)
				return edited(line, err);
		}
	}
	if (r < 0)
		return r;
	if (begins != ends || begins > 1)
		return edited(line, err);
	*ret_span = span;
	return begins > 0;
}

int toml_section_exists(const char *text, size_t size, struct error *err)
{
	struct span span;

	return find_section(text, size, &span, err);
}

static int copy_without(
	const char *text, size_t size, const struct span *span, char **ret_text, size_t *ret_size)
{
	char *copy = malloc(size + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, span->start);
	memcpy(copy + span->start, text + span->end, size - span->end);
	*ret_size = size - (span->end - span->start);
	copy[*ret_size] = '\0';
	*ret_text = copy;
	return 0;
}

int toml_section_take(
	const char *text, size_t size, char **ret_text, size_t *ret_size, struct error *err)
{
	struct span span = {0};
	int r = find_section(text, size, &span, err);

	if (r < 0)
		return r;
	r = copy_without(text, size, &span, ret_text, ret_size);
	return r < 0 ? error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory") : 0;
}

static int in_the_way(const struct toml_statement *statement, struct error *err)
{
	char name[200];

	toml_path_describe(&statement->path, name, sizeof(name));
	return error_set(err, EEXIST, EXIT_STATUS_FAILED,
		"line %u sets %s already; remove it there first, or leave it as it is",
		statement->line, name);
}

static int check_statement(const struct toml_section *section,
	const struct toml_statement *statement, struct error *err)
{
	if (statement->kind == TOML_COMMENT)
		return 0;
	for (size_t i = 0; i < section->owned_count; i++) {
		const struct toml_path *owned = &section->owned[i];

		if (toml_path_is_within(&statement->path, owned))
			return in_the_way(statement, err);
		/* A table above is no obstacle; a value or a list of tables is. */
		if (statement->kind != TOML_TABLE && toml_path_is_within(owned, &statement->path))
			return in_the_way(statement, err);
	}
	/* Dotted keys define their tables, which then may not get a header. */
	if (section->within && statement->kind == TOML_KEY &&
		statement->table_size < section->within->size &&
		toml_path_is_within(&statement->path, section->within))
		return in_the_way(statement, err);
	return 0;
}

/* *ret_at: behind the header of section->within; SIZE_MAX: there is none. */
static int find_place(const struct toml_section *section, const char *text, size_t size,
	size_t *ret_at, struct error *err)
{
	struct toml_statement statement;
	struct toml_scan scan;
	int r = toml_scan_begin(&scan, text, size, err);

	if (r < 0)
		return r;
	*ret_at = SIZE_MAX;
	while ((r = toml_scan_next(&scan, &statement, err)) > 0) {
		r = check_statement(section, &statement, err);
		if (r < 0)
			return r;
		if (section->within && statement.kind == TOML_TABLE &&
			toml_path_equal(&statement.path, section->within))
			*ret_at = statement.end;
	}
	return r;
}

static void write_lines(FILE *out, const char *lines, const char *eol)
{
	for (const char *p = lines; *p; p++) {
		if (*p == '\n')
			fputs(eol, out);
		else
			putc(*p, out);
	}
}

static void write_section(
	FILE *out, const struct toml_section *section, bool has_table, const char *eol)
{
	fprintf(out, BEGIN " %s: this section is written by it, up to END%s", section->engine, eol);
	if (section->within && !has_table)
		fprintf(out, "%s%s", section->header, eol);
	write_lines(out, section->body, eol);
	fputs(END, out);
	fputs(eol, out);
}

static const char *eol_of(const char *text, size_t size)
{
	const char *newline = size ? memchr(text, '\n', size) : NULL;

	return newline && newline > text && newline[-1] == '\r' ? "\r\n" : "\n";
}

int toml_section_put(const struct toml_section *section, const char *text, size_t size,
	char **ret_text, size_t *ret_size, struct error *err)
{
	_cleanup_free_ char *base = NULL;
	const char *eol = eol_of(text, size);
	size_t base_size, at;
	char *result = NULL;
	bool has_table;
	FILE *out;
	int r = toml_section_take(text, size, &base, &base_size, err);

	if (r == 0)
		r = find_place(section, base, base_size, &at, err);
	if (r < 0)
		return r;
	out = open_memstream(&result, ret_size);
	if (!out)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	has_table = at != SIZE_MAX;
	at = has_table ? at : base_size;
	fwrite(base, 1, at, out);
	if (at > 0 && base[at - 1] != '\n')
		fputs(eol, out);
	write_section(out, section, has_table, eol);
	fwrite(base + at, 1, base_size - at, out);
	if (fclose(out) != 0 || !result) {
		free(result);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	*ret_text = result;
	return 0;
}

char *toml_quote(const char *string)
{
	char *quoted = malloc(2 * strlen(string) + 3), *p = quoted;

	if (!quoted)
		return NULL;
	*p++ = '"';
	for (; *string; string++) {
		if ((unsigned char)*string < 0x20 || *string == 0x7f) {
			free(quoted);
			return NULL;
		}
		if (*string == '"' || *string == '\\')
			*p++ = '\\';
		*p++ = *string;
	}
	*p++ = '"';
	*p = '\0';
	return quoted;
}
