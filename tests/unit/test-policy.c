/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy: what is parsed, what is refused, and what each key admits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/oci.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static void globs(void **state)
{
	static const struct {
		const char *glob, *text;
		bool matches;
	} rows[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"*", "a/b", false},
		{"**", "", true},
		{"**", "a/b/c", true},
		{"?", "a", true},
		{"?", "/", false},
		{"?", "", false},
		{"/srv/git/*", "/srv/git/a.git", true},
		{"/srv/git/*", "/srv/git/a/b", false},
		{"/srv/git/*", "/srv/git", false},
		{"/srv/git/**", "/srv/git/a/b", true},
		{"/srv/git/**", "/srv/gitx/a", false},
		{"/srv/git/**", "/srv/git", false},
		{"/srv/*/main.git", "/srv/x/main.git", true},
		{"/srv/*/main.git", "/srv/x/y/main.git", false},
		{"/srv/**/main.git", "/srv/x/y/main.git", true},
		{"/srv/**/*.git", "/srv/x/y/main.git", true},
		{"/srv/**/*.git", "/srv/x/y/main.git/z", false},
		{"**/a*b/c", "x/aab/d/ayb/c", true},
		{"**/a*b/c", "x/aab/d/ay/b/c", false},
		{"*a*b*c", "xxaxxbxxc", true},
		{"*a*b*c", "xxaxxbxx", false},
		{"a***b", "a/x/b", true},
		{"v1.?", "v1.2", true},
		{"v1.?", "v1x2", false},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"[ab]", "a", false},
		{"[ab]", "[ab]", true},
		{"refs/heads/*", "refs/heads/topic", true},
		{"refs/heads/*", "refs/heads/a/b", false},
		{"abc", "ab", false},
		{"ab", "abc", false},
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		if (policy_glob_matches(rows[i].glob, rows[i].text) != rows[i].matches)
			fail_msg("'%s' against '%s': wanted %d", rows[i].glob, rows[i].text,
				rows[i].matches);
}

/* A hostile text against many stars ends soon. */
static void glob_does_not_explode(void **state)
{
	char text[2001];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(policy_glob_matches("*a*a*a*a*a*a*a*a*a*a*a*ab", text));
	assert_false(policy_glob_matches("**a**a**a**a**a**a**a**ab", text));
	assert_false(policy_glob_matches("**/*a*a*a*a*a*a/b", text));
}

static void refused_documents(void **state)
{
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{"", ""},
		{"[]", "allow"},
		{"{}", "allow"},
		{"{\"allow\":{}}", "allow"},
		{"{\"allow\":[1]}", "allow[0]"},
		{"{\"allow\":[],\"deny\":[]}", "deny"},
		{"{\"allow\":[{\"repos\":[]}]}", "allow[0].repos"},
		{"{\"allow\":[{},{\"repositories\":\"/srv\"}]}", "allow[1].repositories"},
		{"{\"allow\":[{\"repositories\":[1]}]}", "allow[0].repositories[0]"},
		{"{\"allow\":[{\"targets\":[\"/a\",\"\"]}]}", "allow[0].targets[1]"},
		{"{\"allow\":[{\"max_size\":-1}]}", "allow[0].max_size"},
		{"{\"allow\":[{\"max_size\":1.5}]}", "allow[0].max_size"},
		{"{\"allow\":[{\"max_size\":\"10X\"}]}", "allow[0].max_size"},
		{"{\"allow\":[{\"max_size\":\"\"}]}", "allow[0].max_size"},
		{"{\"allow\":[{\"max_size\":\"99999999999T\"}]}", "allow[0].max_size"},
		{"{\"allow\":[{\"max_inodes\":true}]}", "allow[0].max_inodes"},
		{"{\"allow\":[{\"owners\":[]}],\"allow\":[]}", "twice"},
		{"{\"allow\":[]} x", ""},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct policy *policy = NULL;
		struct error err = {0};

		if (policy_parse(rows[i].text, strlen(rows[i].text), true, &policy, &err) >= 0)
			fail_msg("'%s' was taken", rows[i].text);
		if (!strstr(err.text, rows[i].wanted) || !err.text[0])
			fail_msg("'%s': error '%s' does not name '%s'", rows[i].text, err.text,
				rows[i].wanted);
	}
}

/* The request that each row changes: one repository, mounted on /workspace. */
struct row {
	const char *policy;
	bool allowed;
	const char *wanted; /* in the refusal */
	const char *rev, *target, *upper, *dir, *alternate, *user, *namespace, *second, *account;
	enum config_keep keep;
	bool no_owner;
	uint64_t size, inodes;
	bool read_only;
};

