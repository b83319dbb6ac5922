/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each step of each operation fails, one after the other: an error is told as it is, the tree
 * is the old or the new one, nothing is left behind, and the operation succeeds when it is
 * tried again. Of all steps a sample is taken; FAULTS=steps takes them all, with one error each,
 * FAULTS=all with all errors. OPERATION=TEXT takes only the operations whose name contains it.
 */
#include "fault-expect.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "util/fdcache.h"

static const int errors[] = {EIO, ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EINTR};
#define ERROR_COUNT (sizeof(errors) / sizeof(errors[0]))

static unsigned complaints;
static unsigned tries;

/* --- looking --- */

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *stream = opendir("/proc/self/fd");

	assert_non_null(stream);
	while (readdir(stream))
		count++;
	closedir(stream);
	return count;
}

/* Without those that are open for speed. */
static unsigned held_descriptors(void)
{
	fdcache_trim(fdcache_shared());
	return open_descriptors();
}

/* --- complaining --- */

static void complain(const struct attempt *at, const struct fault *fault, const char *what)
{
	complaints++;
	print_message("%s%s: step %llu (%s) fails%s with %s: %s\n", at->op->name,
		at->format == FORMAT_AUFS ? " (aufs)" : "", (unsigned long long)fault->first,
		fault_step(), fault->last == FAULT_FOREVER ? " for ever" : "",
		error_name(fault->error), what);
}

static void expect_tree(const struct attempt *at, const struct fault *fault, const char *what,
	const char *got, const char *wanted)
{
	if (fault_tree_equal(got, wanted, true, at->op->any_numbers))
		return;
	complain(at, fault, what);
	fault_tree_print_difference(got, wanted);
}

/* --- judging --- */

/* The directory that rmdir(2) has moved to the work directory is emptied there. */
static bool is_tidying(const struct attempt *at)
{
	static const char *const steps[] = {"unlinkat", "openat", "fdopendir", "readdir"};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(fault_step(), steps[i]) == 0)
			return strncmp(at->op->name, "rmdir", 5) == 0;
	return false;
}

/*
 * What may fail although the operation succeeds: speed (a clone of the data, the list of the
 * holes, a larger hash table), the times of a directory that a copy-up left as it was, and
 * tidying up. What is short of descriptors is tried again, and so is what was interrupted. A
 * listing comes in pieces, and the reader asks for the next one.
 */
static bool is_optional(const struct attempt *at, const struct fault *fault)
{
	static const char *const steps[] = {
		"clone", "copy_file_range", "lseek", "calloc", "utimensat", "unlinkat", "linkat"};

	if (fault->error == EMFILE || fault->error == ENFILE || fault->error == EINTR)
		return true;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(fault_step(), steps[i]) == 0)
			return true;
	return strncmp(at->op->name, "readdir", 7) == 0 || is_tidying(at);
}

static void judge_result(
	const struct attempt *at, const struct fault *fault, const struct expected *want, int r)
{
	char what[128];

	if (r == want->result) {
		if (!is_optional(at, fault))
			complain(at, fault, "it does not matter");
		if (strcmp(at->output, want->output) != 0) {
			complain(at, fault, "it shows something else");
			fault_tree_print_difference(at->output, want->output);
		}
	} else if (r != -fault->error) {
		snprintf(what, sizeof(what), "returns %d (%s)", r,
			r < 0 ? error_name(-r) : "success");
		complain(at, fault, what);
	}
}

static void judge_leftovers(
	const struct attempt *at, const struct fault *fault, int r, unsigned descriptors)
{
	unsigned held = held_descriptors();
	char what[64];

	if (r < 0 && held != descriptors) {
		snprintf(what, sizeof(what), "%u descriptors, %u before", held, descriptors);
		complain(at, fault, what);
	}
	/* What cannot be removed is removed at the next start. */
	if (fault->last != FAULT_FOREVER && fault_tree_leftovers(&at->fx) &&
		strcmp(fault_step(), "unlinkat") != 0 && !is_tidying(at))
		complain(at, fault, "something is left in the work directory");
}

/* A link in the work directory that cannot be removed counts until the next start. */
static bool has_lost_link(const struct attempt *at, const struct fault *fault, int r)
{
	return r < 0 && fault->last == FAULT_FOREVER && strcmp(fault_step(), "unlinkat") == 0 &&
	       strncmp(at->op->name, "link ", 5) == 0 && fault_tree_leftovers(&at->fx);
}

/* Returns whether the tree is the old one. */
static bool judge_tree(
	struct attempt *at, const struct fault *fault, const struct expected *want, int r)
{
	char *live = fault_tree_text(&at->fx), *fresh = attempt_fresh_text(at);
	bool is_old = r < 0 && fault_tree_equal(live, want->before, true, at->op->any_numbers);

	expect_tree(at, fault, "the tree", live, is_old ? want->before : want->live);
	/* The kernel remembers that a name was not there. (It cannot be taken back for ever.) */
	if (fault->last != FAULT_FOREVER && at->op->needs & (NEEDS_PARENT | NEEDS_TO) && r < 0 &&
		r != want->result && !is_old)
		complain(at, fault, "it is an error, and has happened");
	expect_tree(
		at, fault, "the tree after a remount", fresh, is_old ? want->before : want->fresh);
	free(live);
	free(fresh);
	return is_old;
}

