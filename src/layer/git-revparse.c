/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-revparse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/git-odb.h"
#include "util/cleanup.h"

static void cleanup_repositoryp(git_repository **repository)
{
	if (*repository)
		git_library()->repository_free(*repository);
}

static void cleanup_odbp(git_odb **odb)
{
	if (*odb)
		git_library()->odb_free(*odb);
}

static void cleanup_objectp(git_object **object)
{
	if (*object)
		git_library()->object_free(*object);
}

static const char *library_message(void)
{
	const git_error *error = git_library()->error_last();

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
	int r = git_library()->repository_open_ext(&repository, git_dir, flags, NULL);

	if (r == 0)
		r = odb ? git_library()->repository_set_odb(repository, odb) : GIT_ERROR;
	if (r < 0)
		return open_failed(label, r, err);
	*ret_repository = steal_ptr(&repository);
	return 0;
}

static int parse_failed(const char *label, const char *rev, int code, struct error *err)
{
	switch (code) {
	case GIT_EAMBIGUOUS:
		return error_set(err, EINVAL, EXIT_STATUS_SOURCE,
			"%s: the abbreviation '%s' is ambiguous; write more digits of it", label,
			rev);
	case GIT_EINVALIDSPEC:
		return error_set(err, EINVAL, EXIT_STATUS_SOURCE,
			"%s: '%s' is no name of a revision: %s", label, rev, library_message());
	case GIT_ENOTFOUND:
		return 1;
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
static int parse_ambiguous(struct object_store *store, const char *rev, git_oid *ret_id)
{
	struct candidates candidates = {.store = store};
	char digits[GIT_OID_HEXSZ + 1] = "0000000000000000000000000000000000000000";
	size_t length = strlen(rev);
	git_oid prefix;

	if (length >= GIT_OID_HEXSZ)
		return GIT_EAMBIGUOUS;
	memcpy(digits, rev, length);
	if (!id_from_hex(digits, &prefix))
		return GIT_EAMBIGUOUS;
	find_candidates(&candidates, prefix, length);
	if (candidates.commit_count != 1)
		return GIT_EAMBIGUOUS;
	*ret_id = candidates.commit;
	return 0;
}

int revparse_find(const char *git_dir, const char *rev, const char *label,
	struct object_store *store, git_oid *ret_id, struct error *err)
{
	_cleanup_(cleanup_repositoryp) git_repository *repository = NULL;
	_cleanup_(cleanup_objectp) git_object *object = NULL;
	int r;

	if (!git_library())
		return error_set(err, ENOTSUP, EXIT_STATUS_MACHINE,
			"%s: '%s' needs libgit2, which was not made ready: the repository has "
			"changed meanwhile (try again), or libgit2 does not work",
			label, rev);
	r = open_repository(git_dir, label, store, &repository, err);
	if (r < 0)
		return r;
	r = git_library()->revparse_single(&object, repository, rev);
	if (r == 0)
		*ret_id = *git_library()->object_id(object);
	else if (r == GIT_EAMBIGUOUS)
		r = parse_ambiguous(store, rev, ret_id);
	return r < 0 ? parse_failed(label, rev, r, err) : 0;
}
