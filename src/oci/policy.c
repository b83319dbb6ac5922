/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool refuse(
	struct policy_trial *trial, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(trial->fault, sizeof(trial->fault), format, ap);
	va_end(ap);
	return false;
}

/* What an explanation of the refusal tells besides. */
static void note(
	struct policy_trial *trial, enum policy_list list, const char *asked, const char *resolved)
{
	trial->key = policy_list_names[list];
	trial->globs = &trial->entry->lists[list];
	snprintf(trial->asked, sizeof(trial->asked), "%s", asked ? asked : "");
	snprintf(trial->resolved, sizeof(trial->resolved), "%s",
		resolved && strcmp(resolved, asked) != 0 ? resolved : "");
}

static bool globs_match(const struct policy_globs *globs, const char *text)
{
	for (size_t i = 0; i < globs->count; i++)
		if (policy_glob_matches(globs->globs[i], text))
			return true;
	return false;
}

/* `what` names `text` in the refusal: "target", "owner". */
static bool refuse_value(struct policy_trial *trial, enum policy_list list, const char *what,
	const char *text, const char *resolved)
{
	note(trial, list, text, resolved);
	return refuse(trial, "%s '%.300s' is not allowed; add it to \"%s\"", what, text,
		policy_list_names[list]);
}

static bool admit(
	struct policy_trial *trial, enum policy_list list, const char *what, const char *text)
{
	if (!globs_match(&trial->entry->lists[list], text))
		return refuse_value(trial, list, what, text, NULL);
	trial->passed++;
	return true;
}

static bool has_parent(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || !p[2]))
			return true;
	return false;
}

/*
 * By where the path leads, or as it is `written` while that is not known yet. A refusal
 * tells what was written only: where it leads is for those who may go there. A path that
 * climbs could be written to begin as an allowed one.
 */
static bool admit_path(struct policy_trial *trial, enum policy_list list, const char *what,
	const char *resolved, const char *written)
{
	if (!globs_match(&trial->entry->lists[list], resolved ? resolved : written) ||
		(!resolved && has_parent(written)))
		return refuse_value(trial, list, what, written, resolved);
	trial->passed++;
	return true;
}

/* A list that only narrows: what it does not speak of is allowed. */
static bool narrow(
	struct policy_trial *trial, enum policy_list list, const char *what, const char *text)
{
	if (!trial->entry->lists[list].is_set) {
		trial->passed++;
		return true;
	}
	note(trial, list, NULL, NULL);
	if (!text)
		return refuse(trial, "the %s is not known, and \"%s\" wants one", what,
			policy_list_names[list]);
	return admit(trial, list, what, text);
}

static bool strip_tail(char *path, const char *tail)
{
	size_t n = strlen(path), m = strlen(tail);

	if (n <= m || strcmp(path + n - m, tail) != 0)
		return false;
	path[n - m] = '\0';
	return true;
}

/*
 * The common directory of a working tree's repository ends in /.git, an alternate in
 * /objects: a policy may name the repository as people do, without them.
 */
static bool repository_matches(const struct policy_globs *globs, const char *path, bool is_objects)
{
	char name[PATH_MAX];

	if (globs_match(globs, path))
		return true;
	if (strlen(path) >= sizeof(name))
		return false;
	memcpy(name, path, strlen(path) + 1);
	if (is_objects && strip_tail(name, "/objects") && globs_match(globs, name))
		return true;
	return strip_tail(name, "/.git") && globs_match(globs, name);
}

static bool admit_repository(struct policy_trial *trial, const char *resolved, const char *written)
{
	const struct policy_globs *globs = &trial->entry->lists[POLICY_REPOSITORIES];

	if (!repository_matches(globs, resolved ? resolved : written, false) ||
		(!resolved && has_parent(written)))
		return refuse_value(trial, POLICY_REPOSITORIES, "repository", written, resolved);
	trial->passed++;
	return true;
}

