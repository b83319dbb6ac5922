/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Revisions that are found without libgit2: the same answers as git's, and none where git has none.
 */
#include "git-repo.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "layer/git-names.h"

static const char history[] =
	"git init -q --bare -b main repo.git; cd repo.git; tree=$(git mktree </dev/null);"
	"one=$(git commit-tree -m one $tree); two=$(git commit-tree -m two -p $one $tree);"
	"git update-ref refs/heads/main $two; git update-ref refs/heads/main2 $one;"
	"git update-ref refs/heads/x/main $one; git update-ref refs/remotes/origin/dev $one;"
	"git symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/dev;"
	"git tag both $one; git update-ref refs/heads/both $two; git tag -a -m t v1.0+rc1 $two;"
	"git update-ref refs/heads/fix_12 $one; git update-ref refs/heads/UPPER $two; cd ..;";

static int open_directory(void)
{
	int fd = open("repo.git", O_PATH | O_DIRECTORY);

	assert_true(fd >= 0);
	return fd;
}

static void expect_id(int fd, const char *rev)
{
	char want[GIT_OID_HEXSZ + 1], hex[GIT_OID_HEXSZ + 1];
	struct error err = {0};
	git_oid id;
	int r;

	snprintf(want, sizeof(want), "%s", shell("git -C repo.git rev-parse --verify '%s'", rev));
	assert_true(names_can_find(fd, rev));
	r = names_find(fd, rev, &id, &err);
	if (r)
		fail_msg("'%s': %d %s, git says %s", rev, r, err.text, want);
	id_to_hex(&id, hex);
	if (strcmp(hex, want) != 0)
		fail_msg("'%s': %s, git says %s", rev, hex, want);
}

static void expect_found(int fd, const char *rev)
{
	git_oid id;

	assert_int_equal(names_find(fd, rev, &id, NULL), 0);
}

static void expect_none(int fd, const char *rev)
{
	struct error err = {0};
	git_oid id;
	int r = names_find(fd, rev, &id, &err);

	if (r != 1)
		fail_msg("'%s': %d %s", rev, r, err.text);
}

static void expect_damaged(int fd, const char *rev)
{
	struct error err = {0};
	git_oid id;
	int r = names_find(fd, rev, &id, &err);

	if (r >= 0 || !strstr(err.text, "reference"))
		fail_msg("'%s': %d '%s'", rev, r, err.text);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
}

static const char *const names[] = {"HEAD", "@", "main", "main2", "x/main", "heads/main",
	"refs/heads/main", "origin/dev", "origin", "remotes/origin/dev", "both", "heads/both",
	"tags/both", "v1.0+rc1", "fix_12", "refs/heads/UPPER"};

static void as_git_finds_them(void **state)
{
	int fd;

	shell("%s", history);
	fd = open_directory();
	for (unsigned packed = 0; packed < 2; packed++) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			expect_id(fd, names[i]);
		expect_none(fd, "ma");
		expect_none(fd, "ain");
		expect_none(fd, "main22");
		expect_none(fd, "refs/heads");
		expect_none(fd, "dev");
		shell("git -C repo.git pack-refs --all");
	}
	/* What lies loose is newer. */
	shell("git -C repo.git update-ref refs/heads/main main2");
	expect_id(fd, "main");
	/* git writes none of these. */
	shell("cd repo.git; rm -r refs/heads; mkdir refs/heads; sed 's/$/\\r/' packed-refs >p;"
	      "mv packed-refs o; mv p packed-refs");
	expect_none(fd, "main2");
	shell("mv repo.git/o repo.git/packed-refs");
	shell("cd repo.git; printf '%%s refs/heads/last' $(git rev-parse both) >>packed-refs");
	expect_found(fd, "last");
	shell("cd repo.git; echo ' refs/heads/odd' >packed-refs; echo 'zz refs/heads/odd' >>packed-refs");
	expect_none(fd, "odd");
	close(fd);
}

static void what_libgit2_is_asked(void **state)
{
	static const char *const others[] = {"main~1", "main^", "HEAD^{tree}", "main@{1}", "@{1}",
		"main:sub", "abcd", "abcdef0123", "v1.0-2-gabcdef1", ":/fix", "a..b", "a/.b",
		"a./b", "/a", "a/", "a.", "-a", "a//b", "FETCH_HEAD", "ORIG_HEAD", "UPPER", "a b",
		"a\nb", "main.lock", "caf\xc3\xa9", "0123456789012345678901234567890123456789a"};
	/* Each changes the one before it. */
	static const char *const shapes[] = {
		"cp config c; git config -f config core.repositoryformatversion 1",
		"cp c config; git config -f config Extensions.objectFormat sha256",
		"cp c config; git config -f config include.path other",
		"rm config; ln -s c config",
		"rm config; mkfifo config",
		"rm config",
		"cp c config; echo .. >commondir",
		"rm commondir; mv refs r",
		"mv r refs; mv HEAD H",
	};
	int fd;

	shell("%s", history);
	fd = open_directory();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (names_can_find(fd, others[i]))
			fail_msg("'%s'", others[i]);
	assert_true(names_can_find(fd, "0123456789012345678901234567890123456789"));
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		shell("cd repo.git; %s", shapes[i]);
		if (names_can_find(fd, "main"))
			fail_msg("%s", shapes[i]);
	}
	/* It was the shape alone. */
	shell("cd repo.git; mv H HEAD");
	assert_true(names_can_find(fd, "main"));
	close(fd);
}

static void damaged_references(void **state)
{
	static const char *const contents[] = {"", "x", "0123456789", "ref:", "ref: HEAD",
		"ref: refs/heads/bad", "ref: refs/../HEAD", "ref: /etc/passwd",
		"012345678901234567890123456789012345678x",
		"01234567890123456789012345678901234567890"};
	int fd;

	shell("%s", history);
	fd = open_directory();
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		shell("printf '%%s' '%s' >repo.git/refs/heads/bad", contents[i]);
		expect_damaged(fd, "bad");
	}
	/* Nothing hangs, and nothing is taken for it that follows. */
	shell("cd repo.git/refs/heads; rm bad; mkfifo bad");
	expect_damaged(fd, "bad");
	shell("cd repo.git/refs/heads; rm bad; head -c 100000 /dev/zero >bad");
	expect_damaged(fd, "bad");
	shell("cd repo.git/refs/heads; rm bad; ln -s nowhere bad");
	expect_none(fd, "bad");
	close(fd);
}

static void what_head_is(void **state)
{
	struct error err = {0};
	int fd;

	shell("git init -q --bare -b main repo.git; mkdir -p repo.git/refs/heads/empty/dir");
	fd = open_directory();
	expect_none(fd, "HEAD");
	assert_int_equal(names_explain_head(fd, "r", &err), -ENOENT);
	assert_non_null(strstr(err.text, "no commit yet"));
	close(fd);
	shell("rm -r repo.git; %s cd repo.git; git symbolic-ref HEAD refs/heads/gone", history);
	fd = open_directory();
	for (unsigned packed = 0; packed < 2; packed++) {
		expect_none(fd, "HEAD");
		assert_int_equal(names_explain_head(fd, "r", &err), -ENOENT);
		assert_non_null(strstr(err.text, "'refs/heads/gone'"));
		shell("git -C repo.git pack-refs --all");
	}
	shell("cd repo.git; id=$(git rev-parse main); echo $id >HEAD");
	expect_id(fd, "HEAD");
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, repo_setup, repo_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(as_git_finds_them),
		TEST(what_libgit2_is_asked),
		TEST(damaged_references),
		TEST(what_head_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
