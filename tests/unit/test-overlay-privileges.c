/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set-id bits go when they must, stay when they must, and what is remembered of them is true. */
#include "overlay-fixture.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGER 4321

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
	struct stat st = {.st_size = size, .st_uid = STRANGER, .st_gid = STRANGER}, result;

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

/* chown(2) to nobody: what is left of `mode`, and what it returns. */
struct chown_row {
	mode_t mode;
	enum { OWNER, ROOT, OUTSIDER, MEMBER } who;
	unsigned set; /* besides */
	int result;
	mode_t left;
};

static void check_chown(struct opened *o, const struct chown_row *row)
{
	bool is_outsider = row->who == ROOT || row->who == OUTSIDER;
	unsigned set = row->set | OVERLAY_KILL_SET_ID | (row->who == ROOT ? OVERLAY_BY_ROOT : 0);
	struct stat st = {
		.st_uid = row->who == OWNER ? o->entry.st.st_uid : STRANGER,
		.st_gid = is_outsider ? STRANGER : o->entry.st.st_gid,
	};
	int r;

	assert_int_equal(fx_chmod(&o->fx, "f", row->mode), 0);
	r = overlay_setattr(o->fx.ov, o->entry.node, NULL, &st, set, &st);
	if (r != row->result || mode_now(o) != row->left)
		fail_msg("%04o by %d, set %#x: %d, wanted %d; left %04o, wanted %04o", row->mode,
			row->who, set, r, row->result, mode_now(o), row->left);
}

static void check_chowns(struct opened *o, const struct chown_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_chown(o, &rows[i]);
}

/* Natively as well, but for root without CAP_FOWNER and others who have it. */
static const struct chown_row chowns[] = {
	{06755, OWNER, 0, 0, 0755},
	{06745, OWNER, 0, 0, 02745},
	{02745, OWNER, 0, 0, 02745},
	{06755, ROOT, 0, 0, 0755},
	{02745, ROOT, 0, 0, 02745},
	{0755, OUTSIDER, 0, 0, 0755},
	{06755, OUTSIDER, 0, -EPERM, 06755},
	{04700, OUTSIDER, 0, -EPERM, 04700},
	{02755, OUTSIDER, 0, -EPERM, 02755},
	{02745, OUTSIDER, 0, -EPERM, 02745},
	{04755, MEMBER, 0, -EPERM, 04755},
	{02755, MEMBER, 0, -EPERM, 02755},
	{02745, MEMBER, 0, 0, 02745},
};

static void while_closed(void **state)
{
	struct opened o;

	open_file(&o, 02745);
	overlay_release(o.fx.ov, o.file);
	assert_int_equal(overlay_open(o.fx.ov, o.entry.node, O_RDONLY, &o.file), 0);
	check_chowns(&o, chowns, sizeof(chowns) / sizeof(chowns[0]));
	close_file(&o);
}

/* What is refused copies nothing up. */
static void on_the_layer(void **state)
{
	struct stat st = {.st_uid = STRANGER, .st_gid = STRANGER};
	struct overlay_entry entry;
	struct fixture fx;

	fixture_init(&fx, 1);
	fixture_file(&fx, 0, "f", 06755, "text");
	fixture_mount(&fx);
	assert_int_equal(fx_walk(&fx, "f", &entry), 0);
	assert_int_equal(
		overlay_setattr(fx.ov, entry.node, NULL, &st, OVERLAY_KILL_SET_ID, &st), -EPERM);
	assert_int_equal(faccessat(fx.upper_fd, "f", F_OK, 0), -1);
	fx_forget(&fx, entry.node);
	fixture_end(&fx);
}

