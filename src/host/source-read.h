/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What source.c and its neighbours share: opening directories with what a policy
 * judges about them, and reading the small text files of a repository, bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/source.h>

/* No text file of a repository that is read here is larger. */
#define SOURCE_TEXT_MAX 65536

void source_dir_release(struct source_dir *dir); /* idempotent */
void source_dir_init(struct source_dir *dir);	 /* fd -1, no path */

/* Takes ownership of `fd` on success, and learns path and owner from it. */
int source_dir_adopt(int fd, struct source_dir *ret_dir);

/* Opens the directory `path` below `dirfd`, symlinks followed. -ENOTDIR... */
int source_dir_open(int dirfd, const char *path, struct source_dir *ret_dir);

/*
 * The contents of the regular file `path` below `dirfd`, with a NUL behind them, and
 * their length. -EFBIG past SOURCE_TEXT_MAX, -EINVAL when it is no regular file, -ELOOP
 * when a symlink is on the way: who writes to the repository would have a file of the host
 * read, which he may not read himself. For the same reason no message quotes the contents.
 * The caller frees *ret_text.
 */
int source_read_text(int dirfd, const char *path, char **ret_text, size_t *ret_length);

/* The alternates of source->dir/objects, and theirs, in git's order. */
int source_read_alternates(struct source *source, struct error *err);

/*
 * The directory that one line of objects/info/alternates names: a comment or empty
 * line is 0, else 1 with *ret_path, which the caller frees. Parses, opens nothing.
 */
int source_parse_alternate(const char *line, size_t length, char **ret_path);

/*
 * What in the text of a repository's `config` this program cannot read: 0, or
 * -ENOTSUP with the reason in *err. Parses, opens nothing.
 */
int source_check_format(const char *config, struct error *err);
