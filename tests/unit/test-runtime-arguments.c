/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the runtime wrapper finds in argv, in PATH and in hooks.d, and what it logs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../hooks/runtime.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static void parse(char *line, struct runtime_arguments *ret)
{
	char *argv[30] = {(char *)"runc"}, *save;
	int argc = 1;

	for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	runtime_arguments_parse(argc, argv, ret);
}

static void check(const char *line, const char *name, const char *got, const char *wanted)
{
	if (!got != !wanted || (got && strcmp(got, wanted) != 0))
		fail_msg("'%s': %s is '%s', wanted '%s'", line, name, got ? got : "(none)",
			wanted ? wanted : "(none)");
}

static void arguments(void **state)
{
	static const struct {
		const char *line, *command, *bundle, *config, *log, *format;
	} rows[] = {
		/* containerd's shim, docker, BuildKit, conmon */
		{"--root /r --log /b/log.json --log-format json --systemd-cgroup create --bundle /b "
		 "--pid-file /b/init.pid --console-socket /s id",
			"create", "/b", NULL, "/b/log.json", "json"},
		{"--log /l --log-format json run --bundle /b --keep id", "run", "/b", NULL, "/l",
			"json"},
		{"--root=/r --log=/l --log-format=text create -b /b id", "create", "/b", NULL, "/l",
			"text"},
		{"--cgroup-manager cgroupfs --debug create --bundle=/b id", "create", "/b", NULL,
			NULL, NULL},
		{"--rootless true --criu create -log l run -b=/b id", "run", "/b", NULL, "l", NULL},
		{"run -b/b id", "run", "/b", NULL, NULL, NULL},
		{"run -bundle /b id", "run", "/b", NULL, NULL, NULL},
		{"run -bundle=/b id", "run", "/b", NULL, NULL, NULL},
		{"run id --bundle /b", "run", "/b", NULL, NULL, NULL},
		{"run --bundle /a --bundle /b id", "run", "/b", NULL, NULL, NULL},
		{"run --pid-file --bundle id", "run", NULL, NULL, NULL, NULL},
		{"run --preserve-fds 3 --no-pivot -d id", "run", NULL, NULL, NULL, NULL},
		{"run -- --bundle /b", "run", NULL, NULL, NULL, NULL},
		{"run -f c.json id", "run", NULL, "c.json", NULL, NULL},
		{"run --config=/c.json id", "run", NULL, "/c.json", NULL, NULL},
		{"run --log /l id", "run", NULL, NULL, NULL, NULL},
		{"create", "create", NULL, NULL, NULL, NULL},
		{"create --bundle", "create", NULL, NULL, NULL, NULL},
		{"create --bundle=", "create", "", NULL, NULL, NULL},
		{"-- create -b /b", "create", "/b", NULL, NULL, NULL},
		/* nothing to us */
		{"", NULL, NULL, NULL, NULL, NULL},
		{"-", "-", NULL, NULL, NULL, NULL},
		{"--root", NULL, NULL, NULL, NULL, NULL},
		{"--root create", NULL, NULL, NULL, NULL, NULL},
		{"--version", NULL, NULL, NULL, NULL, NULL},
		{"-v --bundle /b", "/b", NULL, NULL, NULL, NULL},
		{"delete --force run", "delete", NULL, NULL, NULL, NULL},
		{"exec --bundle /b create", "exec", NULL, NULL, NULL, NULL},
		{"createx -b /b", "createx", NULL, NULL, NULL, NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char *line = strdup(rows[i].line);
		struct runtime_arguments got;

		assert_non_null(line);
		parse(line, &got);
		check(rows[i].line, "the command", got.command, rows[i].command);
		check(rows[i].line, "the bundle", got.bundle, rows[i].bundle);
		check(rows[i].line, "the config", got.config, rows[i].config);
		check(rows[i].line, "the log", got.log, rows[i].log);
		check(rows[i].line, "the format", got.log_format, rows[i].format);
		free(line);
	}
}

static void commands(void **state)
{
	static const struct {
		const char *command;
		bool wanted;
	} rows[] = {{"create", true}, {"run", true}, {"start", false}, {"Create", false},
		{"", false}, {NULL, false}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct runtime_arguments arguments = {.command = rows[i].command};

		assert_int_equal(runtime_arguments_create(&arguments), rows[i].wanted);
	}
}

static const char *join(const char *dir, const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make_file(const char *dir, const char *name, mode_t mode)
{
	int fd = open(join(dir, name), O_WRONLY | O_CREAT | O_EXCL, mode);

	assert_true(fd >= 0);
	close(fd);
}

static void finds(const char *name, const char *path, const char *dir, const char *wanted)
{
	struct error err = {0};
	char *found;

	if (runtime_find(name, path, &found, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	assert_string_equal(found, join(dir, wanted));
	free(found);
}

/* The first in PATH that can be run and is not this program. */
static void search(void **state)
{
	char root[] = "/tmp/test-runtime-XXXXXX", dirs[5][100], path[700], *found;
	struct error err = {0};

	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < ROWS(dirs); i++) {
		snprintf(dirs[i], sizeof(dirs[i]), "%s/%zu", root, i);
		assert_int_equal(mkdir(dirs[i], 0755), 0);
	}
	snprintf(path, sizeof(path), ":.:/nowhere:%s:%s:%s:%s:%s", dirs[0], dirs[1], dirs[2],
		dirs[3], dirs[4]);
	assert_int_equal(runtime_find("runc", path, &found, &err), -ENOENT);
	assert_int_equal(err.status, EXIT_STATUS_MACHINE);
	assert_non_null(strstr(err.text, "GIT_OVERLAYFS_RUNTIME"));

	make_file(dirs[0], "runc", 0644);
	assert_int_equal(mkdir(join(dirs[1], "runc"), 0755), 0);
	assert_int_equal(symlink("/proc/self/exe", join(dirs[2], "runc")), 0);
	make_file(dirs[1], "crun", 0755);
	finds("/x/runc", path, dirs[1], "crun");
	make_file(dirs[4], "runc", 0755);
	finds("", path, dirs[4], "runc");
	finds("crun", path, dirs[1], "crun");
	snprintf(path, sizeof(path), "rm -r %s", root);
	assert_int_equal(system(path), 0);
}

#define HOOK "\"hook\":{\"path\":\"/h/hook\", \"args\":[\"h\"],\"env\":[],\"timeout\":1.0}"

static void hooks_files(void **state)
{
	static const struct {
		const char *text, *create, *poststop;
		bool always;
	} rows[] = {
		{"{" HOOK ",\"stages\":[\"createRuntime\"]}", "createRuntime", NULL, false},
		{"{" HOOK ",\"stages\":[\"poststop\",\"prestart\"]}", "prestart", "poststop",
			false},
		{"{" HOOK ",\"stages\":[],\"when\":{\"always\":true}}", NULL, NULL, true},
		{"{" HOOK ",\"stages\":[\"poststop\"],\"when\":{\"always\":\"x\"}}", NULL,
			"poststop", false},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct runtime_hooks hooks = {0};
		struct error err = {0};

		if (runtime_hooks_parse(&hooks, rows[i].text, strlen(rows[i].text), &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		check(rows[i].text, "the first stage", hooks.create.stage, rows[i].create);
		check(rows[i].text, "the last stage", hooks.poststop.stage, rows[i].poststop);
		assert_int_equal(hooks.always, rows[i].always);
		if (hooks.create.entry)
			assert_string_equal(hooks.create.entry, strchr(HOOK, '{'));
		runtime_hooks_release(&hooks);
	}
}

static void bad_hooks_files(void **state)
{
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{"", "not valid JSON"},
		{"[]", "hook: no object"},
		{"{\"hook\":1}", "hook: no object"},
		{"{\"hook\":{\"path\":\"h\"}}", "no absolute path"},
		{"{\"hook\":{\"path\":\"/h\"}}", "hook.args"},
		{"{\"hook\":{\"path\":\"/h\",\"args\":[]}}", "hook.env"},
		{"{" HOOK "}", "stages: no list"},
		{"{" HOOK ",\"stages\":[\"createContainer\"]}", "stages: write"},
		{"{" HOOK ",\"stages\":[1]}", "stages: write"},
		{"{" HOOK ",\"stages\":[\"createRuntime\",\"prestart\"]}", "already"},
		{"{" HOOK ",\"stages\":[\"poststop\",\"poststop\"]}", "already"},
		{"{" HOOK "," HOOK ",\"stages\":[]}", "twice"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct runtime_hooks hooks = {0};
		struct error err = {0};

		if (runtime_hooks_parse(&hooks, rows[i].text, strlen(rows[i].text), &err) == 0)
			fail_msg("%s was taken", rows[i].text);
		if (!strstr(err.text, rows[i].wanted))
			fail_msg("%s: '%s', wanted '%s'", rows[i].text, err.text, rows[i].wanted);
		runtime_hooks_release(&hooks);
	}
}

static void log_lines(void **state)
{
	static const struct {
		const char *format, *wanted;
	} rows[] = {
		{"json", "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\",\"time\":\"T\"}\n"},
		{"text", "time=\"T\" level=error msg=\"a \\\"b\\\"\"\n"},
		{NULL, "time=\"T\" level=error msg=\"a \\\"b\\\"\"\n"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char *line;

		assert_int_equal(runtime_log_line(rows[i].format, "T", "a \"b\"", &line), 0);
		assert_string_equal(line, rows[i].wanted);
		free(line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(commands),
		cmocka_unit_test(search),
		cmocka_unit_test(hooks_files),
		cmocka_unit_test(bad_hooks_files),
		cmocka_unit_test(log_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
