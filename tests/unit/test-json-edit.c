/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values put into a text that somebody else wrote: all other bytes stay. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/json.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static void positions(void **state)
{
	static const char text[] =
		" {\"a\" : null, \"b\\u0062\":[ 1 , {\"x\":\"\xc3\xa9\\\"}\"} , [] ],\"c\":-1.50e+3 } ";
	static const struct {
		const char *key, *text;
	} rows[] = {{"a", "null"}, {"bb", "[ 1 , {\"x\":\"\xc3\xa9\\\"}\"} , [] ]"}};
	struct json *json;
	const struct json *list;

	assert_int_equal(json_parse(text, strlen(text), &json, NULL), 0);
	assert_int_equal(json->begin, 1);
	assert_int_equal(json->end, strlen(text) - 1);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct json *value = json_member(json, rows[i].key);

		assert_int_equal(value->end - value->begin, strlen(rows[i].text));
		assert_memory_equal(text + value->begin, rows[i].text, strlen(rows[i].text));
	}
	list = json_member(json, "bb");
	assert_int_equal(text[list->values[0].end - 1], '1');
	assert_int_equal(text[list->values[1].begin], '{');
	assert_int_equal(text[json_member(&list->values[1], "x")->end - 1], '"');
	assert_int_equal(list->values[2].end - list->values[2].begin, 2);
	assert_memory_equal(text + json_member(json, "c")->end - 8, "-1.50e+3", 8);
	json_free(json);
}

/* Two members into the object, two items into its list "l", and its "n" is replaced. */
static char *edited(const char *text)
{
	struct json_edit *edit;
	struct json *json;
	char *result = NULL;
	size_t size = 0;

	assert_int_equal(json_parse(text, strlen(text), &json, NULL), 0);
	assert_int_equal(json_edit_new(text, strlen(text), &edit), 0);
	json_edit_add_member(edit, json, "k\"1", "1");
	if (json_member(json, "l")) {
		json_edit_add_item(edit, json_member(json, "l"), "{}");
		json_edit_add_item(edit, json_member(json, "l"), "\"i\"");
	}
	if (json_member(json, "n"))
		json_edit_replace(edit, json_member(json, "n"), "[true]");
	json_edit_add_member(edit, json, "k2", "2");
	assert_int_equal(json_edit_finish(edit, &result, &size), 0);
	assert_int_equal(size, strlen(result));
	json_free(json);
	assert_int_equal(json_parse(result, size, &json, NULL), 0);
	json_free(json);
	return result;
}

static void edits(void **state)
{
#define ADDED "\"k\\\"1\":1,\"k2\":2"
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{"{}", "{" ADDED "}"},
		{" { \n} ", " {" ADDED " \n} "},
		{"{\"a\":1}", "{\"a\":1," ADDED "}"},
		{"{\"a\" : 1.00 \t}\n", "{\"a\" : 1.00," ADDED " \t}\n"},
		{"{\"n\":null}", "{\"n\":[true]," ADDED "}"},
		{"{\"n\":{\"x\":[ ]} }", "{\"n\":[true]," ADDED " }"},
		{"{\"l\":[]}", "{\"l\":[{},\"i\"]," ADDED "}"},
		{"{\"l\":[ ] }", "{\"l\":[{},\"i\" ]," ADDED " }"},
		{"{\"l\":[[]]}", "{\"l\":[[],{},\"i\"]," ADDED "}"},
		{"{\"n\" :null , \"l\":[ 1e2 ],\"z\":\"\\u00e9\\/\"}",
			"{\"n\" :[true] , \"l\":[ 1e2,{},\"i\" ],\"z\":\"\\u00e9\\/\"," ADDED "}"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char *text = edited(rows[i].text);

		assert_string_equal(text, rows[i].wanted);
		free(text);
	}
}

/* What would overlap is refused, not written. */
static void overlap(void **state)
{
	static const char text[] = "{\"l\":[1]}";
	struct json_edit *edit;
	struct json *json;
	char *result = NULL;
	size_t size;

	assert_int_equal(json_parse(text, strlen(text), &json, NULL), 0);
	assert_int_equal(json_edit_new(text, strlen(text), &edit), 0);
	json_edit_add_item(edit, json_member(json, "l"), "2");
	json_edit_replace(edit, json_member(json, "l"), "[]");
	assert_int_equal(json_edit_finish(edit, &result, &size), -EINVAL);
	assert_null(result);
	json_free(json);
}

static void quotes(void **state)
{
	static const struct {
		const char *value, *wanted;
	} rows[] = {
		{"", "\"\""},
		{"a\"b\\", "\"a\\\"b\\\\\""},
		{"line\n\x01", "\"line\\n\\u0001\""},
		{"\xc3\xa9", "\"\xc3\xa9\""},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char *text;

		assert_int_equal(json_quote(rows[i].value, &text), 0);
		assert_string_equal(text, rows[i].wanted);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(positions),
		cmocka_unit_test(edits),
		cmocka_unit_test(overlap),
		cmocka_unit_test(quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
