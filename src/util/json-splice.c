/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes to a JSON text that leave every other byte as it is. json_parse() has said that the text
 * is valid and not too deep before anything here walks over it, so the walk itself needs no checks.
 */
#include <git-overlayfs/json.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

#define BLANKS " \t\r\n"
#define BOM    "\xef\xbb\xbf"

struct text {
	const char *p;
	size_t size;
};

/* A member, from its key to behind its value. */
struct member {
	size_t key, value, end;
};

/* An object: the bracket, behind the last value (or the bracket), the other bracket. */
struct object {
	size_t start, last_key, last_end, end, count;
	struct member found, after, before; /* of the key that was asked for; key 0: none */
};

static size_t skip_blanks(const struct text *text, size_t at)
{
	while (at < text->size && strchr(BLANKS, text->p[at]) && text->p[at])
		at++;
	return at;
}

static size_t skip_string(const struct text *text, size_t at)
{
	for (at++; at < text->size && text->p[at] != '"'; at++)
		at += text->p[at] == '\\';
	return at + 1;
}

static size_t skip_value(const struct text *text, size_t at)
{
	size_t depth = 0;

	do {
		char c = at < text->size ? text->p[at] : '\0';

		if (c == '"') {
			at = skip_string(text, at);
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		if (depth == 0 && c != '}' && c != ']') {
			/* A number or a word. */
			while (at < text->size && !strchr(BLANKS ",]}", text->p[at]))
				at++;
			break;
		}
		at++;
	} while (depth > 0 && at < text->size);
	return at;
}

/* Keys may be written with escapes: yajl says what they mean. */
static bool key_is(const struct text *text, size_t start, size_t end, const char *key)
{
	struct json *json = NULL;
	bool same;

	if (json_parse(text->p + start, end - start, &json, NULL) < 0)
		return false;
	same = json->type == JSON_STRING && !strcmp(json->string, key);
	json_free(json);
	return same;
}

/* Walks the object at `at`. */
static struct object walk(const struct text *text, size_t at, const char *key)
{
	struct object object = {.start = at, .last_end = at + 1};
	struct member last = {0};

	for (at = skip_blanks(text, at + 1); at < text->size && text->p[at] != '}';) {
		struct member member = {.key = at};
		size_t key_end = skip_string(text, at);

		member.value = skip_blanks(text, skip_blanks(text, key_end) + 1);
		member.end = skip_value(text, member.value);
		if (object.found.key && !object.after.key)
			object.after = member;
		if (key_is(text, member.key, key_end, key)) {
			object.found = member;
			object.before = last;
		}
		last = member;
		object.last_key = member.key;
		object.last_end = member.end;
		object.count++;
		at = skip_blanks(text, member.end);
		if (at < text->size && text->p[at] == ',')
			at = skip_blanks(text, at + 1);
	}
	object.end = at;
	return object;
}

/* The blanks with which the line of `at` begins. */
static struct text indent_of(const struct text *text, size_t at)
{
	size_t start = at, end;

	while (start > 0 && text->p[start - 1] != '\n')
		start--;
	for (end = start; end < at && strchr(" \t", text->p[end]);)
		end++;
	return (struct text){text->p + start, end - start};
}

/* What one step in is in this file: what the first member of its root has before it. */
static struct text unit_of(const struct text *text, size_t root)
{
	size_t first = skip_blanks(text, root + 1);
	struct text unit = indent_of(text, first);

	if (first < text->size && text->p[first] == '"' && unit.size > 0 &&
		memchr(text->p + root, '\n', first - root))
		return unit;
	return (struct text){"    ", 4};
}

struct style {
	struct text unit;
	const char *eol;
};

static void write_indent(FILE *out, const struct style *style, struct text base, size_t steps)
{
	fputs(style->eol, out);
	fwrite(base.p, 1, base.size, out);
	while (steps-- > 0)
		fwrite(style->unit.p, 1, style->unit.size, out);
}

/* "a": {"b": value}, with a line for each; `steps` in from base: the indentation of "a". */
static void write_nested(FILE *out, const struct style *style, struct text base, size_t steps,
	const char *const keys[], size_t count, const char *value)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			write_indent(out, style, base, steps + i);
		fprintf(out, "\"%s\": %s", keys[i], i == count - 1 ? value : "{");
	}
	for (size_t i = count - 1; i > 0; i--) {
		write_indent(out, style, base, steps + i - 1);
		putc('}', out);
	}
}

