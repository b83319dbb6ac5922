/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The repository changes or breaks while a layer is open: what the host's gc and
 * repack do is not seen, what is missing or corrupt is EIO and one line in the log.
 */
#include "git-repo.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <git-overlayfs/log.h>

static int log_fd = -1; /* what was logged, from its start */

static int setup(void **state)
{
	int r = repo_setup(state);

	log_fd = open("log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	assert_true(log_fd >= 0);
	assert_int_equal(log_open(LOG_TARGET_FD, dup(log_fd), "test", LOG_LEVEL_WARNING), 0);
	return r;
}

static int teardown(void **state)
{
	close(log_fd);
	return repo_teardown(state);
}

/* What was logged since the last call. */
static const char *take_log(void)
{
	static char text[8192];
	ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_int_equal(ftruncate(log_fd, 0), 0);
	return text;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* 40 files in 4 directories, in two commits. */
static const char files[] =
	"git init -q -b main work; cd work; git config gc.auto 0; for d in a b c d; do mkdir $d;"
	"for i in $(seq 10); do echo $d$i >$d/$i; done; done; git add .; git commit -qm 1;"
	"echo new >a/new; echo changed >b/1; git add .; git commit -qm 2;"
	"cd ..; mv work/.git repo.git; rm -rf work; git -C repo.git config core.bare true;";

static void expect_all(struct repo *repo)
{
	for (const char *d = "abcd"; *d; d++)
		for (int i = 1; i <= 10; i++) {
			char path[16], want[16];

			snprintf(path, sizeof(path), "%c/%d", *d, i);
			snprintf(want, sizeof(want), "%c%d\n", *d, i);
			repo_expect(repo, path, *d == 'b' && i == 1 ? "changed\n" : want);
		}
	repo_expect(repo, "a/new", "new\n");
	assert_string_equal(take_log(), "");
}

static void gc_after_the_branch_was_deleted(void **state)
{
	struct repo *repo = *state;

	shell("%s git -C repo.git repack -adq", files);
	repo_open(repo, "main");
	/* Nothing refers to the commit any more; no object of it stays. */
	shell("cd repo.git; git update-ref --no-deref refs/heads/x $(git commit-tree -m y "
	      "$(git mktree </dev/null)); git symbolic-ref HEAD refs/heads/x;"
	      "git branch -qD main; rm -rf logs index; git reflog expire --expire=now --all;"
	      "git gc -q --prune=now");
	assert_string_equal(shell("git -C repo.git cat-file --batch-all-objects --batch-check |"
				  "grep -c blob || true"),
		"0");
	expect_all(repo);
}

static void repack_of_several_packs(void **state)
{
	struct repo *repo = *state;

	shell("%s cd repo.git; git pack-objects -q --revs objects/pack/pack <<EOF\nmain~1\nEOF\n"
	      "git prune-packed; git repack -dq; ls objects/pack/*.pack | grep -c .",
		files);
	assert_string_equal(shell("ls repo.git/objects/pack/*.pack | grep -c ."), "2");
	repo_open(repo, "main");
	repo_expect(repo, "a/1", "a1\n");
	shell("cd repo.git; git repack -adq -F --depth=10; git prune-packed");
	assert_string_equal(shell("ls repo.git/objects/pack/*.pack | grep -c ."), "1");
	expect_all(repo);
}

static void loose_objects_that_become_packed(void **state)
{
	struct repo *repo = *state;

	shell("%s", files);
	repo_open(repo, "main");
	repo_expect(repo, "a/1", "a1\n");
	shell("git -C repo.git gc -q --prune=now");
	assert_string_equal(
		shell("find repo.git/objects -type f -path '*/[0-9a-f][0-9a-f]/*' | wc -l"), "0");
	expect_all(repo);
	/* And once more, now that the pack is one that was found later. */
	shell("cd repo.git; echo x | git hash-object -w --stdin; git repack -adq -F;"
	      "git gc -q --prune=now");
	expect_all(repo);
}

/* Where the loose object is, of what stands at `path`. */
static const char *loose_path(const char *what)
{
	static char path[128];
	const char *id = shell("git -C repo.git rev-parse '%s'", what);

	snprintf(path, sizeof(path), "repo.git/objects/%.2s/%s", id, id + 2);
	return path;
}

static void expect_failure(
	struct repo *repo, const char *path, const char *operation, const char *id)
{
	char quoted[128], buf[64];
	const char *log;
	int r = repo_read(repo, path, buf, sizeof(buf));

	assert_int_equal(r, -EIO);
	log = take_log();
	if (count_lines(log) != 1)
		fail_msg("not one line: %s", log);
	snprintf(quoted, sizeof(quoted), "git layer 0 (main): %s '%s': ", operation, path);
	if (!strstr(log, quoted) || !strstr(log, id))
		fail_msg("'%s' lacks '%s' or '%s'", log, quoted, id);
}

static void a_missing_blob(void **state)
{
	struct repo *repo = *state;
	char id[64], path[128];
	layer_node_t node;
	struct stat st;

	shell("%s", files);
	strcpy(id, shell("git -C repo.git rev-parse main:c/5"));
	strcpy(path, loose_path("main:c/5"));
	shell("mv %s kept", path);
	repo_open(repo, "main");
	expect_failure(repo, "c/5", "open", id);
	/* It is there, and cannot be looked at: not the same as absent. */
	assert_int_equal(repo_lookup(repo, "c/5", &node), 0);
	assert_int_equal(layer_getattr_with_mapping(repo->layer, node, ID_VIEW_STORAGE, &st), -EIO);
	assert_non_null(strstr(take_log(), "getattr 'c/5'"));
	layer_forget(repo->layer, node, 1);
	/* The rest goes on, and it comes back when it does. */
	repo_expect(repo, "c/4", "c4\n");
	shell("mv kept %s", path);
	expect_all(repo);
}

static void a_corrupt_blob(void **state)
{
	/* Cut off, overwritten, and well-formed but something else. */
	static const char *const damage[] = {"truncate -s 12 $p", "printf garbage >$p",
		"cp $(git -C repo.git rev-parse main:c/6 | sed 's,^..,repo.git/objects/&/,') $p"};
	struct repo *repo = *state;
	char id[64], path[128];

	shell("%s", files);
	strcpy(id, shell("git -C repo.git rev-parse main:c/5"));
	strcpy(path, loose_path("main:c/5"));
	shell("chmod u+w %s; cp %s kept", path, path);
	repo_open(repo, "main");
	for (size_t i = 0; i < 3; i++) {
		shell("p=%s; %s", path, damage[i]);
		expect_failure(repo, "c/5", "open", id);
		repo_expect(repo, "c/4", "c4\n");
		repo_expect(repo, "c/6", "c6\n");
	}
	shell("cp kept %s", path);
	expect_all(repo);
}

static void a_missing_tree(void **state)
{
	struct repo *repo = *state;
	char id[64], path[128];
	layer_node_t node, child;

	shell("%s", files);
	strcpy(id, shell("git -C repo.git rev-parse main:c"));
	strcpy(path, loose_path("main:c"));
	shell("mv %s kept", path);
	repo_open(repo, "main");
	assert_int_equal(repo_lookup(repo, "c", &node), 0);
	assert_int_equal(layer_lookup(repo->layer, node, "no-such-name", &child), -EIO);
	assert_non_null(strstr(take_log(), id));
	assert_int_equal(layer_readdir(repo->layer, node, 0, NULL, NULL), -EIO);
	assert_non_null(strstr(take_log(), "readdir 'c': object"));
	shell("mv kept %s", path);
	assert_int_equal(layer_lookup(repo->layer, node, "no-such-name", &child), -ENOENT);
	layer_forget(repo->layer, node, 1);
	expect_all(repo);
}

static void a_malformed_tree(void **state)
{
	struct repo *repo = *state;
	char buf[16];

	shell("%s cd repo.git; bad=$(printf '100644 cut' | git hash-object -t tree --literally -w"
	      " --stdin); tree=$( (git ls-tree main; printf '040000 tree %%s\\tbad\\n' $bad) |"
	      "git mktree); git update-ref refs/heads/main $(git commit-tree -m x $tree)",
		files);
	repo_open(repo, "main");
	assert_int_equal(repo_read(repo, "bad/file", buf, sizeof(buf)), -EIO);
	assert_non_null(strstr(take_log(), "lookup 'bad': object"));
	expect_all(repo);
}

static void a_root_tree_that_is_missing(void **state)
{
	struct repo *repo = *state;
	struct error err = {0};

	shell("%s", files);
	shell("rm -f %s", loose_path("main^{tree}"));
	repo->config.rev = "main";
	assert_int_equal(layer_open(&repo->config, &repo->layer, &err), -EIO);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
	assert_non_null(strstr(err.text, "incomplete"));
}

/* In the pack it is broken, but there is a loose copy. */
static void a_corrupt_pack_and_a_loose_copy(void **state)
{
	struct repo *repo = *state;
	const char *log;
	char buf[16];

	shell("%s cd repo.git; cp -r objects loose; git repack -adq; git prune-packed;"
	      "chmod -R u+w objects; for p in objects/pack/*.pack; do"
	      " size=$(stat -c %%s $p); dd if=/dev/zero of=$p bs=1 seek=$((size / 2)) count=200"
	      " conv=notrunc status=none; done",
		files);
	repo_open(repo, "main");
	for (const char *d = "abcd"; *d; d++)
		for (int i = 1; i <= 10; i++) {
			snprintf(buf, sizeof(buf), "%c/%d", *d, i);
			repo_read(repo, buf, buf, sizeof(buf));
		}
	log = take_log();
	assert_non_null(strstr(log, "object"));
	shell("cp -rn repo.git/loose/. repo.git/objects/");
	expect_all(repo);
}

static void damage(const char *path, unsigned *seed)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	/* Not its header and trailer, by which it would be refused as a whole. */
	for (int i = 0; i < 3; i++) {
		char byte = (char)rand_r(seed);
		off_t at = 12 + (off_t)((unsigned)rand_r(seed) % (st.st_size - 32));

		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

/* Whatever is in a pack: every read ends, with the right content or with EIO. */
static void packs_damaged_at_random(void **state)
{
	static const char *const paths[] = {"v1", "v2", "v3", "a/1", "b/1", "d/9"};
	struct repo *repo = *state;
	unsigned seed = 1;
	char pack[256], buf[4096];

	shell("%s cd repo.git; seq 500 | sed 's/^/line /' >big; for i in 1 2 3; do"
	      " b=$( (cat big; echo $i) | git hash-object -w --stdin);"
	      " printf '100644 blob %%s\tv%%s\n' $b $i; done >l; git update-ref refs/heads/v"
	      " $(git commit-tree -m v $(git mktree <l)); git repack -adq --depth=20 --window=50;"
	      "git prune-packed; chmod -R u+w objects; cp -r objects kept",
		files);
	strcpy(pack, shell("ls repo.git/objects/pack/*.pack"));
	for (int round = 0; round < 150; round++) {
		struct error err;

		shell("cp -r repo.git/kept/. repo.git/objects/");
		damage(pack, &seed);
		alarm(20); /* libgit2 going round for ever would be a failure */
		repo->config.rev = round % 2 ? "v" : "main";
		if (layer_open(&repo->config, &repo->layer, &err) == 0) {
			repo->root = layer_root(repo->layer);
			for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
				int r = repo_read(repo, paths[i], buf, sizeof(buf));

				assert_true(r == 0 || r == -EIO || r == -ENOENT);
				if (r == 0 && paths[i][0] == 'v')
					assert_memory_equal(buf, "line 1\n", 7);
			}
		}
		alarm(0);
		repo_close(repo);
	}
	take_log();
}

static void packs_that_cannot_be_used(void **state)
{
	struct repo *repo = *state;

	shell("%s cd repo.git; cd objects/pack; printf x >pack-1.idx; printf x >pack-1.pack;"
	      "printf '\\377tOc' >pack-2.idx; : >pack-2.pack; : >pack-3.idx;"
	      "head -c 2000 /dev/urandom >pack-4.idx; head -c 2000 /dev/urandom >pack-4.pack",
		files);
	repo_open(repo, "main");
	/* Each said once, and not again when packs are looked for later. */
	assert_int_equal(count_lines(take_log()), 3);
	expect_all(repo);
}

static void more_packs_than_descriptors(void **state)
{
	struct repo *repo = *state;
	struct rlimit old, few;
	struct error err = {0};

	shell("%s cd repo.git; git rev-list --objects main | cut -d' ' -f1 | while read id; do"
	      " echo $id | git pack-objects -q objects/pack/pack; done >/dev/null;"
	      "git prune-packed",
		files);
	repo_open(repo, "main");
	expect_all(repo);
	repo_close(repo);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 30;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(layer_open(&repo->config, &repo->layer, &err), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(err.status, EXIT_STATUS_MACHINE);
	assert_non_null(strstr(err.text, "more packs"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gc_after_the_branch_was_deleted),
		TEST(repack_of_several_packs),
		TEST(loose_objects_that_become_packed),
		TEST(a_missing_blob),
		TEST(a_corrupt_blob),
		TEST(a_missing_tree),
		TEST(a_malformed_tree),
		TEST(a_root_tree_that_is_missing),
		TEST(a_corrupt_pack_and_a_loose_copy),
		TEST(packs_damaged_at_random),
		TEST(packs_that_cannot_be_used),
		TEST(more_packs_than_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
