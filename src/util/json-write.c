/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/json.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_gen.h>

#include "util/cleanup.h"
#include "util/utf8.h"

struct json_writer {
	yajl_gen gen;
	size_t depth;
	int error; /* the first, -errno */
};

int json_writer_new(bool pretty, struct json_writer **ret_writer)
{
	_cleanup_free_ struct json_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return -ENOMEM;
	writer->gen = yajl_gen_alloc(NULL);
	if (!writer->gen)
		return -ENOMEM;
	yajl_gen_config(writer->gen, yajl_gen_beautify, (int)pretty);
	yajl_gen_config(writer->gen, yajl_gen_indent_string, "  ");
	*ret_writer = steal_ptr(&writer);
	return 0;
}

static void writer_note(struct json_writer *writer, yajl_gen_status status)
{
	if (status != yajl_gen_status_ok && !writer->error)
		writer->error = -EINVAL;
}

void json_write_object_begin(struct json_writer *writer)
{
	writer_note(writer, yajl_gen_map_open(writer->gen));
	writer->depth++;
}

void json_write_object_end(struct json_writer *writer)
{
	writer_note(writer, yajl_gen_map_close(writer->gen));
	writer->depth--;
}

void json_write_array_begin(struct json_writer *writer)
{
	writer_note(writer, yajl_gen_array_open(writer->gen));
	writer->depth++;
}

void json_write_array_end(struct json_writer *writer)
{
	writer_note(writer, yajl_gen_array_close(writer->gen));
	writer->depth--;
}

void json_write_key(struct json_writer *writer, const char *key)
{
	json_write_string(writer, key);
}

void json_write_string(struct json_writer *writer, const char *value)
{
	static const char replacement[] = "\xef\xbf\xbd";
	const unsigned char *p = (const unsigned char *)value;
	_cleanup_free_ unsigned char *clean = NULL;
	size_t left = value ? strlen(value) : 0, used = 0;

	if (!value) {
		writer_note(writer, yajl_gen_null(writer->gen));
		return;
	}
	clean = reallocarray(NULL, left + 1, 3);
	if (!clean) {
		writer->error = writer->error ? writer->error : -ENOMEM;
		return;
	}
	while (left > 0) {
		size_t n = utf8_sequence(p, left), step = n ? n : 1;

		memcpy(clean + used, n ? p : (const unsigned char *)replacement, n ? n : 3);
		used += n ? n : 3;
		p += step;
		left -= step;
	}
	writer_note(writer, yajl_gen_string(writer->gen, clean, used));
}

void json_write_integer(struct json_writer *writer, int64_t value)
{
	writer_note(writer, yajl_gen_integer(writer->gen, value));
}

void json_write_bool(struct json_writer *writer, bool value)
{
	writer_note(writer, yajl_gen_bool(writer->gen, value));
}

void json_write_text(struct json_writer *writer, const char *key, const char *value)
{
	json_write_key(writer, key);
	json_write_string(writer, value);
}

void json_write_number(struct json_writer *writer, const char *key, int64_t value)
{
	json_write_key(writer, key);
	json_write_integer(writer, value);
}

void json_write_count(struct json_writer *writer, const char *key, uint64_t value)
{
	json_write_number(writer, key, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void json_write_flag(struct json_writer *writer, const char *key, bool value)
{
	json_write_key(writer, key);
	json_write_bool(writer, value);
}

int json_writer_finish(struct json_writer *writer, char **ret_text, size_t *ret_size)
{
	const unsigned char *text;
	size_t size;
	int r = writer->error;

	if (r == 0 && writer->depth > 0)
		r = -EINVAL;
	if (r == 0 && yajl_gen_get_buf(writer->gen, &text, &size) != yajl_gen_status_ok)
		r = -EINVAL;
	if (r == 0 && size == 0)
		r = -EINVAL;
	if (r == 0) {
		*ret_text = strndup((const char *)text, size);
		if (*ret_text && ret_size)
			*ret_size = size;
		r = *ret_text ? 0 : -ENOMEM;
	}
	yajl_gen_free(writer->gen);
	free(writer);
	return r;
}

int json_quote(const char *value, char **ret_text)
{
	struct json_writer *writer;
	int r = json_writer_new(false, &writer);

	if (r < 0)
		return r;
	json_write_string(writer, value);
	return json_writer_finish(writer, ret_text, NULL);
}
