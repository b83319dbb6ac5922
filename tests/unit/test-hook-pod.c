/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names in a pod: who has one, who only had it, and what keeps a hook from knowing. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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
		"container's; leave id= out, or choose another, and share files by a volume; if "
		"that container is gone, end what is left of it (kill -KILL 4242; git-overlayfs "
		"umount a:ws)");
	/* Of another pod. */
	close(place->pod.fds[0]);
	place->pod.fds[0] = open("/", O_RDONLY | O_CLOEXEC);
	expect_claim(place, 0, UNTOUCHED, "");
}

/* While it stays: its container's mount may be in use for seconds. */
static void one_that_is_ending_has_none(void **state)
{
	note(*state, WORKSPACE_ENDING);
	expect_claim(*state, 0, UNTOUCHED, "");
}

static void *let_go(void *arg)
{
	static const struct timespec pause = {.tv_nsec = 150000000};

	nanosleep(&pause, NULL);
	workspace_release(arg);
	return NULL;
}

/* Its state says to the last that it lives. */
static void one_that_ends_is_waited_for(void **state)
{
	struct place *place = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, let_go, &place->theirs), 0);
	expect_claim(place, 0, UNTOUCHED, "");
	pthread_join(thread, NULL);
}

static void replace(const struct place *place, const char *name)
{
	assert_int_equal(unlinkat(place->theirs.run_fd, name, 0), 0);
	assert_int_equal(symlinkat(name, place->theirs.run_fd, name), 0);
}

/* It may be the name. */
static void what_cannot_be_read_is_an_error(void **state)
{
	struct place *place = *state;

	replace(place, WORKSPACE_FILE);
	expect_claim(place, 1, 1, "id=ws is a workspace of container a of the same pod");
	replace(place, WORKSPACE_NAMESPACES_FILE);
	expect_claim(place, -ELOOP, UNTOUCHED, "records of the pod's workspaces: ");
}

static void what_says_nothing_is_no_name(void **state)
{
	struct place *place = *state;

	assert_int_equal(unlinkat(place->theirs.run_fd, WORKSPACE_NAMESPACES_FILE, 0), 0);
	expect_claim(place, 0, UNTOUCHED, "");
	close(openat(place->theirs.run_fd, WORKSPACE_NAMESPACES_FILE, O_CREAT | O_WRONLY, 0600));
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

/* Its number may be another's by now, and so may be the namespaces that were read by it. */
static void a_process_that_has_ended_has_no_pod(void **state)
{
	struct container container;
	struct error err = {0};
	struct pod pod;
	pid_t child;

	container_init(&container);
	child = fork();
	if (child == 0)
		_exit(0);
	container.pidfd = pidfd_open(child, 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	container.state.pid = getpid();
	pod_init(&pod);
	assert_int_equal(pod_open(&container, &pod, &err), -ESRCH);
	pod_release(&pod);
	close(container.pidfd);
	container.pidfd = pidfd_open(getpid(), 0);
	assert_int_equal(pod_open(&container, &pod, &err), 0);
	pod_release(&pod);
	close(container.pidfd);
}

#define test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(one_that_lives_has_its_name),
		test(one_that_is_ending_has_none),
		test(one_that_ends_is_waited_for),
		test(what_cannot_be_read_is_an_error),
		test(what_says_nothing_is_no_name),
		test(the_lock_is_not_waited_for_without_end),
		cmocka_unit_test(a_process_that_has_ended_has_no_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
