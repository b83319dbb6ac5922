/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON, bounded: the only door to yajl. Input is hostile: its size is the
 * caller's to bound, depth and number of values are bounded here, trailing bytes,
 * duplicate keys and bytes that are not UTF-8 are errors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <git-overlayfs/error.h>

#define JSON_DEPTH_MAX	64
#define JSON_VALUES_MAX 200000

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_type type;
	bool boolean;
	bool is_integer;
	int64_t integer;
	char *string;	     /* no NUL inside: such a string is an error */
	size_t count;	     /* of an array or object */
	char **keys;	     /* object */
	struct json *values; /* array, object */
};

/* Parses all of `text`. err says what, at which line and column. The caller frees *ret_json. */
int json_parse(const char *text, size_t size, struct json **ret_json, struct error *err);
void json_free(struct json *json);

/* The member of an object, NULL when there is none or `json` is no object. */
const struct json *json_member(const struct json *json, const char *key);
/* A member's string; NULL when it is missing or no string. */
const char *json_member_string(const struct json *json, const char *key);

/* Writing: a growing text, valid JSON at the end. Errors stick and come out at the end. */
struct json_writer;
int json_writer_new(bool pretty, struct json_writer **ret_writer);
void json_write_object_begin(struct json_writer *writer);
void json_write_object_end(struct json_writer *writer);
void json_write_array_begin(struct json_writer *writer);
void json_write_array_end(struct json_writer *writer);
void json_write_key(struct json_writer *writer, const char *key);
/* Bytes that are not UTF-8 become U+FFFD. NULL writes null. */
void json_write_string(struct json_writer *writer, const char *value);
void json_write_integer(struct json_writer *writer, int64_t value);
void json_write_bool(struct json_writer *writer, bool value);
/* 0 and the text, which the caller frees, or -errno. Ends the writer either way. */
int json_writer_finish(struct json_writer *writer, char **ret_text, size_t *ret_size);
