/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The oracle: random sequences of file operations run on a mount and on a plain copy of the
 * merged tree, and whatever is not the same is reduced to the few steps that it takes.
 *
 * A step is an operation, who does it and plain arguments; a sequence follows from a seed alone
 * and never from results, so any part of it can be run again. Two workers, one in each tree
 * (chrooted to it), execute the same steps and leave their outcomes in shared memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define ARGS_MAX    5
#define TEXT_MAX    80
#define SLOTS	    6
#define STREAMS	    3
#define BATCH	    64
#define DETAIL_MAX  240
#define NAMES	    17
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* What can be left out, by --without=NAME. */
enum feature {
	FEATURE_TMPFILE = 1 << 0,
	FEATURE_ACL = 1 << 1,
	FEATURE_IOCTL = 1 << 2,
	FEATURE_REDIRECT = 1 << 3, /* without: renaming a directory may give EXDEV */
	FEATURE_WHITEOUT = 1 << 4, /* RENAME_WHITEOUT */
	FEATURE_DIRLINKS = 1 << 5, /* st_nlink of directories */
	FEATURE_MTIME = 1 << 7,	   /* when a time was taken, by the epochs of "tick" */
	FEATURE_REMOUNT = 1 << 8,
	FEATURE_CACHE = 1 << 9, /* dropping caches */
	FEATURE_MMAP = 1 << 10,
	FEATURE_CAPABILITY = 1 << 11, /* security.capability */
	FEATURE_UNWRITTEN = 1 << 12,  /* ranges with room on the disk and nothing written there */
	FEATURE_SAMESIZE = 1 << 13,   /* truncations to the size that there is */
};

/* --- steps --- */

struct random {
	uint64_t state;
};

uint64_t random_next(struct random *rnd);
unsigned random_below(struct random *rnd, unsigned limit);

struct value {
	long number;
	char text[TEXT_MAX];
};

struct word {
	const char *name;
	long number;
};

/* A kind of argument: how it is drawn, printed and read. */
struct kind {
	const char *name;
	void (*generate)(struct random *rnd, struct value *ret_value); /* NULL: any of the words */
	const struct word *words; /* ended by a NULL name; NULL: a text or a plain number */
	bool is_text, is_flags, is_octal;
};

extern const struct kind kind_path, kind_target, kind_open, kind_create_mode, kind_mode, kind_slot,
	kind_stream, kind_offset, kind_length, kind_fill, kind_uid, kind_gid, kind_time,
	kind_rename, kind_allocate, kind_whence, kind_access, kind_special, kind_lock, kind_xattr,
	kind_xattr_flags, kind_acl, kind_acl_value, kind_follow, kind_count, kind_inode_flags,
	kind_tmpfile, kind_write;

extern const char *const pool_names[NAMES]; /* all names that an entry can have */

struct side;
struct step;
struct outcome;

struct operation {
	const char *name;
	unsigned weight;
	/* By a worker; or by the parent, between the batches. */
	void (*execute)(struct side *side, const struct step *step, struct outcome *ret_outcome);
	const struct kind *args[ARGS_MAX];
	unsigned features;
};

/* Who does a step; root is who = 0. */
#define WHO_COUNT 4
extern const char *const who_names[WHO_COUNT];

struct step {
	const struct operation *op;
	unsigned who;
	struct value arg[ARGS_MAX];
};

/* Tables of operations, each ended by a NULL name; the last is the parent's. */
extern const struct operation name_operations[], data_operations[], map_operations[],
	meta_operations[], handle_operations[], stream_operations[], parent_operations[];
bool operation_is_parents(const struct operation *op);

void step_generate(struct random *rnd, unsigned without, struct step *ret_step);
void step_print(FILE *out, const struct step *step);
/* 0, or -1 and a message: a line that step_print() wrote. */
int step_parse(const char *line, struct step *ret_step);
/* A name as it is used: LONG, TOOLONG and BYTES stand for others. */
void step_expand(const char *path, char *ret_path, size_t size);

struct sequence {
	struct step *steps;
	size_t count;
};

void sequence_generate(uint64_t seed, size_t count, unsigned without, struct sequence *ret_seq);
int sequence_read(const char *path, struct sequence *ret_seq);
void sequence_print(FILE *out, const struct sequence *seq);

/* --- outcomes --- */

struct outcome {
	long result;
	int error;
	char detail[DETAIL_MAX];
};

/* Takes errno when the result is negative. */
void outcome_set(struct outcome *out, long result);
__attribute__((format(printf, 2, 3))) void outcome_add(
	struct outcome *out, const char *format, ...);
void outcome_add_stat(struct outcome *out, const struct side *side, const struct stat *st);
void outcome_add_bytes(struct outcome *out, const void *data, size_t size);
/* A mode without what is not compared. */
mode_t mode_shown(mode_t mode);
uint64_t hash_bytes(uint64_t hash, const void *data, size_t size);
#define HASH_START 0xcbf29ce484222325u

