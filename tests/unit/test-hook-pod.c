/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names in a pod: who has one, who only had it, and what keeps a hook from knowing. */
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

#include "../../hooks/hook.h"
#include "host/workspace-internal.h"
#include "util/clock.h"

#define UNTOUCHED 77

struct place {
	char root[64];
	struct pod pod; /* any file is a namespace here */
	struct workspace theirs, ours;
};

static void note(const struct place *place, enum workspace_state state)
{
	struct workspace_info info = {.id = (char *)place->theirs.id,
		.container = (char *)"a",
		.supervisor = 4242,
		.created = 1,
		.state = state};

	assert_int_equal(workspace_store(&place->theirs, &info, NULL), 0);
}

static int claim(struct place *place, struct workspace *ws, size_t *ret_index, struct error *err)
{
	struct pod_name names[] = {{"other", ws}, {"ws", ws}};

	*err = (struct error){0};
	return pod_claim_names(
		&place->pod, ws == &place->ours ? "b" : "a", names, 2, ret_index, err);
}

/* a:ws lives in the namespaces of the pod, and b:ws is about to. */
static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));
	struct error err;
	char path[128];
	size_t index;

	strcpy(place->root, "/tmp/test-hook-pod-XXXXXX");
	if (!mkdtemp(place->root))
		return -1;
	snprintf(path, sizeof(path), "%s/run", place->root);
	setenv("GIT_OVERLAYFS_RUN_DIR", path, 1);
	snprintf(path, sizeof(path), "%s/state", place->root);
	setenv("GIT_OVERLAYFS_STATE_DIR", path, 1);
	pod_init(&place->pod);
	place->pod.fds[0] = open(place->root, O_RDONLY | O_CLOEXEC);
	clock_start(0);
	*state = place;
	if (workspace_create("a:ws", &place->theirs, NULL) < 0 ||
		workspace_create("b:ws", &place->ours, NULL) < 0)
		return -1;
	note(place, WORKSPACE_READY);
	return claim(place, &place->theirs, &index, &err);
}

static int tear_down(void **state)
{
	struct place *place = *state;
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	pod_release(&place->pod);
	workspace_release(&place->theirs);
	workspace_release(&place->ours);
	r = tree_remove(fd, place->root + 5);
	close(fd);
	free(place);
	return r;
}

static void expect_claim(struct place *place, int wanted, size_t wanted_index, const char *text)
{
	size_t index = UNTOUCHED;
	struct error err;
	int r = claim(place, &place->ours, &index, &err);

	if (r != wanted || index != wanted_index || !strstr(err.text, text))
		fail_msg("%d, index %zu, '%s'; wanted %d, index %zu, '%s'", r, index, err.text,
			wanted, wanted_index, text);
}

static void one_that_lives_has_its_name(void **state)
{
	struct place *place = *state;

	expect_claim(place, 1, 1,
		"id=ws is a workspace of container a of the same pod, and a workspace is one "
		"container's; leave id= out, or choose another, and share files by a volume");
	/* Of another pod. */
	close(place->pod.fds[0]);
	place->pod.fds[0] = open("/", O_RDONLY | O_CLOEXEC);
	expect_claim(place, 0, UNTOUCHED, "");
}

/* By another hook, which is stopped. What is left of the time bounds it, too. */
static void the_lock_is_not_waited_for_without_end(void **state)
{
	struct place *place = *state;
	int64_t before = clock_now_ms();
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/run/.naming", place->root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	clock_start(HOOK_WORK_END_MS - 300);
	expect_claim(place, -EBUSY, UNTOUCHED,
		"another container's git-overlayfs-hook hangs or is stopped, and no container gets "
		"an id= meanwhile; end what has its lock open (fuser -v /tmp/");
	if (clock_now_ms() - before < 200 || clock_now_ms() - before > HOOK_NAMES_TIMEOUT_MS)
		fail_msg("after %d ms", (int)(clock_now_ms() - before));
	close(fd);
	unlink(path);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(one_that_lives_has_its_name),
		test(the_lock_is_not_waited_for_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
