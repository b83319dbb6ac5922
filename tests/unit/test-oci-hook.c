/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of the hook that need no container: arguments, the supervisor's options, targets. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../hooks/hook.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static int parse(const char *line, struct hook_options *ret, struct error *err)
{
	static char copy[500];
	char *argv[20] = {(char *)"hook"}, *save;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	optind = 0;
	return arguments_parse(argc, argv, ret, err);
}

static void arguments(void **state)
{
	struct hook_options options;

	assert_int_equal(parse("createRuntime", &options, NULL), 0);
	assert_int_equal(options.verb, HOOK_CREATE);
	assert_int_equal(options.mount_count, 0);
	assert_int_equal(parse("--mount=a --mount b prestart --policy p", &options, NULL), 0);
	assert_int_equal(options.mount_count, 2);
	assert_string_equal(options.mounts[1], "b");
	assert_string_equal(options.policy, "p");
	assert_int_equal(parse("poststop --log l --program=x", &options, NULL), 0);
	assert_int_equal(options.verb, HOOK_POSTSTOP);
	assert_string_equal(options.log, "l");
	assert_string_equal(options.program, "x");
}

#define OURS	   "{\"path\":\"/x/git-overlayfs-hook\",\"args\":[\"hook\""
#define PLAIN	   OURS ",\"createRuntime\"]}"
#define DEVICE	   OURS ",\"--mount=a\",\"createRuntime\"]}"
#define STRICT	   OURS ",\"--policy=p\",\"createRuntime\"]}"
#define OTHER	   OURS ",\"--mount\",\"b\",\"createRuntime\"]}"
#define FOREIGN	   "{\"path\":\"/x/hook\",\"args\":[\"hook\",\"--mount=c\"]},{\"path\":7},8"
#define ANNOTATION ",\"annotations\":{\"org.git-overlayfs.mount\":\"x\"}"

/* What the process of DEVICE does beside these. */
static void entries_of_one_container(void **state)
{
	static const struct {
		const char *members;
		bool leaves_annotations, has_others;
	} rows[] = {
		{"", false, false},
		{ANNOTATION, false, false},
		{",\"hooks\":7", false, false},
		{",\"hooks\":{\"createRuntime\":[" DEVICE "]}", false, false},
		{",\"hooks\":{\"createRuntime\":[" DEVICE "," FOREIGN "]}" ANNOTATION, false,
			false},
		{",\"hooks\":{\"createRuntime\":[" DEVICE "],\"poststop\":[" PLAIN "]}" ANNOTATION,
			false, false},
		{",\"hooks\":{\"createRuntime\":[" DEVICE "," OTHER "]}" ANNOTATION, false, true},
		{",\"hooks\":{\"createRuntime\":[" OTHER "," DEVICE "]}" ANNOTATION, true, true},
		{",\"hooks\":{\"prestart\":[" OTHER "],\"createRuntime\":[" DEVICE "]}", true,
			true},
		{",\"hooks\":{\"createRuntime\":[" DEVICE "," PLAIN "]}", true, false},
		{",\"hooks\":{\"createRuntime\":[" PLAIN "," DEVICE "]}" ANNOTATION, true, true},
		{",\"hooks\":{\"createRuntime\":[" DEVICE "," PLAIN "," OTHER "]}", true, true},
	};
	char *argv[] = {(char *)"hook", (char *)"--mount=a", (char *)"createRuntime", NULL};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct container container = {0};
		struct entries entries = {0};
		char text[2000];
		int n = snprintf(
			text, sizeof(text), "{\"root\":{\"path\":\"/\"}%s}", rows[i].members);

		assert_int_equal(oci_config_parse(text, (size_t)n, &container.config, NULL), 0);
		entries_judge(&container, argv, strstr(rows[i].members, "annotations"), &entries);
		oci_config_release(&container.config);
		if (entries.leaves_annotations != rows[i].leaves_annotations ||
			entries.has_others != rows[i].has_others)
			fail_msg("%s: leaves %d, others %d", rows[i].members,
				entries.leaves_annotations, entries.has_others);
	}
}

