/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Revisions that most mounts ask for, without libgit2: HEAD, a branch or tag by its name, and a
 * whole id. References are files, or lines of packed-refs (gitrepository-layout(5)), and are looked
 * for in the order of gitrevisions(7). What is anything else, or lies in a repository of another
 * shape (a worktree, extensions), is libgit2's to find.
 */
#pragma once

#include <stdbool.h>

#include <git-overlayfs/error.h>

#include "layer/git-id.h"

/*
 * Whether `rev`, where "@" and "" are HEAD, is for names_find() to find in the repository that lies
 * in the directory `git_dir_fd` (O_PATH will do). The answer may change when the repository does.
 */
bool names_can_find(int git_dir_fd, const char *rev);

/* 0 and the id of an object that may be missing, or 1: there is no such name. */
int names_find(int git_dir_fd, const char *rev, git_oid *ret_id, struct error *err);

/* Why HEAD names nothing: "HEAD names the branch ...". Returns -ENOENT. */
int names_explain_head(int git_dir_fd, const char *label, struct error *err);
