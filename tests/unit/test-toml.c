/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TOML as far as editing needs it: what is read, what is refused, where a section goes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "configure/toml.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

/* "T a.b|K a.b.c=1|..." */
static int describe(const char *text, char *ret_text, size_t size, struct error *err)
{
	static const char letters[] = "TAK#";
	struct toml_statement s;
	struct toml_scan scan;
	size_t used = 0;
	int r = toml_scan_begin(&scan, text, strlen(text), err);

	*ret_text = '\0';
	while (r == 0 && (r = toml_scan_next(&scan, &s, err)) > 0) {
		char name[300] = "";

		if (s.kind != TOML_COMMENT)
			toml_path_describe(&s.path, name, sizeof(name));
		used += (size_t)snprintf(ret_text + used, size - used, "%s%c%s%s%.*s@%u",
			used ? "|" : "", letters[s.kind], name, s.kind == TOML_KEY ? "=" : "",
			s.kind == TOML_KEY ? (int)(s.value_end - s.value) : 0, text + s.value,
			s.line);
		r = 0;
	}
	return r;
}

static void reads_statements(void **state)
{
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{"", ""},
		{"\n\n \t\n", ""},
		{"a=1", "Ka=1@1"},
		{"\xef\xbb\xbf"
		 "a = 1\n",
			"Ka=1@1"},
		{"a = 1\r\n[b]\r\nc = 'x' # y\r\n", "Ka=1@1|Tb@2|Kb.c='x'@3"},
		{"[a . \"b.c\" . 'd']\n\"e\" . f = true", "Ta.\"b.c\".d@1|Ka.\"b.c\".d.e.f=true@2"},
		{"[[a]]\nb=1", "Aa@1|Ka.b=1@2"},
		{"# c\n  # d\na = 1", "#@1|#@2|Ka=1@3"},
		{"a = \"\"\"\n[x]\n# BEGIN\n\\\"\"\"\"\"\nb = 1",
			"Ka=\"\"\"\n[x]\n# BEGIN\n\\\"\"\"\"\"@1|Kb=1@5"},
		{"a = '''\n[x]'''\nb = 1", "Ka='''\n[x]'''@1|Kb=1@3"},
		{"a = [ 1, # x ]\n 2, [\"]\"], ]\nb = 1", "Ka=[ 1, # x ]\n 2, [\"]\"], ]@1|Kb=1@3"},
		{"a = {b = 1, 'c'.d = [{}]}", "Ka={b = 1, 'c'.d = [{}]}@1"},
		{"a = 1979-05-27 07:32:00.5+01:00 # t", "Ka=1979-05-27 07:32:00.5+01:00@1"},
		{"a = -0x1_f\nb = +inf", "Ka=-0x1_f@1|Kb=+inf@2"},
		{"\"\\u00e9\\t\" = 1", "K\xc3\xa9\t=1@1"},
	};
	char said[1000];

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct error err = {0};

		if (describe(rows[i].text, said, sizeof(said), &err) < 0)
			fail_msg("'%s' was refused: %s", rows[i].text, err.text);
		if (strcmp(said, rows[i].wanted) != 0)
			fail_msg("'%s' is '%s', wanted '%s'", rows[i].text, said, rows[i].wanted);
	}
}

static void refuses_what_is_broken(void **state)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"a", "line 1: a key without '='"},
		{"\na =", "line 2: a value is missing"},
		{"= 1", "a key is missing"},
		{"a = 1 2x b", "something stands behind the end"},
		{"a = 1 b = 2", "something stands behind the end"},
		{"[a", "without its ']'"},
		{"[[a]\n", "without its ']'"},
		{"[a] b", "something stands behind the end"},
		{"[]", "a key is missing"},
		{"a = \"x", "a string without an end"},
		{"a = \"x\ny\"", "a string without an end"},
		{"a = \"\"\"x", "a string without an end"},
		{"a = '''x''", "a string without an end"},
		{"\"\\q\" = 1", "an escape that is none"},
		{"\"\\u0000\" = 1", "an escape that is none"},
		{"\"\\ud800\" = 1", "an escape that is none"},
		{"a = [1", "without an end"},
		{"a = [1 2]", "without an end"},
		{"a = {b}", "a key without '='"},
		{"a = \xff", "not UTF-8"},
		{"a.. = 1", "a key is missing"},
		{"# a\r", "something stands behind the end"},
	};
	char said[1000], deep[200];

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct error err = {0};

		if (describe(rows[i].text, said, sizeof(said), &err) >= 0)
			fail_msg("'%s' is '%s', wanted a refusal", rows[i].text, said);
		if (!strstr(err.text, rows[i].error))
			fail_msg("'%s': '%s', wanted '%s'", rows[i].text, err.text, rows[i].error);
	}
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "a=", 2);
	deep[sizeof(deep) - 1] = '\0';
	assert_int_equal(describe(deep, said, sizeof(said), NULL), -EBADMSG);
}

