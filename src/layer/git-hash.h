/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layer/git-id.h"

/* The id that git gives to an object of this type and content. 0 or -errno. */
int object_hash(git_object_t type, const void *data, size_t size, git_oid *ret_id);

/*
 * The same of content that comes piece by piece; where object_hash_asks_library(), in a single one.
 * NULL: out of memory.
 */
struct object_hasher;
struct object_hasher *object_hasher_new(git_object_t type, uint64_t size);
void object_hasher_free(struct object_hasher *hasher); /* NULL is fine */
void object_hasher_add(struct object_hasher *hasher, const void *data, size_t size);
int object_hasher_end(struct object_hasher *hasher, git_oid *ret_id);

/* Whether that needs git_library_load(), because this build knows no other SHA-1. */
bool object_hash_asks_library(void);
