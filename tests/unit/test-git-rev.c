/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Revisions: the same answers as git rev-parse, and one clear line where there is none. */
#include "git-repo.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

static const char history[] =
	"git init -q -b main work; cd work; mkdir sub;"
	"for i in one two three four; do echo $i >file; echo $i >sub/$i; git add .;"
	"	git commit -q -m \"commit $i\";"
	"	[ $i != two ] || { git tag -a -m tag v1.0; git tag light; }; done;"
	"git branch feature/x HEAD~1; git update-ref refs/remotes/origin/dev HEAD~2;"
	"git tag -a -m t treetag 'HEAD^{tree}'; git tag -a -m b blobtag HEAD:file;"
	"ln -s sub link; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),module;"
	"git add link; git commit -q -m 'commit five';"
	"cd ..; mv work/.git repo.git; rm -rf work; git -C repo.git config core.bare true";

static void as_git_resolves_it(void **state)
{
	static const char *const rows[] = {"main", "HEAD", "@", "v1.0", "light", "feature/x",
		"origin/dev", "refs/heads/main", "heads/main", "tags/v1.0", "HEAD~3", "main^",
		"main^0", "v1.0~1", "v1.0^{}", "v1.0^{commit}", "HEAD^{commit}", "@~1",
		"HEAD^{/two}", "main@{1}", "HEAD@{1}", "@{2}", "refs/remotes/origin/dev~1"};
	struct repo *repo = *state;
	char hex[GIT_LAYER_ID_SIZE];

	shell("%s", history);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *want =
			shell("git -C repo.git rev-parse --verify -q '%s^{commit}'", rows[i]);

		repo_open(repo, rows[i]);
		assert_int_equal(git_layer_object_id(repo->layer, hex), 0);
		if (strcmp(hex, want) != 0)
			fail_msg("'%s': %s, git says %s", rows[i], hex, want);
		repo_close(repo);
	}
}

static void ids_whole_and_abbreviated(void **state)
{
	struct repo *repo = *state;
	char id[64], text[128], hex[GIT_LAYER_ID_SIZE];

	shell("%s", history);
	strcpy(id, shell("git -C repo.git rev-parse main~1"));
	for (int digits = 40; digits >= 8; digits -= 8) {
		snprintf(text, sizeof(text), "%.*s", digits, id);
		repo_open(repo, text);
		assert_int_equal(git_layer_object_id(repo->layer, hex), 0);
		assert_string_equal(hex, id);
		repo_close(repo);
	}
	/* As git describe prints it; what stands in front of -g does not matter. */
	snprintf(text, sizeof(text), "v1.0-2-g%.8s", id);
	repo_open(repo, text);
	assert_int_equal(git_layer_object_id(repo->layer, hex), 0);
	assert_string_equal(hex, id);
}

static void trees_without_a_commit(void **state)
{
	static const char *const rows[] = {"main~1^{tree}", "treetag", "main~1:"};
	struct repo *repo = *state;
	char id[64], hex[GIT_LAYER_ID_SIZE];

	shell("%s", history);
	strcpy(id, shell("git -C repo.git rev-parse main~1^{tree}"));
	repo_open(repo, id);
	assert_int_equal(git_layer_object_id(repo->layer, hex), 0);
	assert_string_equal(hex, id);
	assert_int_equal(repo_stat(repo, "file").st_mtim.tv_sec, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		repo_close(repo);
		repo_open(repo, rows[i]);
		assert_int_equal(git_layer_object_id(repo->layer, hex), 0);
		assert_string_equal(hex, id);
		repo_expect(repo, "file", "four\n");
	}
	repo_close(repo);
	repo_open(repo, "main:sub");
	repo_expect(repo, "two", "two\n");
}

static void expect_refused(
	struct repo *repo, const char *rev, const char *subdir, int want, const char *words)
{
	struct error err = {0};
	struct layer *layer = NULL;
	int r;

	repo->config.rev = rev;
	repo->config.subdir = subdir;
	r = repo_try(repo, &layer, &err);
	if (r != want || !strstr(err.text, words))
		fail_msg("'%s:%s': %d '%s', wanted %d '%s'", rev ? rev : "", subdir ? subdir : "",
			r, err.text, want, words);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
	assert_null(layer);
	repo->config.subdir = NULL;
}

