/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kinds of repositories, what a tree can hold, large blobs, and the cost of opening. */
#include "git-repo.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "layer/git-load.h"

static void a_repository_with_a_work_tree(void **state)
{
	struct repo *repo = *state;

	shell("git init -q -b main work; cd work; echo one >f; git add .; git commit -qm 1;"
	      "echo dirty >f");
	repo->config.git_dir = "work/.git";
	repo->object_dirs[0] = "work/.git/objects";
	repo_open(repo, NULL);
	repo_expect(repo, "f", "one\n");
}

static void a_worktree_has_a_head_of_its_own(void **state)
{
	struct repo *repo = *state;

	shell("git init -q -b main work; cd work; echo one >f; git add .; git commit -qm 1;"
	      "git worktree add -q ../side -b side; cd ../side; echo two >f; git commit -qam 2;"
	      "cd ..; mv work moved; rm -rf side");
	repo->config.git_dir = "moved/.git/worktrees/side";
	repo->object_dirs[0] = "moved/.git/objects";
	repo_open(repo, NULL);
	repo_expect(repo, "f", "two\n");
	repo_close(repo);
	repo_open(repo, "main");
	repo_expect(repo, "f", "one\n");
}

/* As in a jail: where the alternates file points to, there is nothing. */
static void alternates_of_alternates(void **state)
{
	struct repo *repo = *state;

	shell("git init -q -b main a; cd a; echo a >a; git add .; git commit -qm a; git gc -q; cd ..;"
	      "git clone -q -s a b; cd b; echo b >b; git add .; git commit -qm b; cd ..;"
	      "git clone -q -s b c; cd c; echo c >c; git add .; git commit -qm c; cd ..;"
	      "mkdir jail; mv c/.git jail/git; mv a/.git/objects jail/0; mv b/.git/objects jail/1;"
	      "rm -rf a b c");
	repo->config.git_dir = "jail/git";
	repo->object_dirs[0] = "jail/git/objects";
	repo->object_dirs[1] = "jail/1";
	repo->object_dirs[2] = "jail/0";
	repo_open(repo, "main");
	repo_expect(repo, "a", "a\n");
	repo_expect(repo, "b", "b\n");
	repo_expect(repo, "c", "c\n");
}

/* Two copies of an object, of which the first is damaged and claims another size. */
static void sizes_that_differ(void **state)
{
	struct repo *repo = *state;
	struct layer_file file;
	layer_node_t node;
	char buf[16];

	shell("git init -q -b main work; cd work; echo content >file; ln -s target link; git add .;"
	      "git commit -qm m; cd ..; mv work/.git repo.git; git -C repo.git config core.bare true;"
	      "cp -r repo.git/objects whole; cd repo.git/objects; chmod -R u+w .;"
	      "for name in main:file main:link; do id=$(git -C .. rev-parse $name);"
	      " python3 -c 'import sys, zlib; open(sys.argv[1], \"wb\").write(zlib.compress(b\"blob 3\\0abc\"))'"
	      " $(echo $id | sed 's|^..|&/|'); done");
	repo->object_dirs[1] = "whole";
	repo_open(repo, "main");
	assert_int_equal(repo_stat(repo, "file").st_size, 3);
	assert_int_equal(repo_lookup(repo, "file", &node), 0);
	assert_int_equal(layer_open_file(repo->layer, node, &file), -EIO);
	layer_forget(repo->layer, node, 1);
	assert_int_equal(repo_lookup(repo, "link", &node), 0);
	assert_int_equal(layer_readlink(repo->layer, node, buf, sizeof(buf)), -EIO);
	layer_forget(repo->layer, node, 1);
}

static void an_empty_commit(void **state)
{
	struct repo *repo = *state;
	layer_node_t node;

	/* git knows the empty tree by heart, and may not have it on disk. */
	shell("git init -q --bare -b main repo.git; cd repo.git;"
	      "git update-ref refs/heads/main "
	      "$(git commit-tree -m e $(git hash-object -t tree /dev/null));"
	      "rm -f objects/4b/*");
	repo_open(repo, NULL);
	assert_int_equal(layer_lookup(repo->layer, repo->root, "x", &node), -ENOENT);
	assert_int_equal(layer_readdir(repo->layer, repo->root, 0, NULL, NULL), 0);
}