/* What a repository borrows from is its own choice, and may be a guess. */
static bool admit_alternate(struct policy_trial *trial, const char *path, const char *repository)
{
	if (!repository_matches(&trial->entry->lists[POLICY_REPOSITORIES], path, true))
		return refuse_value(
			trial, POLICY_REPOSITORIES, "an alternate of repository", repository, path);
	trial->passed++;
	return true;
}

static bool is_hex(const char *text)
{
	return strspn(text, "0123456789abcdefABCDEF") == strlen(text);
}

/* `NAME-12-gHEX` is what git describe prints, and any HEX behind it is a commit. */
static bool is_described(const char *rev)
{
	const char *tail = strrchr(rev, '-');

	return tail && tail[1] == 'g' && tail[2] && is_hex(tail + 2);
}

/* A name of one thing, not a way from it to another, which a glob would let in. */
static bool is_plain_name(const char *rev)
{
	for (const char *p = rev; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("^~:\\", *p))
			return false;
	return !strstr(rev, "@{") && !is_described(rev);
}

/* An object id, or the beginning of one, says nothing that a glob could judge. */
static bool is_object_id(const char *rev)
{
	size_t n = strlen(rev);

	return n >= 4 && n <= 64 && is_hex(rev);
}

static bool admit_revision(struct policy_trial *trial, const char *rev)
{
	const struct policy_globs *list = &trial->entry->lists[POLICY_REVISIONS];

	note(trial, POLICY_REVISIONS, rev, NULL);
	if (!list->is_set || !is_object_id(rev)) {
		if (list->is_set && !is_plain_name(rev))
			return refuse(trial,
				"revision '%.300s' is not allowed; where \"revisions\" stands, write "
				"the plain name of a branch or tag, or an object id",
				rev);
		return narrow(trial, POLICY_REVISIONS, "revision", rev);
	}
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->globs[i], rev) == 0) {
			trial->passed++;
			return true;
		}
	}
	return refuse_value(trial, POLICY_REVISIONS, "revision", rev, NULL);
}

static bool admit_git(
	struct policy_trial *trial, const struct layer_spec *spec, const struct source *source)
{
	if (!admit_repository(trial, source ? source->dir.path : NULL, spec->path))
		return false;
	for (size_t i = 0; source && i < source->alternate_count; i++)
		if (!admit_alternate(trial, source->alternates[i].path, spec->path))
			return false;
	return admit_revision(trial, spec->rev ? spec->rev : "HEAD");
}

static bool admit_layers(struct policy_trial *trial)
{
	const struct workspace_config *config = trial->request->config;
	const struct source *sources = trial->request->sources;

	for (size_t i = 0; i < config->layer_count; i++) {
		const struct layer_spec *spec = &config->layers[i];
		const struct source *source = sources ? &sources[i] : NULL;

		if (strcmp(spec->kind, "git") == 0) {
			if (!admit_git(trial, spec, source))
				return false;
			continue;
		}
		if (!admit_path(trial, POLICY_LAYERS, "directory layer",
			    source ? source->dir.path : NULL, spec->path))
			return false;
	}
	return true;
}

static bool admit_upper(struct policy_trial *trial)
{
	const struct policy_request *request = trial->request;
	const struct workspace_config *config = request->config;

	if (config->upper &&
		!admit_path(trial, POLICY_UPPERS, "upperdir", request->upper, config->upper))
		return false;
	return !config->work ||
	       admit_path(trial, POLICY_UPPERS, "workdir", request->work, config->work);
}

static const char *keep_name(const struct workspace_config *config)
{
	if (config->keep == CONFIG_KEEP_DEFAULT)
		return config->upper ? "keep" : "discard";
	return config->keep == CONFIG_KEEP_KEEP ? "keep" : "discard";
}

static bool admit_target(struct policy_trial *trial)
{
	const struct policy_request *request = trial->request;

	if (trial->entry->lists[POLICY_TARGETS].is_set)
		return admit_path(
			trial, POLICY_TARGETS, "target", request->target, request->config->target);
	trial->passed++;
	return true;
}

