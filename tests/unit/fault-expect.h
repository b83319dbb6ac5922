/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What operations do when nothing fails, and which of them are tried. */
#pragma once

#include "fault-ops.h"

/* What an operation does when nothing fails. */
struct expected {
	int result;
	char *output;
	char *before; /* the tree */
	char *live, *fresh;
	uint64_t steps;
};

void expected_learn(const struct operation *op, enum fault_format format, unsigned sources,
	struct expected *ret_want);
void expected_release(struct expected *want);

/* The tree that another overlay on the same upper shows. The caller frees it. */
char *attempt_fresh_text(struct attempt *at);
void fault_tree_print_difference(const char *got, const char *wanted);

/* OPERATION=TEXT in the environment: those whose name contains it. */
bool operation_is_wanted(const struct operation *op);
/* Whether FAULTS in the environment is this. */
bool faults_are(const char *wanted);
/* One of `sample` steps, unless FAULTS is "steps" or "all". */
bool operation_takes_step(const struct operation *op, uint64_t step, unsigned sample);
