/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who asks for a workspace, and what config.json is then: all else byte for byte as it was. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/oci.h>

#include "../../hooks/runtime.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define ENV(list)  "\"process\":{\"env\":[" list "]}"
#define KEY	   "\"org.git-overlayfs.mount\""
#define NOTE(text) "\"annotations\":{" KEY ":\"" text "\"}"
/* What the two hooks.d files of the tests add. */
#define CREATE	 "{\"path\":\"/h/hook\"}"
#define POSTSTOP "{\"path\":\"/h/hook\",\"p\":1}"
#define HOOKS	 "\"hooks\":{\"createRuntime\":[" CREATE "],\"poststop\":[" POSTSTOP "]}"

static struct runtime_hook hook(const char *stage, const char *entry)
{
	return (struct runtime_hook){
		.stage = stage, .path = (char *)"/h/hook", .entry = (char *)entry};
}

static struct runtime_hooks both(void)
{
	return (struct runtime_hooks){
		.create = hook("createRuntime", CREATE), .poststop = hook("poststop", POSTSTOP)};
}

/* `wanted` NULL: nothing is to be changed. */
static void check(const char *text, const struct runtime_hooks *hooks, const char *wanted)
{
	struct error err = {0};
	char *edited = NULL;
	size_t size = 0;
	int r = runtime_edit(text, strlen(text), hooks, &edited, &size, &err);

	if (r < 0)
		fail_msg("%s: %s", text, err.text);
	if (!wanted != !edited || r != (wanted != NULL) || (wanted && strcmp(edited, wanted) != 0))
		fail_msg("%s\nbecame %s\nwanted %s", text, edited ? edited : "(itself)",
			wanted ? wanted : "(itself)");
	/* What is added once is not added again. */
	if (edited)
		check(edited, hooks, NULL);
	free(edited);
}

struct row {
	const char *text, *wanted;
};

static void check_rows(const struct row *rows, size_t count)
{
	struct runtime_hooks hooks = both();

	for (size_t i = 0; i < count; i++)
		check(rows[i].text, &hooks, rows[i].wanted);
}

static void nobody_asks(void **state)
{
	static const struct row rows[] = {
		{"{}", NULL},
		{"{" ENV("") "}", NULL},
		{"{\"process\":null,\"annotations\":null,\"hooks\":null}", NULL},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNTS=x\",\"XGIT_OVERLAYFS_MOUNT=x\",\"\",\"=\"") "}",
			NULL},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT\",\"GIT_OVERLAYFS_MOUNT_a\",\"git_overlayfs_mount=x\"") "}",
			NULL},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT=\",\"GIT_OVERLAYFS_MOUNT_a=\"") "}", NULL},
		{"{" ENV("\"A=GIT_OVERLAYFS_MOUNT=x\",7,null") "}", NULL},
		{"{\"annotations\":{\"org.git-overlayfsx\":\"x\",\"a\":" KEY "}}", NULL},
	};

	check_rows(rows, ROWS(rows));
}

