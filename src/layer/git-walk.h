/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a process is on its way through a tree, and what it comes to next. No I/O, no locks: the
 * caller has one.
 *
 * Who lists a directory in a directory that was listed before walks. It is expected to go into each
 * directory before it goes on to the next one, in the order of the overlay's listings; and who
 * opens files of such a directory in that order, to go on with the next files. Whoever does
 * otherwise finds fewer things prepared. No more than a few are named that nobody has come to yet.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "layer/git-cache.h"
#include "layer/git-id.h"

/* Deeper directories are not foreseen. */
#define WALK_DEPTH_MAX 64
/* Of larger directories nothing is foreseen, and they are not held. */
#define WALK_ENTRIES_MAX 4096
/* So many directories, and files of one, are named before anybody has come to them. */
#define WALK_AHEAD_MAX 16
/* With so few left it is time to ask for more: to wake somebody for each costs more. */
#define WALK_AHEAD_MIN 8

/* Entries of a tree in the order of a listing. */
struct walk_order {
	uint32_t *entries;    /* malloc'ed; NULL: none, or not made yet */
	uint32_t count, next; /* those before next were come to, or named */
};

/* A directory that was listed. */
struct walk_level {
	git_oid tree;
	struct cached_object *object; /* a reference */
	struct walk_order directories, files;
	uint32_t at; /* of the files, behind the last one that was opened */
};

struct walk {
	struct walk_level levels[WALK_DEPTH_MAX]; /* each in the one before */
	unsigned depth;
	git_oid named[WALK_AHEAD_MAX]; /* directories that it has not come to, oldest first */
	unsigned named_count;
	unsigned reading; /* the depth where files are opened, plus one; 0: none are */
	bool is_walk;
	bool reads; /* one file after the other */
};

/* A directory that is listed, or one that a file is opened in. */
struct walk_place {
	struct cached_object *object; /* borrowed for the call */
	const git_oid *tree;
	const git_oid *parent; /* NULL: the root */
	uint32_t entry;	       /* its place in the parent's tree */
};

/* What a walk comes to: a directory, or, with an object, a file of that tree. */
struct walk_step {
	git_oid directory;
	struct cached_object *object; /* a reference of the caller's */
	uint32_t entry;
};

/* All zeroes is a walk that is nowhere. */
void walk_list(struct walk *walk, const struct walk_place *place);
void walk_open(struct walk *walk, const git_oid *tree, uint32_t entry);
/* False: there is nothing to be named now. */
bool walk_next(struct walk *walk, struct walk_step *ret_step);
bool walk_wants_more(const struct walk *walk); /* true: walk_next() has something */
void walk_release(struct walk *walk);	       /* nowhere again */
