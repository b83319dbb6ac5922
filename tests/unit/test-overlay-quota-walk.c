/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counter of a bounded upper against what is there, over a long walk and several threads.
 * SEED and STEPS make the walk another or a longer one, UPPER_BASE is where the upper lies.
 */
#include "quota-usage.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "overlay/file.h"

struct walk {
	struct fixture *fx;
	unsigned seed;
	struct overlay_file *open[8];
};

static unsigned dice(struct walk *w, unsigned sides)
{
	return (unsigned)rand_r(&w->seed) % sides;
}

static const char *any_path(struct walk *w, char *buf)
{
	static const char *const dirs[] = {"", "d/", "e/", "d/s/", "low/"};

	sprintf(buf, "%s%c", dirs[dice(w, 5)], 'a' + (int)dice(w, 9));
	return buf;
}

static void use_open(struct walk *w)
{
	struct overlay_file **slot = &w->open[dice(w, 8)];
	off_t at = dice(w, 200000);
	char path[16];
	struct overlay_entry entry;

	if (!*slot) {
		if (fx_walk(w->fx, any_path(w, path), &entry) < 0)
			return;
		if (overlay_open(w->fx->ov, entry.node, dice(w, 4) ? O_RDWR : O_RDONLY, slot) < 0)
			*slot = NULL;
		fx_forget(w->fx, entry.node);
		return;
	}
	switch (dice(w, 6)) {
	case 0:
		overlay_release(w->fx->ov, *slot);
		*slot = NULL;
		break;
	case 1:
		overlay_fallocate(w->fx->ov, *slot, FALLOC_FL_KEEP_SIZE, at, dice(w, 30000) + 1);
		break;
	case 2:
		overlay_fallocate(w->fx->ov, *slot, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
			dice(w, 90000) + 1);
		break;
	default:
		fill(w->fx, *slot, at, dice(w, 60000) + 1);
	}
}

/* A file without a name, open among the others; now and then it gets one. */
static void make_unnamed(struct walk *w, const char *path)
{
	struct overlay_file **slot = &w->open[dice(w, 8)];
	struct overlay_entry entry, linked;

	if (*slot || overlay_tmpfile(w->fx->ov, &w->fx->caller, OVERLAY_ROOT_ID, 0644, O_RDWR,
			     &entry, slot) < 0)
		return;
	fill(w->fx, *slot, 0, dice(w, 30000) + 1);
	if (!strchr(path, '/') && dice(w, 2) &&
		overlay_link(w->fx->ov, entry.node, OVERLAY_ROOT_ID, path, &linked) == 0)
		fx_forget(w->fx, linked.node);
	fx_forget(w->fx, entry.node);
}

static void one_step(struct walk *w)
{
	char a[16], b[16];

	any_path(w, a);
	any_path(w, b);
	switch (dice(w, 15)) {
	case 14:
		make_unnamed(w, a);
		break;
	case 0:
	case 1:
		fx_create(w->fx, a, 0644, "some text");
		break;
	case 2:
		fx_mkdir(w->fx, a, 0755);
		break;
	case 3:
		fx_symlink(w->fx,
			dice(w, 2) ? "short"
				   : "a target that is longer than what an "
				     "inode has room for by itself, and so needs a block",
			a);
		break;
	case 4:
		fx_link(w->fx, a, b);
		break;
	case 5:
		fx_rename(w->fx, a, b, 0);
		break;
	case 6:
		fx_rename(w->fx, a, b, dice(w, 3) ? RENAME_EXCHANGE : RENAME_WHITEOUT);
		break;
	case 7:
		fx_rmdir(w->fx, a);
		break;
	case 8:
		set_size(w->fx, a, dice(w, 100000));
		break;
	case 9:
		fx_unlink(w->fx, a);
		break;
	case 10:
		fx_write(w->fx, a, dice(w, 2) ? O_TRUNC : 0, "other text");
		break;
	case 11:
		fx_chmod(w->fx, a, 0640);
		break;
	default:
		use_open(w);
	}
}

static void close_all(struct walk *w)
{
	for (size_t i = 0; i < 8; i++) {
		if (w->open[i])
			overlay_release(w->fx->ov, w->open[i]);
		w->open[i] = NULL;
	}
}

static void the_counter_never_drifts(void **state)
{
	const char *text = getenv("SEED"), *steps = getenv("STEPS");
	unsigned seed = text ? (unsigned)atoi(text) : (unsigned)time(NULL);
	int count = steps ? atoi(steps) : 5000;
	struct fixture fx;
	struct walk w = {.fx = &fx, .seed = seed};

	begin_bounded(&fx, 1, 3 << 20, 40);
	print_message("seed %u\n", seed);
	fixture_dir(&fx, 0, "low", 0755);
	for (char name[] = "low/a"; name[4] < 'j'; name[4]++)
		fixture_file(&fx, 0, name, 0644, "what lies below");
	fixture_mount(&fx);
	fx_mkdir(&fx, "d", 0755);
	fx_mkdir(&fx, "d/s", 0755);
	fx_mkdir(&fx, "e", 0755);
	for (int i = 1; i <= count; i++) {
		static struct usage real;

		one_step(&w);
		if (i % 500 != 0)
			continue;
		/* A directory that has to grow for a name may go past it. */
		count_upper(&fx, &real);
		if (real.bytes > fx.max_bytes + 4 * BLOCK)
			fail_msg("step %d: %llu bytes", i, (unsigned long long)real.bytes);
		close_all(&w);
		assert_counted(&fx);
		if (i % 5000 == 0) {
			fixture_unmount(&fx);
			fixture_mount(&fx);
			assert_counted(&fx);
		}
	}
	close_all(&w);
	fixture_end(&fx);
}

/* --- several at once --- */

static void *fill_one(void *arg)
{
	struct walk *w = arg;
	struct overlay_file *file = w->open[0];
	struct stat st;

	for (int i = 0; i < 5000; i++) {
		off_t at = (off_t)dice(w, 800) * 1000;

		if (dice(w, 10) == 0)
			overlay_fallocate(w->fx->ov, file,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, 50000);
		else
			fill(w->fx, file, at, 20000);
		if (overlay_getattr(w->fx->ov, file->node->id, file, &st) < 0 ||
			(uint64_t)st.st_blocks * 512 > w->fx->max_bytes)
			return (void *)"past the bound";
	}
	return NULL;
}

/* All in one file, whose blocks are then what there is. */
static void several_writers_keep_the_bound(void **state)
{
	struct fixture fx;
	struct walk w[4];
	pthread_t threads[4];
	void *fault = NULL;

	begin_bounded(&fx, 1, 500000, 0);
	fixture_mount(&fx);
	assert_int_equal(fx_create(&fx, "a", 0644, ""), 0);
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct walk){.fx = &fx, .seed = i + 1};
		w[i].open[0] = fx_open(&fx, "a", O_RDWR);
		assert_int_equal(pthread_create(&threads[i], NULL, fill_one, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		void *one;

		pthread_join(threads[i], &one);
		if (one)
			fault = one;
		close_all(&w[i]);
	}
	if (fault)
		fail_msg("%s", (const char *)fault);
	assert_counted(&fx);
	fixture_end(&fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counter_never_drifts),
		cmocka_unit_test(several_writers_keep_the_bound),
	};

	return cmocka_run_group_tests_name("overlay-quota-walk", tests, NULL, NULL);
}
