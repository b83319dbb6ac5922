/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON: what is read, what hostile input is refused, what is written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/json.h>

#define TEXT(s) s, sizeof(s) - 1

static struct json *parse(const char *text)
{
	struct json *json = NULL;
	struct error err = {0};

	if (json_parse(text, strlen(text), &json, &err) < 0)
		fail_msg("'%s' was refused: %s", text, err.text);
	return json;
}

static void reads_every_type(void **state)
{
	struct json *json =
		parse("{\"a\":[null,true,-7,1.5,\"\\u00e9\\ud83d\\ude00\"],\"o\":{\"k\":\"v\"}}");
	const struct json *array = json_member(json, "a");

	assert_int_equal(json->type, JSON_OBJECT);
	assert_int_equal(json->count, 2);
	assert_int_equal(array->count, 5);
	assert_int_equal(array->values[0].type, JSON_NULL);
	assert_true(array->values[1].boolean);
	assert_int_equal(array->values[2].integer, -7);
	assert_true(array->values[2].is_integer);
	assert_int_equal(array->values[3].type, JSON_NUMBER);
	assert_false(array->values[3].is_integer);
	assert_string_equal(array->values[4].string, "\xc3\xa9\xf0\x9f\x98\x80");
	assert_string_equal(json_member_string(json_member(json, "o"), "k"), "v");
	assert_null(json_member_string(json, "o"));
	assert_null(json_member(json, "missing"));
	assert_null(json_member(array, "a"));
	assert_null(json_member(NULL, "a"));
	json_free(json);
	json_free(NULL);
}

static void integers_at_the_edge(void **state)
{
	static const struct {
		const char *text;
		bool is_integer;
		int64_t value;
	} rows[] = {
		{"9223372036854775807", true, INT64_MAX},
		{"-9223372036854775808", true, INT64_MIN},
		{"9223372036854775808", false, 0},
		{"-9223372036854775809", false, 0},
		{"1e3", false, 0},
		{"10.0", false, 0},
		{"1000000000000000000000000000000000000000000000000", false, 0},
		{"0", true, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *json = parse(rows[i].text);

		if (json->is_integer != rows[i].is_integer || json->integer != rows[i].value)
			fail_msg("%s: integer %d, value %lld", rows[i].text, json->is_integer,
				(long long)json->integer);
		json_free(json);
	}
}

static void refuses(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		int code;
	} rows[] = {
		{TEXT(""), EINVAL},
		{TEXT("  \n"), EINVAL},
		{TEXT("{"), EINVAL},
		{TEXT("[1,]"), EINVAL},
		{TEXT("{\"a\":1,}"), EINVAL},
		{TEXT("{\"a\" 1}"), EINVAL},
		{TEXT("[1] x"), EINVAL},
		{TEXT("[1][2]"), EINVAL},
		{TEXT("[1]\0"), EINVAL},
		{TEXT("/* c */ 1"), EINVAL},
		{TEXT("\xef\xbb\xbf[]"), EINVAL},
		{TEXT("nul"), EINVAL},
		{TEXT("01"), EINVAL},
		{TEXT("+1"), EINVAL},
		{TEXT("'a'"), EINVAL},
		{TEXT("\"a"), EINVAL},
		{TEXT("\"\n\""), EINVAL},
		{TEXT("\"\\x\""), EINVAL},
		{TEXT("\"a\\u0000b\""), EINVAL},
		{TEXT("{\"a\\u0000b\":1}"), EINVAL},
		{TEXT("{\"a\":1,\"b\":2,\"a\":3}"), EINVAL},
		{TEXT("{\"a\":1,\"\\u0061\":3}"), EINVAL},
		{TEXT("{1:2}"), EINVAL},
		{TEXT("\"\xff\""), EILSEQ},
		{TEXT("\"\xc0\x80\""), EILSEQ},
		{TEXT("\"\xed\xa0\x80\""), EILSEQ},
		{TEXT("\"\xe2\x82\""), EILSEQ},
		{TEXT("\"\xf5\x80\x80\x80\""), EILSEQ},
		{TEXT("\"\\ud800\""), EILSEQ},
		{TEXT("\"\\udc00\""), EILSEQ},
		{TEXT("\"\\ud800\\u0041\""), EILSEQ},
		{TEXT("\"\\ud800"), EILSEQ},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *json = NULL;
		struct error err = {0};
		int r = json_parse(rows[i].text, rows[i].size, &json, &err);

		if (r != -rows[i].code || json || !err.text[0] || !strstr(err.text, "JSON"))
			fail_msg("'%s': %d, wanted %d: '%s'", rows[i].text, r, -rows[i].code,
				err.text);
	}
}

