/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What git rev-parse takes, found by libgit2. */
#pragma once

#include <git-overlayfs/error.h>

#include "layer/git-library.h"
#include "layer/git-store.h"

/*
 * 0 and the object's id, or 1: there is no such revision. `label` names the repository in messages,
 * which also say what libgit2 finds wrong with it.
 */
int revparse_find(const char *git_dir, const char *rev, const char *label,
	struct object_store *store, git_oid *ret_id, struct error *err);