/* --- one of the two trees --- */

/* A directory that is being read, and what is known of each name that steps use. */
struct stream {
	void *dir; /* DIR; NULL: not open */
	struct {
		uint64_t ino;
		bool stayed, was_there;
		unsigned listed;
	} names[NAMES];
	bool is_complete;
};

/* The start of the run, and the moments at which "tick" was executed. */
#define EPOCHS_MAX 4096
struct epochs {
	unsigned count;
	struct timespec start[EPOCHS_MAX];
};

/* Shared between the parent and the workers. */
struct board {
	struct epochs epochs;
	volatile unsigned current[2]; /* the step that is being executed */
	struct outcome outcomes[2][BATCH];
};

struct side {
	unsigned index; /* 0: the mount, 1: the native copy */
	unsigned without;
	struct board *board;
	int slots[SLOTS];
	struct stream streams[STREAMS];
	const struct outcome *other; /* the mount's outcome, when the native side runs */
	void *map;
	bool map_is_writable;
	/* the parent's half */
	pid_t pid;
	int socket;
};

/* 0: given by somebody, or older than the run; else the epoch in which it was taken. */
unsigned epoch_of(const struct board *board, const struct timespec *ts);
void epoch_begin(struct board *board);

int slot_of(const struct side *side, const struct value *value);
void slot_keep(struct side *side, const struct value *value, int fd);
void streams_observe(struct side *side);

/* Starts a process that executes steps in the tree. */
void worker_start(struct side *side, const struct sequence *seq, const char *root);
/* Executes steps [from, to), at most BATCH; false: it died or hangs. */
bool worker_execute(struct side *side, size_t from, size_t to);
void worker_stop(struct side *side);

/* --- the trees on disk --- */

enum layout { LAYOUT_GIT, LAYOUT_DIR, LAYOUT_LAYERS };

struct place {
	enum layout layout;
	char dir[256]; /* everything lies in it */
	char mount[300], native[300];
	const char *options; /* of the mount, besides ours */
	unsigned copies;     /* subtrees p0, p1, ...; 0: the tree itself */
	const char *subtree; /* the one that a session works in, or "" */
	bool is_mounted;
};

void place_init(struct place *place);  /* the layers, once */
void place_fresh(struct place *place); /* a new upper, a new native copy; mounted */
void place_mount(struct place *place);
void place_unmount(struct place *place);
void place_forget(struct place *place); /* drops what the kernel keeps of the mount's names */
void place_remove(struct place *place);
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* Builds the layers and the merged copy of them. */
void plant_layers(const struct place *place);
void plant_native(const struct place *place, const char *root);
void remove_tree(const char *path);
void run_program(const char *const argv[]);

/* --- comparing --- */

struct item {
	char *path;
	struct stat st;
	uint64_t listed_ino;
	unsigned char listed_type;
	uint64_t content;
	uint64_t birth; /* native: tells apart two objects with one inode number */
	char *xattrs;
	char *target;
	int error;
};

struct tree {
	struct item *items;
	size_t count, capacity;
};

void tree_scan(const char *root, struct tree *ret_tree);
void tree_free(struct tree *tree);

/* Native objects and the inode numbers that the mount gave them. */
struct identity {
	uint64_t native, birth, ours;
};
struct identities {
	struct identity *list;
	size_t count, capacity;
};

/* Empty `text`: they are equal. Otherwise the first differences. */
void tree_compare(const struct tree *ours, const struct tree *native, const struct board *board,
	struct identities *ids, unsigned without, char *text, size_t size);

/* --- running --- */

struct tally {
	const struct operation *op;
	unsigned long long done, succeeded;
};

struct session {
	struct place place;
	unsigned without;
	struct board *board;
	struct side sides[2];
	struct identities ids;
	unsigned long long steps_done;
	struct tally tallies[128];
};

struct divergence {
	bool is_there;
	size_t step;
	/* What stays the same while it is minimised. */
	char signature[160];
	char text[4000];
};

/* From a fresh mount and a fresh copy. */
void session_run(struct session *s, const struct sequence *seq, struct divergence *ret_div);
/* The last `steps` of them. */
void session_print_end(
	FILE *out, const struct sequence *seq, const struct divergence *div, size_t steps);
void session_print(FILE *out, const struct sequence *seq, const struct divergence *div);
/* Shortens `seq`, whose run gave `div`, as long as a run still gives such a divergence. */
void session_minimise(struct session *s, struct sequence *seq, struct divergence *div);
/* Several processes at once, each in a subtree of its own; 0: no divergence. */
int session_many(struct session *s, unsigned processes, uint64_t seed, size_t steps);