static void try_again(struct attempt *at, const struct fault *fault, const struct expected *want)
{
	int r = attempt_run(at);
	char what[64], *live = fault_tree_text(&at->fx);

	if (r != want->result) {
		snprintf(what, sizeof(what), "returns %d when it is tried again", r);
		complain(at, fault, what);
	} else if (strcmp(at->output, want->output) != 0) {
		complain(at, fault, "it shows something else when it is tried again");
		fault_tree_print_difference(at->output, want->output);
	}
	expect_tree(at, fault, "the tree when it was tried again", live, want->live);
	free(live);
}

static void judge_next_start(struct attempt *at, const struct fault *fault)
{
	fault_tree_mount(&at->fx, at->format);
	if (fault_tree_leftovers(&at->fx))
		complain(at, fault, "something is left in the work directory after a remount");
	fixture_unmount(&at->fx);
}

/* False when the operation has fewer steps. */
static bool try_fault(const struct operation *op, enum fault_format format,
	const struct fault *fault, const struct expected *want)
{
	unsigned all = held_descriptors(), held;
	struct attempt at;
	bool is_hit;
	int r;

	attempt_init(&at, op, format);
	attempt_begin(&at);
	held = held_descriptors();
	fault_arm(fault);
	r = attempt_run(&at);
	fault_disarm();
	is_hit = fault_count() > 0;
	if (is_hit) {
		judge_result(&at, fault, want, r);
		judge_leftovers(&at, fault, r, held);
		if (!has_lost_link(&at, fault, r) && judge_tree(&at, fault, want, r))
			try_again(&at, fault, want);
	}
	attempt_finish(&at);
	if (is_hit)
		judge_next_start(&at, fault);
	attempt_end(&at);
	if (held_descriptors() != all)
		complain(&at, fault, "a descriptor is lost");
	tries++;
	return is_hit;
}

/* --- all of them --- */

static bool takes_error(const struct operation *op, uint64_t step, size_t error)
{
	size_t index = (size_t)(op - operations);

	return faults_are("all") || (step + index / 16) % ERROR_COUNT == error;
}

/* An allocation has only one way to fail. */
static void fail_step(const struct operation *op, enum fault_format format, unsigned source,
	uint64_t step, const struct expected *want)
{
	struct fault fault = {.sources = source, .first = step, .last = step, .error = ENOMEM};

	for (size_t i = 0; source != FAULT_MEMORY && i < ERROR_COUNT; i++) {
		fault.error = errors[i];
		if (takes_error(op, step, i))
			try_fault(op, format, &fault, want);
	}
	if (source == FAULT_MEMORY)
		try_fault(op, format, &fault, want);
}

static void fail_each_step(const struct operation *op, enum fault_format format, unsigned source)
{
	struct expected want;

	expected_learn(op, format, source, &want);
	for (uint64_t step = 1; step <= want.steps; step++)
		if (operation_takes_step(op, step, 40))
			fail_step(op, format, source, step, &want);
	expected_release(&want);
}

static void fail_from_each_step(const struct operation *op)
{
	struct expected want;

	expected_learn(op, FORMAT_NATIVE, FAULT_CALLS, &want);
	for (uint64_t step = 1; step <= want.steps; step++) {
		const struct fault fault = {.sources = FAULT_CALLS,
			.first = step,
			.last = FAULT_FOREVER,
			.error = step % 2 ? EIO : EMFILE};

		if (operation_takes_step(op, step, 40))
			try_fault(op, FORMAT_NATIVE, &fault, &want);
	}
	expected_release(&want);
}

static void fail_operations(enum fault_format format, unsigned source)
{
	complaints = tries = 0;
	for (size_t i = 0; i < operation_count; i++)
		if (operation_is_wanted(&operations[i]))
			fail_each_step(&operations[i], format, source);
	print_message("%u faults, %u complaints\n", tries, complaints);
	assert_int_equal(complaints, 0);
}

static void test_calls(void **state)
{
	fail_operations(FORMAT_NATIVE, FAULT_CALLS);
}

static void test_calls_aufs(void **state)
{
	fail_operations(FORMAT_AUFS, FAULT_CALLS);
}

/* A disk that has died, and a table of descriptors that stays full: tidying up fails too. */
static void test_calls_for_ever(void **state)
{
	complaints = tries = 0;
	for (size_t i = 0; i < operation_count; i++)
		if (operation_is_wanted(&operations[i]))
			fail_from_each_step(&operations[i]);
	print_message("%u faults, %u complaints\n", tries, complaints);
	assert_int_equal(complaints, 0);
}

static void test_layers(void **state)
{
	fail_operations(FORMAT_NATIVE, FAULT_LAYERS);
}

static void test_memory(void **state)
{
	fail_operations(FORMAT_NATIVE, FAULT_MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_calls_aufs),
		cmocka_unit_test(test_calls_for_ever),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
