/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/json.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "util/cleanup.h"
#include "util/utf8.h"

/* The state of one parse: yajl calls back, this builds the tree. */
struct parser {
	yajl_handle handle;
	struct json *root;
	struct json *open[JSON_DEPTH_MAX]; /* the containers around the current value */
	char *keys[JSON_DEPTH_MAX];	   /* the key that waits for its value, by depth */
	size_t depth;
	size_t values;
	int code; /* what stopped it, 0: yajl's own objection */
	const char *fault;
};

static int parser_stop(struct parser *parser, int code, const char *fault)
{
	parser->code = code;
	parser->fault = fault;
	return 0;
}

/* --- the tree --- */

static void json_clear(struct json *json)
{
	/* As deep as the parser went, which is at most JSON_DEPTH_MAX. */
	for (size_t i = 0; i < json->count; i++) {
		json_clear(&json->values[i]);
		if (json->keys)
			free(json->keys[i]);
	}
	free(json->string);
	free(json->keys);
	free(json->values);
}

void json_free(struct json *json)
{
	if (!json)
		return;
	json_clear(json);
	free(json);
}

const struct json *json_member(const struct json *json, const char *key)
{
	if (!json || json->type != JSON_OBJECT)
		return NULL;
	for (size_t i = 0; i < json->count; i++)
		if (!strcmp(json->keys[i], key))
			return &json->values[i];
	return NULL;
}

const char *json_member_string(const struct json *json, const char *key)
{
	const struct json *member = json_member(json, key);

	return member && member->type == JSON_STRING ? member->string : NULL;
}

