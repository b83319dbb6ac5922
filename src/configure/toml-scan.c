/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "toml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/utf8.h"

#define DEPTH_MAX 32
#define BOM	  "\xef\xbb\xbf"

/* --- paths --- */

void toml_path_set(struct toml_path *path, const char *name, ...)
{
	va_list names;

	path->size = 0;
	va_start(names, name);
	for (; name; name = va_arg(names, const char *)) {
		size_t n = strlen(name) + 1;

		if (path->size + n > sizeof(path->text))
			break;
		memcpy(path->text + path->size, name, n);
		path->size += n;
	}
	va_end(names);
}

bool toml_path_is_within(const struct toml_path *path, const struct toml_path *within)
{
	return path->size >= within->size && !memcmp(path->text, within->text, within->size);
}

bool toml_path_equal(const struct toml_path *a, const struct toml_path *b)
{
	return a->size == b->size && !memcmp(a->text, b->text, a->size);
}

void toml_path_describe(const struct toml_path *path, char *ret_text, size_t size)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < path->size && used < size; i += strlen(path->text + i) + 1) {
		const char *name = path->text + i;
		const char *quote = strchr(name, '.') ? "\"" : "";

		used += (size_t)snprintf(
			ret_text + used, size - used, "%s%s%s%s", i ? "." : "", quote, name, quote);
	}
}

/* --- characters --- */

static int broken(const struct toml_scan *scan, const char *what, struct error *err)
{
	return error_set(
		err, EBADMSG, EXIT_STATUS_FAILED, "not valid TOML: line %u: %s", scan->line, what);
}

static char peek(const struct toml_scan *scan)
{
	return scan->at < scan->size ? scan->text[scan->at] : '\0';
}

static bool starts(const struct toml_scan *scan, const char *text)
{
	size_t n = strlen(text);

	return scan->size - scan->at >= n && !memcmp(scan->text + scan->at, text, n);
}

static void skip_blanks(struct toml_scan *scan)
{
	while (peek(scan) == ' ' || peek(scan) == '\t')
		scan->at++;
}

static bool skip_newline(struct toml_scan *scan)
{
	if (starts(scan, "\r\n"))
		scan->at += 2;
	else if (peek(scan) == '\n')
		scan->at++;
	else
		return false;
	scan->line++;
	return true;
}

static void skip_comment(struct toml_scan *scan)
{
	if (peek(scan) != '#')
		return;
	/* A CR alone may not stand in one. */
	while (scan->at < scan->size && peek(scan) != '\n' && peek(scan) != '\r')
		scan->at++;
}

/* Between the values of an array. */
static void skip_space(struct toml_scan *scan)
{
	do {
		skip_blanks(scan);
		skip_comment(scan);
	} while (skip_newline(scan));
}

static int end_line(struct toml_scan *scan, struct error *err)
{
	skip_blanks(scan);
	skip_comment(scan);
	if (scan->at < scan->size && !skip_newline(scan))
		return broken(scan, "something stands behind the end", err);
	return 0;
}

/* --- strings --- */

struct out {
	char *text; /* NULL: nobody wants it */
	size_t size, used;
};

static int put_byte(struct out *out, char byte)
{
	if (!out->text)
		return 0;
	if (out->used >= out->size)
		return -E2BIG;
	out->text[out->used++] = byte;
	return 0;
}

static int put_character(struct out *out, unsigned long c)
{
	int r = 0;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -EINVAL;
	if (c < 0x80)
		return put_byte(out, (char)c);
	if (c < 0x800)
		return put_byte(out, (char)(0xc0 | c >> 6)) |
		       put_byte(out, (char)(0x80 | (c & 63)));
	r = c < 0x10000 ? put_byte(out, (char)(0xe0 | c >> 12))
			: put_byte(out, (char)(0xf0 | c >> 18)) |
				  put_byte(out, (char)(0x80 | (c >> 12 & 63)));
	return r | put_byte(out, (char)(0x80 | (c >> 6 & 63))) |
	       put_byte(out, (char)(0x80 | (c & 63)));
}

/* At the backslash. */
static int take_escape(struct toml_scan *scan, struct out *out)
{
	static const char from[] = "btnfre\"\\", to[] = "\b\t\n\f\r\033\"\\";
	char letter = scan->at + 1 < scan->size ? scan->text[scan->at + 1] : '\0';
	const char *known = letter ? strchr(from, letter) : NULL;
	size_t digits = letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
	char number[9] = {0};

	scan->at += 2;
	if (known)
		return put_byte(out, to[known - from]);
	if (!digits || scan->size - scan->at < digits)
		return -EINVAL;
	memcpy(number, scan->text + scan->at, digits);
	if (strspn(number, "0123456789abcdefABCDEF") != digits)
		return -EINVAL;
	scan->at += digits;
	return put_character(out, strtoul(number, NULL, 16));
}