static bool admit_details(struct policy_trial *trial)
{
	const struct workspace_config *config = trial->request->config;
	char owner[24];

	snprintf(owner, sizeof(owner), "%u:%u", config->owner_uid, config->owner_gid);
	return admit_target(trial) &&
	       narrow(trial, POLICY_OWNERS, "owner", config->owner_is_set ? owner : NULL) &&
	       narrow(trial, POLICY_KEEP, "end of life", keep_name(config)) &&
	       narrow(trial, POLICY_USERS, "user", trial->request->asker->user);
}

/* Where two annotations speak of it, one may be the pod's own word: both must match. */
static bool admit_origin(struct policy_trial *trial)
{
	const struct policy_asker *asker = trial->request->asker;
	const char *const *names = asker->namespaces;

	if (!names[0] && !narrow(trial, POLICY_NAMESPACES, "namespace", NULL))
		return false;
	for (; *names; names++)
		if (!narrow(trial, POLICY_NAMESPACES, "namespace", *names))
			return false;
	return narrow(trial, POLICY_SERVICE_ACCOUNTS, "service account", asker->service_account);
}

static bool admit_limit(struct policy_trial *trial, const char *option, uint64_t wanted,
	const char *key, uint64_t most)
{
	trial->key = key;
	trial->globs = NULL;
	trial->limit = most;
	trial->resolved[0] = trial->asked[0] = '\0';
	if (wanted > 0)
		snprintf(trial->asked, sizeof(trial->asked), "%" PRIu64, wanted);
	if (wanted == 0)
		return refuse(trial,
			"the workspace has no %s=, and \"%s\" wants one of at most %" PRIu64,
			option, key, most);
	if (wanted > most)
		return refuse(trial, "%s=%" PRIu64 " is not allowed; \"%s\" is %" PRIu64, option,
			wanted, key, most);
	trial->passed++;
	return true;
}

/*
 * A policy judges what is asked for, and adds nothing to it: which of several entries' bounds
 * that would be, nobody could tell. What has no upper takes no room.
 */
static bool admit_limits(struct policy_trial *trial)
{
	const struct workspace_config *config = trial->request->config;
	const struct policy_entry *entry = trial->entry;

	if (config->read_only)
		return true;
	return (!entry->limits_size ||
		       admit_limit(trial, "size", config->max_size, "max_size", entry->max_size)) &&
	       (!entry->limits_inodes || admit_limit(trial, "inodes", config->max_inodes,
						 "max_inodes", entry->max_inodes));
}

bool policy_entry_admits(struct policy_trial *trial)
{
	return admit_layers(trial) && admit_upper(trial) && admit_details(trial) &&
	       admit_origin(trial) && admit_limits(trial);
}

/* Without any entry the refusal still says what an entry would need. */
static void explain_nothing(const struct policy_request *request, struct policy_trial *ret)
{
	static const struct policy_entry nothing;
	struct policy_trial trial = {.entry = &nothing, .request = request};

	if (policy_entry_admits(&trial))
		refuse(&trial, "it is not allowed; add an entry");
	*ret = trial;
}

int policy_check(
	const struct policy *policy, const struct policy_request *request, struct error *err)
{
	struct policy_trial closest;

	if (policy->allows_all)
		return 0;
	explain_nothing(request, &closest);
	for (size_t i = 0; i < policy->count; i++) {
		struct policy_trial trial = {.entry = &policy->entries[i], .request = request};

		if (policy_entry_admits(&trial))
			return 0;
		if (trial.passed >= closest.passed)
			closest = trial;
	}
	error_set(err, EACCES, EXIT_STATUS_SOURCE, "%s%s", closest.fault,
		policy->is_missing ? " (there is no policy file)" : "");
	if (err && policy->path)
		error_prefix(err, "policy %s", policy->path);
	return -EACCES;
}