static void refuses_no_text(void **state)
{
	struct error err = {0};
	struct toml_scan scan;

	assert_int_equal(toml_scan_begin(&scan, "a = 1\0b", 7, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "a NUL byte"));
}

static int join(void *ctx, const char *string)
{
	strcat(strcat(ctx, string), "|");
	return 0;
}

static void reads_strings(void **state)
{
	static const struct {
		const char *value, *wanted; /* NULL: refused */
		bool appends;
	} rows[] = {
		{"[]", "", false},
		{"\"a\"", "a|", false},
		{"[\"a\", 'b\\', # c\n \"\\\"\\u0041\"]", "a|b\\|\"A|", false},
		{"[\"a\", {append = true}]", "a|", true},
		{"[\"a\", {append=false}]", "a|", false},
		{"7", NULL, false},
		{"[7]", NULL, false},
		{"[[\"a\"]]", NULL, false},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char said[200] = "";
		bool appends = false;
		int r = toml_each_string(
			rows[i].value, strlen(rows[i].value), join, said, &appends);

		if ((r < 0) != (rows[i].wanted == NULL))
			fail_msg("'%s': %d", rows[i].value, r);
		if (r >= 0)
			assert_string_equal(said, rows[i].wanted);
		assert_int_equal(appends, rows[i].appends);
	}
}

/* --- the section --- */

#define B "# BEGIN git-overlayfs configure test: this section is written by it, up to END\n"
#define E "# END git-overlayfs configure\n"
#define X B "[a.b.c]\nk = 1\n" E /* a table of its own */
#define W B "k = 1\n" E		 /* within [a.b] */
#define H B "[a.b]\nk = 1\n" E	 /* the same, where that is missing */
#define CRLF_X                                                                               \
	"# BEGIN git-overlayfs configure test: this section is written by it, up to END\r\n" \
	"[a.b.c]\r\nk = 1\r\n# END git-overlayfs configure\r\n"

struct row {
	const char *before, *after; /* after NULL: refused */
	const char *error;
};

static const struct row tables[] = {
	{"", X, NULL},
	{"v = 2\n", "v = 2\n" X, NULL},
	{"v = 2", "v = 2\n" X, NULL},
	{"v = 2\r\n[a]\r\nx = 1", "v = 2\r\n[a]\r\nx = 1\r\n" CRLF_X, NULL},
	{"\xef\xbb\xbfv = 2\n", "\xef\xbb\xbfv = 2\n" X, NULL},
	{"# only a comment", "# only a comment\n" X, NULL},
	{"[a]\n[a.b] # c\nk = 1\n[a.b.d]\n", "[a]\n[a.b] # c\nk = 1\n[a.b.d]\n" X, NULL},
	{"#[a.b.c]\ns = \"[a.b.c]\"\n", "#[a.b.c]\ns = \"[a.b.c]\"\n" X, NULL},
	/* Again, moved, or changed within: the same, at the end. */
	{X, X, NULL},
	{"v = 2\n" X, "v = 2\n" X, NULL},
	{"v = 2\n" X "[z]\n", "v = 2\n[z]\n" X, NULL},
	{"v = 2\n" B "[a.b.c]\nk = 9\nmore = 1\n" E, "v = 2\n" X, NULL},
	/* What looks like a marker in a string is none. */
	{"s = '''\n" B "'''\n", "s = '''\n" B "'''\n" X, NULL},
	{"[a.b.c]\n", NULL, "line 1 sets a.b.c already"},
	{"v = 2\n[a.b.c.d]\n", NULL, "line 2 sets a.b.c.d already"},
	{"[a]\nb.c.k = 1\n", NULL, "line 2 sets a.b.c.k already"},
	{"[a]\nb = {x = 1}\n", NULL, "line 2 sets a.b already"},
	{"a = 1\n", NULL, "line 1 sets a already"},
	{"[[a.b]]\n", NULL, "line 1 sets a.b already"},
	{X X, NULL, "were edited"},
	{B "[a.b.c]\n", NULL, "line 1: the comments BEGIN and END"},
	{"[a.b.c]\n" E, NULL, "line 2: the comments BEGIN and END"},
	{E B, NULL, "were edited"},
	{B B E E, NULL, "were edited"},
	{"a = [\n", NULL, "not valid TOML"},
};

