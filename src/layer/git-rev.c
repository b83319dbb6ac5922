/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-rev.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git2/sys/repository.h>

#include "layer/git-odb.h"
#include "util/cleanup.h"

static int library_result;

/* Extensions that change nothing about how objects are read. */
static const char *harmless_extensions[] = {
	"worktreeconfig", "partialclone", "preciousobjects", "relativeworktrees"};

static void init_library(void)
{
	static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
		GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};

	if (git_libgit2_init() < 0) {
		library_result = -EIO;
		return;
	}
	if (!(git_libgit2_features() & GIT_FEATURE_THREADS)) {
		library_result = -ENOTSUP;
		return;
	}
	/* The repository may belong to anybody: nothing in it is run or obeyed. */
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, harmless_extensions,
		sizeof(harmless_extensions) / sizeof(harmless_extensions[0]));
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 1);
	/* Objects are cached by git-cache.c, within bounds. */
	git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0);
	/* Descriptors of packs are never closed: what git-store.h relies on. */
	git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, (size_t)0);
	git_libgit2_opts(GIT_OPT_DISABLE_PACK_KEEP_FILE_CHECKS, 1);
}

int object_library_init(struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_library);
	if (library_result < 0)
		return error_set(err, -library_result, EXIT_STATUS_MACHINE,
			"libgit2 cannot be used: %s",
			library_result == -ENOTSUP ? "it was built without threads"
						   : "it cannot be initialised");
	return 0;
}

static void cleanup_repositoryp(git_repository **repository)
{
	git_repository_free(*repository);
}

static void cleanup_odbp(git_odb **odb)
{
	git_odb_free(*odb);
}

static void cleanup_objectp(git_object **object)
{
	git_object_free(*object);
}

static const char *library_message(void)
{
	const git_error *error = git_error_last();

	return error ? error->message : "unknown error";
}

static int open_failed(const char *label, int code, struct error *err)
{
	const char *message = library_message();

	if (code == GIT_ENOTFOUND)
		return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
			"%s: not a repository: HEAD, refs or objects are missing "
			"(an object database alone has no revisions)",
			label);
	if (strcasestr(message, "objectformat") || strcasestr(message, "object format"))
		return error_set(err, ENOTSUP, EXIT_STATUS_SOURCE,
			"%s: its objects are named by SHA-256; only SHA-1 repositories are supported",
			label);
	return error_set(err, ENOTSUP, EXIT_STATUS_SOURCE,
		"%s: the repository's format is not supported: %s", label, message);
}

static int open_repository(const char *git_dir, const char *label, struct object_store *store,
	git_repository **ret_repository, struct error *err)
{
	_cleanup_(cleanup_repositoryp) git_repository *repository = NULL;
	_cleanup_(cleanup_odbp) git_odb *odb = store_odb_new(store);
	const unsigned flags = GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE |
			       GIT_REPOSITORY_OPEN_NO_DOTGIT;
	int r = git_repository_open_ext(&repository, git_dir, flags, NULL);

	if (r == 0)
		r = odb ? git_repository_set_odb(repository, odb) : GIT_ERROR;
	if (r < 0)
		return open_failed(label, r, err);
	*ret_repository = steal_ptr(&repository);
	return 0;
}

static bool has_references(git_repository *repository)
{
	git_strarray names = {0};
	bool has_any = git_reference_list(&names, repository) == 0 && names.count > 0;

	git_strarray_dispose(&names);
	return has_any;
}

/* HEAD names a branch that has no commit. */
static int head_is_unborn(git_repository *repository, const char *label, struct error *err)
{
	git_reference *head = NULL;
	const char *target = NULL;

	if (!has_references(repository))
		return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
			"%s: the repository has no commit yet", label);
	if (git_reference_lookup(&head, repository, "HEAD") == 0)
		target = git_reference_symbolic_target(head);
	error_set(err, ENOENT, EXIT_STATUS_SOURCE,
		"%s: HEAD names the branch '%s', which does not exist; name a revision that does "
		"('git branch -a' lists them)",
		label, target ? target : "?");
	git_reference_free(head);
	return -ENOENT;
}

static int parse_failed(
	git_repository *repository, const char *label, const char *rev, int code, struct error *err)
{
	if (!strcmp(rev, "HEAD") && git_repository_head_unborn(repository) == 1)
		return head_is_unborn(repository, label, err);
	switch (code) {
	case GIT_EAMBIGUOUS:
		return error_set(err, EINVAL, EXIT_STATUS_SOURCE,
			"%s: the abbreviation '%s' is ambiguous; write more digits of it", label,
			rev);
	case GIT_EINVALIDSPEC:
		return error_set(err, EINVAL, EXIT_STATUS_SOURCE,
			"%s: '%s' is no name of a revision: %s", label, rev, library_message());
	case GIT_ENOTFOUND:
		return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
			"%s: no such revision: '%s' ('git branch -a' and 'git tag' list what there is)",
			label, rev);
	default:
		/* libgit2 would make an empty one, and in the sandbox it cannot. */
		if (!strstr(rev, "@{"))
			break;
		return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
			"%s: no such revision: '%s' (it needs a reflog, and this repository has "
			"none for it; name a branch, a tag or a commit)",
			label, rev);
	}
	return error_set(err, EIO, EXIT_STATUS_SOURCE, "%s: revision '%s': %s", label, rev,
		library_message());
}

