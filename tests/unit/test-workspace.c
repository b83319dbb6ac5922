/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records: creation, locks, what a dead one leaves, removal of hostile trees. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/workspace.h>

#include "host/workspace-internal.h"

struct place {
	char root[64];
	int fd;
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	char path[128];

	strcpy(place->root, "/tmp/test-workspace-XXXXXX");
	if (!mkdtemp(place->root))
		return -1;
	snprintf(path, sizeof(path), "%s/run", place->root);
	setenv("GIT_OVERLAYFS_RUN_DIR", path, 1);
	snprintf(path, sizeof(path), "%s/deep/state", place->root);
	setenv("GIT_OVERLAYFS_STATE_DIR", path, 1);
	place->fd = open(place->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = place;
	return place->fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;
	int r;

	close(place->fd);
	place->fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = tree_remove(place->fd, place->root + 5);
	close(place->fd);
	free(place);
	return r;
}

static bool is_there(struct place *place, const char *path)
{
	return faccessat(place->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void must(int r, const struct error *err)
{
	if (r < 0)
		fail_msg("%d: %s", r, err->text);
}

static void create_store_find_remove(void **state)
{
	struct workspace_info info = {.mountpoint = (char[]){"/nowhere/at/all"},
		.source = (char[]){"/r@main"},
		.commit = (char[]){""},
		.upper = (char[]){"/u"},
		.container = (char[]){""},
		.supervisor = 4711,
		.created = 5};
	struct workspace_info found = {0};
	struct error err = {0};
	struct workspace ws;

	must(workspace_create("one", &ws, &err), &err);
	must(workspace_make_upper(&ws, geteuid(), getegid(), &err), &err);
	assert_true(is_there(*state, "deep/state/one/upper"));
	info.id = ws.id;
	must(workspace_store(&ws, &info, &err), &err);
	must(workspace_find("one", &found, &err), &err);
	assert_string_equal(found.id, "one");
	assert_string_equal(found.source, "/r@main");
	assert_string_equal(found.upper, "/u");
	assert_int_equal(found.supervisor, 4711);
	assert_false(found.keep);
	assert_true(found.alive);
	workspace_info_release(&found);
	workspace_info_release(&found);
	assert_int_equal(workspace_wait_gone("one", 20), -ETIMEDOUT);
	must(workspace_remove(&ws, false, &err), &err);
	assert_false(is_there(*state, "deep/state/one"));
	assert_false(is_there(*state, "run/one"));
	workspace_release(&ws);
	workspace_release(&ws);
	assert_int_equal(workspace_wait_gone("one", 20), 0);
	assert_int_equal(workspace_find("one", &found, &err), -ENOENT);
}

static void found_by_mountpoint(void **state)
{
	struct place *place = *state;
	struct error err = {0};
	struct workspace dead, living, boxed;
	struct workspace_info info = {0}, found = {0};
	char mountpoint[128], link[128], via[160];

	snprintf(mountpoint, sizeof(mountpoint), "%s/mnt", place->root);
	snprintf(link, sizeof(link), "%s/link", place->root);
	mkdir(mountpoint, 0755);
	assert_int_equal(symlink("mnt", link), 0);
	info.mountpoint = mountpoint;
	info.created = 9;
	must(workspace_create("dead", &dead, &err), &err);
	must(workspace_store(&dead, &info, &err), &err);
	workspace_release(&dead);
	info.created = 5;
	must(workspace_create("living", &living, &err), &err);
	must(workspace_store(&living, &info, &err), &err);
	info.created = 20;
	info.container = (char[]){"c1"};
	must(workspace_create("boxed", &boxed, &err), &err);
	must(workspace_store(&boxed, &info, &err), &err);
	snprintf(via, sizeof(via), "%s/../%s/mnt//", place->root, place->root + 5);
	for (int i = 0; i < 3; i++) {
		must(workspace_find(i == 0 ? mountpoint : i == 1 ? link : via, &found, &err), &err);
		assert_string_equal(found.id, "living");
		workspace_info_release(&found);
	}
	assert_int_equal(workspace_find(place->root, &found, &err), -ENOENT);
	workspace_release(&living);
	workspace_release(&boxed);
}

static void a_live_one_is_busy_and_a_dead_one_is_cleared(void **state)
{
	struct workspace_info info = {.keep = false};
	struct error err = {0};
	struct workspace first, second;

	must(workspace_create("two", &first, &err), &err);
	must(workspace_make_upper(&first, geteuid(), getegid(), &err), &err);
	must(workspace_store(&first, &info, &err), &err);
	mkdirat(((struct place *)*state)->fd, "deep/state/two/upper/left", 0);
	close(openat(first.run_fd, WORKSPACE_NAMESPACES_FILE, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(workspace_create("two", &second, &err), -EBUSY);
	assert_int_equal(err.status, EXIT_STATUS_BUSY);
	workspace_release(&first);
	must(workspace_create("two", &second, &err), &err);
	assert_false(is_there(*state, "deep/state/two"));
	assert_false(is_there(*state, "run/two/workspace.json"));
	assert_false(is_there(*state, "run/two/" WORKSPACE_NAMESPACES_FILE));
	must(workspace_remove(&second, false, &err), &err);
	workspace_release(&second);
}

static void a_kept_upper_survives_its_record(void **state)
{
	struct workspace_info info = {.keep = true};
	struct error err = {0};
	struct workspace ws;

	must(workspace_create("kept", &ws, &err), &err);
	must(workspace_make_upper(&ws, geteuid(), getegid(), &err), &err);
	must(workspace_store(&ws, &info, &err), &err);
	must(workspace_remove(&ws, true, &err), &err);
	workspace_release(&ws);
	assert_true(is_there(*state, "deep/state/kept/upper"));
	must(workspace_create("kept", &ws, &err), &err);
	assert_true(is_there(*state, "deep/state/kept/upper"));
	must(workspace_make_upper(&ws, geteuid(), getegid(), &err), &err);
	must(workspace_remove(&ws, false, &err), &err);
	workspace_release(&ws);
	assert_false(is_there(*state, "deep/state/kept"));
}

static unsigned cleared;

static void note_cleared(const char *id)
{
	assert_string_equal(id, "pod-a:b-c");
	cleared++;
}

static unsigned count_discarded(const struct place *place)
{
	unsigned count = 0;
	DIR *dir = fdopendir(openat(place->fd, "deep/state", O_RDONLY | O_DIRECTORY));
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		count += strncmp(entry->d_name, ".discarded-", 11) == 0;
	closedir(dir);
	return count;
}

static void an_upper_is_taken_aside_before_it_is_removed(void **state)
{
	struct workspace_discard first, second, none;
	struct error err = {0};
	struct workspace ws;

	cleared = 0;
	must(workspace_create("pod-a:b-c", &ws, &err), &err);
	must(workspace_make_upper(&ws, geteuid(), getegid(), &err), &err);
	mkdirat(((struct place *)*state)->fd, "deep/state/pod-a:b-c/upper/left", 0);
	must(workspace_discard_begin(&ws, &first, &err), &err);
	assert_false(is_there(*state, "deep/state/pod-a:b-c"));
	must(workspace_discard_begin(&ws, &none, &err), &err);
	assert_int_equal(none.base_fd, -1);
	assert_int_equal(workspace_discard_finish(&none), 0);
	/* The next one of this id comes, and goes, before it is removed. */
	must(workspace_make_upper(&ws, geteuid(), getegid(), &err), &err);
	assert_false(is_there(*state, "deep/state/pod-a:b-c/upper/left"));
	must(workspace_discard_begin(&ws, &second, &err), &err);
	must(workspace_remove(&ws, true, &err), &err);
	workspace_release(&ws);
	assert_int_equal(count_discarded(*state), 2);
	/* Somebody is at both of them. */
	must(workspace_discards_clear(false, note_cleared, &err), &err);
	assert_int_equal(count_discarded(*state), 2);
	assert_int_equal(workspace_discard_finish(&first), 0);
	assert_int_equal(workspace_discard_finish(&first), 0);
	assert_int_equal(count_discarded(*state), 1);
	/* Who was at the other has died. */
	close(second.lock_fd);
	close(second.base_fd);
	must(workspace_discards_clear(true, note_cleared, &err), &err);
	assert_int_equal(count_discarded(*state), 1);
	must(workspace_discards_clear(false, note_cleared, &err), &err);
	assert_int_equal(count_discarded(*state), 0);
	assert_int_equal(cleared, 2);
}

static int count_one(void *ctx, const struct workspace_info *info)
{
	int *counts = ctx;

	counts[info->alive]++;
	return 0;
}

static void listing_tells_the_living_from_the_dead(void **state)
{
	struct place *place = *state;
	struct error err = {0};
	struct workspace a, b;
	int counts[2] = {0}, fd;

	must(workspace_for_each(count_one, counts, &err), &err);
	assert_int_equal(counts[0] + counts[1], 0);
	must(workspace_create("a", &a, &err), &err);
	must(workspace_create(NULL, &b, &err), &err);
	assert_int_equal(strlen(b.id), 12);
	workspace_release(&b);
	fd = openat(place->fd, "run/a/workspace.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "{\"id\":", 6), 6);
	close(fd);
	must(workspace_for_each(count_one, counts, &err), &err);
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[1], 1);
	must(workspace_remove(&a, false, &err), &err);
	workspace_release(&a);
}

static void a_lock_can_be_handed_on(void **state)
{
	struct error err = {0};
	struct workspace ws, heir;
	int other = open("/", O_RDONLY | O_CLOEXEC), passed;

	must(workspace_create("lock", &ws, &err), &err);
	assert_int_equal(workspace_adopt("lock", other, &heir, &err), -EINVAL);
	close(other);
	passed = fcntl(ws.lock_fd, F_DUPFD_CLOEXEC, 0);
	must(workspace_adopt("lock", passed, &heir, &err), &err);
	workspace_release(&ws);
	assert_int_equal(workspace_wait_gone("lock", 10), -ETIMEDOUT);
	must(workspace_remove(&heir, false, &err), &err);
	workspace_release(&heir);
}

/* Requester and supervisor both remove: the second must not hit who took the id meanwhile. */
static void a_second_removal_spares_the_next_of_that_id(void **state)
{
	struct error err = {0};
	struct workspace first, again, next;

	must(workspace_create("twice", &first, &err), &err);
	must(workspace_open("twice", &again, &err), &err);
	must(workspace_remove(&first, false, &err), &err);
	must(workspace_create("twice", &next, &err), &err);
	must(workspace_make_upper(&next, geteuid(), getegid(), &err), &err);
	must(workspace_remove(&again, false, &err), &err);
	assert_true(is_there(*state, "run/twice"));
	assert_true(is_there(*state, "deep/state/twice/upper"));
	must(workspace_remove(&next, false, &err), &err);
	assert_false(is_there(*state, "deep/state/twice"));
	workspace_release(&first);
	workspace_release(&again);
	workspace_release(&next);
}

static void ids(void **state)
{
	static const struct {
		const char *id;
		bool is_valid;
	} rows[] = {
		{"f", true},
		{"f-b", true},
		{"f:b", true},
		{"f:", false},
		{":b", false},
		{"f:b:c", false},
		{"f:.b", false},
		{"..:b", false},
		{"f:b/c", false},
		{"", false},
		{":", false},
	};
	char longest[WORKSPACE_ID_MAX + 2];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (workspace_id_is_valid(rows[i].id) != rows[i].is_valid)
			fail_msg("'%s': wanted %d", rows[i].id, rows[i].is_valid);
	memset(longest, 'a', sizeof(longest));
	longest[1] = ':';
	longest[WORKSPACE_ID_MAX + 1] = '\0';
	assert_false(workspace_id_is_valid(longest));
	longest[WORKSPACE_ID_MAX] = '\0';
	assert_true(workspace_id_is_valid(longest));
}

static void bad_ids(void **state)
{
	static const char *const ids[] = {"", ".", "..", "a/b", "-x", "a b", "\n"};
	struct error err = {0};
	struct workspace ws;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (workspace_create(ids[i], &ws, &err) != -EINVAL)
			fail_msg("'%s' was taken", ids[i]);
		assert_int_equal(workspace_open(ids[i], &ws, &err), -ENOENT);
	}
}

static void somebody_elses_directory_is_refused(void **state)
{
	struct place *place = *state;
	struct error err = {0};
	struct workspace ws;

	mkdirat(place->fd, "run", 0700);
	assert_int_equal(fchmodat(place->fd, "run", 0777, 0), 0);
	assert_int_equal(workspace_create("x", &ws, &err), -EPERM);
	assert_int_equal(unlinkat(place->fd, "run", AT_REMOVEDIR), 0);
	mkdirat(place->fd, "elsewhere", 0700);
	assert_int_equal(symlinkat("elsewhere", place->fd, "run"), 0);
	assert_true(workspace_create("x", &ws, &err) < 0);
	assert_false(is_there(place, "elsewhere/x"));
}

static void removal_follows_no_symlink(void **state)
{
	struct place *place = *state;

	mkdirat(place->fd, "precious", 0755);
	mkdirat(place->fd, "precious/file", 0755);
	mkdirat(place->fd, "tree", 0755);
	assert_int_equal(symlinkat("../precious", place->fd, "tree/link"), 0);
	assert_int_equal(symlinkat("precious", place->fd, "top-link"), 0);
	assert_int_equal(tree_remove(place->fd, "tree"), 0);
	assert_int_equal(tree_remove(place->fd, "top-link"), 0);
	assert_int_equal(tree_remove(place->fd, "missing"), 0);
	assert_false(is_there(place, "tree"));
	assert_false(is_there(place, "top-link"));
	assert_true(is_there(place, "precious/file"));
}

static void removal_of_deep_and_closed_trees(void **state)
{
	struct place *place = *state;
	int fd, next;

	mkdirat(place->fd, "deep-tree", 0755);
	fd = openat(place->fd, "deep-tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		mkdirat(fd, "side", 0755);
		close(openat(next, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0));
		if (i % 7 == 0)
			fchmod(fd, 0);
		close(fd);
		fd = next;
	}
	close(fd);
	assert_int_equal(tree_remove(place->fd, "deep-tree"), 0);
	assert_false(is_there(place, "deep-tree"));
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(create_store_find_remove),
		test(found_by_mountpoint),
		test(a_live_one_is_busy_and_a_dead_one_is_cleared),
		test(a_kept_upper_survives_its_record),
		test(an_upper_is_taken_aside_before_it_is_removed),
		test(listing_tells_the_living_from_the_dead),
		test(a_lock_can_be_handed_on),
		test(a_second_removal_spares_the_next_of_that_id),
		test(ids),
		test(bad_ids),
		test(somebody_elses_directory_is_refused),
		test(removal_follows_no_symlink),
		test(removal_of_deep_and_closed_trees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
