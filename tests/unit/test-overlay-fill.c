/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel is given before it asks, and what is opened when somebody reads. */
#include "overlay-fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "overlay/file.h"

static int setup(void **state)
{
	static struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 0644, "from below");
	fixture_file(&fx, 0, "empty", 0644, "");
	fixture_mount(&fx);
	*state = &fx;
	return 0;
}

static int teardown(void **state)
{
	fixture_end(*state);
	return 0;
}

struct opened {
	struct overlay_entry entry;
	struct overlay_file *file;
};

static struct opened open_at(struct fixture *fx, const char *path, int flags)
{
	struct opened o;

	assert_int_equal(fx_walk(fx, path, &o.entry), 0);
	assert_int_equal(overlay_open(fx->ov, o.entry.node, flags, &o.file), 0);
	return o;
}

static void close_it(struct fixture *fx, struct opened *o)
{
	overlay_release(fx->ov, o->file);
	fx_forget(fx, o->entry.node);
}

static void expect(struct fixture *fx, struct opened *o, const char *text)
{
	char buf[64] = "";

	assert_int_equal(overlay_read(fx->ov, o->file, buf, sizeof(buf) - 1, 0), strlen(text));
	assert_string_equal(buf, text);
}

static bool begin(struct opened *o, size_t max)
{
	const void *data;
	size_t size;

	if (!overlay_begin_fill(o->file, max, &data, &size))
		return false;
	assert_int_equal(size, 10);
	assert_memory_equal(data, "from below", 10);
	return true;
}

static void the_first_open_alone(void **state)
{
	struct fixture *fx = *state;
	struct opened first = open_at(fx, "f", O_RDONLY), second;

	assert_false(begin(&first, 9));
	assert_true(begin(&first, 10));
	overlay_end_fill(first.file);
	/* The content can still be had, also by who opened it later. */
	expect(fx, &first, "from below");
	second = open_at(fx, "f", O_RDONLY);
	assert_false(begin(&second, 10));
	expect(fx, &second, "from below");
	assert_int_equal(overlay_lseek(fx->ov, second.file, 3, SEEK_HOLE), 10);
	close_it(fx, &first);
	close_it(fx, &second);
	first = open_at(fx, "empty", O_RDONLY);
	assert_false(begin(&first, 10));
	expect(fx, &first, "");
	close_it(fx, &first);
}

/* The second may be reading by now, and the kernel has pages that wait for the answer. */
static void not_while_others_have_it_open(void **state)
{
	struct fixture *fx = *state;
	struct opened first = open_at(fx, "f", O_RDONLY), second = open_at(fx, "f", O_RDONLY);

	assert_false(begin(&first, 10));
	assert_false(begin(&second, 10));
	close_it(fx, &first);
	close_it(fx, &second);
}

static void not_what_was_copied_up(void **state)
{
	struct fixture *fx = *state;
	struct opened first = open_at(fx, "f", O_RDONLY), later;

	assert_int_equal(fx_write(fx, "f", 0, "X"), 0);
	assert_false(begin(&first, 10));
	expect(fx, &first, "Xrom below");
	later = open_at(fx, "f", O_RDONLY);
	assert_false(begin(&later, 10));
	close_it(fx, &later);
	close_it(fx, &first);
}

/* One that has not read yet follows a copy-up like any other. */
static void late_ones_are_coherent(void **state)
{
	struct fixture *fx = *state;
	struct opened first = open_at(fx, "f", O_RDONLY), late;

	close_it(fx, &first);
	late = open_at(fx, "f", O_RDONLY);
	assert_int_equal(fx_write(fx, "f", O_TRUNC, "new"), 0);
	expect(fx, &late, "new");
	close_it(fx, &late);
}

static void where_data_lies_needs_no_content(void **state)
{
	struct fixture *fx = *state;
	struct opened first = open_at(fx, "f", O_RDONLY), late;

	close_it(fx, &first);
	late = open_at(fx, "f", O_RDONLY);
	assert_int_equal(overlay_lseek(fx->ov, late.file, 3, SEEK_HOLE), 10);
	assert_int_equal(overlay_lseek(fx->ov, late.file, 3, SEEK_DATA), 3);
	assert_int_equal(overlay_lseek(fx->ov, late.file, 10, SEEK_DATA), -ENXIO);
	assert_null(atomic_load(&late.file->late));
	/* It was copied up: the upper says. */
	assert_int_equal(fx_write(fx, "f", O_TRUNC, "new"), 0);
	assert_int_equal(overlay_lseek(fx->ov, late.file, 0, SEEK_HOLE), 3);
	close_it(fx, &late);
}

struct other {
	struct fixture *fx;
	int flags;
	_Atomic bool is_open;
	pthread_t thread;
};

static void *open_meanwhile(void *arg)
{
	struct other *other = arg;
	struct overlay_entry entry;
	struct overlay_file *file;

	if (fx_walk(other->fx, "f", &entry) < 0 ||
		overlay_open(other->fx->ov, entry.node, other->flags, &file) < 0)
		return NULL;
	atomic_store(&other->is_open, true);
	overlay_release(other->fx->ov, file);
	fx_forget(other->fx, entry.node);
	return NULL;
}

/* Who would write would be overwritten; who would read would wait for what is being given. */
static void others_wait_for_its_end(void **state)
{
	static const int flags[] = {O_RDONLY, O_WRONLY, O_WRONLY | O_TRUNC};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct fixture *fx = *state;
		struct opened first = open_at(fx, "f", O_RDONLY);
		struct other other = {.fx = fx, .flags = flags[i]};

		assert_true(begin(&first, 10));
		assert_int_equal(pthread_create(&other.thread, NULL, open_meanwhile, &other), 0);
		usleep(50000);
		assert_false(atomic_load(&other.is_open));
		overlay_end_fill(first.file);
		pthread_join(other.thread, NULL);
		assert_true(atomic_load(&other.is_open));
		close_it(fx, &first);
		teardown(state);
		setup(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_open_alone),
		TEST(not_while_others_have_it_open),
		TEST(not_what_was_copied_up),
		TEST(late_ones_are_coherent),
		TEST(where_data_lies_needs_no_content),
		TEST(others_wait_for_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
