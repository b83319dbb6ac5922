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
	/* In the text: its first byte (of a null, an array and an object alone), and past its last.
	 */
	size_t begin, end;
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
/* A member of an object. A count that is too large for the format is the largest there is. */
void json_write_text(struct json_writer *writer, const char *key, const char *value);
void json_write_number(struct json_writer *writer, const char *key, int64_t value);
void json_write_count(struct json_writer *writer, const char *key, uint64_t value);
void json_write_flag(struct json_writer *writer, const char *key, bool value);
/* 0 and the text, which the caller frees, or -errno. Ends the writer either way. */
int json_writer_finish(struct json_writer *writer, char **ret_text, size_t *ret_size);

/* `value` as JSON text: quoted, with escapes. The caller frees *ret_text. */
int json_quote(const char *value, char **ret_text);

/*
 * Editing: values are put into a text that somebody else wrote, whose other bytes stay as
 * they are. `text` and what json_parse() made of it are borrowed until the end; new values
 * are JSON text, and are copied. Errors stick and come out at the end.
 */
struct json_edit;
int json_edit_new(const char *text, size_t size, struct json_edit **ret_edit);
/* Behind what the object, or array, has, and what was added before. */
void json_edit_add_member(
	struct json_edit *edit, const struct json *object, const char *key, const char *value);
void json_edit_add_item(struct json_edit *edit, const struct json *array, const char *value);
/* `old` is a null, an array or an object in which nothing else is edited. */
void json_edit_replace(struct json_edit *edit, const struct json *old, const char *value);
/* 0 and the new text, which the caller frees, or -errno. Ends the edit either way. */
int json_edit_finish(struct json_edit *edit, char **ret_text, size_t *ret_size);

/*
 * Changing a text that people wrote: all bytes but those of the change stay as they are. The text,
 * an object after an optional byte order mark, is parsed first, with the bounds above. `keys` lead
 * from the root to the member, and need no escapes; the caller frees *ret_text.
 *
 * set: the member gets `value`, a JSON text; what is missing of the way is made in the file's own
 * style. -EEXIST: something on the way is no object. remove: 1, and the objects on the way that
 * this leaves empty go too (the root stays); 0: there was none.
 */
int json_splice_set(const char *text, size_t size, const char *const keys[], size_t count,
	const char *value, char **ret_text, size_t *ret_size, struct error *err);
int json_splice_remove(const char *text, size_t size, const char *const keys[], size_t count,
	char **ret_text, size_t *ret_size, struct error *err);
