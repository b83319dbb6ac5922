/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set-id bits go when they must, stay when they must, and what is remembered of them is true. */
#include "overlay-fixture.h"

#include <sys/stat.h>

struct opened {
	struct fixture fx;
	struct overlay_entry entry;
	struct overlay_file *file; /* open for writing */
};

static void open_file(struct opened *o, mode_t mode)
{
	fixture_init(&o->fx, 1);
	fixture_file(&o->fx, 0, "f", mode, "text");
	fixture_mount(&o->fx);
	assert_int_equal(fx_walk(&o->fx, "f", &o->entry), 0);
	assert_int_equal(overlay_open(o->fx.ov, o->entry.node, O_RDWR, &o->file), 0);
}

static void close_file(struct opened *o)
{
	overlay_release(o->fx.ov, o->file);
	fx_forget(&o->fx, o->entry.node);
	fixture_end(&o->fx);
}

static mode_t mode_now(struct opened *o)
{
	struct stat st;

	assert_int_equal(overlay_getattr(o->fx.ov, o->entry.node, o->file, &st), 0);
	return st.st_mode & 07777;
}

static mode_t after(struct opened *o, mode_t mode, unsigned set, off_t size)
{
	struct stat st = {.st_size = size}, result;

	assert_int_equal(fx_chmod(&o->fx, "f", mode), 0);
	assert_int_equal(overlay_setattr(o->fx.ov, o->entry.node, o->file, &st, set, &result), 0);
	assert_int_equal(result.st_mode & 07777, mode_now(o));
	return mode_now(o);
}

static void killed(void **state)
{
	struct opened o;

	open_file(&o, 06755);
	assert_int_equal(mode_now(&o), 06755);
	assert_int_equal(overlay_kill_set_id(o.file), 1);
	assert_int_equal(mode_now(&o), 0755);
	assert_int_equal(overlay_kill_set_id(o.file), 0);
	/* That there were none must not be remembered over a chmod. */
	assert_int_equal(fx_chmod(&o.fx, "f", 06745), 0);
	assert_int_equal(overlay_kill_set_id(o.file), 1);
	assert_int_equal(mode_now(&o), 02745);
	assert_int_equal(overlay_kill_set_id(o.file), 0);
	close_file(&o);
}

static void by_a_request(void **state)
{
	const unsigned kill = OVERLAY_KILL_SET_ID, root = kill | OVERLAY_BY_ROOT;
	struct opened o;

	open_file(&o, 0755);
	assert_int_equal(after(&o, 06755, 0, 0), 06755);
	assert_int_equal(after(&o, 06755, kill, 0), 0755);
	assert_int_equal(after(&o, 06755, root, 0), 0755);
	/* Alone it is what the one who writes has no right to. */
	assert_int_equal(after(&o, 02745, kill, 0), 0745);
	assert_int_equal(after(&o, 02745, root, 0), 02745);
	assert_int_equal(after(&o, 06745, kill, 0), 02745);
	assert_int_equal(after(&o, 06755, kill | OVERLAY_SET_SIZE, 2), 0755);
	assert_int_equal(after(&o, 02745, kill | OVERLAY_SET_SIZE, 2), 02745);
	close_file(&o);
}

/* chown(2) to nobody, of a file that nobody writes. */
static void while_closed(void **state)
{
	struct stat st;
	struct opened o;

	open_file(&o, 02745);
	overlay_release(o.fx.ov, o.file);
	assert_int_equal(overlay_open(o.fx.ov, o.entry.node, O_RDONLY, &o.file), 0);
	assert_int_equal(
		overlay_setattr(o.fx.ov, o.entry.node, NULL, &st, OVERLAY_KILL_SET_ID, &st), 0);
	assert_int_equal(mode_now(&o), 02745);
	close_file(&o);
}

static void written_back(void **state)
{
	struct opened o;

	open_file(&o, 0755);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(overlay_write_back(o.fx.ov, o.file, "back", 4, 0, false), 4);
		assert_int_equal(mode_now(&o), 0755);
	}
	assert_int_equal(fx_chmod(&o.fx, "f", 06755), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(overlay_write_back(o.fx.ov, o.file, "back", 4, 4, false), 4);
		assert_int_equal(mode_now(&o), 06755);
	}
	close_file(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed),
		cmocka_unit_test(by_a_request),
		cmocka_unit_test(while_closed),
		cmocka_unit_test(written_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