static const struct row keys_within[] = {
	{"", H, NULL},
	{"[a]\nx = 1\n", "[a]\nx = 1\n" H, NULL},
	{"[a.b]\n", "[a.b]\n" W, NULL},
	{"[a.b]", "[a.b]\n" W, NULL},
	{"[a.b] # c\nx = 1\n[z]\n", "[a.b] # c\n" W "x = 1\n[z]\n", NULL},
	{"[a.b]\n" W "x = 1\n[z]\n", "[a.b]\n" W "x = 1\n[z]\n", NULL},
	{"[a.b.d]\n[a.b]\n#k = 2\n", "[a.b.d]\n[a.b]\n" W "#k = 2\n", NULL},
	{"[a.b]\nk = 1\n", NULL, "line 2 sets a.b.k already"},
	{"[a]\nb.k = 1\n", NULL, "line 2 sets a.b.k already"},
	{"[a]\nb.x = 1\n", NULL, "line 2 sets a.b.x already"},
	{"[a]\nb = {}\n", NULL, "line 2 sets a.b already"},
	{"[[a.b]]\n", NULL, "line 1 sets a.b already"},
};

static void check_put(const struct toml_section *section, const struct row *row)
{
	struct error err = {0};
	char *text = NULL, *again, *without;
	size_t size;
	int r = toml_section_put(section, row->before, strlen(row->before), &text, &size, &err);

	if (!row->after) {
		if (r >= 0)
			fail_msg("'%s' gave '%s', wanted a refusal", row->before, text);
		if (!strstr(err.text, row->error))
			fail_msg("'%s': '%s', wanted '%s'", row->before, err.text, row->error);
		return;
	}
	if (r < 0)
		fail_msg("'%s' was refused: %s", row->before, err.text);
	if (strcmp(text, row->after) != 0)
		fail_msg("'%s' gave '%s', wanted '%s'", row->before, text, row->after);
	assert_int_equal(size, strlen(text));
	/* A second time changes nothing, and without it is what was there before. */
	assert_int_equal(toml_section_put(section, text, size, &again, &size, &err), 0);
	assert_string_equal(again, text);
	assert_int_equal(toml_section_take(text, size, &without, &size, &err), 0);
	assert_int_equal(toml_section_exists(without, size, &err), 0);
	free(again);
	assert_int_equal(toml_section_put(section, without, size, &again, &size, &err), 0);
	assert_string_equal(again, text);
	free(again);
	free(without);
	free(text);
}

static void puts_tables(void **state)
{
	struct toml_path owned;
	const struct toml_section section = {
		.body = "[a.b.c]\nk = 1\n", .owned = &owned, .owned_count = 1, .engine = "test"};

	toml_path_set(&owned, "a", "b", "c", NULL);
	for (size_t i = 0; i < ROWS(tables); i++)
		check_put(&section, &tables[i]);
}

static void puts_keys_into_a_table(void **state)
{
	struct toml_path owned, within;
	const struct toml_section section = {.body = "k = 1\n",
		.within = &within,
		.header = "[a.b]",
		.owned = &owned,
		.owned_count = 1,
		.engine = "test"};

	toml_path_set(&within, "a", "b", NULL);
	toml_path_set(&owned, "a", "b", "k", NULL);
	for (size_t i = 0; i < ROWS(keys_within); i++)
		check_put(&section, &keys_within[i]);
}

static void takes_what_is_ours(void **state)
{
	static const struct row rows[] = {
		{"", "", NULL},
		{"v = 2", "v = 2", NULL},
		{"v = 2\n" X, "v = 2\n", NULL},
		{"v = 2\n" X "[z]\n", "v = 2\n[z]\n", NULL},
		{"[a.b]\n" W "x = 1", "[a.b]\nx = 1", NULL},
		{"v = 2\r\n" CRLF_X, "v = 2\r\n", NULL},
		{B, NULL, "were edited"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct error err = {0};
		char *text;
		size_t size;
		int r = toml_section_take(
			rows[i].before, strlen(rows[i].before), &text, &size, &err);

		assert_int_equal(r < 0, rows[i].after == NULL);
		if (r < 0)
			continue;
		assert_string_equal(text, rows[i].after);
		assert_int_equal(size, strlen(text));
		free(text);
	}
}

static void quotes(void **state)
{
	char *quoted = toml_quote("/a \"b\" \\ \xc3\xa9");

	assert_string_equal(quoted, "\"/a \\\"b\\\" \\\\ \xc3\xa9\"");
	free(quoted);
	assert_null(toml_quote("a\nb"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_statements),
		cmocka_unit_test(refuses_what_is_broken),
		cmocka_unit_test(refuses_no_text),
		cmocka_unit_test(reads_strings),
		cmocka_unit_test(puts_tables),
		cmocka_unit_test(puts_keys_into_a_table),
		cmocka_unit_test(takes_what_is_ours),
		cmocka_unit_test(quotes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