static void somebody_asks(void **state)
{
	static const struct row rows[] = {
		/* annotations */
		{"{" NOTE("x") "}", "{" NOTE("x") "," HOOKS "}"},
		{"{ " NOTE("x") " ,\"n\":1.50E+03\n}\n",
			"{ " NOTE("x") " ,\"n\":1.50E+03," HOOKS "\n}\n"},
		{"{\"annotations\":{\"org.git-overlayfs.mont\":\"x\"}}",
			"{\"annotations\":{\"org.git-overlayfs.mont\":\"x\"}," HOOKS "}"},
		{"{\"annotations\":{\"org.git-overlayfs.mount.a\":7}}",
			"{\"annotations\":{\"org.git-overlayfs.mount.a\":7}," HOOKS "}"},
		{"{\"annotations\":{\"\\u006frg.git-overlayfs.mount\":\"x\"}}",
			"{\"annotations\":{\"\\u006frg.git-overlayfs.mount\":\"x\"}," HOOKS "}"},
		/* the environment becomes annotations */
		{"{" ENV("\"A=b\",\"GIT_OVERLAYFS_MOUNT=/r,target=/w\"") "}",
			"{" ENV("\"A=b\",\"GIT_OVERLAYFS_MOUNT=/r,target=/w\"") "," NOTE(
				"/r,target=/w") "," HOOKS "}"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT=a\\\"b\\n\\u00e9\"") ",\"annotations\": {} }",
			"{" ENV("\"GIT_OVERLAYFS_MOUNT=a\\\"b\\n\\u00e9\"") ",\"annotations\": {" KEY
									    ":\"a\\\"b\\n\xc3\xa9\"}," HOOKS
									    " }"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT_B=2\",\"GIT_OVERLAYFS_MOUNT_a_1=3\"") ",\"annotations\":null,\"z\":0}",
			"{" ENV("\"GIT_OVERLAYFS_MOUNT_B=2\",\"GIT_OVERLAYFS_MOUNT_a_1=3\"") ",\"annotations\":{\"org.git-overlayfs.mount.B\":\"2\",\"org.git-overlayfs."
											     "mount.a_1\":\"3\"},\"z\":0," HOOKS
											     "}"},
		{"{\"annotations\":{\"a\":\"b\"}," ENV(
			 "\"GIT_OVERLAYFS_MOUNT==\",\"GIT_OVERLAYFS_MOUNT_n=2\"") "}",
			"{\"annotations\":{\"a\":\"b\"," KEY
			":\"=\",\"org.git-overlayfs.mount.n\":\"2\"}," ENV(
				"\"GIT_OVERLAYFS_MOUNT==\",\"GIT_OVERLAYFS_MOUNT_n=2\"") "," HOOKS
											 "}"},
		/* an annotation wins */
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT=image\"") "," NOTE("user") "}",
			"{" ENV("\"GIT_OVERLAYFS_MOUNT=image\"") "," NOTE("user") "," HOOKS "}"},
	};

	check_rows(rows, ROWS(rows));
}

static void hooks_that_are_there(void **state)
{
	static const struct row rows[] = {
		{"{" NOTE("x") ",\"hooks\":null,\"z\":[]}", "{" NOTE("x") "," HOOKS ",\"z\":[]}"},
		{"{" NOTE("x") ",\"hooks\":{ }}",
			"{" NOTE("x") ",\"hooks\":{\"createRuntime\":[" CREATE
				      "],\"poststop\":[" POSTSTOP "] }}"},
		{"{\"hooks\":{\"createRuntime\":[ ],\"poststop\":null}," NOTE("x") "}",
			"{\"hooks\":{\"createRuntime\":[" CREATE " ],\"poststop\":[" POSTSTOP
			"]}," NOTE("x") "}"},
		{"{\"hooks\":{\"createRuntime\":[{\"path\":\"/other\"}],\"prestart\":[{}]}," NOTE(
			 "x") "}",
			"{\"hooks\":{\"createRuntime\":[{\"path\":\"/other\"}," CREATE
			"],\"prestart\":[{}],\"poststop\":[" POSTSTOP "]}," NOTE("x") "}"},
		/* the hook is there, by whatever path and stage */
		{"{" NOTE("x") "," HOOKS "}", NULL},
		{"{" NOTE(
			 "x") ",\"hooks\":{\"prestart\":[{\"path\":\"/usr/hook\"}],\"poststop\":[" POSTSTOP
			      "]}}",
			NULL},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT=x\"") "," HOOKS "}",
			"{" ENV("\"GIT_OVERLAYFS_MOUNT=x\"") "," HOOKS "," NOTE("x") "}"},
	};

	check_rows(rows, ROWS(rows));
}

static void other_hooks(void **state)
{
	struct runtime_hooks only = {.create = hook("prestart", CREATE)}, always = both();

	check("{" NOTE("x") "}", &only, "{" NOTE("x") ",\"hooks\":{\"prestart\":[" CREATE "]}}");
	always.always = true;
	check("{}", &always, "{" HOOKS "}");
	/* An image can say so; the hook knows whether it is true. */
	check("{\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\"}}", &always,
		"{\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\"}," HOOKS "}");
}

static void refuses(const char *text, size_t size, const struct runtime_hooks *hooks, int code,
	const char *wanted)
{
	struct error err = {0};
	char *edited = NULL;
	int r = runtime_edit(text, size, hooks, &edited, &size, &err);

	if (r != -code)
		fail_msg("%.200s: %d (%s), wanted %d", text, r, err.text, -code);
	if (!strstr(err.text, wanted) || strchr(err.text, '\n'))
		fail_msg("%.200s: '%s', wanted '%s'", text, err.text, wanted);
	assert_null(edited);
}