/* Behind the last member, on a line of its own where that has one. */
static void write_member(FILE *out, const struct text *text, const struct object *object,
	const struct style *style, const char *const keys[], size_t count, const char *value)
{
	size_t rest = object->count ? object->last_end : object->end;
	struct text base = indent_of(text, object->count ? object->last_key : object->start);

	fwrite(text->p, 1, object->last_end, out);
	if (object->count == 0) {
		write_indent(out, style, base, 1);
		write_nested(out, style, base, 1, keys, count, value);
		write_indent(out, style, base, 0);
	} else {
		putc(',', out);
		if (memchr(text->p + object->start, '\n', object->last_key - object->start))
			write_indent(out, style, base, 0);
		else
			putc(' ', out);
		write_nested(out, style, base, 0, keys, count, value);
	}
	fwrite(text->p + rest, 1, text->size - rest, out);
}

static int finish(FILE *out, char **text, char **ret_text, struct error *err)
{
	if (fclose(out) != 0 || !*text) {
		free(*text);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	*ret_text = *text;
	return 0;
}

/* The root object of a valid text. */
static int find_root(const struct text *text, size_t *ret_root, struct error *err)
{
	size_t skip = text->size >= 3 && !memcmp(text->p, BOM, 3) ? 3 : 0;
	struct json *json = NULL;
	bool is_object;
	int r = json_parse(text->p + skip, text->size - skip, &json, err);

	if (r < 0)
		return r;
	is_object = json->type == JSON_OBJECT;
	json_free(json);
	if (!is_object)
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "it is no JSON object");
	*ret_root = skip_blanks(text, skip);
	return 0;
}

int json_splice_set(const char *p, size_t size, const char *const keys[], size_t count,
	const char *value, char **ret_text, size_t *ret_size, struct error *err)
{
	const struct text text = {p, size};
	const char *newline = size ? memchr(p, '\n', size) : NULL;
	struct style style = {.eol = newline && newline > p && newline[-1] == '\r' ? "\r\n" : "\n"};
	struct object object;
	char *result = NULL;
	size_t at;
	FILE *out;
	int r = find_root(&text, &at, err);

	if (r < 0)
		return r;
	style.unit = unit_of(&text, at);
	for (;; at = object.found.value, keys++, count--) {
		if (text.p[at] != '{')
			return error_set(err, EEXIST, EXIT_STATUS_FAILED,
				"what \"%s\" stands for is no object", keys[-1]);
		object = walk(&text, at, *keys);
		if (!object.found.key || count == 1)
			break;
	}
	out = open_memstream(&result, ret_size);
	if (!out)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	if (object.found.key) {
		fwrite(p, 1, object.found.value, out);
		fputs(value, out);
		fwrite(p + object.found.end, 1, size - object.found.end, out);
	} else {
		write_member(out, &text, &object, &style, keys, count, value);
	}
	return finish(out, &result, ret_text, err);
}

/* Without the member, and the comma on one of its sides. */
static void cut(FILE *out, const struct text *text, const struct object *object)
{
	size_t from = object->found.key, to = object->found.end;

	if (object->count == 1) {
		from = object->start + 1;
		to = object->end;
	} else if (object->before.key) {
		from = object->before.end;
	} else {
		to = object->after.key;
	}
	fwrite(text->p, 1, from, out);
	fwrite(text->p + to, 1, text->size - to, out);
}

int json_splice_remove(const char *p, size_t size, const char *const keys[], size_t count,
	char **ret_text, size_t *ret_size, struct error *err)
{
	const struct text text = {p, size};
	struct object object = {0}, victim = {0};
	char *result = NULL;
	size_t at;
	FILE *out;
	int r = find_root(&text, &at, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++, at = object.found.value) {
		if (text.p[at] != '{')
			return 0;
		object = walk(&text, at, keys[i]);
		if (!object.found.key)
			return 0;
		/* What would be left empty goes with it. */
		if (i == 0 || object.count > 1)
			victim = object;
	}
	out = open_memstream(&result, ret_size);
	if (!out)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	cut(out, &text, &victim);
	r = finish(out, &result, ret_text, err);
	return r < 0 ? r : 1;
}