/* A commit and its tree, or a tree without a commit. */
static int peel(git_object *object, const char *label, const char *rev, struct revision *ret,
	struct error *err)
{
	_cleanup_(cleanup_objectp) git_object *commit = NULL, *tree = NULL, *other = NULL;

	if (git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0) {
		ret->object = *git_object_id(commit);
		ret->tree = *git_commit_tree_id((git_commit *)commit);
		ret->has_commit = true;
		ret->time = git_commit_time((git_commit *)commit);
		return 0;
	}
	if (git_object_peel(&tree, object, GIT_OBJECT_TREE) == 0) {
		*ret = (struct revision){
			.object = *git_object_id(tree), .tree = *git_object_id(tree)};
		return 0;
	}
	/* "Any" means: until it is no tag. */
	if (git_object_type(object) == GIT_OBJECT_BLOB ||
		git_object_peel(&other, object, GIT_OBJECT_ANY) == 0)
		return error_set(err, EINVAL, EXIT_STATUS_SOURCE,
			"%s: '%s' is a file, not a commit or a tree", label, rev);
	return error_set(err, EIO, EXIT_STATUS_SOURCE, "%s: '%s' leads to no commit or tree: %s",
		label, rev, library_message());
}

/* What an ambiguous abbreviation may stand for where a commit is wanted. */
struct candidates {
	struct object_store *store;
	git_oid commit; /* or a tag */
	unsigned commit_count;
};

static void judge_candidate(struct candidates *candidates, const git_oid *id)
{
	struct object_bytes bytes;
	struct object_cause cause;

	if (object_store_read(candidates->store, id, GIT_OBJECT_ANY, &bytes, &cause) < 0)
		return;
	if (bytes.type == GIT_OBJECT_COMMIT || bytes.type == GIT_OBJECT_TAG) {
		candidates->commit = *id;
		candidates->commit_count++;
	}
	object_bytes_release(&bytes);
}

/* Finds all ids that begin with `length` digits of `prefix`, by adding one digit after the other.
 */
static void find_candidates(struct candidates *candidates, git_oid prefix, size_t length)
{
	unsigned char *byte = &prefix.id[length / 2];
	const unsigned shift = length % 2 ? 0 : 4;

	for (unsigned digit = 0; digit < 16 && length < GIT_OID_HEXSZ; digit++) {
		git_oid id;
		int r;

		*byte = (unsigned char)((*byte & ~(15u << shift)) | digit << shift);
		r = object_store_find_prefix(candidates->store, &prefix, length + 1, &id);
		if (r == 0)
			judge_candidate(candidates, &id);
		else if (r == GIT_EAMBIGUOUS)
			find_candidates(candidates, prefix, length + 1);
	}
}

/* As git does for REV^{commit}: what is no commit does not count. */
static int parse_ambiguous(struct object_store *store, git_repository *repository, const char *rev,
	git_object **ret_object)
{
	struct candidates candidates = {.store = store};
	size_t length = strlen(rev);
	git_oid prefix;

	if (length >= GIT_OID_HEXSZ || git_oid_fromstrn(&prefix, rev, length) < 0)
		return GIT_EAMBIGUOUS;
	find_candidates(&candidates, prefix, length);
	if (candidates.commit_count != 1)
		return GIT_EAMBIGUOUS;
	return git_object_lookup(ret_object, repository, &candidates.commit, GIT_OBJECT_ANY);
}

/* gitrevisions(7): "@" alone, or before a suffix, is HEAD. libgit2 1.5 knows only "@{". */
static char *spell_out_head(const char *rev)
{
	char *text;

	if (!rev || !*rev)
		return strdup("HEAD");
	if (rev[0] != '@' || !strchr("~^:", rev[1]))
		return strdup(rev);
	return asprintf(&text, "HEAD%s", rev + 1) < 0 ? NULL : text;
}

int revision_resolve(const struct layer_config *config, const char *label,
	struct object_store *store, struct revision *ret_revision, struct error *err)
{
	_cleanup_(cleanup_repositoryp) git_repository *repository = NULL;
	_cleanup_(cleanup_objectp) git_object *object = NULL;
	_cleanup_free_ char *rev = spell_out_head(config->rev);
	struct revision revision = {.has_commit = false};
	int r;

	if (!rev)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	r = open_repository(config->git_dir, label, store, &repository, err);
	if (r < 0)
		return r;
	r = git_revparse_single(&object, repository, rev);
	if (r == GIT_EAMBIGUOUS)
		r = parse_ambiguous(store, repository, rev, &object);
	if (r < 0)
		return parse_failed(repository, label, rev, r, err);
	r = peel(object, label, rev, &revision, err);
	if (r == 0)
		*ret_revision = revision;
	return r;
}