static void revisions_that_cannot_be(void **state)
{
	static const struct {
		const char *rev;
		int want;
		const char *words;
	} rows[] = {{"nothing", -ENOENT, "no such revision: 'nothing'"}, {"v9", -ENOENT, "git tag"},
		{"main~99", -ENOENT, "no such revision"}, {"deadbeef", -ENOENT, "no such revision"},
		{"0123456789012345678901234567890123456789", -ENOENT, "no such revision"},
		{"blobtag", -EINVAL, "is a file"}, {"main:file", -EINVAL, "is a file"},
		{"main:nofile", -ENOENT, "no such revision"}, {"^{", -EINVAL, "no name"}};
	struct repo *repo = *state;

	shell("%s", history);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_refused(repo, rows[i].rev, NULL, rows[i].want, rows[i].words);
}

static void an_ambiguous_abbreviation(void **state)
{
	struct repo *repo = *state;
	char prefix[8];

	shell("%s; cd repo.git; mkdir x; for i in $(seq 1500); do echo $i >x/$i; done;"
	      "ls -d $PWD/x/* | git hash-object -w --stdin-paths >/dev/null",
		history);
	strcpy(prefix, shell("git -C repo.git cat-file --batch-check --batch-all-objects |"
			     "cut -c1-4 | sort | uniq -d | head -n1"));
	assert_int_equal(strlen(prefix), 4);
	expect_refused(repo, prefix, NULL, -EINVAL, "ambiguous");
}

/* git takes an abbreviation that only one commit has, whatever else begins like it. */
static void an_abbreviation_of_one_commit(void **state)
{
	struct repo *repo = *state;
	char lines[8192], *rest = lines, *line, hex[GIT_LAYER_ID_SIZE];
	unsigned count = 0;

	shell("git init -q --bare -b main repo.git; cd repo.git; for i in $(seq 500); do"
	      " printf 'commit refs/heads/main\\ncommitter T <t> %%s +0000\\ndata 0\\n' $i;"
	      " printf 'M 100644 inline f\\ndata <<E\\n%%s\\nE\\n' $i; done | git fast-import --quiet");
	strcpy(lines,
		shell("cd repo.git; git cat-file --batch-check --batch-all-objects | cut -c1-4 |"
		      "sort | uniq -d | while read p; do"
		      " id=$(git rev-parse -q --verify \"$p^{commit}\" 2>/dev/null) && echo $p $id;"
		      "done || true"));
	while ((line = strsep(&rest, "\n")) && *line) {
		char *want = line;
		const char *rev = strsep(&want, " ");

		repo_open(repo, rev);
		assert_int_equal(git_layer_object_id(repo->layer, hex), 0);
		if (strcmp(hex, want) != 0)
			fail_msg("'%s': %s, git says %s", rev, hex, want);
		repo_close(repo);
		count++;
	}
	assert_true(count > 0);
}

static void subdirectories(void **state)
{
	struct repo *repo = *state;
	static const char *const good[] = {"sub", "/sub/", "sub/", "//sub"};

	shell("%s", history);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		repo->config.subdir = good[i];
		repo_open(repo, "main");
		repo_expect(repo, "three", "three\n");
		repo_close(repo);
	}
	expect_refused(repo, "main", "nosuch", -ENOENT, "'nosuch'");
	expect_refused(repo, "main", "sub/nosuch", -ENOENT, "'sub/nosuch'");
	expect_refused(repo, "main", "file", -ENOTDIR, "a file");
	expect_refused(repo, "main", "file/x", -ENOTDIR, "a file");
	expect_refused(repo, "main", "link", -ENOTDIR, "a symlink");
	expect_refused(repo, "main", "module", -ENOTDIR, "a submodule");
	expect_refused(repo, "main", "sub/../sub", -ENOENT, "'..'");
}