static void errors_say_where(void **state)
{
	static const struct {
		const char *text, *where;
	} rows[] = {
		{"", "line 1, column 1"},
		{"{\"a\":", "line 1, column 5"},
		{"{\n \"a\":\n", "line 2, column 6"},
		{"{\"allow\": [\n {\"repositories\": [}\n]}", "line 2, column 20"},
		{"{\n  \"a\": 1,\n  \"a\": 2\n}", "line 4, column 1"},
		{"{\n\"a\" 1}", "line 2, column 5"},
		{"{\"a\":1}\n x", "line 2, column 2"},
		{"{\n\"\xff\":1}", "line 2, column 2"},
		{"[1,\n2,]", "line 2, column 3"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *json = NULL;
		struct error err = {0};

		assert_true(json_parse(rows[i].text, strlen(rows[i].text), &json, &err) < 0);
		if (!strstr(err.text, rows[i].where))
			fail_msg("'%s': wanted '%s', got '%s'", rows[i].text, rows[i].where,
				err.text);
	}
}

static void an_escaped_backslash_is_no_surrogate(void **state)
{
	struct json *json = parse("\"\\\\ud800\"");

	assert_string_equal(json->string, "\\ud800");
	json_free(json);
}

/* `open` repeated n times, `middle`, then `close` n times. */
static int parse_nested(const char *open, const char *middle, const char *end, size_t n)
{
	size_t size = n * (strlen(open) + strlen(end)) + strlen(middle);
	char *text = calloc(1, size + 1), *p = text;
	struct json *json = NULL;
	struct error err = {0};
	int r;

	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, open);
	p = stpcpy(p, middle);
	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, end);
	r = json_parse(text, size, &json, &err);
	json_free(json);
	free(text);
	return r;
}

static void depth_is_bounded(void **state)
{
	assert_int_equal(parse_nested("[", "", "]", JSON_DEPTH_MAX), 0);
	assert_int_equal(parse_nested("[", "", "]", JSON_DEPTH_MAX + 1), -E2BIG);
	assert_int_equal(parse_nested("{\"a\":", "1", "}", JSON_DEPTH_MAX + 1), -E2BIG);
	assert_int_equal(parse_nested("[", "", "", 1000000), -E2BIG);
}

static void values_are_bounded(void **state)
{
	assert_int_equal(parse_nested("1,", "", "", 0), -EINVAL);
	for (size_t extra = 0; extra < 2; extra++) {
		size_t count = JSON_VALUES_MAX - 2 + extra;
		char *text = malloc(count * 2 + 4), *p = text;
		struct json *json = NULL;
		int r;

		*p++ = '[';
		for (size_t i = 0; i < count; i++)
			p = stpcpy(p, "1,");
		p = stpcpy(p, "1]");
		r = json_parse(text, (size_t)(p - text), &json, NULL);
		assert_int_equal(r, extra ? -E2BIG : 0);
		json_free(json);
		free(text);
	}
}

/* 100,000 keys: the check for doubles must not take the square of it. */
static void many_keys_are_quick(void **state)
{
	char *text = malloc(100000 * 16), *p = text;
	struct json *json = NULL;

	*p++ = '{';
	for (int i = 0; i < 100000; i++)
		p += sprintf(p, "%s\"k%d\":1", i ? "," : "", i);
	*p++ = '}';
	assert_int_equal(json_parse(text, (size_t)(p - text), &json, NULL), 0);
	assert_int_equal(json->count, 100000);
	json_free(json);
	free(text);
}

static void writes_what_it_reads(void **state)
{
	static const char expected[] =
		"{\"s\":\"a/\\\"\\n\xef\xbf\xbd\xc3\xa9\",\"n\":null,\"a\":[-5,true,{}]}";
	struct json_writer *writer;
	char *text = NULL;
	size_t size = 0;

	assert_int_equal(json_writer_new(false, &writer), 0);
	json_write_object_begin(writer);
	json_write_key(writer, "s");
	json_write_string(writer, "a/\"\n\xff\xc3\xa9");
	json_write_key(writer, "n");
	json_write_string(writer, NULL);
	json_write_key(writer, "a");
	json_write_array_begin(writer);
	json_write_integer(writer, -5);
	json_write_bool(writer, true);
	json_write_object_begin(writer);
	json_write_object_end(writer);
	json_write_array_end(writer);
	json_write_object_end(writer);
	assert_int_equal(json_writer_finish(writer, &text, &size), 0);
	assert_string_equal(text, expected);
	assert_int_equal(size, sizeof(expected) - 1);
	json_free(parse(text));
	free(text);
}

static void misuse_of_the_writer_sticks(void **state)
{
	struct json_writer *writer;
	char *text = NULL;

	assert_int_equal(json_writer_new(false, &writer), 0);
	json_write_object_begin(writer);
	json_write_integer(writer, 1);
	json_write_object_end(writer);
	assert_int_equal(json_writer_finish(writer, &text, NULL), -EINVAL);
	assert_int_equal(json_writer_new(true, &writer), 0);
	json_write_array_begin(writer);
	assert_int_equal(json_writer_finish(writer, &text, NULL), -EINVAL);
	assert_int_equal(json_writer_new(true, &writer), 0);
	assert_int_equal(json_writer_finish(writer, &text, NULL), -EINVAL);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_type),
		cmocka_unit_test(integers_at_the_edge),
		cmocka_unit_test(refuses),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(an_escaped_backslash_is_no_surrogate),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(values_are_bounded),
		cmocka_unit_test(many_keys_are_quick),
		cmocka_unit_test(writes_what_it_reads),
		cmocka_unit_test(misuse_of_the_writer_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
