/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loose objects, as a backend for libgit2's odb. Its own one (1.5.1) goes round
 * for ever on a file that was cut off, and inflates whatever size a header claims.
 *
 * A loose object is a file objects/12/3456...: a zlib stream of "TYPE SIZE\0" and
 * the content. Any thread may read.
 */
#pragma once

#include <git2.h>
#include <git2/sys/odb_backend.h>

/* NULL: out of memory. Ended by its free(), or by the odb it is given to. */
git_odb_backend *loose_backend_new(const char *objects_dir);
