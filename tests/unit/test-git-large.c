/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blobs that are too large to be in memory as a whole: they come in pieces, verified, independent
 * of each other, from wherever they are sound.
 */
#include "git-repo.h"
#include "memory-peak.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include <git-overlayfs/log.h>

#include "layer/git-hash.h"

#define SIZE	 9000000
#define PATIENCE 60 /* seconds */

int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

/* Who makes a file waits until so many others are at it, too; 0: nobody waits. */
static atomic_int wanted, arrived, made;
static sem_t together;
/* After so many bytes the disk is full; -1: it never is. */
static atomic_long room_on_disk = -1;
/* What the shortest file was that somebody wrote to. */
static atomic_long shortest = LONG_MAX;

static void wait_for(sem_t *sem)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE;
	if (sem_timedwait(sem, &end) < 0)
		fail_msg("one waits for the other");
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	int count = atomic_load(&wanted);

	atomic_fetch_add(&made, 1);
	if (count > 0) {
		if (atomic_fetch_add(&arrived, 1) + 1 == count)
			for (int i = 0; i < count; i++)
				sem_post(&together);
		wait_for(&together);
	}
	return __real_memfd_create(name, flags);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < atomic_load(&shortest))
		atomic_store(&shortest, (long)st.st_size);
	if (atomic_load(&room_on_disk) >= 0 &&
		atomic_fetch_sub(&room_on_disk, (long)size) < (long)size) {
		atomic_store(&room_on_disk, -1);
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, data, size);
}

/* Three of a size, and one that differs from the first in its middle. */
static void make_repository(void)
{
	shell("git init -q -b main work; cd work; git config core.compression 1;"
	      "for name in a b; do head -c %d /dev/urandom >$name; done;"
	      "{ head -c 5000000 a; echo changed; tail -c +5000009 a; } >c; cp a b c ..;"
	      "git add .; git commit -qm 1; cd ..; mv work/.git repo.git",
		SIZE);
}

static void pack(bool with_deltas)
{
	shell("git -C repo.git -c core.bigFileThreshold=%s repack -adfq",
		with_deltas ? "1g" : "1m");
}

static int open_blob(struct repo *repo, const char *name, struct layer_file *ret_file)
{
	layer_node_t node;
	int r = repo_lookup(repo, name, &node);

	if (r < 0)
		return r;
	r = layer_open_file(repo->layer, node, ret_file);
	layer_forget(repo->layer, node, 1);
	return r;
}

