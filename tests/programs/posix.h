/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of what system calls do on a file system: the same on a native directory and on a mount.
 *
 * A check is a script of statements, one system call each, that runs in a directory of
 * its own:
 *
 *	WORD ARGUMENT... [= RESULT]
 *	each A,B,C { STATEMENT; ... }
 *
 * RESULT is 0, a number, a text or the name of an errno; without one a call is expected to give 0,
 * and a question (mode, owner, moved...), or a statement that begins with `?`, may give anything,
 * as long as both sides give the same. R~M is what the kernel's part of FUSE cannot do: a native
 * file system gives R, a mount may give M (passthrough or not makes a difference); of R^M it may
 * where the kernel opens files by itself (TEST_MODE=opens). In a loop `$`
 * stands for the element, and the result may be a list, R1|R2|R3. Arguments: `\xHH` is a byte, `\s`
 * a space, `@N` a name of N bytes, `@pN:NAME` a path of N bytes that leads to NAME, `#N` the
 * descriptor N of the script.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct posix_check {
	const char *name;
	const char *setup; /* may be NULL; runs as root, in each fixture */
	const char *script;
};

struct posix_area {
	const char *name;
	const struct posix_check *checks;
	size_t count;
};

#define POSIX_AREA(identifier, text, table)    \
	const struct posix_area identifier = { \
		.name = text, .checks = table, .count = sizeof(table) / sizeof(*(table))}

extern const struct posix_area posix_names, posix_tmpfile, posix_acls, posix_flags, posix_guards,
	posix_mounts, posix_read_only, posix_coherence, posix_locks, posix_renames,
	posix_permissions, posix_sticky, posix_modes, posix_owners, posix_times,
	posix_times_explicit, posix_files, posix_limits;

#define POSIX_ARGS    8
#define POSIX_RESULT  512
#define POSIX_HANDLES 8
#define POSIX_MARKS   8

/* What a script has at hand. */
struct posix_run {
	int fds[POSIX_HANDLES]; /* -1: not open */
	int children[POSIX_HANDLES];
	struct {
		char path[64];
		struct stat st;
	} marks[POSIX_MARKS];
	size_t mark_count;
};

struct posix_op {
	const char *word;
	int arguments; /* at least */
	bool is_question;
	/* Fills in `result`, or returns -errno, or a number. */
	long (*fn)(struct posix_run *run, char **args, char *result);
};

/* NULL: no such word. Each file of operations has a table. */
const struct posix_op *posix_find_op(const char *word);
extern const struct posix_op posix_tree_ops[], posix_file_ops[], posix_stat_ops[],
	posix_process_ops[], posix_share_ops[], posix_acl_ops[];

/* One line for each statement that ran. */
struct posix_line {
	char *statement, *wanted, *got; /* wanted NULL: anything */
	const char *limit;		/* what a mount gives instead, NULL: the same */
};

struct posix_transcript {
	struct posix_line *lines;
	size_t count;
};

/* Runs the script in the working directory. Exits with a message when the script is wrong. */
void posix_script(const char *name, const char *script, struct posix_transcript *ret);
void posix_transcript_free(struct posix_transcript *t);

/* --- for the operations --- */
int posix_fd(struct posix_run *run, const char *number);
int posix_open_flags(const char *words);
long posix_number(const char *text);
unsigned posix_id(const char *name);
void posix_become(const char *name);
_Noreturn void posix_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
