/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-library.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* That of the headers, which the functions' types are from. */
#define LIBRARY "libgit2.so." LIBGIT2_SOVERSION

static struct git_library library;
static bool is_loaded, is_ready;

/* Extensions that change nothing about how objects are read. */
static const char *harmless_extensions[] = {
	"worktreeconfig", "partialclone", "preciousobjects", "relativeworktrees"};

static bool find(void *handle, const char *name, void *ret_function)
{
	void *function = dlsym(handle, name);

	memcpy(ret_function, &function, sizeof(function));
	return function;
}

static bool find_all(void *handle)
{
#define GIT_LIBRARY_FIND(name) find(handle, "git_" #name, &library.name) &&
	return GIT_LIBRARY_FUNCTIONS(GIT_LIBRARY_FIND) true;
#undef GIT_LIBRARY_FIND
}

int git_library_load(struct error *err)
{
	void *handle;

	if (is_loaded)
		return 0;
	/* All symbols now, for later there may be no file left to look them up in. */
	handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!handle || !find_all(handle))
		return error_set(err, ENOTSUP, EXIT_STATUS_MACHINE,
			"libgit2, which this revision needs, cannot be loaded: %s; install it, or name a "
			"branch, a tag or a whole id",
			dlerror());
	if (!(library.libgit2_features() & GIT_FEATURE_THREADS))
		return error_set(err, ENOTSUP, EXIT_STATUS_MACHINE,
			"%s cannot be used: it was built without threads", LIBRARY);
	is_loaded = true;
	return 0;
}

static void init(void)
{
	static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
		GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};

	if (library.libgit2_init() < 0)
		return;
	/* The repository may belong to anybody: nothing in it is run or obeyed. */
	library.libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		library.libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	library.libgit2_opts(GIT_OPT_SET_EXTENSIONS, harmless_extensions,
		sizeof(harmless_extensions) / sizeof(harmless_extensions[0]));
	library.libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
	/* Objects are cached by git-cache.c, within bounds. */
	library.libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
	is_ready = true;
}

const struct git_library *git_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (is_loaded)
		pthread_once(&once, init);
	return is_ready ? &library : NULL;
}
