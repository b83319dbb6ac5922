/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Changes to a JSON text: what they give, and that all other bytes stay. */
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

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static const char *const keys[] = {"r", "g", "p"};

struct row {
	const char *before, *after; /* after NULL: refused */
	const char *error;
};

static const struct row sets[] = {
	{"{}", "{\n    \"r\": {\n        \"g\": {\n            \"p\": 1\n        }\n    }\n}",
		NULL},
	{"{ }\n", "{\n    \"r\": {\n        \"g\": {\n            \"p\": 1\n        }\n    }\n}\n",
		NULL},
	{"{\"a\":2}", "{\"a\":2, \"r\": {\n    \"g\": {\n        \"p\": 1\n    }\n}}", NULL},
	{"{\n  \"a\": 2\n}\n",
		"{\n  \"a\": 2,\n  \"r\": {\n    \"g\": {\n      \"p\": 1\n    }\n  }\n}\n", NULL},
	{"{\r\n\t\"a\": 2\r\n}",
		"{\r\n\t\"a\": 2,\r\n\t\"r\": {\r\n\t\t\"g\": {\r\n\t\t\t\"p\": 1\r\n\t\t}\r\n\t}\r\n}",
		NULL},
	{"{\n  \"r\": {},\n  \"a\" : [ 1,2 ]\n}",
		"{\n  \"r\": {\n    \"g\": {\n      \"p\": 1\n    }\n  },\n  \"a\" : [ 1,2 ]\n}",
		NULL},
	{"{\n  \"r\": {\n    \"x\": {\"p\": \"}\"}\n  }\n}",
		"{\n  \"r\": {\n    \"x\": {\"p\": \"}\"},\n    \"g\": {\n      \"p\": 1\n    }\n  }\n}",
		NULL},
	{"{\"r\":{\"g\":{\"p\": \"old\" , \"q\":[{}]}}}", "{\"r\":{\"g\":{\"p\": 1 , \"q\":[{}]}}}",
		NULL},
	{"{\"r\":{\"g\":{\"p\":1}}}", "{\"r\":{\"g\":{\"p\":1}}}", NULL},
	/* A key may be written with escapes, and a string may hold what looks like one. */
	{"{\"\\u0072\":{\"g\":{\"p\":[\"]\",{}]}}}", "{\"\\u0072\":{\"g\":{\"p\":1}}}", NULL},
	{"{\"a\":\"\\\"r\\\":{\\\\\",\"r\":{\"g\":{\"p\":-1.5e3}}}",
		"{\"a\":\"\\\"r\\\":{\\\\\",\"r\":{\"g\":{\"p\":1}}}", NULL},
	{"\xef\xbb\xbf{\"r\":{\"g\":{\"p\":null}}}\n", "\xef\xbb\xbf{\"r\":{\"g\":{\"p\":1}}}\n",
		NULL},
	{" \n {\"r\":{\"g\":{\"p\":true}}} \n", " \n {\"r\":{\"g\":{\"p\":1}}} \n", NULL},
	{"", NULL, "not valid JSON"},
	{"\xef\xbb\xbf", NULL, "not valid JSON"},
	{"[]", NULL, "no JSON object"},
	{"7", NULL, "no JSON object"},
	{"{\"r\":7}", NULL, "\"r\" stands for is no object"},
	{"{\"r\":{\"g\":[]}}", NULL, "\"g\" stands for is no object"},
	{"{\"a\":1,}", NULL, "not valid JSON"},
	{"{\"a\":1} x", NULL, "not valid JSON"},
	{"{\"r\":{},\"r\":{}}", NULL, "stands twice"},
	{"{\"a\":\"\xff\"}", NULL, "not UTF-8"},
	{"{\"a\":1 /* why */}", NULL, "not valid JSON"},
};

static const struct row removals[] = {
	{"{\"r\":{\"g\":{\"p\":1}}}", "{}", NULL},
	{"{\n  \"r\": {\n    \"g\": {\"p\": 1}\n  }\n}\n", "{}\n", NULL},
	{"{\n  \"a\": 2,\n  \"r\": {\n    \"g\": {}\n  }\n}\n", "{\n  \"a\": 2\n}\n", NULL},
	{"{\n  \"r\": {\n    \"g\": {}\n  },\n  \"a\": 2\n}\n", "{\n  \"a\": 2\n}\n", NULL},
	{"{\"b\":1,\"r\":{\"g\":1},\"a\":2}", "{\"b\":1,\"a\":2}", NULL},
	{"{\"r\": {\"x\": 1, \"g\": {\"p\": 1}}}", "{\"r\": {\"x\": 1}}", NULL},
	{"{\"r\": {\"g\": {\"p\": 1}, \"x\": 1}}", "{\"r\": {\"x\": 1}}", NULL},
	{"{\"r\": {\"x\": 1}}", "", NULL},
	{"{\"r\": 1}", "", NULL},
	{"{}", "", NULL},
	{"\xef\xbb\xbf{\"r\":{\"g\":1},\"a\":2}", "\xef\xbb\xbf{\"a\":2}", NULL},
	{"[", NULL, "not valid JSON"},
	{"\"r\"", NULL, "no JSON object"},
};

static void check(const struct row *row, int r, char *text, size_t size, const struct error *err)
{
	if (!row->after) {
		if (r >= 0)
			fail_msg("'%s' gave '%s', wanted a refusal", row->before, text);
		if (!strstr(err->text, row->error))
			fail_msg("'%s': '%s', wanted '%s'", row->before, err->text, row->error);
		return;
	}
	if (r < 0)
		fail_msg("'%s' was refused: %s", row->before, err->text);
	if (!*row->after) {
		assert_int_equal(r, 0);
		assert_null(text);
		return;
	}
	if (strcmp(text, row->after) != 0)
		fail_msg("'%s' gave '%s', wanted '%s'", row->before, text, row->after);
	assert_int_equal(size, strlen(text));
	free(text);
}

static void sets_members(void **state)
{
	for (size_t i = 0; i < ROWS(sets); i++) {
		struct error err = {0};
		char *text = NULL;
		size_t size = 0;
		int r = json_splice_set(
			sets[i].before, strlen(sets[i].before), keys, 3, "1", &text, &size, &err);

		check(&sets[i], r, text, size, &err);
	}
}

static void removes_members(void **state)
{
	for (size_t i = 0; i < ROWS(removals); i++) {
		struct error err = {0};
		char *text = NULL;
		size_t size = 0;
		int r = json_splice_remove(removals[i].before, strlen(removals[i].before), keys, 2,
			&text, &size, &err);

		check(&removals[i], r, text, size, &err);
	}
}

/* What was set and removed again is what was there, blanks of empty objects aside. */
static void removing_undoes_setting(void **state)
{
	static const char *const texts[] = {"{}", "{\"a\":1}",
		"{\n\t\"a\": {\"b\": []},\n\t\"c\": 1\n}\n", "{\"r\": {\"x\": 1}}",
		"{ \"r\" : { \"x\" : { } } , \"a\" : 1 }"};

	for (size_t i = 0; i < ROWS(texts); i++) {
		char *set, *removed;
		size_t size;

		assert_int_equal(json_splice_set(texts[i], strlen(texts[i]), keys, 3, "\"x\"", &set,
					 &size, NULL),
			0);
		assert_int_equal(json_splice_remove(set, size, keys, 2, &removed, &size, NULL), 1);
		assert_string_equal(removed, texts[i]);
		free(set);
		free(removed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_members),
		cmocka_unit_test(removes_members),
		cmocka_unit_test(removing_undoes_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
