/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The object store as a git_odb, for what only libgit2 can do: resolving revisions. */
#pragma once

#include "layer/git-library.h"
#include "layer/git-store.h"

/* Borrows the store. NULL: out of memory. Ended with git_odb_free(). */
git_odb *store_odb_new(struct object_store *store);
