/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of nodes: ids, references, orphans, rebuilding it; and many threads at once. */
#include "overlay-fixture.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void ids_are_small_and_reused(void **state)
{
	struct overlay_entry a, b, again;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "a", 0644, "");
	fixture_file(&fx, 0, "b", 0644, "");
	fixture_mount(&fx);
	assert_int_equal(overlay_lookup(fx.ov, OVERLAY_ROOT_ID, "a", &a), 0);
	assert_int_equal(overlay_lookup(fx.ov, OVERLAY_ROOT_ID, "b", &b), 0);
	assert_in_range(a.node, 2, 64);
	assert_in_range(b.node, 2, 64);
	assert_int_not_equal(a.node, b.node);
	assert_int_equal(overlay_lookup(fx.ov, OVERLAY_ROOT_ID, "a", &again), 0);
	assert_int_equal(again.node, a.node);
	overlay_forget(fx.ov, a.node, 2);
	assert_int_equal(overlay_getattr(fx.ov, a.node, NULL, &a.st), -ESTALE);
	assert_int_equal(overlay_lookup(fx.ov, OVERLAY_ROOT_ID, "a", &again), 0);
	if (again.node == a.node)
		assert_true(again.generation != a.generation);
	overlay_forget(fx.ov, again.node, 1);
	overlay_forget(fx.ov, b.node, 1);
	/* A client that forgets what it never had takes nothing of ours. */
	overlay_forget(fx.ov, OVERLAY_ROOT_ID, 1000);
	overlay_forget(fx.ov, 12345678, 1);
	assert_listing(&fx, "", "a b");
	fixture_end(&fx);
}

#define MANY 4000

static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

static void look_at_many(struct fixture *fx, struct overlay_entry entries[MANY])
{
	char name[16];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		assert_int_equal(overlay_lookup(fx->ov, OVERLAY_ROOT_ID, name, &entries[i]), 0);
	}
}

/* What is known takes little, what is forgotten nothing; and no id has the same life twice. */
static void forgotten_nodes_take_nothing(void **state)
{
	static struct overlay_entry before[MANY], after[MANY];
	size_t start, known, end;
	struct fixture fx;
	char name[16];

	fixture_init(&fx, 1);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		fixture_file(&fx, 0, name, 0644, "");
	}
	fixture_mount(&fx);
	start = allocated();
	look_at_many(&fx, before);
	known = allocated();
	for (unsigned i = 0; i < MANY; i++)
		overlay_forget(fx.ov, before[i].node, 1);
	end = allocated();
	/* An allocator that does not count says 0. */
	if (known - start > MANY * 140 || end - start > 8192)
		fail_msg("%zu bytes each, %zu afterwards", (known - start) / MANY, end - start);
	look_at_many(&fx, after);
	for (unsigned i = 0; i < MANY; i++) {
		assert_in_range(after[i].node, 2, MANY + 64);
		for (unsigned j = 0; j < MANY; j++)
			if (after[i].node == before[j].node)
				assert_true(after[i].generation != before[j].generation);
	}
	for (unsigned i = 0; i < MANY; i++)
		overlay_forget(fx.ov, after[i].node, 1);
	fixture_end(&fx);
}

/* More references than are counted: the node stays, whatever is given back. */
static void a_count_past_its_end_stays(void **state)
{
	const uint64_t many = 1ull << 40;
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "");
	fixture_mount(&fx);
	assert_int_equal(overlay_restore_node(fx.ov, 2, OVERLAY_ROOT_ID, "f", many), 0);
	assert_false(overlay_forget(fx.ov, 2, many - 1));
	assert_false(overlay_forget(fx.ov, 2, 1));
	assert_int_equal(overlay_getattr(fx.ov, 2, NULL, &st), 0);
	fixture_end(&fx);
}

/* Until there is none. */
static size_t take_descriptors(int fds[], size_t max)
{
	size_t n = 0;

	while (n < max && (fds[n] = dup(0)) >= 0)
		n++;
	assert_int_equal(errno, EMFILE);
	return n;
}