/* What one without --mount does beside these. */
static void one_takes_the_annotations(void **state)
{
	static const struct {
		const char *hooks;
		bool is_refused;
	} rows[] = {
		{"\"createRuntime\":[" PLAIN "]", false},
		{"\"createRuntime\":[" PLAIN "],\"poststop\":[" PLAIN "]", false},
		{"\"createRuntime\":[" PLAIN "," DEVICE "," FOREIGN "]", false},
		{"\"createRuntime\":[" PLAIN "," FOREIGN "," PLAIN "]", true},
		{"\"createRuntime\":[" PLAIN "," STRICT "]", true},
		{"\"prestart\":[" PLAIN "],\"createRuntime\":[" PLAIN "]", true},
	};
	char *argv[] = {(char *)"hook", (char *)"createRuntime", NULL};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct container container = {0};
		struct error err = {0};
		char text[2000];
		int n = snprintf(text, sizeof(text), "{\"root\":{\"path\":\"/\"},\"hooks\":{%s}}",
			rows[i].hooks);

		assert_int_equal(oci_config_parse(text, (size_t)n, &container.config, NULL), 0);
		if (entries_check_only_one(&container, argv, &err) !=
			(rows[i].is_refused ? -EINVAL : 0))
			fail_msg("%s: '%s'", rows[i].hooks, err.text);
		oci_config_release(&container.config);
	}
}

static void names_of_targets(void **state)
{
	static const struct {
		const char *target, *name;
	} rows[] = {
		{"/workspace", "mount-workspace"},
		{"/srv/data", "mount-srv+data"},
		{"/srv-data", "mount-srv-data"},
		{"/srv+data", "mount-srv++2Bdata"},
		{"/a\303\244/.b c", "mount-a++C3++A4+.b++20c"},
	};
	char name[40], long_target[4000];

	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(entries_name_target(rows[i].target, 30, name, sizeof(name)), 0);
		assert_string_equal(name, rows[i].name);
	}
	/* One that is too long is a number, another one for each. */
	memset(long_target, 'x', sizeof(long_target) - 1);
	long_target[0] = '/';
	long_target[sizeof(long_target) - 1] = '\0';
	assert_int_equal(entries_name_target(long_target, 30, name, sizeof(name)), 0);
	assert_int_equal(strlen(name), 6 + 1 + 16);
	assert_int_equal(entries_name_target(long_target, 22, name, sizeof(name)), -1);
}

static void bad_arguments(void **state)
{
	static const char *const rows[] = {
		"", "start", "createRuntime prestart", "--mount", "--what createRuntime"};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct hook_options options;
		struct error err = {0};

		if (parse(rows[i], &options, &err) != -EINVAL)
			fail_msg("'%s' was taken", rows[i]);
		assert_int_equal(err.status, EXIT_STATUS_USAGE);
	}
}

