/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options: the list syntax, layer specifications, what is refused and how it is said. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/log.h>

#define same(a, b) ((a) && (b) ? !strcmp(a, b) : (a) == (b))

static void parse(struct workspace_config *config, const char *text, enum config_origin origin)
{
	struct error err = {0};

	config_init(config);
	if (config_parse_options(config, text, origin, &err) < 0)
		fail_msg("'%s' was refused: %s", text, err.text);
}

static void git_specifications(void **state)
{
	static const struct {
		const char *spec, *path, *rev, *subdir;
	} rows[] = {
		{"/r.git", "/r.git", NULL, NULL},
		{"/r.git@main", "/r.git", "main", NULL},
		{"/r.git@main:app", "/r.git", "main", "app"},
		{"/r.git:app", "/r.git", NULL, "app"},
		{"/r.git@main:", "/r.git", "main", NULL},
		{"/r.git@main:/a//b/", "/r.git", "main", "a/b"},
		{"/a:b@main", "/a:b", "main", NULL},
		{"/a\\@b@main", "/a@b", "main", NULL},
		{"/a\\@b:c", "/a@b", NULL, "c"},
		{"/a\\:b:c", "/a:b", NULL, "c"},
		{"/a\\\\@x", "/a\\", "x", NULL},
		{"r@HEAD~3^{commit}:x:y", "r", "HEAD~3^{commit}", "x:y"},
		{"/r@a@b", "/r", "a@b", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workspace_config config;
		const struct layer_spec *layer;
		struct error err = {0};

		config_init(&config);
		if (config_add_git_layer(&config, rows[i].spec, &err) < 0)
			fail_msg("'%s': %s", rows[i].spec, err.text);
		layer = &config.layers[0];
		if (!same(layer->path, rows[i].path) || !same(layer->rev, rows[i].rev) ||
			!same(layer->subdir, rows[i].subdir))
			fail_msg("'%s' became '%s' '%s' '%s'", rows[i].spec, layer->path,
				layer->rev ? layer->rev : "-", layer->subdir ? layer->subdir : "-");
		config_release(&config);
		config_release(&config);
	}
}

static void lists_quotes_and_escapes(void **state)
{
	struct workspace_config config;

	parse(&config,
		",,lowerdir=/a:/b\\:c:/d\\,e,,upperdir=\"/u,p\",workdir=/w\\\\x,"
		"context=\"system_u:object_r:x:s0:c374,c444\",volatile,noacl,,",
		CONFIG_ORIGIN_FUSE);
	assert_int_equal(config.layer_count, 3);
	assert_string_equal(config.layers[0].path, "/a");
	assert_string_equal(config.layers[1].path, "/b:c");
	assert_string_equal(config.layers[2].path, "/d,e");
	assert_string_equal(config.layers[2].kind, "dir");
	assert_string_equal(config.upper, "/u,p");
	assert_string_equal(config.work, "/w\\x");
	assert_true(config.aufs_whiteouts);
	assert_true(config.is_volatile);
	assert_true(config.no_acls);
	assert_int_equal(config_validate(&config, NULL), 0);
	config_release(&config);
}

static void options_find_the_main_layer(void **state)
{
	static const char *const texts[] = {
		"rev=v1,layer=dir:/sdk,repo=/r,subdir=/app/",
		"repo=/x,repo=/r,rev=v0,rev=v1,subdir=y,subdir=app,layer=dir:/sdk",
		"layer=dir:/sdk,repo=/r,subdir=app,rev=v1",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct workspace_config config;

		parse(&config, texts[i], CONFIG_ORIGIN_COMMAND);
		assert_int_equal(config.layer_count, 2);
		assert_string_equal(config.layers[0].kind, "git");
		assert_string_equal(config.layers[0].path, "/r");
		assert_string_equal(config.layers[0].rev, "v1");
		assert_string_equal(config.layers[0].subdir, "app");
		assert_string_equal(config.layers[1].path, "/sdk");
		assert_false(config.aufs_whiteouts);
		config_release(&config);
	}
}

static void every_value_arrives(void **state)
{
	struct workspace_config config;

	parse(&config,
		"layer=git:/a@b:c,layer=dir:/d,owner=5:6,mtime=1234,keep=keep,id=w.1,ro,"
		"suid,dev,noexec,uidmapping=0:1000:1,squash_to_gid=7,seccomp=trap,fsname=x,"
		"pin=hold,gitdir=none,redirect_dir=off,target=/t,nofail,x-systemd.requires=/,"
		"_netdev,context=a",
		CONFIG_ORIGIN_COMMAND);
	assert_int_equal(config.layer_count, 2);
	assert_string_equal(config.layers[0].subdir, "c");
	assert_int_equal(config.redirect_dir, CONFIG_REDIRECT_FOLLOW);
	assert_true(config.owner_is_set);
	assert_int_equal(config.owner_uid, 5);
	assert_int_equal(config.owner_gid, 6);
	assert_false(config.mtime_is_commit);
	assert_int_equal(config.mtime, 1234);
	assert_int_equal(config.keep, CONFIG_KEEP_KEEP);
	assert_string_equal(config.id, "w.1");
	assert_true(config.read_only);
	assert_int_equal(config.suid, 1);
	assert_int_equal(config.dev, 1);
	assert_int_equal(config.exec, 0);
	assert_int_equal(config.ids.tables[IDMAP_UID].count, 1);
	assert_true(config.ids.squash[IDMAP_GID]);
	assert_false(config.ids.squash[IDMAP_UID]);
	assert_int_equal(config.ids.squash_id[IDMAP_GID], 7);
	assert_string_equal(config.seccomp, "trap");
	assert_string_equal(config.fsname, "x");
	assert_string_equal(config.target, "/t");
	config_release(&config);
}

static void words_for_speed(void **state)
{
	static const struct {
		const char *text;
		bool passthrough, writeback;
	} rows[] = {
		{"passthrough=off", false, false},
		{"passthrough=off,passthrough=auto,writeback=auto", true, true},
		{"passthrough=auto,writeback=auto,writeback=off", true, false},
		{"passthrough=1,writeback=0", true, false},
		{"writeback=off,passthrough=0,writeback=1", false, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workspace_config config;

		parse(&config, rows[i].text, CONFIG_ORIGIN_FUSE);
		if (config.passthrough != rows[i].passthrough ||
			config.writeback != rows[i].writeback)
			fail_msg("%s: passthrough %d, writeback %d, wanted %d, %d", rows[i].text,
				config.passthrough, config.writeback, rows[i].passthrough,
				rows[i].writeback);
		config_release(&config);
	}
}

static void who_opens(void **state)
{
	static const struct {
		const char *text;
		bool kernel_opens;
	} rows[] = {
		{"dev", false},
		{"opens=kernel", true},
		{"opens=kernel,opens=daemon", false},
		{"opens=daemon,opens=kernel", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workspace_config config;

		parse(&config, rows[i].text, CONFIG_ORIGIN_COMMAND);
		assert_int_equal(config.kernel_opens, rows[i].kernel_opens);
		config_release(&config);
	}
}

static void amounts(void **state)
{
	static const struct {
		const char *text;
		uint64_t amount;
	} rows[] = {
		{"1", 1},
		{"512K", 512 << 10},
		{"3m", 3 << 20},
		{"2G", 2ull << 30},
		{"4T", 4ull << 40},
		{"16777215T", 16777215ull << 40},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t amount = 0;
		int r = config_parse_amount(rows[i].text, &amount);

		if (r < 0 || amount != rows[i].amount)
			fail_msg("%s: %d, %llu, wanted %llu", rows[i].text, r,
				(unsigned long long)amount, (unsigned long long)rows[i].amount);
	}
}

static void no_values(void **state)
{
	static const struct {
		const char *text;
		enum config_origin origin;
		const char *wanted;
	} rows[] = {
		{"size=", CONFIG_ORIGIN_COMMAND, "size=BYTES"},
		{"size=0", CONFIG_ORIGIN_COMMAND, "size=0"},
		{"size=50%", CONFIG_ORIGIN_COMMAND, "size=50%"},
		{"size=-1", CONFIG_ORIGIN_COMMAND, "size=-1"},
		{"size=1.5G", CONFIG_ORIGIN_COMMAND, "size=1.5G"},
		{"size=1GB", CONFIG_ORIGIN_COMMAND, "size=1GB"},
		{"size=99999999999T", CONFIG_ORIGIN_ANNOTATION, "size=99999999999T"},
		{"inodes=many", CONFIG_ORIGIN_ANNOTATION, "inodes=many"},
		{"inodes=0", CONFIG_ORIGIN_COMMAND, "inodes=0"},
		{"passthrough=on", CONFIG_ORIGIN_COMMAND, "write passthrough=auto or off"},
		{"writeback=2", CONFIG_ORIGIN_FUSE, "write writeback=auto or off"},
		{"opens=off", CONFIG_ORIGIN_COMMAND, "write opens=daemon or opens=kernel"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workspace_config config;
		struct error err = {0};

		config_init(&config);
		if (config_parse_options(&config, rows[i].text, rows[i].origin, &err) != -EINVAL)
			fail_msg("%s was taken", rows[i].text);
		if (!strstr(err.text, rows[i].wanted))
			fail_msg("%s: '%s'", rows[i].text, err.text);
		config_release(&config);
	}
}

static void annotations_start_with_a_repository(void **state)
{
	struct workspace_config config;

	parse(&config, "/srv/mono.git@main:app,target=/workspace", CONFIG_ORIGIN_ANNOTATION);
	assert_string_equal(config.layers[0].path, "/srv/mono.git");
	assert_string_equal(config.layers[0].rev, "main");
	assert_string_equal(config.layers[0].subdir, "app");
	assert_string_equal(config.target, "/workspace");
	config_release(&config);
	parse(&config, "/srv/a=b.git,target=/w", CONFIG_ORIGIN_ANNOTATION);
	assert_string_equal(config.layers[0].path, "/srv/a=b.git");
	config_release(&config);
	parse(&config, "repo=/srv/x,target=/w,nosuid", CONFIG_ORIGIN_ANNOTATION);
	assert_string_equal(config.layers[0].path, "/srv/x");
	config_release(&config);
}

static void refused_with_a_hint(void **state)
{
	static const struct {
		const char *text;
		enum config_origin origin;
		const char *says;
	} rows[] = {
		{"upperdri=/x", CONFIG_ORIGIN_COMMAND, "did you mean 'upperdir'?"},
		{"nonsense", CONFIG_ORIGIN_COMMAND, "unknown option 'nonsense'"},
		{"/r,traget=/x", CONFIG_ORIGIN_ANNOTATION, "did you mean 'target'?"},
		{"traget=/x", CONFIG_ORIGIN_ANNOTATION, "did you mean 'target'?"},
		{"/r,seccomp=off", CONFIG_ORIGIN_ANNOTATION, "unknown option 'seccomp'"},
		{"/r,lowerdir=/x", CONFIG_ORIGIN_ANNOTATION, "unknown option 'lowerdir'"},
		{"/r,nofail", CONFIG_ORIGIN_ANNOTATION, "unknown option 'nofail'"},
		{"/r,suid", CONFIG_ORIGIN_ANNOTATION, "unknown option 'suid'"},
		{"upperdir", CONFIG_ORIGIN_FUSE, "upperdir=DIR"},
		{"upperdir=", CONFIG_ORIGIN_COMMAND, "upperdir=DIR"},
		{"fsync=2", CONFIG_ORIGIN_FUSE, "write 0 or 1"},
		{"xattr_permissions=2", CONFIG_ORIGIN_FUSE, "read owners and modes"},
		{"ro=1", CONFIG_ORIGIN_COMMAND, "'ro' takes no value, not '1'"},
		{"owner=root", CONFIG_ORIGIN_COMMAND, "owner=root"},
		{"owner=1:", CONFIG_ORIGIN_COMMAND, "owner=1:"},
		{"owner=1:2:3", CONFIG_ORIGIN_COMMAND, "owner=1:2:3"},
		{"owner=4294967295", CONFIG_ORIGIN_COMMAND, "owner=4294967295"},
		{"mtime=now", CONFIG_ORIGIN_COMMAND, "mtime=now"},
		{"keep=maybe", CONFIG_ORIGIN_COMMAND, "keep=maybe"},
		{"keep=commit:wip", CONFIG_ORIGIN_COMMAND, "this version cannot"},
		{"pin=ref", CONFIG_ORIGIN_COMMAND, "this version cannot"},
		{"gitdir=full", CONFIG_ORIGIN_COMMAND, "this version cannot"},
		{"redirect_dir=maybe", CONFIG_ORIGIN_COMMAND, "redirect_dir=maybe"},
		{"metacopy=on", CONFIG_ORIGIN_COMMAND, "unknown option 'metacopy'"},
		{"seccomp=maybe", CONFIG_ORIGIN_COMMAND, "seccomp=maybe"},
		{"id=../x", CONFIG_ORIGIN_COMMAND, "id=../x"},
		{"target=x", CONFIG_ORIGIN_COMMAND, "target=x"},
		{"uidmapping=0:0", CONFIG_ORIGIN_COMMAND, "uidmapping=0:0"},
		{"squash_to_uid=x", CONFIG_ORIGIN_COMMAND, "squash_to_uid=x"},
		{"layer=zip:/x", CONFIG_ORIGIN_COMMAND, "layer=zip:/x"},
		{"layer=dir:", CONFIG_ORIGIN_COMMAND, "layer=dir:"},
		{"layer=git:", CONFIG_ORIGIN_COMMAND, "repository is empty"},
		{"layer=git:/r@", CONFIG_ORIGIN_COMMAND, "revision is empty"},
		{"layer=git:/r@:x", CONFIG_ORIGIN_COMMAND, "revision is empty"},
		{"layer=git:/r:../x", CONFIG_ORIGIN_COMMAND, "subdir '../x'"},
		{"subdir=a/../b", CONFIG_ORIGIN_COMMAND, "subdir 'a/../b'"},
		{"layer=git:https://h/r.git", CONFIG_ORIGIN_COMMAND, "is a URL"},
		{"lowerdir=/a::/b", CONFIG_ORIGIN_FUSE, "empty directory name"},
		{"lowerdir=/a:", CONFIG_ORIGIN_FUSE, "empty directory name"},
		{"context=\"a,b", CONFIG_ORIGIN_FUSE, "closing quote is missing"},
		{"context=\"a\"b", CONFIG_ORIGIN_FUSE, "behind the closing quote"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workspace_config config;
		struct error err = {0};
		int r;

		config_init(&config);
		r = config_parse_options(&config, rows[i].text, rows[i].origin, &err);
		if (r >= 0 || err.status != EXIT_STATUS_USAGE || !strstr(err.text, rows[i].says))
			fail_msg("'%s': %d, status %d: '%s', wanted '%s'", rows[i].text, r,
				err.status, err.text, rows[i].says);
		config_release(&config);
	}
}

static void unknown_is_a_warning_for_fuse(void **state)
{
	struct workspace_config config;

	/* The warning goes to standard error; silence it. */
	log_open(LOG_TARGET_STDERR, -1, "test", LOG_LEVEL_ERROR);
	parse(&config, "lowerdir=/a,no_such_thing=1,another", CONFIG_ORIGIN_FUSE);
	assert_int_equal(config.layer_count, 1);
	config_release(&config);
}

static void what_belongs_together(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"volatile", "nothing to mount"},
		{"rev=main", "without a repository"},
		{"repo=/r,upperdir=/u", "needs workdir="},
		{"repo=/r,workdir=/u", "without upperdir="},
		{"repo=/r,upperdir=/u,workdir=/w,ro", "ro with upperdir="},
		{"repo=/r,upperdir=/u,workdir=/w,keep=discard", "keep=discard"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workspace_config config;
		struct error err = {0};

		parse(&config, rows[i].text, CONFIG_ORIGIN_COMMAND);
		if (config_validate(&config, &err) != -EINVAL || !strstr(err.text, rows[i].says))
			fail_msg("'%s': '%s', wanted '%s'", rows[i].text, err.text, rows[i].says);
		config_release(&config);
	}
}

static void layers_are_bounded(void **state)
{
	struct workspace_config config;
	struct error err = {0};

	config_init(&config);
	for (int i = 0; i < CONFIG_LAYERS_MAX; i++)
		assert_int_equal(
			config_parse_options(&config, "layer=dir:/x", CONFIG_ORIGIN_COMMAND, &err),
			0);
	assert_int_equal(
		config_parse_options(&config, "layer=dir:/x", CONFIG_ORIGIN_COMMAND, &err), -E2BIG);
	assert_int_equal(config_add_git_layer(&config, "/r", &err), -E2BIG);
	config_release(&config);
}

static void ids(void **state)
{
	static const struct {
		const char *id;
		bool valid;
	} rows[] = {{"a", true}, {"A_9.x+-", true}, {"_", true}, {"", false}, {".", false},
		{"..", false}, {"-a", false}, {"+a", false}, {"a/b", false}, {"a b", false},
		{"a\xc3\xa9", false}};
	char longest[130];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (config_id_is_valid(rows[i].id) != rows[i].valid)
			fail_msg("'%s': wanted %d", rows[i].id, rows[i].valid);
	memset(longest, 'a', sizeof(longest));
	longest[129] = '\0';
	assert_false(config_id_is_valid(longest));
	longest[128] = '\0';
	assert_true(config_id_is_valid(longest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(git_specifications),
		cmocka_unit_test(lists_quotes_and_escapes),
		cmocka_unit_test(options_find_the_main_layer),
		cmocka_unit_test(every_value_arrives),
		cmocka_unit_test(words_for_speed),
		cmocka_unit_test(who_opens),
		cmocka_unit_test(amounts),
		cmocka_unit_test(no_values),
		cmocka_unit_test(annotations_start_with_a_repository),
		cmocka_unit_test(refused_with_a_hint),
		cmocka_unit_test(unknown_is_a_warning_for_fuse),
		cmocka_unit_test(what_belongs_together),
		cmocka_unit_test(layers_are_bounded),
		cmocka_unit_test(ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