static void hostile(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *wanted;
	} rows[] = {
		{"", EINVAL, "not valid JSON"},
		{"{", EINVAL, "not valid JSON"},
		{"[]", EINVAL, "no JSON object"},
		{"{} {}", EINVAL, "not valid JSON"},
		{"{\"hooks\":{},\"hooks\":{}}", EINVAL, "twice"},
		{"{\"process\":{},\"process\":{}}", EINVAL, "twice"},
		{"{\"annotations\":{},\"\\u0061nnotations\":{}}", EINVAL, "twice"},
		{"{" NOTE("x") ",\"hooks\":{\"createRuntime\":[],\"createRuntime\":[]}}", EINVAL,
			"twice"},
		{"{\"Hooks\":{}}", EINVAL, "the name is hooks"},
		{"{\"hooks\":{},\"HOOKS\":{}}", EINVAL, "the name is hooks"},
		{"{\"Process\":{}}", EINVAL, "the name is process"},
		{"{\"annotationS\":{}}", EINVAL, "the name is annotations"},
		{"{\"process\":{\"Env\":[]}}", EINVAL, "the name is env"},
		{"{" NOTE("x") ",\"hooks\":{\"createruntime\":[]}}", EINVAL,
			"the name is createRuntime"},
		{"{" NOTE("x") ",\"hooks\":{\"Prestart\":[]}}", EINVAL, "the name is prestart"},
		{"{\"hooks\":[]}", EINVAL, "hooks: no object"},
		{"{\"process\":1}", EINVAL, "process: no object"},
		{"{\"annotations\":\"x\"}", EINVAL, "annotations: no object"},
		{"{\"process\":{\"env\":{}}}", EINVAL, "env: no list"},
		{"{" NOTE("x") ",\"hooks\":{\"createRuntime\":{}}}", EINVAL,
			"createRuntime: no list"},
		{"{" NOTE("x") ",\"hooks\":{\"poststop\":7}}", EINVAL, "poststop: no list"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT_=x\",\"GIT_OVERLAYFS_MOUNT=x\"") "}", EINVAL,
			"twice"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT_a=x\",\"GIT_OVERLAYFS_MOUNT_a=y\"") "}", EINVAL,
			"twice"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT_a/b=x\"") "}", EINVAL, "no name for a workspace"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT_..=x\"") "}", EINVAL, "no name for a workspace"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT_\\n=x\"") "}", EINVAL, "no name for a workspace"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT=\\u0000\"") "}", EINVAL, "NUL"},
		{"{" ENV("\"GIT_OVERLAYFS_MOUNT=\xff\"") "}", EILSEQ, "not UTF-8"},
	};
	struct runtime_hooks hooks = both(), none = {.poststop = hook("poststop", POSTSTOP)};

	for (size_t i = 0; i < ROWS(rows); i++)
		refuses(rows[i].text, strlen(rows[i].text), &hooks, rows[i].code, rows[i].wanted);
	refuses("{" NOTE("x") "}", strlen("{" NOTE("x") "}"), &none, ENOENT,
		"GIT_OVERLAYFS_HOOKS_DIR");
}

static void bounds(void **state)
{
	static const char head[] = "{" NOTE("x") ",\"x\":";
	struct runtime_hooks hooks = both();
	size_t room = OCI_CONFIG_MAX, used = 0;
	char *text = malloc(room + 1);

	assert_non_null(text);
	for (; used < 100; used++)
		text[used] = '[';
	refuses(text, used, &hooks, E2BIG, "nested too deeply");
	used = (size_t)sprintf(text, "{" ENV("\"A=b\""));
	for (int i = 0; i <= OCI_WORKSPACES_MAX; i++)
		used = (size_t)sprintf(text + used - 2, ",\"GIT_OVERLAYFS_MOUNT_%d=x\"]}", i) +
		       used - 2;
	text[used++] = '}';
	refuses(text, used, &hooks, E2BIG, "more than 32 workspaces");
	/* As long as the hook reads, and then longer by the hook's entry. */
	memset(text, ' ', room);
	memcpy(text, head, strlen(head));
	memcpy(text + room - 2, "1}", 2);
	refuses(text, room, &hooks, EFBIG, "with the hook in it");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_asks),
		cmocka_unit_test(somebody_asks),
		cmocka_unit_test(hooks_that_are_there),
		cmocka_unit_test(other_hooks),
		cmocka_unit_test(hostile),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
