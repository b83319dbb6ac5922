/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of TOML as is needed to edit files that others wrote: what stands where, without
 * keeping values. Parsing is apart from files; the text is bounded by the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>

#define TOML_PATH_MAX 1024

/* The names of a key, from the outermost table in, each ended by NUL: no name holds one. */
struct toml_path {
	char text[TOML_PATH_MAX];
	size_t size;
};

/* Names up to NULL; they are ours and fit. */
void toml_path_set(struct toml_path *path, const char *name, ...) __attribute__((sentinel));
/* Whether `path` is `within`, or lies below it. */
bool toml_path_is_within(const struct toml_path *path, const struct toml_path *within);
bool toml_path_equal(const struct toml_path *a, const struct toml_path *b);
/* "a.b.c", for messages. */
void toml_path_describe(const struct toml_path *path, char *ret_text, size_t size);

enum toml_kind { TOML_TABLE, TOML_ARRAY_TABLE, TOML_KEY, TOML_COMMENT };

struct toml_statement {
	enum toml_kind kind;
	struct toml_path path; /* of a key with its table's names */
	size_t table_size;     /* how much of path.text is the table's */
	size_t start, end;     /* whole lines, with the newline */
	size_t value, value_end;
	unsigned line; /* from 1 */
};

struct toml_scan {
	const char *text;
	size_t size, at;
	unsigned line;
	struct toml_path table;
};

/* -EBADMSG for what is no text at all: a NUL byte, or bytes that are not UTF-8. */
int toml_scan_begin(struct toml_scan *scan, const char *text, size_t size, struct error *err);
/* 1 and the next statement, 0 at the end, -EBADMSG with the line in err. Comments behind others do
 * not count. */
int toml_scan_next(struct toml_scan *scan, struct toml_statement *ret_statement, struct error *err);

/* 1 and the statement that gives `path` a value, 0: there is none. */
int toml_find(const char *text, size_t size, const struct toml_path *path,
	struct toml_statement *ret_statement, struct error *err);

/*
 * The strings of an array, or a string alone, one after the other: calls fn for each. -EINVAL: the
 * value is something else. Inline tables in it set *ret_appends where they say append=true, as
 * containers.conf has it; NULL: they are refused.
 */
int toml_each_string(const char *value, size_t size, int (*fn)(void *ctx, const char *string),
	void *ctx, bool *ret_appends);

/* --- a section of ours in somebody's file --- */

struct toml_section {
	const char *body; /* lines, each ended by \n */
	const struct toml_path
		*within;    /* the table of body's first keys; NULL: body has its own headers */
	const char *header; /* of `within`, for a file that has no such table: "[a.b]" */
	const struct toml_path *owned; /* what body defines: must not stand elsewhere in the file */
	size_t owned_count;
	const char *engine; /* for the marker's text */
};

/*
 * The text with the section in it: replaced where it was, else at the end or in its table. A
 * refusal names the line that is in the way. The caller frees *ret_text.
 */
int toml_section_put(const struct toml_section *section, const char *text, size_t size,
	char **ret_text, size_t *ret_size, struct error *err);
/* The text without it; as it was when there is none. */
int toml_section_take(
	const char *text, size_t size, char **ret_text, size_t *ret_size, struct error *err);
/* 1: there is a section of ours; 0; -EINVAL: its markers were edited. */
int toml_section_exists(const char *text, size_t size, struct error *err);

/* Writes a string as TOML has it, with quotes. NULL: it holds control characters. */
char *toml_quote(const char *string);
