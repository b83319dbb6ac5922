/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle --dir=DIR [--layout=git|dir|layers] [--seed=N] [--steps=M] [--runs=R] [--seconds=S]
 *	[--processes=P] [--options=MOUNT-OPTIONS] [--without=FEATURE,...] [--replay=FILE] [--all]
 *	[--tallies]
 *
 * Runs R sequences of M steps, with the seeds N, N+1, ..., each on a fresh mount and a fresh copy;
 * no new one after S seconds. A divergence ends it (not with --all) and is minimised. Exit status:
 *0 no divergence, 1 divergence, 2 the oracle itself failed.
 *
 * What may differ, and why; everything else is a bug:
 *
 *	atime, ctime, blocks		not compared: who reads and who copies up shows there
 *	size of a directory		each file system's own
 *	order of a listing		the same
 *	rename of a directory		EXDEV where it moves none (--without=redirect)
 *	COLLAPSE_RANGE, INSERT_RANGE	EOPNOTSUPP: the kernel's FUSE has no such request
 *	device and inode numbers	others, but as many, one for each object, and they stay
 *	mtime of a FIFO			what goes through it never reaches FUSE
 *	S_ISGID without S_IXGRP		not compared on files: FUSE keeps it where a write drops it
 *	chown(-1, -1), set-id bits	left out on what is open for writing: FUSE says the same
 *	truncation to the same size	moves no mtime where the kernel collects writes
 *					(--without=samesize leaves it out)
 */
#include "oracle.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct options {
	uint64_t seed;
	size_t steps, runs;
	long seconds;
	unsigned processes;
	const char *replay;
	bool goes_on, tells_tallies;
};

static const struct word features[] = {{"tmpfile", FEATURE_TMPFILE}, {"acl", FEATURE_ACL},
	{"ioctl", FEATURE_IOCTL}, {"redirect", FEATURE_REDIRECT}, {"whiteout", FEATURE_WHITEOUT},
	{"dirlinks", FEATURE_DIRLINKS}, {"mtime", FEATURE_MTIME}, {"remount", FEATURE_REMOUNT},
	{"cache", FEATURE_CACHE}, {"mmap", FEATURE_MMAP}, {"capability", FEATURE_CAPABILITY},
	{"unwritten", FEATURE_UNWRITTEN}, {"samesize", FEATURE_SAMESIZE}, {NULL, 0}};
static const struct word layouts[] = {
	{"git", LAYOUT_GIT}, {"dir", LAYOUT_DIR}, {"layers", LAYOUT_LAYERS}, {NULL, 0}};

static long find_word(const struct word *words, const char *name)
{
	for (const struct word *w = words; w->name; w++)
		if (strcmp(w->name, name) == 0)
			return w->number;
	die("unknown: %s", name);
}

static void parse(int argc, char **argv, struct session *s, struct options *o)
{
	static const struct option known[] = {{"dir", 1, NULL, 'd'}, {"layout", 1, NULL, 'l'},
		{"seed", 1, NULL, 's'}, {"steps", 1, NULL, 'n'}, {"runs", 1, NULL, 'r'},
		{"seconds", 1, NULL, 't'}, {"processes", 1, NULL, 'p'}, {"options", 1, NULL, 'o'},
		{"without", 1, NULL, 'w'}, {"replay", 1, NULL, 'f'}, {"all", 0, NULL, 'a'},
		{"tallies", 0, NULL, 'v'}, {NULL, 0, NULL, 0}};
	const char *dir = NULL;
	char *save = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'd':
			dir = optarg;
			break;
		case 'l':
			s->place.layout = (enum layout)find_word(layouts, optarg);
			break;
		case 's':
			o->seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			o->steps = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			o->runs = strtoul(optarg, NULL, 10);
			break;
		case 't':
			o->seconds = strtol(optarg, NULL, 10);
			break;
		case 'p':
			o->processes = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'o':
			s->place.options = optarg;
			break;
		case 'w':
			for (char *p = strtok_r(optarg, ",", &save); p;
				p = strtok_r(NULL, ",", &save))
				s->without |= (unsigned)find_word(features, p);
			break;
		case 'f':
			o->replay = optarg;
			break;
		case 'a':
			o->goes_on = true;
			break;
		case 'v':
			o->tells_tallies = true;
			break;
		default:
			exit(2);
		}
	}
	if (!dir || o->processes > 64)
		die("--dir is missing, or there are too many processes");
	snprintf(s->place.dir, sizeof(s->place.dir), "%s", dir);
}

static void report(struct session *s, struct sequence *seq, struct divergence *div)
{
	printf("DIVERGENCE at step %zu: %s\n%s", div->step, div->signature, div->text);
	printf("minimising...\n");
	fflush(stdout);
	session_minimise(s, seq, div);
	printf("%zu steps:\n", seq->count);
	session_print(stdout, seq, div);
	fflush(stdout);
}

static int replay(struct session *s, const char *path)
{
	struct sequence seq;
	struct divergence div;

	sequence_read(path, &seq);
	session_run(s, &seq, &div);
	if (!div.is_there)
		return 0;
	printf("DIVERGENCE in %s at step %zu: %s\n", path, div.step, div.signature);
	session_print(stdout, &seq, &div);
	return 1;
}

static int run_seeds(struct session *s, const struct options *o)
{
	time_t end = time(NULL) + o->seconds;
	size_t runs = 0;
	int failures = 0;

	for (; runs < o->runs && (o->seconds == 0 || time(NULL) < end); runs++) {
		uint64_t seed = o->seed + runs;
		struct sequence seq;
		struct divergence div = {.is_there = false};

		if (o->processes) {
			int r = session_many(s, o->processes, seed, o->steps);

			if (r)
				printf("seed %llu: --processes=%u diverges\n",
					(unsigned long long)seed, o->processes);
			failures += r;
		} else {
			sequence_generate(seed, o->steps, s->without, &seq);
			session_run(s, &seq, &div);
			if (div.is_there) {
				printf("seed %llu, steps %zu\n", (unsigned long long)seed,
					o->steps);
				report(s, &seq, &div);
				failures++;
			}
			free(seq.steps);
		}
		if (failures && !o->goes_on) {
			runs++;
			break;
		}
	}
	printf("%zu runs, seeds %llu to %llu, %llu steps, %d divergences\n", runs,
		(unsigned long long)o->seed, (unsigned long long)(o->seed + runs - 1),
		o->processes ? (unsigned long long)(runs * o->processes * o->steps) : s->steps_done,
		failures);
	return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o = {.seed = 1, .steps = 2000, .runs = 1};
	struct session s = {.place = {.options = "", .subtree = ""}};
	int r;

	parse(argc, argv, &s, &o);
	s.place.copies = o.processes;
	if (o.processes)
		s.without |= FEATURE_REMOUNT;
	s.board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.board == MAP_FAILED)
		die("mmap: %m");
	printf("oracle: seed %llu, %zu steps\n", (unsigned long long)o.seed, o.steps);
	place_init(&s.place);
	r = o.replay ? replay(&s, o.replay) : run_seeds(&s, &o);
	place_unmount(&s.place);
	for (size_t i = 0; o.tells_tallies && i < COUNT(s.tallies) && s.tallies[i].op; i++)
		printf("%-16s %8llu of %8llu succeeded\n", s.tallies[i].op->name,
			s.tallies[i].succeeded, s.tallies[i].done);
	return r;
}