/* A string of one line, at its quote. */
static int take_string(struct toml_scan *scan, struct out *out, struct error *err)
{
	char quote = scan->text[scan->at++];

	while (scan->at < scan->size && peek(scan) != quote) {
		char c = peek(scan);
		int r = 0;

		if (c == '\n' || c == '\r')
			break;
		if (c == '\\' && quote == '"') {
			r = take_escape(scan, out);
		} else {
			r = put_byte(out, c);
			scan->at++;
		}
		if (r < 0)
			return broken(
				scan, r == -E2BIG ? "too long" : "an escape that is none", err);
	}
	if (scan->at >= scan->size || peek(scan) != quote)
		return broken(scan, "a string without an end", err);
	scan->at++;
	return 0;
}

/* """ or ''', of which up to two more may stand before the end. */
static int skip_long_string(struct toml_scan *scan, struct error *err)
{
	const char *quotes = peek(scan) == '"' ? "\"\"\"" : "'''";

	scan->at += 3;
	while (scan->at < scan->size && !starts(scan, quotes)) {
		if (*quotes == '"' && peek(scan) == '\\' && scan->at + 1 < scan->size &&
			scan->text[scan->at + 1] != '\n')
			scan->at++;
		if (!skip_newline(scan))
			scan->at++;
	}
	if (scan->at >= scan->size)
		return broken(scan, "a string without an end", err);
	scan->at += 3;
	for (int more = 0; more < 2 && peek(scan) == *quotes; more++)
		scan->at++;
	return 0;
}

/* --- keys and values --- */

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

static int take_name(struct toml_scan *scan, struct out *out, struct error *err)
{
	size_t start = scan->at;

	if (peek(scan) == '"' || peek(scan) == '\'') {
		int r = take_string(scan, out, err);

		return r < 0 ? r : put_byte(out, '\0');
	}
	while (is_bare(peek(scan))) {
		if (put_byte(out, peek(scan)) < 0)
			return -E2BIG;
		scan->at++;
	}
	if (scan->at == start)
		return broken(scan, "a key is missing", err);
	return put_byte(out, '\0');
}

/* Adds the names of a key to the path. */
static int take_key(struct toml_scan *scan, struct toml_path *path, struct error *err)
{
	struct out out = {
		path ? path->text : NULL, path ? sizeof(path->text) : 0, path ? path->size : 0};
	int r;

	for (;;) {
		skip_blanks(scan);
		r = take_name(scan, &out, err);
		if (r == -E2BIG)
			return broken(scan, "a key that is too long", err);
		if (r < 0)
			return r;
		skip_blanks(scan);
		if (peek(scan) != '.')
			break;
		scan->at++;
	}
	if (path)
		path->size = out.used;
	return 0;
}

static int skip_value(struct toml_scan *scan, unsigned depth, struct error *err);

/* An array or an inline table, at its bracket. */
static int skip_list(struct toml_scan *scan, unsigned depth, struct error *err)
{
	bool is_table = peek(scan) == '{';
	char end = is_table ? '}' : ']';

	if (depth == DEPTH_MAX)
		return broken(scan, "nested too deeply", err);
	scan->at++;
	for (skip_space(scan); peek(scan) != end; skip_space(scan)) {
		int r = is_table ? take_key(scan, NULL, err) : 0;

		if (r == 0 && is_table && peek(scan) != '=')
			r = broken(scan, "a key without '='", err);
		if (r < 0)
			return r;
		scan->at += is_table;
		skip_space(scan);
		r = skip_value(scan, depth + 1, err);
		if (r < 0)
			return r;
		skip_space(scan);
		if (peek(scan) == ',')
			scan->at++;
		else if (peek(scan) != end)
			return broken(scan, "an array or inline table without an end", err);
	}
	scan->at++;
	return 0;
}

/* Between a date and its time there may be a blank. */
static bool date_goes_on(const struct toml_scan *scan, size_t start)
{
	return scan->at - start == 10 && scan->text[start + 4] == '-' && peek(scan) == ' ' &&
	       scan->at + 1 < scan->size && strchr("012", scan->text[scan->at + 1]);
}

static int skip_value(struct toml_scan *scan, unsigned depth, struct error *err)
{
	struct out nowhere = {0};
	size_t start = scan->at;

	if (starts(scan, "\"\"\"") || starts(scan, "'''"))
		return skip_long_string(scan, err);
	if (peek(scan) == '"' || peek(scan) == '\'')
		return take_string(scan, &nowhere, err);
	if (peek(scan) == '[' || peek(scan) == '{')
		return skip_list(scan, depth, err);
	for (;;) {
		while (is_bare(peek(scan)) || (peek(scan) && strchr("+.:", peek(scan))))
			scan->at++;
		if (!date_goes_on(scan, start))
			break;
		scan->at++;
	}
	return scan->at > start ? 0 : broken(scan, "a value is missing", err);
}