static char repository_path[] = "/srv/git/app.git";

static int judge(const struct row *row, struct error *err)
{
	struct layer_spec specs[2] = {
		{.kind = (char *)"git", .path = repository_path, .rev = (char *)row->rev},
		{.kind = (char *)"dir", .path = (char *)row->dir},
	};
	struct workspace_config config = {
		.layers = specs,
		.layer_count = row->dir ? 2 : 1,
		.target = (char *)(row->target ? row->target : "/workspace"),
		.upper = (char *)row->upper,
		.owner_is_set = !row->no_owner,
		.owner_uid = 1000,
		.owner_gid = 100,
		.keep = row->keep,
		.max_size = row->size,
		.max_inodes = row->inodes,
		.read_only = row->read_only,
	};
	static struct source sources[2];
	const struct policy_asker asker = {
		.user = row->user,
		.namespaces = {row->namespace, row->namespace ? row->second : NULL},
		.service_account = row->account,
	};
	struct policy_request request = {.config = &config, .sources = sources, .asker = &asker};
	struct policy *policy;
	int r;

	memset(sources, 0, sizeof(sources));
	sources[0].dir.path = repository_path;
	sources[0].alternate_count = row->alternate ? 1 : 0;
	sources[0].alternates[0].path = (char *)row->alternate;
	sources[1].dir.path = (char *)row->dir;
	assert_int_equal(policy_parse(row->policy, strlen(row->policy), true, &policy, err), 0);
	r = policy_check(policy, &request, err);
	policy_free(policy);
	return r;
}

#define ANY_REPO    "\"repositories\":[\"/srv/git/**\"]"
#define ENTRY(more) "{\"allow\":[{" ANY_REPO more "}]}"