static void repositories_that_are_none(void **state)
{
	struct repo *repo = *state;

	expect_refused(repo, "main", NULL, -ENOENT, "not a repository");
	shell("mkdir repo.git");
	expect_refused(repo, "main", NULL, -ENOENT, "not a repository");
	/* An object database without refs. */
	shell("git init -q --bare other.git; mv other.git/objects repo.git/");
	expect_refused(repo, "main", NULL, -ENOENT, "object database alone");
	shell("rm -rf repo.git; git init -q --bare --object-format=sha256 repo.git");
	expect_refused(repo, NULL, NULL, -ENOTSUP, "SHA-256");
	shell("rm -rf repo.git; git init -q --bare repo.git;"
	      "git -C repo.git config core.repositoryformatversion 1;"
	      "git -C repo.git config extensions.frobnicate true");
	expect_refused(repo, NULL, NULL, -ENOTSUP, "frobnicate");
}

static void an_unborn_head(void **state)
{
	struct repo *repo = *state;

	shell("git init -q --bare -b main repo.git");
	expect_refused(repo, NULL, NULL, -ENOENT, "no commit yet");
	shell("rm -rf repo.git; %s; git -C repo.git symbolic-ref HEAD refs/heads/gone", history);
	expect_refused(repo, NULL, NULL, -ENOENT, "refs/heads/gone");
	repo_open(repo, "main");
}

static void extensions_that_do_no_harm(void **state)
{
	struct repo *repo = *state;

	shell("%s; cd repo.git; git config core.repositoryformatversion 1;"
	      "git config extensions.worktreeConfig true; git config extensions.partialClone origin;"
	      "git config extensions.preciousObjects true; git config core.worktree /nonexistent;"
	      "git config include.path /nonexistent; git config core.fsmonitor '/bin/false';"
	      "printf '[core' >config.worktree",
		history);
	repo_open(repo, NULL);
	repo_expect(repo, "file", "four\n");
}

static void times(void **state)
{
	struct repo *repo = *state;
	time_t now = time(NULL);
	struct stat st;

	shell("%s; cd repo.git; GIT_COMMITTER_DATE='4000000000 +0000' git update-ref refs/heads/f "
	      "$(GIT_COMMITTER_DATE='4000000000 +0000' git commit-tree -m f main^{tree})",
		history);
	repo_open(repo, "main");
	st = repo_stat(repo, "sub/two");
	assert_int_equal(st.st_mtim.tv_sec, 1500000000);
	assert_int_equal(st.st_ctim.tv_sec, 1500000000);
	assert_int_equal(st.st_atim.tv_sec, 1500000000);
	repo_close(repo);
	/* Not in the future, whatever the commit says. */
	repo_open(repo, "f");
	st = repo_stat(repo, "sub");
	assert_true(st.st_mtim.tv_sec >= now && st.st_mtim.tv_sec <= time(NULL));
	repo_close(repo);
	repo->config.mtime_is_commit = false;
	repo->config.mtime = 12345;
	repo_open(repo, "f");
	assert_int_equal(repo_stat(repo, "file").st_mtim.tv_sec, 12345);
}

static void other_kinds_have_no_id(void **state)
{
	struct repo *repo = *state;
	struct layer_config config = {.kind = "dir", .ids = &repo->ids, .root_fd = 0};
	char hex[GIT_LAYER_ID_SIZE] = "x";
	FILE *top = fopen(".", "r");
	struct layer *layer;

	config.root_fd = fileno(top);
	assert_int_equal(layer_open(&config, &layer, NULL), 0);
	assert_int_equal(git_layer_object_id(layer, hex), -EINVAL);
	assert_string_equal(hex, "x");
	layer_close(layer);
	fclose(top);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, repo_setup, repo_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(as_git_resolves_it),
		TEST(ids_whole_and_abbreviated),
		TEST(trees_without_a_commit),
		TEST(revisions_that_cannot_be),
		TEST(an_ambiguous_abbreviation),
		TEST(an_abbreviation_of_one_commit),
		TEST(subdirectories),
		TEST(repositories_that_are_none),
		TEST(an_unborn_head),
		TEST(extensions_that_do_no_harm),
		TEST(times),
		TEST(other_kinds_have_no_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