/* --- statements --- */

static int take_header(struct toml_scan *scan, struct toml_statement *statement, struct error *err)
{
	bool is_array = starts(scan, "[[");
	int r;

	scan->at += is_array ? 2 : 1;
	scan->table.size = 0;
	r = take_key(scan, &scan->table, err);
	if (r < 0)
		return r;
	if (!starts(scan, is_array ? "]]" : "]"))
		return broken(scan, "a table's name without its ']'", err);
	scan->at += is_array ? 2 : 1;
	statement->kind = is_array ? TOML_ARRAY_TABLE : TOML_TABLE;
	statement->path = scan->table;
	statement->table_size = scan->table.size;
	return 0;
}

static int take_pair(struct toml_scan *scan, struct toml_statement *statement, struct error *err)
{
	int r;

	statement->kind = TOML_KEY;
	statement->path = scan->table;
	statement->table_size = scan->table.size;
	r = take_key(scan, &statement->path, err);
	if (r < 0)
		return r;
	if (peek(scan) != '=')
		return broken(scan, "a key without '='", err);
	scan->at++;
	skip_blanks(scan);
	statement->value = scan->at;
	r = skip_value(scan, 0, err);
	statement->value_end = scan->at;
	return r;
}

int toml_scan_begin(struct toml_scan *scan, const char *text, size_t size, struct error *err)
{
	*scan = (struct toml_scan){.text = text, .size = size, .line = 1};
	for (size_t i = 0; i < size;) {
		size_t n = utf8_sequence((const unsigned char *)text + i, size - i);

		if (n == 0 || text[i] == '\0')
			return broken(scan, n ? "a NUL byte" : "not UTF-8", err);
		scan->line += text[i] == '\n';
		i += n;
	}
	scan->line = 1;
	if (starts(scan, BOM))
		scan->at = sizeof(BOM) - 1;
	return 0;
}

int toml_scan_next(struct toml_scan *scan, struct toml_statement *ret_statement, struct error *err)
{
	int r = 0;

	do {
		ret_statement->start = scan->at;
		skip_blanks(scan);
	} while (skip_newline(scan));
	ret_statement->line = scan->line;
	if (scan->at >= scan->size)
		return 0;
	if (peek(scan) == '#')
		ret_statement->kind = TOML_COMMENT;
	else if (peek(scan) == '[')
		r = take_header(scan, ret_statement, err);
	else
		r = take_pair(scan, ret_statement, err);
	if (r == 0)
		r = end_line(scan, err);
	if (r < 0)
		return r;
	ret_statement->end = scan->at;
	return 1;
}

int toml_find(const char *text, size_t size, const struct toml_path *path,
	struct toml_statement *ret_statement, struct error *err)
{
	struct toml_scan scan;
	int r = toml_scan_begin(&scan, text, size, err);

	if (r < 0)
		return r;
	while ((r = toml_scan_next(&scan, ret_statement, err)) > 0)
		if (ret_statement->kind == TOML_KEY && toml_path_equal(&ret_statement->path, path))
			return 1;
	return r;
}

/* {append=true}, however it is spaced */
static bool says_append(const char *text, size_t size)
{
	char word[32];
	size_t used = 0;

	for (size_t i = 0; i < size && used < sizeof(word) - 1; i++)
		if (!strchr(" \t", text[i]))
			word[used++] = text[i];
	word[used] = '\0';
	return !strcmp(word, "{append=true}");
}

static int take_element(struct toml_scan *scan, int (*fn)(void *ctx, const char *string), void *ctx,
	bool *ret_appends)
{
	char string[4096];
	struct out out = {string, sizeof(string) - 1, 0};
	size_t start = scan->at;
	int r;

	if (peek(scan) == '{' && ret_appends) {
		r = skip_value(scan, 0, NULL);
		if (r == 0 && says_append(scan->text + start, scan->at - start))
			*ret_appends = true;
		return r;
	}
	if ((peek(scan) != '"' && peek(scan) != '\'') || starts(scan, "\"\"\"") ||
		starts(scan, "'''"))
		return -EINVAL;
	r = take_string(scan, &out, NULL);
	if (r < 0)
		return r;
	string[out.used] = '\0';
	return fn(ctx, string);
}

int toml_each_string(const char *value, size_t size, int (*fn)(void *ctx, const char *string),
	void *ctx, bool *ret_appends)
{
	struct toml_scan scan = {.text = value, .size = size, .line = 1};
	int r = 0;

	if (peek(&scan) != '[')
		return take_element(&scan, fn, ctx, NULL);
	scan.at++;
	for (skip_space(&scan); r == 0 && scan.at < size && peek(&scan) != ']'; skip_space(&scan)) {
		r = take_element(&scan, fn, ctx, ret_appends);
		skip_space(&scan);
		if (peek(&scan) == ',')
			scan.at++;
	}
	return r;
}