static const struct row judged[] = {
	{.policy = "{\"allow\":[]}", .wanted = "repository '/srv/git/app.git'"},
	{.policy = "{\"allow\":[{}]}", .wanted = "repositories"},
	{.policy = "{\"allow\":[{\"repositories\":[]}]}", .wanted = "repositories"},
	{.policy = ENTRY(""), .allowed = true},
	{.policy = "{\"allow\":[{\"repositories\":[\"/srv/other/**\"]}]}", .wanted = "repository"},
	{.policy = "{\"allow\":[{\"repositories\":[\"/x\"]},{" ANY_REPO "}]}", .allowed = true},
	/* One entry must admit it whole. */
	{.policy = "{\"allow\":[{" ANY_REPO ",\"targets\":[\"/a\"]},{\"repositories\":[\"/x\"],"
		   "\"targets\":[\"/workspace\"]}]}",
		.wanted = "target '/workspace'"},
	{.policy = ENTRY(",\"revisions\":[\"main\"]"), .rev = "main", .allowed = true},
	{.policy = ENTRY(",\"revisions\":[\"main\"]"),
		.rev = "topic",
		.wanted = "revision 'topic'"},
	{.policy = ENTRY(",\"revisions\":[\"main\"]"), .wanted = "revision 'HEAD'"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1.2", .allowed = true},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"),
		.rev = "v1.0-1-gdeadbeef",
		.wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1-g1", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1.0-1-gDEAD", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1~9", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1^{/text}", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1^", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1@{1}", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1:path", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1 x", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1\\x", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1\tx", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1-goo", .allowed = true},
	{.policy = ENTRY(",\"revisions\":[\"v*\"]"), .rev = "v1-g", .allowed = true},
	{.policy = ENTRY(",\"revisions\":[\"**\"]"), .rev = "main~1", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"main~1\"]"), .rev = "main~1", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"*\"]"), .rev = "deadbeef", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"**\"]"), .rev = "dead", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"dead*\"]"), .rev = "deadbeef", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"deadbeef\"]"), .rev = "deadbeef", .allowed = true},
	{.policy = ENTRY(",\"revisions\":[\"deadbeef\"]"),
		.rev = "deadbee",
		.wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"*\"]"), .rev = "abc", .allowed = true},
	{.policy = ENTRY(",\"revisions\":[\"*\"]"), .rev = "DEADBEEF", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"*\"]"), .rev = "refs/heads/x", .wanted = "revision '"},
	{.policy = ENTRY(",\"revisions\":[\"refs/heads/*\"]"),
		.rev = "refs/heads/x",
		.allowed = true},
	{.policy = ENTRY(""), .rev = "v1~9", .allowed = true},
	{.policy = ENTRY(""), .rev = "deadbeef", .allowed = true},
	{.policy = ENTRY(",\"targets\":[\"/work*\"]"), .allowed = true},
	{.policy = ENTRY(",\"targets\":[\"/work*\"]"), .target = "/src", .wanted = "target '/src'"},
	{.policy = ENTRY(",\"owners\":[\"1000:*\"]"), .allowed = true},
	{.policy = ENTRY(",\"owners\":[\"0:0\"]"), .wanted = "owner '1000:100'"},
	{.policy = ENTRY(",\"owners\":[\"**\"]"), .no_owner = true, .wanted = "owners"},
	{.policy = ENTRY(",\"keep\":[\"discard\"]"), .allowed = true},
	{.policy = ENTRY(",\"keep\":[\"discard\"]"), .keep = CONFIG_KEEP_KEEP, .wanted = "'keep'"},
	{.policy = ENTRY(",\"keep\":[\"keep\"]"), .keep = CONFIG_KEEP_KEEP, .allowed = true},
	{.policy = ENTRY(""), .upper = "/srv/up/a", .wanted = "uppers"},
	{.policy = ENTRY(",\"uppers\":[\"/srv/up/*\"]"), .upper = "/srv/up/a", .allowed = true},
	{.policy = ENTRY(",\"uppers\":[\"/srv/up/*\"]"), .upper = "/etc", .wanted = "'/etc'"},
	{.policy = ENTRY(",\"uppers\":[\"/u\"],\"keep\":[\"discard\"]"),
		.upper = "/u",
		.wanted = "'keep'"},
	{.policy = ENTRY(""), .dir = "/opt/sdk", .wanted = "layers"},
	{.policy = ENTRY(",\"layers\":[\"/opt/*\"]"), .dir = "/opt/sdk", .allowed = true},
	{.policy = ENTRY(",\"layers\":[\"/opt/*\"]"), .dir = "/etc", .wanted = "'/etc'"},
	{.policy = ENTRY(""), .alternate = "/srv/git/base.git/objects", .allowed = true},
	{.policy = ENTRY(""),
		.alternate = "/home/x/.git/objects",
		.wanted = "an alternate of repository '/srv/git/app.git'"},
	{.policy = "{\"allow\":[{\"repositories\":[\"/srv/git/app.git\",\"/home/x\"]}]}",
		.alternate = "/home/x/.git/objects",
		.allowed = true},
	{.policy = "{\"allow\":[{\"repositories\":[\"/srv/git/app.git\",\"/home\"]}]}",
		.alternate = "/home/x/.git/objects",
		.wanted = "alternate"},
	{.policy = ENTRY(",\"users\":[\"ci\"]"), .user = "ci", .allowed = true},
	{.policy = ENTRY(",\"users\":[\"ci\"]"), .user = "eve", .wanted = "user 'eve'"},
	{.policy = ENTRY(",\"users\":[\"ci\"]"), .wanted = "users"},
	{.policy = ENTRY(",\"namespaces\":[\"ci-*\"]"), .namespace = "ci-1", .allowed = true},
	{.policy = ENTRY(",\"namespaces\":[\"ci-*\"]"), .namespace = "x", .wanted = "'x'"},
	{.policy = ENTRY(",\"namespaces\":[\"ci-*\"]"), .wanted = "namespaces"},
	{.policy = ENTRY(",\"max_size\":\"10G\""), .wanted = "no size=, and \"max_size\""},
	{.policy = ENTRY(",\"max_size\":\"10K\""), .size = 10240, .allowed = true},
	{.policy = ENTRY(",\"max_size\":\"10K\""), .size = 10241, .wanted = "size=10241"},
	{.policy = ENTRY(",\"max_size\":0"), .size = 1, .wanted = "size=1"},
	{.policy = ENTRY(",\"max_size\":\"10G\""), .read_only = true, .allowed = true},
	{.policy = ENTRY(",\"max_inodes\":1000"), .wanted = "no inodes=, and \"max_inodes\""},
	{.policy = ENTRY(",\"max_inodes\":1000"), .inodes = 1000, .allowed = true},
	{.policy = ENTRY(",\"max_inodes\":1000"), .inodes = 1001, .wanted = "inodes=1001"},
	{.policy = ENTRY(",\"max_inodes\":9,\"max_size\":9"), .inodes = 1, .wanted = "size="},
};

static const struct policy_asker nobody;

static void judgements(void **state)
{
	for (size_t i = 0; i < ROWS(judged); i++) {
		struct error err = {0};
		int r = judge(&judged[i], &err);

		if (r != (judged[i].allowed ? 0 : -EACCES))
			fail_msg("row %zu, %s: %d '%s'", i, judged[i].policy, r, err.text);
		if (!judged[i].allowed && !strstr(err.text, judged[i].wanted))
			fail_msg("row %zu: '%s' does not say '%s'", i, err.text, judged[i].wanted);
	}
}

