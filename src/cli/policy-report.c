/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy-report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/json.h>

#include "oci/policy.h"
#include "printable.h"
#include "util/cleanup.h"

static const char no_file_rootful[] =
	"without it a hook of root grants nothing; write one, see git-overlayfs-policy(5)";
static const char no_file_rootless[] =
	"without it the hook of a rootless engine grants what its user can read anyway";

static bool try_entry(
	const struct policy_report *report, size_t index, struct policy_trial *ret_trial)
{
	*ret_trial = (struct policy_trial){
		.entry = &report->policy->entries[index],
		.request = report->request,
	};
	return policy_entry_admits(ret_trial);
}

ssize_t report_find_entry(const struct policy_report *report)
{
	struct policy_trial trial;

	for (size_t i = 0; i < report->policy->count; i++)
		if (try_entry(report, i, &trial))
			return (ssize_t)i;
	return -1;
}

bool report_is_allowed(const struct policy_report *report)
{
	return report->policy->allows_all || report_find_entry(report) >= 0;
}

static bool has_file(const struct policy *policy)
{
	return !policy->allows_all && !policy->is_missing;
}

/* --- text --- */

/* Names may steer a terminal. */
static void print_name(const char *before, const char *name, const char *after)
{
	_cleanup_free_ char *clean = printable(name, strlen(name));

	printf("%s%s%s", before, clean ? clean : "?", after);
}

static void print_globs(const struct policy_globs *globs)
{
	for (size_t i = 0; i < globs->count; i++)
		print_name(i ? ", \"" : "\"", globs->globs[i], "\"");
}

static void print_asked(const struct policy_trial *trial)
{
	if (!trial->asked[0])
		fputs(trial->globs ? "what is not known" : "no limit at all", stdout);
	else
		print_name("'", trial->asked, "'");
	if (trial->resolved[0])
		print_name(", which is '", trial->resolved, "',");
}

static void print_wanted(const struct policy_trial *trial)
{
	if (!trial->globs) {
		printf(" is not at most %" PRIu64, trial->limit);
	} else if (!trial->globs->count) {
		fputs(trial->globs->is_set ? " matches nothing: the list is empty"
					   : " matches nothing: the entry has no such key",
			stdout);
	} else {
		fputs(" matches none of ", stdout);
		print_globs(trial->globs);
	}
}

/* Then both values alone do not tell why. */
static bool is_refused_though_matched(const struct policy_trial *trial)
{
	for (size_t i = 0; trial->globs && i < trial->globs->count; i++)
		if (policy_glob_matches(trial->globs->globs[i], trial->asked))
			return true;
	return false;
}

static void print_entry(const struct policy_report *report, size_t index)
{
	struct policy_trial trial;

	printf("  allow[%zu]: ", index);
	if (try_entry(report, index, &trial)) {
		puts("admits it");
		return;
	}
	printf("%s: ", trial.key);
	print_asked(&trial);
	print_wanted(&trial);
	if (is_refused_though_matched(&trial) && !trial.resolved[0])
		fputs(strcmp(trial.key, policy_list_names[POLICY_REVISIONS]) == 0
				? " as a plain name of a branch or tag"
				: " without a '..' in it",
			stdout);
	putchar('\n');
}

/* What the hook sees of the container, and this command cannot. */
static void print_limits_of_sight(const struct policy_report *report)
{
	if (report->place_error)
		print_name("  judged as written: ", report->place_error, "\n");
	print_name("  the target is judged again where the container's symbolic links lead: '",
		report->request->config->target, "'\n");
}

void report_print_missing(const struct policy *policy, const char *path)
{
	if (has_file(policy))
		return;
	print_name("there is no ", path, "\n");
	printf("  %s\n  %s\n", no_file_rootful, no_file_rootless);
}

void report_print(const struct policy_report *report)
{
	ssize_t found = report_find_entry(report);

	if (!has_file(report->policy)) {
		report_print_missing(report->policy, report->path);
		print_name(report->is_rootful ? "not allowed: this is a hook of root"
					      : "allowed: this is a rootless hook of ",
			report->is_rootful ? "" : report->request->asker->user, "\n");
		return;
	}
	if (found >= 0) {
		printf("allowed by allow[%zd]", found);
		print_name(" of ", report->path, "\n");
		print_limits_of_sight(report);
		return;
	}
	print_name("not allowed: no entry of ", report->path, " admits all of it\n");
	for (size_t i = 0; i < report->policy->count; i++)
		print_entry(report, i);
	if (!report->policy->count)
		puts("  it has no entries");
	if (report->place_error)
		print_name("  judged as written: ", report->place_error, "\n");
}

/* --- JSON --- */

/* null: the entry has no such list. */
static void write_globs(
	struct json_writer *writer, const char *key, const struct policy_globs *globs)
{
	json_write_key(writer, key);
	if (!globs->is_set) {
		json_write_string(writer, NULL);
		return;
	}
	json_write_array_begin(writer);
	for (size_t i = 0; i < globs->count; i++)
		json_write_string(writer, globs->globs[i]);
	json_write_array_end(writer);
}

static void write_trial(
	struct json_writer *writer, const struct policy_report *report, size_t index)
{
	struct policy_trial trial;
	bool admits = try_entry(report, index, &trial);