/* A stranger may be the one who writes, unless the kernel says that it is a chown(2). */
static void while_open(void **state)
{
	static const struct chown_row rows[] = {
		{06755, OUTSIDER, 0, 0, 0755},
		{06755, OUTSIDER, OVERLAY_BY_CHOWN, -EPERM, 06755},
		{02745, OUTSIDER, 0, 0, 0745},
		{02745, MEMBER, 0, 0, 02745},
		{02745, OWNER, 0, 0, 02745},
		{06755, OWNER, OVERLAY_BY_CHOWN, 0, 0755},
	};
	struct opened o;

	open_file(&o, 0755);
	check_chowns(&o, rows, sizeof(rows) / sizeof(rows[0]));
	close_file(&o);
}

/* Then a stranger's set-id bits go with the write, if he makes one. */
static void while_nobody_tells(void **state)
{
	const unsigned unknown = OVERLAY_OPENS_UNKNOWN;
	const struct chown_row rows[] = {
		{06755, OUTSIDER, unknown, 0, 06755},
		{02745, OUTSIDER, unknown, 0, 02745},
		{06755, MEMBER, unknown, 0, 06755},
		{06755, OWNER, unknown, 0, 0755},
		{02745, OWNER, unknown, 0, 02745},
		{06755, ROOT, unknown, 0, 0755},
	};
	struct opened o;

	open_file(&o, 0755);
	check_chowns(&o, rows, sizeof(rows) / sizeof(rows[0]));
	overlay_release(o.fx.ov, o.file);
	assert_int_equal(overlay_open(o.fx.ov, o.entry.node, O_RDONLY, &o.file), 0);
	check_chowns(&o, rows, sizeof(rows) / sizeof(rows[0]));
	close_file(&o);
}

/* Root's write takes a capability and no more. */
static void after_a_capability(void **state)
{
	static const char capability[20] = {0, 0, 0, 2, 0, 4};
	static const unsigned set[] = {0, OVERLAY_OPENS_UNKNOWN};
	struct opened o;

	open_file(&o, 0755);
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		const struct chown_row kept = {06755, ROOT, set[i], 0, 06755};
		const struct chown_row taken = {06755, ROOT, set[i], 0, 0755};

		if (overlay_setxattr(o.fx.ov, o.entry.node, "security.capability", capability,
			    sizeof(capability), 0) < 0)
			break;
		assert_int_equal(
			overlay_removexattr(o.fx.ov, o.entry.node, "security.capability"), 0);
		check_chown(&o, &kept);
		check_chown(&o, &taken);
	}
	close_file(&o);
}

static void announced(void **state)
{
	static const struct {
		struct chown_row row;
		uint32_t writer;
		int result;
		mode_t left;
	} rows[] = {
		{{06755, OUTSIDER, OVERLAY_OPENS_UNKNOWN, 0, 06755}, STRANGER, 1, 0755},
		{{02766, OUTSIDER, OVERLAY_OPENS_UNKNOWN, 0, 02766}, STRANGER, 1, 0766},
		{{02766, MEMBER, OVERLAY_OPENS_UNKNOWN, 0, 02766}, STRANGER, 0, 02766},
		{{06755, OUTSIDER, OVERLAY_OPENS_UNKNOWN, 0, 06755}, STRANGER + 1, 0, 06755},
		{{06755, OUTSIDER, OVERLAY_OPENS_UNKNOWN, 0, 06755}, 0, 0, 06755},
		{{0755, OUTSIDER, OVERLAY_OPENS_UNKNOWN, 0, 0755}, STRANGER, 0, 0755},
	};
	struct opened o;

	open_file(&o, 0755);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_chown(&o, &rows[i].row);
		assert_int_equal(overlay_kill_announced(o.file, rows[i].writer), rows[i].result);
		assert_int_equal(mode_now(&o), rows[i].left);
		/* Once. */
		assert_int_equal(overlay_kill_announced(o.file, rows[i].writer), 0);
	}
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
		cmocka_unit_test(on_the_layer),
		cmocka_unit_test(while_open),
		cmocka_unit_test(while_nobody_tells),
		cmocka_unit_test(after_a_capability),
		cmocka_unit_test(announced),
		cmocka_unit_test(written_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