static void expect_same(const struct layer_file *file, const char *name)
{
	static char got[1 << 16], want[sizeof(got)];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	off_t at = 0;

	assert_true(fd >= 0);
	assert_true(file->fd >= 0);
	assert_int_equal(file->size, SIZE);
	assert_int_equal(fcntl(file->fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	while ((n = pread(fd, want, sizeof(want), at)) > 0) {
		assert_int_equal(pread(file->fd, got, sizeof(got), at), n);
		assert_memory_equal(got, want, n);
		at += n;
	}
	assert_int_equal(at, SIZE);
	assert_int_equal(lseek(file->fd, 0, SEEK_END), SIZE);
	close(fd);
}

static void expect(struct repo *repo, const char *name)
{
	struct layer_file file;
	int r = open_blob(repo, name, &file);

	if (r < 0)
		fail_msg("'%s': %s", name, error_name(-r));
	expect_same(&file, name);
	layer_file_release(&file);
}

static void expect_in_pieces(struct repo *repo)
{
	long before;

	repo_open(repo, NULL);
	/* What is allocated once is. */
	expect(repo, "b");
	forget_peak();
	before = peak();
	expect(repo, "a");
	/* libgit2 hashes what is in memory. */
	if (!object_hash_asks_library() && peak() - before > SIZE / 3)
		fail_msg("%ld bytes of memory for %d", peak() - before, SIZE);
	repo_close(repo);
}

static void in_pieces(void **state)
{
	struct repo *repo = *state;

	make_repository();
	expect_in_pieces(repo);
	pack(false);
	expect_in_pieces(repo);
	repo->config.scratch_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	expect_in_pieces(repo);
	close(repo->config.scratch_fd);
}

static void made_of_deltas(void **state)
{
	struct repo *repo = *state;

	make_repository();
	pack(true);
	shell("git verify-pack -v repo.git/objects/pack/*.idx | grep -q 'chain length = 1'");
	repo_open(repo, NULL);
	expect(repo, "a");
	expect(repo, "b");
	expect(repo, "c");
}

struct reader {
	struct repo *repo;
	const char *name;
	struct layer_file file;
	int result;
};

static void *read_one(void *arg)
{
	struct reader *reader = arg;

	reader->result = open_blob(reader->repo, reader->name, &reader->file);
	return NULL;
}

/* Each is half way when the other begins. */
static void read_together(struct repo *repo, const char *first, const char *second)
{
	struct reader readers[2] = {{repo, first}, {repo, second}};
	pthread_t threads[2];

	atomic_store(&arrived, 0);
	atomic_store(&wanted, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_one, &readers[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&wanted, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(readers[i].result, 0);
		expect_same(&readers[i].file, readers[i].name);
		layer_file_release(&readers[i].file);
	}
}

static void independent_of_each_other(void **state)
{
	struct repo *repo = *state;

	make_repository();
	repo_open(repo, NULL);
	read_together(repo, "a", "b");
	repo_close(repo);
	pack(true);
	repo_open(repo, NULL);
	/* One of them a delta; with b it fits into what there is for those. */
	read_together(repo, "a", "c");
	read_together(repo, "b", "c");
}

static void inflated_once(void **state)
{
	struct repo *repo = *state;
	struct reader readers[3];
	pthread_t threads[3];

	make_repository();
	repo_open(repo, NULL);
	atomic_store(&made, 0);
	for (int i = 0; i < 3; i++) {
		readers[i] = (struct reader){repo, "a"};
		assert_int_equal(pthread_create(&threads[i], NULL, read_one, &readers[i]), 0);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].result, 0);
		assert_int_equal(readers[i].file.fd, readers[0].file.fd);
	}
	assert_int_equal(atomic_load(&made), 1);
	expect_same(&readers[0].file, "a");
	for (int i = 0; i < 3; i++)
		layer_file_release(&readers[i].file);
}

/* A byte in the middle of the pack, or of a loose object. */
static void damage(const char *path)
{
	shell("chmod u+w %s; printf 'damaged' | dd of=%s bs=1 seek=4000000 conv=notrunc status=none",
		path, path);
}

static void from_where_it_is_sound(void **state)
{
	struct repo *repo = *state;
	struct layer_file file;
	char a[64];

	make_repository();
	strcpy(a, shell("git -C repo.git rev-parse main:a"));
	shell("cp -r repo.git/objects loose");
	repo->object_dirs[1] = "loose";
	pack(false);
	/* Each is damaged somewhere: a is in front, or what is behind it is cut off. */
	damage("repo.git/objects/pack/*.pack");
	repo_open(repo, NULL);
	expect(repo, "a");
	expect(repo, "b");
	repo_close(repo);
	shell("rm repo.git/objects/pack/*");
	shell("cp -r loose/* repo.git/objects");
	damage(shell("echo repo.git/objects/$(echo %s | sed 's,..,&/,')", a));
	repo_open(repo, NULL);
	expect(repo, "a");
	repo_close(repo);
	repo->object_dirs[1] = NULL;
	repo_open(repo, NULL);
	assert_int_equal(open_blob(repo, "a", &file), -EIO);
	expect(repo, "b");
}

static void cut_off(void **state)
{
	struct repo *repo = *state;
	struct layer_file file;

	make_repository();
	shell("find repo.git/objects -type f -size +1M -exec chmod u+w {} + -exec truncate -s "
	      "7000000 {} +");
	repo_open(repo, NULL);
	assert_int_equal(open_blob(repo, "a", &file), -EIO);
	assert_int_equal(open_blob(repo, "b", &file), -EIO);
}

static void the_disk_is_full(void **state)
{
	struct repo *repo = *state;
	struct layer_file file;

	make_repository();
	repo->config.scratch_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	repo_open(repo, NULL);
	atomic_store(&room_on_disk, 4000000);
	expect(repo, "a");
	assert_int_equal(atomic_load(&room_on_disk), -1);
	repo_close(repo);
	close(repo->config.scratch_fd);
	repo->config.scratch_fd = -1;
	repo_open(repo, NULL);
	/* Memory is the last resort. */
	atomic_store(&room_on_disk, 4000000);
	assert_int_equal(open_blob(repo, "a", &file), -ENOSPC);
	expect(repo, "a");
}

/* What a place says of the size is not verified before it is read. */
static void larger_than_was_said(void **state)
{
	struct repo *repo = *state;
	struct layer_file file;
	long before;

	make_repository();
	shell("cp -r repo.git/objects sound; cd repo.git; chmod -R u+w .;"
	      "path() { echo objects/$(echo $1 | sed 's,..,&/,'); };"
	      "small=$(echo small | git hash-object -w --stdin);"
	      "cp $(path $small) $(path $(git rev-parse main:a))");
	repo->object_dirs[1] = "sound";
	repo_open(repo, NULL);
	expect(repo, "b");
	forget_peak();
	before = peak();
	assert_int_equal(open_blob(repo, "a", &file), -EIO);
	if (!object_hash_asks_library() && peak() - before > SIZE / 3)
		fail_msg("%ld bytes of memory for %d", peak() - before, SIZE);
}

/* Into a file that is not empty when another place has begun before. */
static int write_blob(struct repo *repo, const char *name)
{
	int fd = open("copy", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	layer_node_t node;
	struct stat st;
	int r;

	assert_true(fd >= 0);
	assert_int_equal(repo_lookup(repo, name, &node), 0);
	assert_int_equal(layer_getattr_with_mapping(repo->layer, node, ID_VIEW_STORAGE, &st), 0);
	/* What is no file is looked at, whatever its size. */
	r = layer_write_file(
		repo->layer, node, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : SIZE, fd);
	layer_forget(repo->layer, node, 1);
	close(fd);
	return r;
}

static void expect_copy(struct repo *repo, const char *name)
{
	int before = atomic_load(&made), r;

	atomic_store(&shortest, LONG_MAX);
	r = write_blob(repo, name);
	if (r < 0)
		fail_msg("copy of '%s': %s", name, error_name(-r));
	shell("cmp copy %s", name);
	assert_int_equal(atomic_load(&made), before);
	/* A file that grows takes up more than it has, on XFS. */
	assert_int_equal(atomic_load(&shortest), SIZE);
}

static void straight_into_a_file(void **state)
{
	struct repo *repo = *state;
	struct layer_file file;

	make_repository();
	shell("cd work; echo little >little; mkdir dir; cp little dir; ln -s little link;"
	      "git --git-dir=../repo.git --work-tree=. add .;"
	      "git --git-dir=../repo.git --work-tree=. commit -qm 2");
	pack(true);
	repo_open(repo, NULL);
	expect_copy(repo, "a");
	expect_copy(repo, "c");
	assert_int_equal(write_blob(repo, "little"), -EOPNOTSUPP);
	assert_int_equal(write_blob(repo, "link"), -EINVAL);
	assert_int_equal(write_blob(repo, "dir"), -EISDIR);
	/* It is in a file then, which can be cloned. */
	assert_int_equal(open_blob(repo, "a", &file), 0);
	assert_int_equal(write_blob(repo, "a"), -EOPNOTSUPP);
	expect_copy(repo, "b");
	layer_file_release(&file);
	expect_copy(repo, "a");
}

static void a_copy_is_verified(void **state)
{
	struct repo *repo = *state;

	make_repository();
	shell("cp -r repo.git/objects sound");
	pack(false);
	damage("repo.git/objects/pack/*.pack");
	repo->object_dirs[1] = "sound";
	repo_open(repo, NULL);
	expect_copy(repo, "a");
	expect_copy(repo, "b");
	repo_close(repo);
	repo->object_dirs[1] = NULL;
	shell("rm repo.git/objects/pack/*; cp -r sound/* repo.git/objects;"
	      "find repo.git/objects -type f -size +1M -exec chmod u+w {} + -exec truncate -s "
	      "7000000 {} +");
	repo_open(repo, NULL);
	assert_int_equal(write_blob(repo, "a"), -EIO);
	repo_close(repo);
	/* Its size is told by another object. */
	repo->object_dirs[1] = "sound";
	shell("cd repo.git; path() { echo objects/$(echo $1 | sed 's,..,&/,'); };"
	      "head -c %d /dev/zero >../other; other=$(git hash-object -w ../other);"
	      "chmod -R u+w objects; cp $(path $other) $(path $(git rev-parse main:a))",
		SIZE + 1);
	repo_open(repo, NULL);
	assert_int_equal(write_blob(repo, "a"), -EIO);
}

static void no_room_for_a_copy(void **state)
{
	struct repo *repo = *state;
	int fd = memfd_create("log", MFD_CLOEXEC);

	make_repository();
	repo_open(repo, NULL);
	atomic_store(&room_on_disk, 4000000);
	assert_int_equal(log_open(LOG_TARGET_FD, dup(fd), "test", LOG_LEVEL_WARNING), 0);
	assert_int_equal(write_blob(repo, "a"), -ENOSPC);
	log_open(LOG_TARGET_STDERR, -1, "test", LOG_LEVEL_WARNING);
	/* It is no fault of the repository. */
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	close(fd);
	expect_copy(repo, "a");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, repo_setup, repo_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_pieces),
		TEST(made_of_deltas),
		TEST(independent_of_each_other),
		TEST(inflated_once),
		TEST(from_where_it_is_sound),
		TEST(cut_off),
		TEST(the_disk_is_full),
		TEST(larger_than_was_said),
		TEST(straight_into_a_file),
		TEST(a_copy_is_verified),
		TEST(no_room_for_a_copy),
	};

	sem_init(&together, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