	json_write_object_begin(writer);
	json_write_count(writer, "entry", index);
	json_write_flag(writer, "admits", admits);
	if (!admits) {
		json_write_text(writer, "key", trial.key);
		json_write_text(writer, "asked", trial.asked[0] ? trial.asked : NULL);
		json_write_text(writer, "resolved", trial.resolved[0] ? trial.resolved : NULL);
		if (trial.globs)
			write_globs(writer, "allowed", trial.globs);
		else
			json_write_count(writer, "allowed", trial.limit);
		json_write_text(writer, "reason", trial.fault);
	}
	json_write_object_end(writer);
}

static void write_asker(struct json_writer *writer, const struct policy_asker *asker)
{
	json_write_text(writer, "user", asker->user);
	json_write_key(writer, "namespaces");
	json_write_array_begin(writer);
	for (size_t i = 0; asker->namespaces[i]; i++)
		json_write_string(writer, asker->namespaces[i]);
	json_write_array_end(writer);
	json_write_text(writer, "service_account", asker->service_account);
}

static void write_report(struct json_writer *writer, const struct policy_report *report)
{
	ssize_t found = report_find_entry(report);

	json_write_object_begin(writer);
	json_write_flag(writer, "allowed", report_is_allowed(report));
	json_write_text(writer, "policy", report->path);
	json_write_flag(writer, "exists", has_file(report->policy));
	json_write_text(writer, "hook", report->is_rootful ? "root" : "rootless");
	write_asker(writer, report->request->asker);
	json_write_key(writer, "entry");
	if (found >= 0)
		json_write_integer(writer, found);
	else
		json_write_string(writer, NULL);
	json_write_text(writer, "not_opened", report->place_error);
	json_write_key(writer, "entries");
	json_write_array_begin(writer);
	for (size_t i = 0; i < report->policy->count; i++)
		write_trial(writer, report, i);
	json_write_array_end(writer);
	json_write_object_end(writer);
}

static int finish(struct json_writer *writer, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = json_writer_finish(writer, &text, NULL);

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "policy");
	fputs(text, stdout);
	return 0;
}

int report_print_json(const struct policy_report *report, struct error *err)
{
	struct json_writer *writer;
	int r = json_writer_new(true, &writer);

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "policy");
	write_report(writer, report);
	return finish(writer, err);
}

/* --- show --- */

/* What an entry without the list grants of it. */
static const char *const absent_words[POLICY_LISTS] = {
	[POLICY_REPOSITORIES] = "none",
	[POLICY_LAYERS] = "none",
	[POLICY_UPPERS] = "none, but ephemeral ones",
	[POLICY_KEEP] = "either",
	[POLICY_USERS] = "all",
	[POLICY_NAMESPACES] = "all, and none",
	[POLICY_SERVICE_ACCOUNTS] = "all, and none",
};

static void show_limit(const char *name, bool is_set, uint64_t most)
{
	if (is_set)
		printf("  %-17s at most %" PRIu64 ", and the wish must say so\n", name, most);
	else
		printf("  %-17s no limit\n", name);
}

static void show_entry(const struct policy_entry *entry, size_t index)
{
	printf("allow[%zu] grants a wish that keeps to\n", index);
	for (size_t i = 0; i < POLICY_LISTS; i++) {
		const struct policy_globs *list = &entry->lists[i];

		printf("  %-17s ", policy_list_names[i]);
		if (list->count)
			print_globs(list);
		else if (list->is_set)
			fputs("none, for the list is empty", stdout);
		else
			fputs(absent_words[i] ? absent_words[i] : "any", stdout);
		putchar('\n');
	}
	show_limit("max_size", entry->limits_size, entry->max_size);
	show_limit("max_inodes", entry->limits_inodes, entry->max_inodes);
}

void policy_show(const struct policy *policy, const char *path)
{
	report_print_missing(policy, path);
	if (!has_file(policy))
		return;
	print_name("", path, ": ");
	printf("%zu %s%s\n", policy->count, policy->count == 1 ? "entry" : "entries",
		policy->count ? "" : ": nothing is granted");
	for (size_t i = 0; i < policy->count; i++)
		show_entry(&policy->entries[i], i);
}

static void write_limit(struct json_writer *writer, const char *key, bool is_set, uint64_t most)
{
	if (is_set)
		json_write_count(writer, key, most);
	else
		json_write_text(writer, key, NULL);
}

static void write_entry(struct json_writer *writer, const struct policy_entry *entry)
{
	json_write_object_begin(writer);
	for (size_t i = 0; i < POLICY_LISTS; i++)
		write_globs(writer, policy_list_names[i], &entry->lists[i]);
	write_limit(writer, "max_size", entry->limits_size, entry->max_size);
	write_limit(writer, "max_inodes", entry->limits_inodes, entry->max_inodes);
	json_write_object_end(writer);
}

int policy_show_json(const struct policy *policy, const char *path, struct error *err)
{
	struct json_writer *writer;
	int r = json_writer_new(true, &writer);

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "policy");
	json_write_object_begin(writer);
	json_write_text(writer, "policy", path);
	json_write_flag(writer, "exists", has_file(policy));
	json_write_key(writer, "allow");
	json_write_array_begin(writer);
	for (size_t i = 0; i < policy->count; i++)
		write_entry(writer, &policy->entries[i]);
	json_write_array_end(writer);
	json_write_object_end(writer);
	return finish(writer, err);
}
