/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Delta debugging: whatever is not needed for the divergence is left out. */
#include "oracle.h"

#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 150

struct search {
	struct session *s;
	struct sequence *seq; /* ends with the step that diverges */
	struct divergence *div;
	time_t end;
};

/* Runs the sequence without [from, to). True: it still diverges so, and it has become the best. */
static bool try_without(struct search *search, size_t from, size_t to)
{
	struct sequence *seq = search->seq, shorter;
	struct divergence div;

	shorter.count = seq->count - (to - from);
	shorter.steps = calloc(shorter.count, sizeof(struct step));
	if (!shorter.steps)
		die("out of memory");
	memcpy(shorter.steps, seq->steps, from * sizeof(struct step));
	memcpy(shorter.steps + from, seq->steps + to, (seq->count - to) * sizeof(struct step));
	session_run(search->s, &shorter, &div);
	if (!div.is_there || strcmp(div.signature, search->div->signature) != 0) {
		free(shorter.steps);
		return false;
	}
	shorter.count = div.step + 1;
	free(seq->steps);
	*seq = shorter;
	*search->div = div;
	return true;
}

/* From the end: what is near the divergence is tried first. */
static bool pass(struct search *search, size_t chunk)
{
	bool has_changed = false;
	size_t to = search->seq->count - 1;

	while (to > 0 && time(NULL) < search->end) {
		size_t from = to > chunk ? to - chunk : 0;

		if (try_without(search, from, to)) {
			has_changed = true;
			if (from > search->seq->count - 1)
				from = search->seq->count - 1;
		}
		to = from;
	}
	return has_changed;
}

void session_minimise(struct session *s, struct sequence *seq, struct divergence *div)
{
	struct search search = {s, seq, div, time(NULL) + SECONDS_MAX};
	size_t chunk;

	seq->count = div->step + 1;
	for (chunk = seq->count / 2; chunk > 1; chunk /= 2)
		pass(&search, chunk);
	while (pass(&search, 1) && time(NULL) < search.end)
		continue;
}