/* Where descriptors run out, directories that are open for speed alone make room. */
static void an_orphan_beside_cached_directories(void **state)
{
	static const char *const names[] = {"d", "e", "g"};
	struct rlimit limit, low = {.rlim_cur = 64};
	struct stat st = {.st_mode = 0600};
	struct overlay_entry entry, dirs[3];
	struct overlay_file *file;
	struct fixture fx;
	size_t taken;
	int fds[64];

	fixture_init(&fx, 1);
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "f", 0644, "text"), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fx_mkdir(&fx, names[i], 0755), 0);
		assert_int_equal(fx_walk(&fx, names[i], &dirs[i]), 0);
	}
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(fx_unlink(&fx, "f"), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low.rlim_max = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 3; k++)
			assert_int_equal(
				overlay_getattr(fx.ov, dirs[k].node, NULL, &dirs[k].st), 0);
		taken = take_descriptors(fds, 64);
		if (i == 0)
			assert_int_equal(overlay_getattr(fx.ov, entry.node, NULL, &st), 0);
		else if (i == 1)
			assert_int_equal(overlay_setattr(fx.ov, entry.node, NULL, &st,
						 OVERLAY_SET_MODE, &st),
				0);
		else
			assert_int_equal(overlay_open(fx.ov, entry.node, O_RDONLY, &file), 0);
		while (taken > 0)
			close(fds[--taken]);
	}
	overlay_release(fx.ov, file);
	setrlimit(RLIMIT_NOFILE, &limit);
	overlay_forget(fx.ov, entry.node, 1);
	for (int i = 0; i < 3; i++)
		overlay_forget(fx.ov, dirs[i].node, 1);
	fixture_end(&fx);
}

