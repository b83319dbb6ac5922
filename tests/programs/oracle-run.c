/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sequence, run on both sides. */
#include "oracle.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void root_of(const struct session *s, unsigned side, char path[400])
{
	snprintf(
		path, 400, "%s/%s", side == 0 ? s->place.mount : s->place.native, s->place.subtree);
}

static void start_workers(struct session *s, const struct sequence *seq)
{
	char root[400];

	for (unsigned i = 0; i < 2; i++) {
		s->sides[i] = (struct side){.index = i, .without = s->without, .board = s->board};
		root_of(s, i, root);
		worker_start(&s->sides[i], seq, root);
	}
}

static void stop_workers(struct session *s)
{
	worker_stop(&s->sides[0]);
	worker_stop(&s->sides[1]);
}

/* --- divergences --- */

static bool is_same(const struct outcome *a, const struct outcome *b)
{
	return a->result == b->result && a->error == b->error && strcmp(a->detail, b->detail) == 0;
}

static void describe(FILE *out, const struct outcome *outcome)
{
	if (outcome->error)
		fprintf(out, "%s", strerrorname_np(outcome->error));
	else
		fprintf(out, "%ld", outcome->result);
	fprintf(out, "%s", outcome->detail);
}

static const char *error_name(const struct outcome *outcome)
{
	return outcome->error ? strerrorname_np(outcome->error) : "success";
}

static void diverge(struct divergence *div, size_t step, const struct sequence *seq,
	const struct outcome *ours, const struct outcome *native)
{
	FILE *out = fmemopen(div->text, sizeof(div->text), "w");

	if (!out)
		die("out of memory");
	div->is_there = true;
	div->step = step;
	fprintf(out, "mount:    ");
	describe(out, ours);
	fprintf(out, "\nnatively: ");
	describe(out, native);
	fputc('\n', out);
	fclose(out);
	snprintf(div->signature, sizeof(div->signature), "%s: %s, natively %s",
		seq->steps[step].op->name, error_name(ours), error_name(native));
}

/* The first word says what differs: "mode of 'a': ..." */
static void diverge_tree(struct divergence *div, size_t step)
{
	div->is_there = true;
	div->step = step;
	snprintf(div->signature, sizeof(div->signature), "tree: %.*s", (int)strcspn(div->text, " "),
		div->text);
}

static void diverge_death(struct divergence *div, struct session *s, unsigned side)
{
	div->is_there = true;
	div->step = s->board->current[side];
	snprintf(div->text, sizeof(div->text), "the process on the %s side died or hangs\n",
		side == 0 ? "mount's" : "native");
	snprintf(div->signature, sizeof(div->signature), "death: %u", side);
}

/* --- the parent's operations --- */

static void compare_trees(struct session *s, size_t step, struct divergence *div)
{
	struct tree trees[2];
	char root[400];

	for (unsigned i = 0; i < 2; i++) {
		root_of(s, i, root);
		tree_scan(root, &trees[i]);
	}
	tree_compare(
		&trees[0], &trees[1], s->board, &s->ids, s->without, div->text, sizeof(div->text));
	if (*div->text)
		diverge_tree(div, step);
	tree_free(&trees[0]);
	tree_free(&trees[1]);
}

static void drop_page_cache(void)
{
	FILE *out;

	sync();
	out = fopen("/proc/sys/vm/drop_caches", "we");
	if (out) {
		fputs("1", out);
		fclose(out);
	}
}

enum { COMPARE, REMOUNT, FORGET, DROP, TICK };

/* All descriptors of the workers end with the mount. */
static void remount(struct session *s, const struct sequence *seq)
{
	if (*s->place.subtree)
		return;
	stop_workers(s);
	place_unmount(&s->place);
	place_mount(&s->place);
	start_workers(s, seq);
}

static void run_parents(
	struct session *s, const struct sequence *seq, size_t step, struct divergence *div)
{
	switch (seq->steps[step].op - parent_operations) {
	case COMPARE:
		compare_trees(s, step, div);
		break;
	case REMOUNT:
		remount(s, seq);
		break;
	case FORGET:
		place_forget(&s->place);
		break;
	case DROP:
		drop_page_cache();
		break;
	case TICK:
		epoch_begin(s->board);
		break;
	}
}

const struct operation parent_operations[] = {
	[COMPARE] = {"compare", 6, NULL, {NULL}},
	[REMOUNT] = {"remount", 1, NULL, {NULL}, FEATURE_REMOUNT},
	[FORGET] = {"forget", 4, NULL, {NULL}, FEATURE_CACHE},
	[DROP] = {"drop-page-cache", 0, NULL, {NULL}, FEATURE_CACHE},
	[TICK] = {"tick", 14, NULL, {NULL}, FEATURE_MTIME},
	{NULL},
};

/* --- the run --- */

/* How often each operation was done, and how often it succeeded natively. */
static void count_outcome(struct session *s, const struct step *step, const struct outcome *out)
{
	for (size_t i = 0; i < COUNT(s->tallies); i++) {
		struct tally *tally = &s->tallies[i];

		if (tally->op && tally->op != step->op)
			continue;
		tally->op = step->op;
		tally->done++;
		tally->succeeded += out->error == 0;
		return;
	}
}

static void run_batch(struct session *s, const struct sequence *seq, size_t from, size_t to,
	struct divergence *div)
{
	for (unsigned side = 0; side < 2; side++) {
		if (!worker_execute(&s->sides[side], from, to)) {
			diverge_death(div, s, side);
			return;
		}
	}
	s->steps_done += to - from;
	for (size_t i = from; i < to; i++) {
		const struct outcome *ours = &s->board->outcomes[0][i - from];
		const struct outcome *native = &s->board->outcomes[1][i - from];

		count_outcome(s, &seq->steps[i], native);
		if (is_same(ours, native))
			continue;
		diverge(div, i, seq, ours, native);
		return;
	}
}

static size_t batch_end(const struct sequence *seq, size_t from)
{
	size_t to = from;

	while (to < seq->count && to - from < BATCH && !operation_is_parents(seq->steps[to].op))
		to++;
	return to;
}

void session_run(struct session *s, const struct sequence *seq, struct divergence *ret_div)
{
	size_t at = 0;

	*ret_div = (struct divergence){.is_there = false};
	s->ids.count = 0;
	if (!*s->place.subtree)
		place_fresh(&s->place);
	s->board->epochs.count = 0;
	epoch_begin(s->board);
	start_workers(s, seq);
	while (at < seq->count && !ret_div->is_there) {
		size_t to = batch_end(seq, at);

		if (to == at)
			run_parents(s, seq, at, ret_div);
		else
			run_batch(s, seq, at, to, ret_div);
		at = to == at ? at + 1 : to;
	}
	stop_workers(s);
}

void session_print_end(
	FILE *out, const struct sequence *seq, const struct divergence *div, size_t steps)
{
	size_t end = div->step + 1 < seq->count ? div->step + 1 : seq->count;
	size_t start = steps < end ? end - steps : 0;

	if (start > 0)
		fprintf(out, "    (%zu steps before)\n", start);
	for (size_t i = start; i < end; i++) {
		fprintf(out, "    ");
		step_print(out, &seq->steps[i]);
		fputc('\n', out);
	}
	fprintf(out, "%s", div->text);
}

void session_print(FILE *out, const struct sequence *seq, const struct divergence *div)
{
	session_print_end(out, seq, div, seq->count);
}
