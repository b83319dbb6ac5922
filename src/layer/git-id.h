/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ids and types of objects, as libgit2's headers declare them, without its code. */
#pragma once

#include <stdbool.h>
#include <string.h>

#include <git2/errors.h>
#include <git2/oid.h>
#include <git2/types.h>

static inline bool id_equal(const git_oid *a, const git_oid *b)
{
	return memcmp(a->id, b->id, GIT_OID_RAWSZ) == 0;
}

static inline git_oid id_from_raw(const unsigned char raw[GIT_OID_RAWSZ])
{
	git_oid id;

	memcpy(id.id, raw, GIT_OID_RAWSZ);
	return id;
}

/* With a terminator. */
void id_to_hex(const git_oid *id, char ret_hex[GIT_OID_HEXSZ + 1]);

/* From 40 digits; what comes after them is not looked at. False where there are fewer. */
bool id_from_hex(const char *hex, git_oid *ret_id);

/* The digits of hexadecimal numbers that `text` begins with. */
size_t id_count_digits(const char *text);

/* "commit", "tree", "blob", "tag"; of what is none of them "". */
const char *object_type_name(git_object_t type);

/* GIT_OBJECT_INVALID for another word. */
git_object_t object_type_from_name(const char *name);
