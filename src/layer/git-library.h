/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libgit2, which is loaded only for revisions that git-plain.h does not find: it brings twenty
 * libraries for networks and cryptography along, whose relocations are most of what a program
 * that is linked with it takes to start (270 page faults of 340).
 */
#pragma once

#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>

#include <git-overlayfs/error.h>

/* What is called of it: git_NAME() is library->NAME(). */
#define GIT_LIBRARY_FUNCTIONS(of)                                                                \
	of(error_last) of(error_set_str) of(libgit2_features) of(libgit2_init) of(libgit2_opts)  \
		of(object_free) of(object_id) of(odb_add_backend) of(odb_backend_data_alloc)     \
			of(odb_backend_data_free) of(odb_free) of(odb_hash) of(odb_init_backend) \
				of(odb_new) of(repository_free) of(repository_open_ext)          \
					of(repository_set_odb) of(revparse_single)

struct git_library {
#define GIT_LIBRARY_MEMBER(name) typeof(git_##name) *(name);
	GIT_LIBRARY_FUNCTIONS(GIT_LIBRARY_MEMBER)
#undef GIT_LIBRARY_MEMBER
};

/*
 * Loads it, from where the dynamic linker finds it: to be called before the process goes to where
 * others decide what that is. May be called again. -ENOTSUP: there is none, or one without threads.
 */
int git_library_load(struct error *err);

/* Ready for use; NULL where it was not loaded, or cannot be initialised. Any thread. */
const struct git_library *git_library(void);