/* A repository called "objects" does not make its parent's name enough. */
static void only_alternates_lose_objects(void **state)
{
	static const struct row row = {.policy = "{\"allow\":[{\"repositories\":[\"/srv/git\"]}]}"};
	struct error err = {0};

	strcpy(repository_path, "/srv/git/objects");
	assert_int_equal(judge(&row, &err), -EACCES);
	strcpy(repository_path, "/srv/git/.git");
	assert_int_equal(judge(&row, &err), 0);
	strcpy(repository_path, "/srv/git/app.git");
}

/* Where a path leads is judged, or what is written while nobody looked; never is it told. */
static void refusals_tell_what_was_written(void **state)
{
	static const char text[] =
		"{\"allow\":[{\"repositories\":[\"/ok/**\"],\"layers\":[\"/ok/**\"],"
		"\"uppers\":[\"/ok/**\"],\"targets\":[\"/ok/**\"]}]}";
	static const struct {
		const char *written, *resolved;
		bool allowed;
	} rows[] = {
		{"/ok/a", "/ok/b", true},
		{"/link", "/ok/b", true},
		{"/ok/link", "/secret", false},
		{"/ok/../secret", "/secret", false},
		{"/ok/../ok/x", "/ok/x", true},
		{"/ok/a", NULL, true},
		{"/ok/..a", NULL, true},
		{"/ok/../secret", NULL, false},
		{"/ok/..", NULL, false},
		{"/secret", NULL, false},
	};
	struct policy *policy;

	assert_int_equal(policy_parse(text, strlen(text), true, &policy, NULL), 0);
	/* Each of the five in turn is the one of the row. */
	for (size_t i = 0; i < 5 * ROWS(rows); i++) {
		const char *written[5] = {"/ok/r", "/ok/d", "/ok/u", "/ok/w", "/ok/t"};
		const char *resolved[5] = {"/ok/r", "/ok/d", "/ok/u", "/ok/w", "/ok/t"};
		struct source sources[2] = {0};
		struct layer_spec specs[2] = {{.kind = (char *)"git"}, {.kind = (char *)"dir"}};
		struct workspace_config config = {.layers = specs, .layer_count = 2};
		struct policy_request request = {.config = &config, .asker = &nobody};
		struct error err = {0};
		int r;

		written[i % 5] = rows[i / 5].written;
		resolved[i % 5] = rows[i / 5].resolved;
		for (size_t k = 0; k < 2; k++) {
			specs[k].path = (char *)written[k];
			sources[k].dir.path = (char *)resolved[k];
		}
		request.sources = rows[i / 5].resolved ? sources : NULL;
		config.upper = (char *)written[2];
		config.work = (char *)written[3];
		config.target = (char *)written[4];
		request.upper = resolved[2];
		request.work = resolved[3];
		request.target = resolved[4];
		r = policy_check(policy, &request, &err);
		if (r != (rows[i / 5].allowed ? 0 : -EACCES))
			fail_msg("row %zu, %zu: %d '%s'", i / 5, i % 5, r, err.text);
		if (r && strstr(err.text, "secret") && !strstr(rows[i / 5].written, "secret"))
			fail_msg("row %zu, %zu: '%s' tells", i / 5, i % 5, err.text);
		if (r && !strstr(err.text, rows[i / 5].written))
			fail_msg("row %zu, %zu: '%s'", i / 5, i % 5, err.text);
	}
	policy_free(policy);
}

static void without_a_file(void **state)
{
	struct layer_spec spec = {.kind = (char *)"git", .path = repository_path};
	struct workspace_config config = {
		.layers = &spec, .layer_count = 1, .target = (char *)"/w"};
	struct policy_request request = {.config = &config, .asker = &nobody};
	struct error err = {0};
	struct policy *policy;

	assert_int_equal(policy_parse(NULL, 0, true, &policy, &err), 0);
	assert_int_equal(policy_check(policy, &request, &err), -EACCES);
	assert_non_null(strstr(err.text, "there is no policy file"));
	policy_free(policy);
	assert_int_equal(policy_parse(NULL, 0, false, &policy, &err), 0);
	assert_int_equal(policy_check(policy, &request, &err), 0);
	policy_free(policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(globs),
		cmocka_unit_test(glob_does_not_explode),
		cmocka_unit_test(refused_documents),
		cmocka_unit_test(judgements),
		cmocka_unit_test(only_alternates_lose_objects),
		cmocka_unit_test(refusals_tell_what_was_written),
		cmocka_unit_test(without_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
