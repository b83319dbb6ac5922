/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process ends before each system call of each operation that changes something. The next
 * one on the same upper sees the old tree or the new one, no temporary name anywhere, and the
 * operation succeeds if it has not happened yet. A sample of all steps, or all with FAULTS=steps.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault-expect.h"
#include "fault.h"

static unsigned complaints, tries;

static void complain(const struct attempt *at, uint64_t step, const char *what)
{
	complaints++;
	print_message("%s%s: dead before call %llu: %s\n", at->op->name,
		at->format == FORMAT_AUFS ? " (aufs)" : "", (unsigned long long)step, what);
}

/* Runs the operation in a process of its own, which ends before the call. */
static void crash(struct attempt *at, uint64_t step)
{
	const struct fault fault = {
		.sources = FAULT_CALLS, .first = step, .last = step, .is_crash = true};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		attempt_begin(at);
		fault_arm(&fault);
		(void)attempt_run(at);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), FAULT_CRASHED);
}

/* A name of the work directory. */
static bool found_temporary;

static int look_for_temporary(const char *path, const struct stat *st, int type, struct FTW *at)
{
	found_temporary |= path[at->base] == '#';
	return 0;
}

static void judge_upper(const struct attempt *at, uint64_t step)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/upper", at->fx.dir);
	found_temporary = false;
	assert_int_equal(nftw(path, look_for_temporary, 8, FTW_PHYS), 0);
	if (found_temporary)
		complain(at, step, "a temporary name is in the upper");
	if (fault_tree_leftovers(&at->fx))
		complain(at, step, "something is left in the work directory");
}

/*
 * In AUFS form a whiteout stands beside what it is to hide for a moment: a symlink that nobody
 * could mark shows another number then.
 */
static bool is_tree(const struct attempt *at, const char *got, const char *wanted)
{
	bool any_numbers = at->op->any_numbers || at->format == FORMAT_AUFS;

	return fault_tree_equal(got, wanted, true, any_numbers);
}

static void expect_tree(const struct attempt *at, uint64_t step, const char *what, const char *got,
	const char *wanted)
{
	if (is_tree(at, got, wanted))
		return;
	complain(at, step, what);
	fault_tree_print_difference(got, wanted);
}

/* Returns whether the operation has not happened. The overlay is mounted afterwards. */
static bool judge_tree(struct attempt *at, uint64_t step, const struct expected *want)
{
	bool is_old;
	char *got;

	fault_tree_mount(&at->fx, at->format);
	got = fault_tree_text(&at->fx);
	is_old = is_tree(at, got, want->before);
	if (!is_old)
		expect_tree(at, step, "the tree", got, want->fresh);
	free(got);
	fixture_unmount(&at->fx);
	return is_old;
}

static void try_again(struct attempt *at, uint64_t step, const struct expected *want)
{
	char *got;
	int r;

	attempt_begin(at);
	r = attempt_run(at);
	if (r != want->result)
		complain(at, step, "it does not succeed afterwards");
	got = fault_tree_text(&at->fx);
	/* Hard links of a layer that are in the upper in part are two objects by now. */
	if (!at->op->any_numbers)
		expect_tree(at, step, "the tree when it was tried again", got, want->live);
	free(got);
	attempt_finish(at);
}

static void try_crash(const struct operation *op, enum fault_format format, uint64_t step,
	const struct expected *want)
{
	struct attempt at;

	attempt_init(&at, op, format);
	crash(&at, step);
	if (judge_tree(&at, step, want)) {
		judge_upper(&at, step);
		try_again(&at, step, want);
	} else {
		judge_upper(&at, step);
	}
	attempt_end(&at);
	tries++;
}

static void crash_at_each_call(const struct operation *op, enum fault_format format)
{
	struct expected want;

	expected_learn(op, format, FAULT_CALLS, &want);
	/* What reads changes nothing: nothing can be half done. */
	if (strcmp(want.before, want.fresh) != 0)
		for (uint64_t step = 1; step <= want.steps; step++)
			if (operation_takes_step(op, step, 32))
				try_crash(op, format, step, &want);
	expected_release(&want);
}

static void crash_operations(enum fault_format format)
{
	complaints = tries = 0;
	for (size_t i = 0; i < operation_count; i++)
		if (operation_is_wanted(&operations[i]))
			crash_at_each_call(&operations[i], format);
	print_message("%u crashes, %u complaints\n", tries, complaints);
	assert_int_equal(complaints, 0);
}

static void test_native(void **state)
{
	crash_operations(FORMAT_NATIVE);
}

static void test_aufs(void **state)
{
	crash_operations(FORMAT_AUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_aufs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
