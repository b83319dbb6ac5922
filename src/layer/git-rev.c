/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layer/git-rev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/git-layer.h>

#include "layer/git-hash.h"
#include "layer/git-names.h"
#include "layer/git-revparse.h"
#include "util/cleanup.h"

/* Tags of tags of tags. */
#define TAG_DEPTH 32

int git_layer_prepare(int git_dir_fd, const char *rev, struct error *err)
{
	if (git_dir_fd >= 0 && names_can_find(git_dir_fd, rev ? rev : "") &&
		!object_hash_asks_library())
		return 0;
	return git_library_load(err);
}

/* The id behind `word` where the object's text is at a line that begins with it. */
static bool read_id_line(const char **text, const char *word, git_oid *ret_id)
{
	size_t length = strlen(word);

	if (strncmp(*text, word, length) != 0 || !id_from_hex(*text + length, ret_id) ||
		(*text)[length + GIT_OID_HEXSZ] != '\n')
		return false;
	*text += length + GIT_OID_HEXSZ + 1;
	return true;
}

/* "committer NAME <ADDRESS> SECONDS ZONE" in the header; 0 where it is not so. */
static int64_t committer_time(const char *text)
{
	const char *end = strstr(text, "\n\n"), *line = strstr(text, "\ncommitter "), *line_end, *p;

	if (!line || (end && line > end))
		return 0;
	line_end = strchrnul(line + 1, '\n');
	p = memrchr(line, '>', (size_t)(line_end - line));
	return p && p[1] == ' ' ? strtoll(p + 2, NULL, 10) : 0;
}

static int leads_nowhere(
	const char *label, const char *rev, const git_oid *id, const char *why, struct error *err)
{
	char hex[GIT_OID_HEXSZ + 1];

	id_to_hex(id, hex);
	return error_set(err, EIO, EXIT_STATUS_SOURCE, "%s: '%s' leads to no commit or tree: %s %s",
		label, rev, hex, why);
}

/* A commit and its tree, or a tree without a commit, behind any number of tags. */
static int peel(struct object_store *store, git_oid id, const char *label, const char *rev,
	struct revision *ret, struct error *err)
{
	for (unsigned depth = 0; depth < TAG_DEPTH; depth++) {
		_cleanup_(object_bytes_release) struct object_bytes bytes = {0};
		struct object_cause cause;
		const char *text;
		bool is_whole;

		if (object_store_read(store, &id, GIT_OBJECT_ANY, &bytes, &cause) < 0)
			return error_set(err, EIO, EXIT_STATUS_SOURCE,
				"%s: '%s' leads to no commit or tree: %s", label, rev, cause.text);
		text = bytes.data;
		*ret = (struct revision){.object = id, .tree = id};
		switch (bytes.type) {
		case GIT_OBJECT_TREE:
			return 0;
		case GIT_OBJECT_COMMIT:
			is_whole = read_id_line(&text, "tree ", &ret->tree);
			ret->has_commit = true;
			ret->time = committer_time(text);
			return is_whole ? 0 : leads_nowhere(label, rev, &id, "has no tree", err);
		case GIT_OBJECT_TAG:
			if (!read_id_line(&text, "object ", &id))
				return leads_nowhere(label, rev, &id, "tags nothing", err);
			break;
		default:
			return error_set(err, EINVAL, EXIT_STATUS_SOURCE,
				"%s: '%s' is a file, not a commit or a tree", label, rev);
		}
	}
	return leads_nowhere(label, rev, &id, "is a tag of too many tags", err);
}

static int no_such_revision(int git_dir_fd, const char *label, const char *rev, struct error *err)
{
	if (!strcmp(rev, "HEAD"))
		return names_explain_head(git_dir_fd, label, err);
	return error_set(err, ENOENT, EXIT_STATUS_SOURCE,
		"%s: no such revision: '%s' ('git branch -a' and 'git tag' list what there is)",
		label, rev);
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

/* 0, or 1: there is no such revision. */
static int find(const struct layer_config *config, int git_dir_fd, const char *rev,
	const char *label, struct object_store *store, git_oid *ret_id, struct error *err)
{
	struct object_cause cause;
	uint64_t size;
	int r;

	if (!names_can_find(git_dir_fd, rev))
		return revparse_find(config->git_dir, rev, label, store, ret_id, err);
	r = names_find(git_dir_fd, rev, ret_id, err);
	if (r)
		return r < 0 ? error_prefix(err, "%s", label) : r;
	/* A whole id is one that is there. */
	if (!rev[id_count_digits(rev)] &&
		object_store_read_size(store, ret_id, GIT_OBJECT_ANY, &size, &cause) < 0)
		return 1;
	return 0;
}

int revision_resolve(const struct layer_config *config, const char *label,
	struct object_store *store, struct revision *ret_revision, struct error *err)
{
	_cleanup_close_ int git_dir_fd = open(config->git_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *rev = spell_out_head(config->rev);
	struct revision revision;
	git_oid id;
	int r;

	if (!rev)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	r = find(config, git_dir_fd, rev, label, store, &id, err);
	if (r == 1)
		return no_such_revision(git_dir_fd, label, rev, err);
	if (r == 0)
		r = peel(store, id, label, rev, &revision, err);
	if (r == 0)
		*ret_revision = revision;
	return r;
}
