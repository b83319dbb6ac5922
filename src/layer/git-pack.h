/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One pack of a repository, opened and held. */
#pragma once

#include <git2.h>

#include "layer/git-store.h"

struct held_pack {
	char *index_path;
	git_odb_backend *backend; /* NULL: there is nothing to be read in it */
};

/*
 * Opens the pack of the index at `index_path`, and makes libgit2 open it too. A
 * pack that is corrupt or may not be read is held as one without a backend, and
 * said so in *ret_cause (else ""). -ENOENT when it has gone meanwhile; -EMFILE,
 * -ENFILE or -ENOMEM when this process can hold no more.
 */
int held_pack_open(
	const char *index_path, struct held_pack **ret_pack, struct object_cause *ret_cause);
/* NULL is fine. */
void held_pack_close(struct held_pack *pack);