static void exact_modes(void **state)
{
	static const struct {
		const char *path;
		mode_t mode;
		off_t size;
	} rows[] = {{"plain", S_IFREG | 0644, 3}, {"script", S_IFREG | 0755, 3},
		{"group", S_IFREG | 0664, 3}, {"link", S_IFLNK | 0777, 3},
		{"module", S_IFDIR | 0755, 4096}, {"dir", S_IFDIR | 0755, 4096}};
	struct repo *repo = *state;
	layer_node_t node, child;

	shell("git init -q --bare -b main repo.git; cd repo.git;"
	      "b=$(printf abc | git hash-object -w --stdin); s=$(git hash-object -t tree -w /dev/null);"
	      "m=1234567812345678123456781234567812345678;"
	      "t=$(printf '040000 tree %%s\\tdir\\n100664 blob %%s\\tgroup\\n120000 blob %%s\\tlink\\n'"
	      " $s $b $b >l; printf '160000 commit %%s\\tmodule\\n100644 blob %%s\\tplain\\n"
	      "100755 blob %%s\\tscript\\n' $m $b $b >>l; git mktree <l);"
	      "git update-ref refs/heads/main $(git commit-tree -m m $t)");
	repo_open(repo, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stat st = repo_stat(repo, rows[i].path);

		if (st.st_mode != rows[i].mode || st.st_size != rows[i].size)
			fail_msg("'%s': mode %o size %jd, wanted %o %jd", rows[i].path, st.st_mode,
				(intmax_t)st.st_size, rows[i].mode, (intmax_t)rows[i].size);
	}
	assert_int_equal(repo_lookup(repo, "module", &node), 0);
	assert_int_equal(layer_lookup(repo->layer, node, "x", &child), -ENOENT);
	assert_int_equal(layer_readdir(repo->layer, node, 0, NULL, NULL), 0);
	layer_forget(repo->layer, node, 1);
}

/* What symlink(2) would not have made: it has a size like any other, and leads nowhere. */
static void symlinks_that_cannot_be(void **state)
{
	static const struct {
		const char *path;
		off_t size;
		ssize_t want; /* of readlink */
	} rows[] = {{"empty", 0, -EIO}, {"longest", 4095, 4095}, {"too-long", 4096, -EIO},
		{"zero", 3, -EIO}};
	struct repo *repo = *state;
	char buf[8192];

	shell("git init -q --bare -b main repo.git; cd repo.git;"
	      "put() { id=$(git hash-object -w --stdin); printf '120000 blob %%s\t%%s\n' $id $1 >>l; };"
	      "put empty </dev/null; head -c 4095 /dev/zero | tr '\\0' p | put longest;"
	      "head -c 4096 /dev/zero | tr '\\0' p | put too-long; printf 'a\\0b' | put zero;"
	      "git update-ref refs/heads/main $(git commit-tree -m m $(git mktree <l))");
	repo_open(repo, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stat st = repo_stat(repo, rows[i].path);
		layer_node_t node;
		ssize_t n;

		assert_int_equal(repo_lookup(repo, rows[i].path, &node), 0);
		n = layer_readlink(repo->layer, node, buf, sizeof(buf));
		layer_forget(repo->layer, node, 1);
		if (!S_ISLNK(st.st_mode) || st.st_size != rows[i].size || n != rows[i].want)
			fail_msg("'%s': mode %o size %jd readlink %zd, wanted %jd and %zd",
				rows[i].path, st.st_mode, (intmax_t)st.st_size, n,
				(intmax_t)rows[i].size, rows[i].want);
	}
}

static void two_mounts_agree_on_inode_numbers(void **state)
{
	struct repo *repo = *state;
	struct stat before, after;

	shell("git init -q -b main work; cd work; mkdir d; echo 1 >d/f; git add .; git commit -qm 1;"
	      "echo 2 >d/f; echo new >a; git add .; git commit -qm 2; cd ..; mv work/.git repo.git");
	repo_open(repo, "main");
	before = repo_stat(repo, "d/f");
	repo_close(repo);
	repo_open(repo, "main~1");
	after = repo_stat(repo, "d/f");
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(after.st_ino < 1ull << 62);
}

static void owners(void **state)
{
	struct repo *repo = *state;
	struct stat st;

	shell("git init -q -b main work; cd work; echo 1 >f; git add .; git commit -qm 1;"
	      "cd ..; mv work/.git repo.git");
	assert_int_equal(idmap_parse(&repo->ids, IDMAP_UID, "0:100000:65536", NULL), 0);
	repo->config.owner_uid = 1000;
	repo->config.owner_gid = 50;
	repo_open(repo, NULL);
	st = repo_stat(repo, "f");
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 50);
	assert_int_equal(
		layer_getattr_with_mapping(repo->layer, repo->root, ID_VIEW_STORAGE, &st), 0);
	assert_int_equal(st.st_uid, 101000);
	assert_int_equal(st.st_gid, 50);
	repo_close(repo);
	/* Squashed: shown as the one, and left to the daemon on disk. */
	repo->ids.squash[IDMAP_UID] = true;
	repo->ids.squash_id[IDMAP_UID] = 7;
	repo_open(repo, NULL);
	assert_int_equal(repo_stat(repo, "f").st_uid, 7);
}

