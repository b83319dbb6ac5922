/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors quote what strangers wrote: none of it may steer a terminal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/error.h>

static const struct {
	const char *text, *shown;
} rows[] = {
	{"plain", "plain"},
	{"a\nb\tc", "a?b?c"},
	{"\033[31m", "?[31m"},
	{"\177", "?"},
	{"caf\303\251", "caf\303\251"},
	{"\360\237\220\247", "\360\237\220\247"},
	/* CSI as a C1 control, and the last and the first of what is none. */
	{"\302\23331m", "??31m"},
	{"\302\200\302\237\302\240", "????\302\240"},
	/* No UTF-8: a bare C1 byte, a short sequence, an overlong form, a surrogate. */
	{"\233[", "?["},
	{"x\303", "x?"},
	{"\300\233", "??"},
	{"\355\240\200", "???"},
	{"\377", "?"},
};

static void texts_are_printable(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};

		error_set(&err, EINVAL, EXIT_STATUS_FAILED, "%s", rows[i].text);
		if (strcmp(err.text, rows[i].shown) != 0)
			fail_msg("row %zu: '%s', wanted '%s'", i, err.text, rows[i].shown);
	}
}

static void prefixes_are_printable(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};

		error_set(&err, EINVAL, EXIT_STATUS_FAILED, "%s", "");
		error_prefix(&err, "%s", rows[i].text);
		assert_int_equal(strncmp(err.text, rows[i].shown, strlen(rows[i].shown)), 0);
		assert_string_equal(err.text + strlen(rows[i].shown), ": ");
	}
}

/* Cut in the middle of a character. */
static void long_texts_end_whole(void **state)
{
	char text[sizeof(((struct error *)0)->text) + 10];
	struct error err = {0};

	memset(text, 'x', sizeof(text));
	for (size_t i = 1; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\303\251", 2);
	text[sizeof(text) - 1] = '\0';
	for (const char *p = text; p < text + 2; p++) {
		size_t n;

		error_set(&err, EINVAL, EXIT_STATUS_FAILED, "%s", p);
		n = strlen(err.text);
		assert_int_equal(n, sizeof(err.text) - 1);
		assert_true(err.text[n - 1] == '?' || err.text[n - 1] == '\251');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_printable),
		cmocka_unit_test(prefixes_are_printable),
		cmocka_unit_test(long_texts_end_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
