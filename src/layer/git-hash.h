/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "layer/git-id.h"

/* The id that git gives to an object of this type and content. 0 or -errno. */
int object_hash(git_object_t type, const void *data, size_t size, git_oid *ret_id);

/* Whether that needs git_library_load(), because this build knows no other SHA-1. */
bool object_hash_asks_library(void);