/* A blob above the limit is in a file that can only be read. */
static void expect_large(struct repo *repo)
{
	struct layer_file first, second;
	layer_node_t node;
	char buf[16];

	assert_int_equal(repo_lookup(repo, "large", &node), 0);
	assert_int_equal(layer_open_file(repo->layer, node, &first), 0);
	assert_int_equal(layer_open_file(repo->layer, node, &second), 0);
	layer_forget(repo->layer, node, 1);
	assert_true(first.fd >= 0);
	assert_int_equal(first.fd, second.fd);
	assert_int_equal(first.size, 3000000);
	assert_int_equal(fcntl(first.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(write(first.fd, "x", 1), -1);
	layer_file_release(&first);
	assert_int_equal(layer_file_pread(&second, buf, 4, 2999997), 3);
	assert_memory_equal(buf, "zzz", 3);
	layer_file_release(&second);
}

static void large_blobs(void **state)
{
	struct repo *repo = *state;

	assert_true(3000000 > CONTENT_IN_MEMORY_MAX);
	shell("git init -q -b main work; cd work; head -c 3000000 /dev/zero | tr '\\0' z >large;"
	      "git add .; git commit -qm 1; cd ..; mv work/.git repo.git; mkdir scratch");
	repo_open(repo, NULL);
	expect_large(repo);
	repo_close(repo);
	repo->config.scratch_fd = open("scratch", O_PATH | O_DIRECTORY | O_CLOEXEC);
	repo_open(repo, NULL);
	expect_large(repo);
	close(repo->config.scratch_fd);
	assert_string_equal(shell("ls scratch"), "");
}

static long long io_counter(const char *name)
{
	char line[64];
	long long value = -1;
	size_t length = strlen(name);
	FILE *io = fopen("/proc/self/io", "r");

	assert_non_null(io);
	while (fgets(line, sizeof(line), io))
		if (!strncmp(line, name, length))
			value = atoll(line + length + 1);
	fclose(io);
	assert_true(value >= 0);
	return value;
}

struct cost {
	long long calls, bytes;
};

static struct cost cost_of_opening(struct repo *repo)
{
	struct cost before, after;

	/* What is done once in a process is not the repository's cost. */
	repo_open(repo, NULL);
	repo_close(repo);
	before = (struct cost){io_counter("syscr:"), io_counter("rchar:")};
	repo_open(repo, NULL);
	after = (struct cost){io_counter("syscr:"), io_counter("rchar:")};
	repo_close(repo);
	return (struct cost){after.calls - before.calls, after.bytes - before.bytes};
}

static const char import[] =
	"rm -rf repo.git; git init -q --bare -b main repo.git; cd repo.git; { "
	"printf 'commit refs/heads/main\\ncommitter T <t> 1500000000 +0000\\ndata 0\\n';"
	"for d in $(seq $n); do for f in $(seq 100); do "
	"printf 'M 100644 inline top/%s/%s\\ndata 10\\n%05d%05d\\n' $d $f $d $f; done; done; } |"
	"git fast-import --quiet";

static void opening_costs_the_same_for_any_size(void **state)
{
	struct repo *repo = *state;
	struct cost small, large;

	shell("n=1; %s", import);
	small = cost_of_opening(repo);
	shell("n=200; %s", import);
	assert_string_equal(shell("git -C repo.git ls-tree -r main | wc -l"), "20000");
	large = cost_of_opening(repo);
	/* Packs are read in blocks of 16 KiB, and the small one is shorter than that. */
	if (large.calls > small.calls + 2 || large.bytes > small.bytes + 16384)
		fail_msg("%lld reads of %lld bytes for 100 files, %lld of %lld for 20,000",
			small.calls, small.bytes, large.calls, large.bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, repo_setup, repo_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_repository_with_a_work_tree),
		TEST(a_worktree_has_a_head_of_its_own),
		TEST(alternates_of_alternates),
		TEST(sizes_that_differ),
		TEST(an_empty_commit),
		TEST(exact_modes),
		TEST(symlinks_that_cannot_be),
		TEST(two_mounts_agree_on_inode_numbers),
		TEST(owners),
		TEST(large_blobs),
		TEST(opening_costs_the_same_for_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
