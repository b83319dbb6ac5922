/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is open of a node where the kernel opens files by itself. */
#include "overlay-fixture.h"

#include <errno.h>
#include <linux/fs.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include <git-overlayfs/session.h>

#include "fuse/node-files.h"

/* More than are kept open. */
#define MANY 100
/* Descriptors, less than would do for them all. */
#define FEW 128

struct opened {
	struct fixture fx;
	struct node_files *files;
	struct overlay_entry f;
};

static int setup(void **state)
{
	static struct opened o;
	char name[16];

	fixture_init(&o.fx, 1);
	o.fx.spare_files = SESSION_FILES_KEPT;
	fixture_file(&o.fx, 0, "f", 0644, "from below");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		fixture_file(&o.fx, 0, name, 0644, name);
	}
	fixture_mount(&o.fx);
	o.files = node_files_new(o.fx.ov);
	assert_non_null(o.files);
	assert_int_equal(fx_walk(&o.fx, "f", &o.f), 0);
	*state = &o;
	return 0;
}

static int setup_few(void **state)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = FEW;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return setup(state);
}

static int teardown(void **state)
{
	struct opened *o = *state;

	node_files_free(o->files);
	fx_forget(&o->fx, o->f.node);
	fixture_end(&o->fx);
	return 0;
}

static int read_node(struct opened *o, uint64_t node, char buf[32])
{
	struct node_file file;
	ssize_t n = node_files_take(o->files, node, false, &file);

	if (n < 0)
		return (int)n;
	n = overlay_read(o->fx.ov, file.file, buf, 31, 0);
	node_files_give_back(o->files, &file);
	assert_null(file.file);
	if (n >= 0)
		buf[n] = '\0';
	return n < 0 ? (int)n : 0;
}

static int write_node(struct opened *o, uint64_t node, const char *text, off_t offset)
{
	struct node_file file;
	ssize_t n = node_files_take(o->files, node, true, &file);

	if (n < 0)
		return (int)n;
	n = overlay_write(o->fx.ov, file.file, text, strlen(text), offset);
	node_files_give_back(o->files, &file);
	return n < 0 ? (int)n : 0;
}

#define assert_node(o, node, expected)                             \
	do {                                                       \
		char content_[32];                                 \
		assert_int_equal(read_node(o, node, content_), 0); \
		assert_string_equal(content_, expected);           \
	} while (0)

static void one_that_is_read_follows_a_write(void **state)
{
	struct opened *o = *state;
	struct node_file reader;

	assert_int_equal(node_files_take(o->files, o->f.node, false, &reader), 0);
	assert_node(o, o->f.node, "from below");
	assert_int_equal(write_node(o, o->f.node, "FROM", 0), 0);
	assert_node(o, o->f.node, "FROM below");
	node_files_give_back(o->files, &reader);
	assert_content(&o->fx, "f", "FROM below");
}

static void one_that_was_made_is_written(void **state)
{
	struct opened *o = *state;
	struct overlay_entry entry;
	struct overlay_file *file;

	assert_int_equal(overlay_create(o->fx.ov, &o->fx.caller, 1, "new", 0444, O_RDWR | O_CREAT,
				 &entry, &file),
		0);
	node_files_add(o->files, entry.node, file);
	assert_int_equal(write_node(o, entry.node, "text", 0), 0);
	assert_node(o, entry.node, "text");
	node_files_drop(o->files, entry.node);
	fx_forget(&o->fx, entry.node);
	assert_content(&o->fx, "new", "text");
}

/* Its name is gone, and its open file was closed for others. */
static void one_without_a_name_is_found_again(void **state)
{
	struct opened *o = *state;

	assert_int_equal(write_node(o, o->f.node, "FROM", 0), 0);
	assert_int_equal(fx_unlink(&o->fx, "f"), 0);
	node_files_drop(o->files, o->f.node);
	assert_node(o, o->f.node, "FROM below");
	assert_int_equal(write_node(o, o->f.node, "!", 4), 0);
	node_files_drop(o->files, o->f.node);
	assert_node(o, o->f.node, "FROM!below");
}

static void more_than_are_kept(void **state)
{
	struct opened *o = *state;
	struct overlay_entry entries[MANY];
	struct node_file used[MANY];
	char name[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		assert_int_equal(fx_walk(&o->fx, name, &entries[i]), 0);
		assert_int_equal(write_node(o, entries[i].node, "M", 0), 0);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "Many%d", i);
		assert_node(o, entries[i].node, name);
	}
	/* All of them in use. */
	for (int i = 0; i < MANY; i++)
		assert_int_equal(node_files_take(o->files, entries[i].node, true, &used[i]), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(overlay_write(o->fx.ov, used[i].file, "m", 1, 0), 1);
		node_files_give_back(o->files, &used[i]);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		assert_node(o, entries[i].node, name);
		node_files_drop(o->files, entries[i].node);
		fx_forget(&o->fx, entries[i].node);
	}
}

