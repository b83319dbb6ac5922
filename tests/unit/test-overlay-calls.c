/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many system calls on the upper an operation makes when its directory is known: a table, so
 * that no step comes back unseen. Who needs one more has a reason, and changes the number.
 */
#include "fault.h"
#include "overlay-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directories and files that the kernel knows. */
struct scene {
	struct fixture fx;
	struct overlay_entry pure, merged, file, dir, lower;
};

struct row {
	const char *name;
	int (*run)(struct scene *s);
	uint64_t calls;
};

static int create_in(struct scene *s, uint64_t dir, const char *name)
{
	struct overlay_entry entry;
	struct overlay_file *file;
	int r = overlay_create(
		s->fx.ov, &s->fx.caller, dir, name, 0644, O_WRONLY | O_CREAT, &entry, &file);

	if (r < 0)
		return r;
	overlay_release(s->fx.ov, file);
	fx_forget(&s->fx, entry.node);
	return 0;
}

static int forget_new(struct scene *s, int r, const struct overlay_entry *entry)
{
	if (r == 0)
		fx_forget(&s->fx, entry->node);
	return r;
}

static int create(struct scene *s)
{
	return create_in(s, s->pure.node, "new");
}

static int create_in_merged(struct scene *s)
{
	return create_in(s, s->merged.node, "new");
}

static int create_over_whiteout(struct scene *s)
{
	return create_in(s, s->merged.node, "gone");
}

static int make_dir(struct scene *s)
{
	struct overlay_entry entry;

	return forget_new(s,
		overlay_mkdir(s->fx.ov, &s->fx.caller, s->pure.node, "new", 0755, &entry), &entry);
}

static int make_symlink(struct scene *s)
{
	struct overlay_entry entry;

	return forget_new(s,
		overlay_symlink(s->fx.ov, &s->fx.caller, s->pure.node, "new", "target", &entry),
		&entry);
}

static int make_fifo(struct scene *s)
{
	struct overlay_entry entry;

	return forget_new(s,
		overlay_mknod(
			s->fx.ov, &s->fx.caller, s->pure.node, "new", S_IFIFO | 0644, 0, &entry),
		&entry);
}

static int make_link(struct scene *s)
{
	struct overlay_entry entry;

	return forget_new(
		s, overlay_link(s->fx.ov, s->file.node, s->pure.node, "new", &entry), &entry);
}

static int rename_file(struct scene *s)
{
	return overlay_rename(
		s->fx.ov, &s->fx.caller, s->pure.node, "file", s->pure.node, "other", 0);
}

static int unlink_file(struct scene *s)
{
	return overlay_unlink(s->fx.ov, s->pure.node, "file");
}

static int unlink_lower(struct scene *s)
{
	return overlay_unlink(s->fx.ov, s->merged.node, "lower");
}

static int remove_dir(struct scene *s)
{
	return overlay_rmdir(s->fx.ov, s->pure.node, "dir");
}

static int change_mode(struct scene *s, uint64_t node)
{
	struct stat st = {.st_mode = 0600};

	return overlay_setattr(s->fx.ov, node, NULL, &st, OVERLAY_SET_MODE, &st);
}

static int chmod_file(struct scene *s)
{
	return change_mode(s, s->file.node);
}

static int chmod_lower(struct scene *s)
{
	return change_mode(s, s->lower.node);
}

/* The close(2) of a file that was open is not made through call.h. */
static const struct row rows[] = {
	/* open, fstat */
	{"create", create, 2},
	/* and a look at the upper */
	{"create in a merged directory", create_in_merged, 3},
	{"create over a whiteout", create_over_whiteout, 4},
	{"mkdir", make_dir, 2},
	{"symlink", make_symlink, 2},
	{"mknod", make_fifo, 2},
	{"link", make_link, 2},
	/* One that was there before: dup, getxattr, whether it is protected, once for each. */
	{"rename", rename_file, 4},
	{"rmdir", remove_dir, 4},
	/* open, for who holds it, and unlink; a link of the whiteout */
	{"unlink", unlink_file, 2},
	{"unlink of a lower file", unlink_lower, 1},
	/* open, chmod, stat */
	{"chmod", chmod_file, 3},
	/* and to copy it up: open, write, mark, date, look at the directory, rename, date that */
	{"chmod of a lower file", chmod_lower, 10},
};

static void prepare(struct scene *s)
{
	struct fixture *fx = &s->fx;

	fixture_init(fx, 1);
	fixture_dir(fx, 0, "merged", 0755);
	fixture_file(fx, 0, "merged/gone", 0644, "x");
	fixture_file(fx, 0, "merged/lower", 0644, "x");
	fixture_mount(fx);
	assert_int_equal(fx_mkdir(fx, "pure", 0755), 0);
	assert_int_equal(fx_walk(fx, "pure", &s->pure), 0);
	assert_int_equal(fx_walk(fx, "merged", &s->merged), 0);
	/* What is asked once for each directory is known from here on. */
	assert_int_equal(fx_create(fx, "pure/file", 0644, ""), 0);
	assert_int_equal(fx_create(fx, "merged/file", 0644, ""), 0);
	assert_int_equal(fx_walk(fx, "pure/file", &s->file), 0);
	assert_int_equal(fx_chmod(fx, "pure/file", 0640), 0);
	assert_int_equal(fx_mkdir(fx, "pure/dir", 0755), 0);
	assert_int_equal(fx_walk(fx, "pure/dir", &s->dir), 0);
	assert_int_equal(fx_walk(fx, "merged/lower", &s->lower), 0);
	assert_int_equal(fx_unlink(fx, "merged/gone"), 0);
}

static void end(struct scene *s)
{
	fx_forget(&s->fx, s->lower.node);
	fx_forget(&s->fx, s->dir.node);
	fx_forget(&s->fx, s->file.node);
	fx_forget(&s->fx, s->merged.node);
	fx_forget(&s->fx, s->pure.node);
	fixture_end(&s->fx);
}

static void counts(void **state)
{
	const struct fault none = {.sources = FAULT_CALLS};
	unsigned differences = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scene s;
		uint64_t calls;
		int r;

		prepare(&s);
		fault_arm(&none);
		r = rows[i].run(&s);
		calls = fault_disarm();
		end(&s);
		assert_int_equal(r, 0);
		if (calls == rows[i].calls)
			continue;
		print_message("%s: %llu calls, wanted %llu\n", rows[i].name,
			(unsigned long long)calls, (unsigned long long)rows[i].calls);
		differences++;
	}
	assert_int_equal(differences, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(counts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