/* What the supervisor reads is what the hook had read, whatever the names are. */
static void options_round_trip(void **state)
{
	static const char *const rows[] = {
		"/srv/mono.git@main:app,target=/workspace",
		"/srv/mono.git,target=/w,owner=1000:100,mtime=12345,keep=keep",
		"repo=/srv/a\\,b\\\\c.git,rev=v1,subdir=x/y,target=/w\\,1",
		"layer=git:/a.git@main,layer=dir:/opt/s\\,dk,layer=git:/b.git:sub,target=/w",
		"/a.git,upperdir=/u\\,1,workdir=/w\\\\k,target=/t,volatile,noacl",
		"/a.git@HEAD~1,ro,target=/t,mtime=commit",
		"/a.git,target=/t,size=3G,inodes=12k",
		"/a.git,target=/t,passthrough=off",
		"/a.git,target=/t,static_nlink",
		"/a.git,target=/t,passthrough=auto,writeback=off,opens=kernel",
		"repo=/odd@name:x.git,rev=a@{1},target=/t",
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct workspace_config a, b;
		struct error err = {0};
		char *first, *second;

		config_init(&a);
		config_init(&b);
		if (config_parse_options(&a, rows[i], CONFIG_ORIGIN_ANNOTATION, &err) < 0)
			fail_msg("'%s': %s", rows[i], err.text);
		assert_int_equal(supervise_options(&a, &first, &err), 0);
		if (config_parse_options(&b, first, CONFIG_ORIGIN_ANNOTATION, &err) < 0)
			fail_msg("'%s' became '%s': %s", rows[i], first, err.text);
		assert_int_equal(supervise_options(&b, &second, &err), 0);
		assert_string_equal(first, second);
		assert_int_equal(a.layer_count, b.layer_count);
		assert_int_equal(a.max_size, b.max_size);
		assert_int_equal(a.max_inodes, b.max_inodes);
		assert_int_equal(a.passthrough, b.passthrough);
		assert_int_equal(a.static_nlink, b.static_nlink);
		assert_int_equal(a.writeback, b.writeback);
		assert_int_equal(a.kernel_opens, b.kernel_opens);
		for (size_t k = 0; k < a.layer_count; k++) {
			assert_string_equal(a.layers[k].path, b.layers[k].path);
			assert_string_equal(a.layers[k].rev ? a.layers[k].rev : "-",
				b.layers[k].rev ? b.layers[k].rev : "-");
			assert_string_equal(a.layers[k].subdir ? a.layers[k].subdir : "-",
				b.layers[k].subdir ? b.layers[k].subdir : "-");
		}
		assert_string_equal(a.target, b.target);
		assert_string_equal(a.upper ? a.upper : "-", b.upper ? b.upper : "-");
		assert_int_equal(a.read_only, b.read_only);
		assert_int_equal(a.mtime, b.mtime);
		assert_int_equal(a.keep, b.keep);
		assert_int_equal(a.owner_gid, b.owner_gid);
		free(first);
		free(second);
		config_release(&a);
		config_release(&b);
	}
}

static void made_directories_go_again(void **state)
{
	char root[] = "/tmp/test-oci-hook-XXXXXX", path[100];
	int fd;

	assert_non_null(mkdtemp(root));
	fd = open(root, O_PATH | O_DIRECTORY);
	mkdirat(fd, "a", 0755);
	assert_int_equal(target_existing(fd, "/a/b/c"), 1);
	assert_int_equal(target_existing(fd, "//a/./"), 2);
	assert_int_equal(target_existing(fd, "/x"), 0);
	mkdirat(fd, "a/b", 0755);
	mkdirat(fd, "a/b/c", 0755);
	target_remove_made(fd, "/a/b/c", 1);
	assert_int_equal(target_existing(fd, "/a/b/c"), 1);
	/* Somebody put something there meanwhile. */
	mkdirat(fd, "a/b", 0755);
	mkdirat(fd, "a/b/c", 0755);
	mkdirat(fd, "a/b/other", 0755);
	target_remove_made(fd, "//a//b/c", 1);
	assert_int_equal(target_existing(fd, "/a/b"), 2);
	assert_int_equal(target_existing(fd, "/a/b/c"), 2);
	/* A symlink leads to the root of the container, not of the host. */
	assert_int_equal(symlinkat("/etc", fd, "link"), 0);
	assert_int_equal(target_existing(fd, "/link"), 0);
	mkdirat(fd, "etc", 0755);
	assert_int_equal(target_existing(fd, "/link"), 1);
	close(fd);
	snprintf(path, sizeof(path), "rm -r %s", root);
	assert_int_equal(system(path), 0);
}

static void rootless_is_one_user(void **state)
{
	static const struct {
		const char *map;
		bool is_rootful;
	} rows[] = {
		{"         0          0 4294967295\n", true},
		{"         0       1000          1\n", false},
		{"         0       1000          1\n         1     100000      65536\n", false},
		{"         1     100000      65536\n         0       1000          1\n", false},
		/* A system container, its root without a map of its own, and one id alone. */
		{"         0     100000      65536\n", true},
		{"         0          0          1\n", true},
		{"         0     100000          2\n", true},
		{"      1000       1000          1\n", true},
		{"", true},
		{" x", true},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *text = rows[i].map;
		FILE *map = fmemopen((char *)text, strlen(text) + 1, "r");

		assert_non_null(map);
		if (engine_map_is_rootful(map) != rows[i].is_rootful)
			fail_msg("'%s': wanted %d", text, rows[i].is_rootful);
		fclose(map);
	}
}

