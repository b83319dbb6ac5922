/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a layer comes from, resolved on the host side before the sandbox: for a
 * repository the directories that its objects lie in (a worktree's common
 * directory, alternates of alternates), each opened once. It reads the few
 * small text files that say so and never an object, and links no libgit2.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>

#define SOURCE_ALTERNATES_MAX 64

struct source_dir {
	int fd;	    /* O_PATH|O_DIRECTORY */
	char *path; /* absolute, symlinks resolved: what a policy judges */
	uid_t uid;  /* owner */
	gid_t gid;
};

struct source {
	/* git: the repository's common directory (bare, or .git); dir: the directory. */
	struct source_dir dir;
	char *git_dir; /* git: "" or the worktree's directory relative to `dir` */
	/* git: objects directories besides dir/objects, in git's order. */
	struct source_dir alternates[SOURCE_ALTERNATES_MAX];
	size_t alternate_count;
};

/*
 * Opens what `spec` names. Errors (status EXIT_STATUS_SOURCE) tell "no such
 * repository", "not a repository", a loop or a flood of alternates, and a
 * repository format that is not supported (objectFormat other than sha1, reftable).
 * The caller ends *ret_source with source_release().
 */
int source_open(const struct layer_spec *spec, struct source *ret_source, struct error *err);
void source_release(struct source *source); /* idempotent */

/*
 * The text form that carries a source over an exec: "FD:GITDIR:FD,FD...", with the
 * descriptors made inheritable. source_from_text() takes the descriptors over
 * and learns paths and owners from them.
 */
int source_to_text(const struct source *source, char **ret_text);
int source_from_text(const char *text, struct source *ret_source, struct error *err);