/* Removed while in use: lower or upper, file or directory, it stays what it was. */
static void orphans(void **state)
{
	struct overlay_entry lower, upper, dir;
	struct overlay_file *file;
	struct fixture fx;
	struct stat st;
	char buf[8] = "";

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "lower", 0644, "low");
	fixture_file(&fx, 0, "upper", 0644, "up");
	fixture_dir(&fx, 0, "dir", 0755);
	fixture_mount(&fx);
	assert_int_equal(fx_write(&fx, "upper", O_TRUNC, "UP"), 0);
	assert_int_equal(fx_walk(&fx, "lower", &lower), 0);
	assert_int_equal(fx_walk(&fx, "upper", &upper), 0);
	assert_int_equal(fx_walk(&fx, "dir", &dir), 0);
	assert_int_equal(fx_unlink(&fx, "lower"), 0);
	assert_int_equal(fx_unlink(&fx, "upper"), 0);
	assert_int_equal(fx_rmdir(&fx, "dir"), 0);
	assert_int_equal(overlay_getattr(fx.ov, lower.node, NULL, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(overlay_getattr(fx.ov, upper.node, NULL, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(overlay_getattr(fx.ov, dir.node, NULL, &st), 0);
	assert_int_equal(overlay_lookup(fx.ov, dir.node, "x", &upper), -ENOENT);
	/* A lower orphan that is written to is copied up without a name. */
	assert_int_equal(overlay_open(fx.ov, lower.node, O_RDWR, &file), 0);
	assert_int_equal(overlay_write(fx.ov, file, "LOW", 3, 0), 3);
	assert_int_equal(overlay_read(fx.ov, file, buf, 8, 0), 3);
	assert_string_equal(buf, "LOW");
	overlay_release(fx.ov, file);
	/* New objects of the same names have nothing to do with them. */
	assert_int_equal(fx_create(&fx, "lower", 0600, "new"), 0);
	assert_int_equal(overlay_getattr(fx.ov, lower.node, NULL, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_content(&fx, "lower", "new");
	overlay_forget(fx.ov, lower.node, 1);
	overlay_forget(fx.ov, upper.node, 1);
	overlay_forget(fx.ov, dir.node, 1);
	fixture_end(&fx);
}

/* --- rebuilding --- */

struct dump {
	struct {
		uint64_t node, parent, references;
		char name[32];
	} rows[32];
	size_t count;
};

static int take(void *ctx, uint64_t node, uint64_t parent, const char *name, uint64_t references)
{
	struct dump *dump = ctx;

	assert_true(dump->count < 32);
	dump->rows[dump->count].node = node;
	dump->rows[dump->count].parent = parent;
	dump->rows[dump->count].references = references;
	snprintf(dump->rows[dump->count++].name, 32, "%s", name);
	return 0;
}

static void the_table_can_be_rebuilt(void **state)
{
	struct overlay_entry entries[4];
	struct dump dump = {.count = 0};
	struct fixture fx;
	struct stat st;

	fixture_init(&fx, 1);
	fixture_dir(&fx, 0, "d", 0755);
	fixture_dir(&fx, 0, "d/e", 0755);
	fixture_file(&fx, 0, "d/e/f", 0644, "f");
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "d/n", 0600, "n"), 0);
	static const char *const paths[] = {"d", "d/e", "d/e/f", "d/n"};
	for (int i = 0; i < 4; i++)
		assert_int_equal(fx_walk(&fx, paths[i], &entries[i]), 0);
	assert_int_equal(overlay_for_each_node(fx.ov, take, &dump), 0);
	assert_int_equal(dump.count, 4);
	fixture_unmount(&fx);
	fixture_mount(&fx);
	for (size_t i = 0; i < dump.count; i++)
		assert_int_equal(overlay_restore_node(fx.ov, dump.rows[i].node, dump.rows[i].parent,
					 dump.rows[i].name, dump.rows[i].references),
			0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(overlay_getattr(fx.ov, entries[i].node, NULL, &st), 0);
		assert_true(st.st_ino == entries[i].st.st_ino);
		assert_int_equal(st.st_mode, entries[i].st.st_mode);
	}
	assert_int_equal(
		overlay_restore_node(fx.ov, entries[0].node, OVERLAY_ROOT_ID, "nothing", 1),
		-ENOENT);
	assert_int_equal(overlay_restore_node(fx.ov, 999, OVERLAY_ROOT_ID, "d", 1), -EEXIST);
	for (int i = 3; i >= 0; i--)
		fx_forget(&fx, entries[i].node);
	fixture_end(&fx);
}

/* --- threads --- */

struct worker {
	struct fixture *fx;
	unsigned seed;
};

static void random_step(struct fixture *fx, unsigned *seed)
{
	char a[32], b[32], buf[4096];
	struct stat st;

	snprintf(a, sizeof(a), "d%d/f%d", rand_r(seed) % 3, rand_r(seed) % 6);
	snprintf(b, sizeof(b), "d%d/f%d", rand_r(seed) % 3, rand_r(seed) % 6);
	switch (rand_r(seed) % 10) {
	case 0:
		fx_create(fx, a, 0644, a);
		break;
	case 1:
		fx_unlink(fx, a);
		break;
	case 2:
		fx_rename(fx, a, b, 0);
		break;
	case 3:
		fx_rename(fx, a, b, RENAME_EXCHANGE);
		break;
	case 4:
		fx_link(fx, a, b);
		break;
	case 5:
		fx_write(fx, a, 0, "w");
		break;
	case 6:
		fx_mkdir(fx, a, 0755);
		break;
	case 7:
		fx_rmdir(fx, a);
		break;
	case 8:
		assert_int_equal(fx_list(fx, "d1", buf, sizeof(buf)), 0);
		break;
	default:
		fx_stat(fx, a, &st);
		fx_read(fx, b, buf, sizeof(buf));
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;

	for (int i = 0; i < 1500; i++)
		random_step(worker->fx, &worker->seed);
	return NULL;
}

/* What the table says at the end is what a fresh look at the disk says. */
static void many_threads(void **state)
{
	struct worker workers[4];
	pthread_t threads[4];
	char before[3][4096], path[8];
	struct fixture fx;

	fixture_init(&fx, 2);
	for (int d = 0; d < 3; d++) {
		snprintf(path, sizeof(path), "d%d", d);
		fixture_dir(&fx, (size_t)d % 2, path, 0755);
		for (int f = 0; f < 4; f++) {
			char file[16];

			snprintf(file, sizeof(file), "d%d/f%d", d, f);
			fixture_file(&fx, (size_t)d % 2, file, 0644, file);
		}
	}
	fixture_mount(&fx);
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){&fx, i + (unsigned)getpid()};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int d = 0; d < 3; d++) {
		snprintf(path, sizeof(path), "d%d", d);
		assert_int_equal(fx_list(&fx, path, before[d], sizeof(before[d])), 0);
	}
	fixture_unmount(&fx);
	fixture_mount(&fx);
	for (int d = 0; d < 3; d++) {
		snprintf(path, sizeof(path), "d%d", d);
		assert_listing(&fx, path, before[d]);
	}
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_small_and_reused),
		cmocka_unit_test(forgotten_nodes_take_nothing),
		cmocka_unit_test(a_count_past_its_end_stays),
		cmocka_unit_test(orphans),
		cmocka_unit_test(an_orphan_beside_cached_directories),
		cmocka_unit_test(the_table_can_be_rebuilt),
		cmocka_unit_test(many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