static int unlink_with_room(struct opened *o, const char *name)
{
	int r = fx_unlink(&o->fx, name);

	return node_files_make_room(o->files, r) ? fx_unlink(&o->fx, name) : r;
}

/* With so many the next one keeps its name, and whatever is open is read and written. */
static void as_many_without_a_name_as_leave_room(void **state)
{
	struct opened *o = *state;
	struct overlay_entry entries[MANY];
	char name[16];
	int gone = 0;

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		assert_int_equal(fx_walk(&o->fx, name, &entries[i]), 0);
		assert_int_equal(write_node(o, entries[i].node, "M", 0), 0);
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		if (unlink_with_room(o, name) == 0)
			gone++;
		else
			assert_int_equal(fx_unlink(&o->fx, name), -ENFILE);
	}
	assert_int_equal(gone, (FEW - FEW / 8) / 2);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "Many%d", i);
		assert_node(o, entries[i].node, name);
		assert_int_equal(write_node(o, entries[i].node, "m", 0), 0);
	}
	for (int i = 0; i < MANY; i++) {
		node_files_drop(o->files, entries[i].node);
		fx_forget(&o->fx, entries[i].node);
	}
	assert_int_equal(fx_unlink(&o->fx, "many99"), 0);
}

static void one_in_use_is_dropped_when_it_is_given_back(void **state)
{
	struct opened *o = *state;
	struct node_file file, another;

	assert_int_equal(node_files_take(o->files, o->f.node, true, &file), 0);
	node_files_drop(o->files, o->f.node);
	assert_int_equal(overlay_write(o->fx.ov, file.file, "FROM", 4, 0), 4);
	assert_int_equal(node_files_take(o->files, o->f.node, true, &another), 0);
	assert_ptr_not_equal(another.file, file.file);
	node_files_give_back(o->files, &file);
	assert_int_equal(overlay_write(o->fx.ov, another.file, "!", 1, 4), 1);
	node_files_give_back(o->files, &another);
	assert_node(o, o->f.node, "FROM!below");
}

static void what_is_protected_is_not_written(void **state)
{
	struct opened *o = *state;
	uint32_t flags = 0;

	assert_int_equal(write_node(o, o->f.node, "FROM", 0), 0);
	assert_int_equal(overlay_get_flags(o->fx.ov, o->f.node, &flags), 0);
	if (overlay_set_flags(o->fx.ov, o->f.node, flags | FS_APPEND_FL) < 0)
		skip();
	node_files_drop(o->files, o->f.node);
	assert_int_equal(write_node(o, o->f.node, "f", 0), -EPERM);
	assert_int_equal(write_node(o, o->f.node, "!", 10), 0);
	assert_node(o, o->f.node, "FROM below!");
	assert_int_equal(overlay_set_flags(o->fx.ov, o->f.node, flags | FS_IMMUTABLE_FL), 0);
	node_files_drop(o->files, o->f.node);
	assert_int_equal(write_node(o, o->f.node, "!", 11), -EPERM);
	assert_node(o, o->f.node, "FROM below!");
	assert_int_equal(overlay_set_flags(o->fx.ov, o->f.node, flags), 0);
}

static void one_that_is_gone_is_an_error(void **state)
{
	struct opened *o = *state;
	char buf[32];

	assert_int_equal(read_node(o, 12345, buf), -ESTALE);
	assert_int_equal(read_node(o, 1, buf), -EISDIR);
}

struct worker {
	struct opened *o;
	const struct overlay_entry *entries;
	pthread_t thread;
	unsigned seed;
	int error;
};

static void *work(void *data)
{
	struct worker *worker = data;
	char buf[32];

	for (int i = 0; i < 5000 && !worker->error; i++) {
		uint64_t node;

		worker->seed = worker->seed * 1103515245 + 12345;
		node = worker->entries[(worker->seed >> 16) % MANY].node;
		if (i % 7 == 0)
			node_files_drop(worker->o->files, node);
		else if (i % 3 == 0)
			worker->error = write_node(worker->o, node, "M", 0);
		else
			worker->error = read_node(worker->o, node, buf);
	}
	return NULL;
}

static void threads_at_once(void **state)
{
	struct opened *o = *state;
	struct overlay_entry entries[MANY];
	struct worker workers[4];
	char name[16];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many%d", i);
		assert_int_equal(fx_walk(&o->fx, name, &entries[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){.o = o, .entries = entries, .seed = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].error, 0);
	}
	for (int i = 0; i < MANY; i++) {
		node_files_drop(o->files, entries[i].node);
		fx_forget(&o->fx, entries[i].node);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_is_read_follows_a_write),
		TEST(one_that_was_made_is_written),
		TEST(one_without_a_name_is_found_again),
		TEST(more_than_are_kept),
		TEST(one_in_use_is_dropped_when_it_is_given_back),
		TEST(what_is_protected_is_not_written),
		TEST(one_that_is_gone_is_an_error),
		TEST(threads_at_once),
		/* The last one: the descriptors stay few. */
		cmocka_unit_test_setup_teardown(
			as_many_without_a_name_as_leave_room, setup_few, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