/* Room for one more value: capacities are powers of two, so a full one shows in the count. */
static int container_grow(struct json *container)
{
	size_t capacity = container->count ? container->count * 2 : 1;
	struct json *values;
	char **keys;

	if (container->count & (container->count - 1))
		return 0;
	values = reallocarray(container->values, capacity, sizeof(*values));
	if (!values)
		return -ENOMEM;
	container->values = values;
	if (container->type != JSON_OBJECT)
		return 0;
	keys = reallocarray(container->keys, capacity, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	container->keys = keys;
	return 0;
}

/* yajl calls back when it has taken a token: this is where it ended. */
static struct json *value_begin(
	const struct parser *parser, struct json *value, enum json_type type)
{
	value->type = type;
	value->end = yajl_get_bytes_consumed(parser->handle);
	if (type == JSON_NULL)
		value->begin = value->end - strlen("null");
	else if (type == JSON_ARRAY || type == JSON_OBJECT)
		value->begin = value->end - 1;
	return value;
}

/* Adds an empty value where the text is now. NULL: the parser was stopped. */
static struct json *parser_add(struct parser *parser, enum json_type type)
{
	struct json *container, *value;

	if (++parser->values > JSON_VALUES_MAX) {
		parser_stop(parser, E2BIG, "too many values");
		return NULL;
	}
	if (parser->depth == 0) {
		value = parser->root = calloc(1, sizeof(*value));
		if (!value)
			parser_stop(parser, ENOMEM, "out of memory");
		return value ? value_begin(parser, value, type) : NULL;
	}
	container = parser->open[parser->depth - 1];
	if (container_grow(container) < 0) {
		parser_stop(parser, ENOMEM, "out of memory");
		return NULL;
	}
	value = &container->values[container->count];
	memset(value, 0, sizeof(*value));
	if (container->type == JSON_OBJECT)
		container->keys[container->count] = steal_ptr(&parser->keys[parser->depth - 1]);
	container->count++;
	return value_begin(parser, value, type);
}

static int on_null(void *ctx)
{
	return parser_add(ctx, JSON_NULL) != NULL;
}

static int on_boolean(void *ctx, int boolean)
{
	struct json *value = parser_add(ctx, JSON_BOOL);

	if (value)
		value->boolean = boolean;
	return value != NULL;
}

static int on_number(void *ctx, const char *text, size_t size)
{
	struct json *value = parser_add(ctx, JSON_NUMBER);
	char digits[32];
	char *end;

	if (!value)
		return 0;
	/* Anything longer than an int64 is no integer to us. */
	if (size >= sizeof(digits))
		return 1;
	memcpy(digits, text, size);
	digits[size] = '\0';
	errno = 0;
	value->integer = strtoll(digits, &end, 10);
	value->is_integer = !*end && !errno;
	if (!value->is_integer)
		value->integer = 0;
	return 1;
}

static char *parser_copy(struct parser *parser, const unsigned char *text, size_t size)
{
	char *copy;

	if (memchr(text, '\0', size)) {
		parser_stop(parser, EINVAL, "a NUL byte in a string");
		return NULL;
	}
	copy = strndup((const char *)text, size);
	if (!copy)
		parser_stop(parser, ENOMEM, "out of memory");
	return copy;
}

static int on_string(void *ctx, const unsigned char *text, size_t size)
{
	_cleanup_free_ char *copy = parser_copy(ctx, text, size);
	struct json *value;

	if (!copy)
		return 0;
	value = parser_add(ctx, JSON_STRING);
	if (value)
		value->string = steal_ptr(&copy);
	return value != NULL;
}

static int on_begin(struct parser *parser, enum json_type type)
{
	struct json *value;

	if (parser->depth == JSON_DEPTH_MAX)
		return parser_stop(parser, E2BIG, "nested too deeply");
	value = parser_add(parser, type);
	if (value)
		parser->open[parser->depth++] = value;
	return value != NULL;
}

static int on_map_begin(void *ctx)
{
	return on_begin(ctx, JSON_OBJECT);
}

static int on_array_begin(void *ctx)
{
	return on_begin(ctx, JSON_ARRAY);
}

static int on_key(void *ctx, const unsigned char *text, size_t size)
{
	struct parser *parser = ctx;

	return (parser->keys[parser->depth - 1] = parser_copy(parser, text, size)) != NULL;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct json *container_end(struct parser *parser)
{
	struct json *container = parser->open[--parser->depth];

	container->end = yajl_get_bytes_consumed(parser->handle);
	return container;
}

/* Sorted, because comparing each key with each would let an attacker burn hours. */
static int on_map_end(void *ctx)
{
	struct parser *parser = ctx;
	const struct json *map = container_end(parser);
	_cleanup_free_ char **sorted = NULL;

	if (map->count < 2)
		return 1;
	sorted = reallocarray(NULL, map->count, sizeof(*sorted));
	if (!sorted)
		return parser_stop(parser, ENOMEM, "out of memory");
	memcpy(sorted, map->keys, map->count * sizeof(*sorted));
	qsort(sorted, map->count, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < map->count; i++)
		if (!strcmp(sorted[i - 1], sorted[i]))
			return parser_stop(parser, EINVAL, "a key stands twice in an object");
	return 1;
}

static int on_array_end(void *ctx)
{
	container_end(ctx);
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map_begin,
	.yajl_map_key = on_key,
	.yajl_end_map = on_map_end,
	.yajl_start_array = on_array_begin,
	.yajl_end_array = on_array_end,
};

/* The value of \uXXXX at `text`, -1 when there is no such escape. */
static long escape_value(const char *text, size_t size)
{
	char digits[5] = {0};
	char *end;
	long value;

	if (size < 6 || text[0] != '\\' || text[1] != 'u')
		return -1;
	memcpy(digits, text + 2, 4);
	if (digits[0] == '+' || digits[0] == '-' || digits[0] == ' ')
		return -1;
	value = strtol(digits, &end, 16);
	return *end ? -1 : value;
}

/*
 * yajl lets overlong sequences through and turns half a surrogate pair into '?', so
 * that two different texts would read as one. Returns the offset of the first fault.
 */
static size_t text_is_unicode_until(const char *text, size_t size)
{
	size_t i = 0;

	while (i < size) {
		size_t n = utf8_sequence((const unsigned char *)text + i, size - i);
		long unit = escape_value(text + i, size - i), next;

		if (n == 0 || (unit >= 0xdc00 && unit <= 0xdfff))
			return i;
		if (unit >= 0xd800 && unit <= 0xdbff) {
			next = escape_value(text + i + 6, size - i - 6);
			if (next < 0xdc00 || next > 0xdfff)
				return i;
			n = 12;
		} else if (text[i] == '\\' && i + 1 < size && text[i + 1] == '\\') {
			n = 2;
		}
		i += n;
	}
	return size;
}

/* Where byte `at` is, for people: both count from 1, columns are bytes. */
static int fail_at(const char *text, size_t at, int code, const char *fault, struct error *err)
{
	size_t line = 1, start = 0;

	for (size_t i = 0; i < at; i++) {
		if (text[i] != '\n')
			continue;
		line++;
		start = i + 1;
	}
	return error_set(err, code, EXIT_STATUS_FAILED,
		"not valid JSON: %s, at line %zu, column %zu", fault, line, at - start + 1);
}

/* `at` is behind the token that yajl could not take. */
static int parse_failed(const struct parser *parser, yajl_handle handle, const char *json,
	size_t at, struct error *err)
{
	unsigned char *text;
	int r;

	at = at > 0 ? at - 1 : 0;
	if (parser->fault)
		return fail_at(json, at, parser->code, parser->fault, err);
	text = yajl_get_error(handle, 0, NULL, 0);
	if (text)
		text[strcspn((char *)text, "\n")] = '\0';
	r = fail_at(json, at, EINVAL, text ? (const char *)text : "parse error", err);
	if (text)
		yajl_free_error(handle, text);
	return r;
}

int json_parse(const char *text, size_t size, struct json **ret_json, struct error *err)
{
	struct parser parser = {0};
	yajl_handle handle;
	yajl_status status;
	size_t at, fault = text_is_unicode_until(text, size);
	int r = 0;

	if (fault < size)
		return fail_at(text, fault, EILSEQ, "not UTF-8", err);
	handle = yajl_alloc(&callbacks, NULL, &parser);
	if (!handle)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	parser.handle = handle;
	status = yajl_parse(handle, (const unsigned char *)text, size);
	at = status == yajl_status_ok ? size : yajl_get_bytes_consumed(handle);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(handle);
	if (status != yajl_status_ok)
		r = parse_failed(&parser, handle, text, at < size ? at : size, err);
	else if (!parser.root)
		r = error_set(err, EINVAL, EXIT_STATUS_FAILED, "not valid JSON: it is empty");
	yajl_free(handle);
	for (size_t i = 0; i < JSON_DEPTH_MAX; i++)
		free(parser.keys[i]);
	if (r < 0) {
		json_free(parser.root);
		return r;
	}
	*ret_json = parser.root;
	return 0;
}