static void targets_have_one_spelling(void **state)
{
	static const char *const rows[][2] = {
		{"/workspace", "/workspace"},
		{"/workspace/", "/workspace"},
		{"/workspace/.", "/workspace"},
		{"//workspace/in", "/workspace/in"},
		{"/./workspace//./in/.", "/workspace/in"},
		{"/.hidden/..x", "/.hidden/..x"},
		{"/", "/"},
		{"//.", "/"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		char target[64];

		strcpy(target, rows[i][0]);
		target_normalize(target);
		if (strcmp(target, rows[i][1]) != 0)
			fail_msg("'%s' became '%s'", rows[i][0], target);
	}
}

/* Whatever the order of the wishes, a target comes before those below it. */
static void outer_targets_come_first(void **state)
{
	static const char *const rows[] = {"/a/b /a", "/a/b/c /a-b /a /a/b /a+", "/w /w.x /w/x",
		"/w/x/y /w/x /w", "/b /a/b /a /b/a"};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct job jobs[8];
		size_t count = 0;
		char text[64], *save;

		snprintf(text, sizeof(text), "%s", rows[i]);
		for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
			jobs[count++].config.target = p;
		qsort(jobs, count, sizeof(jobs[0]), job_compare);
		for (size_t k = 0; k < count; k++)
			for (size_t n = k + 1; n < count; n++) {
				const char *later = jobs[n].config.target;
				size_t length = strlen(later);

				if (strncmp(jobs[k].config.target, later, length) == 0 &&
					jobs[k].config.target[length] == '/')
					fail_msg("'%s': %s comes before %s", rows[i],
						jobs[k].config.target, later);
			}
	}
}

/* However long the steps may take, the engine must not have to kill the hook. */
static void time_has_an_end(void **state)
{
	clock_start(0);
	assert_int_equal(clock_work_left(100), 100);
	assert_true(clock_work_left(1000000) <= HOOK_WORK_END_MS);
	clock_start(HOOK_WORK_END_MS - 50);
	assert_true(clock_work_left(5000) <= 50);
	assert_true(clock_undo_left(1000000) >= 5000);
	clock_start(HOOK_UNDO_END_MS + 1000);
	assert_int_equal(clock_work_left(5000), 0);
	assert_int_equal(clock_undo_left(5000), 0);
	/* With the second more that one answer may take, and the end itself. */
	assert_true(HOOK_UNDO_END_MS + 2000 < 30000);
}

/* What a child that died without an answer is told of. */
static void expect_death(int signal, int code, const char *text)
{
	struct error err = {0};
	int fds[2];
	pid_t pid;

	clock_start(0);
	assert_int_equal(channel_pair(fds, &err), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (signal)
			raise(signal);
		_exit(code);
	}
	close(fds[1]);
	assert_int_equal(channel_receive(fds[0], 10000, NULL, &err), -EPIPE);
	close(fds[0]);
	child_explain(child_reap(pid, 10000), &err);
	assert_string_equal(err.text, text);
	assert_int_equal(err.code, EPIPE);
}

static void a_child_that_dies(void **state)
{
	struct error other = {.code = EACCES, .text = "something else"};

	expect_death(SIGKILL, 0, "a child of the hook died: signal 9");
	expect_death(0, 3, "a child of the hook died: it ended with 3");
	child_explain(0, &other);
	assert_string_equal(other.text, "something else");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(entries_of_one_container),
		cmocka_unit_test(one_takes_the_annotations),
		cmocka_unit_test(names_of_targets),
		cmocka_unit_test(options_round_trip),
		cmocka_unit_test(made_directories_go_again),
		cmocka_unit_test(rootless_is_one_user),
		cmocka_unit_test(targets_have_one_spelling),
		cmocka_unit_test(outer_targets_come_first),
		cmocka_unit_test(time_has_an_end),
		cmocka_unit_test(a_child_that_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
