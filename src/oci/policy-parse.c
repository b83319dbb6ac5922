/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const policy_list_names[POLICY_LISTS] = {
	[POLICY_REPOSITORIES] = "repositories",
	[POLICY_REVISIONS] = "revisions",
	[POLICY_UPPERS] = "uppers",
	[POLICY_LAYERS] = "layers",
	[POLICY_TARGETS] = "targets",
	[POLICY_OWNERS] = "owners",
	[POLICY_KEEP] = "keep",
	[POLICY_USERS] = "users",
	[POLICY_NAMESPACES] = "namespaces",
	[POLICY_SERVICE_ACCOUNTS] = "service_accounts",
};

static int fail(struct error *err, const char *place, const char *fault)
{
	return error_set(err, EINVAL, EXIT_STATUS_FAILED, "%s: %s", place, fault);
}

static int parse_globs(
	const struct json *value, const char *place, struct policy_globs *globs, struct error *err)
{
	if (value->type != JSON_ARRAY)
		return fail(err, place, "wants a list of strings");
	globs->globs = calloc(value->count + 1, sizeof(char *));
	if (!globs->globs)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	globs->is_set = true;
	for (size_t i = 0; i < value->count; i++) {
		char at[100];

		snprintf(at, sizeof(at), "%s[%zu]", place, i);
		if (value->values[i].type != JSON_STRING || !value->values[i].string[0])
			return fail(err, at, "wants a string that is not empty");
		if (strlen(value->values[i].string) > POLICY_TEXT_MAX)
			return fail(err, at, "is longer than any path");
		globs->globs[i] = strdup(value->values[i].string);
		if (!globs->globs[i])
			return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
		globs->count++;
	}
	return 0;
}

/* A number, or a string as size= takes it. */
static int parse_limit(
	const struct json *value, const char *place, uint64_t *ret, struct error *err)
{
	if (value->type == JSON_NUMBER && value->is_integer && value->integer >= 0) {
		*ret = (uint64_t)value->integer;
		return 0;
	}
	if (value->type != JSON_STRING || config_parse_amount(value->string, ret) < 0)
		return fail(err, place, "wants a number, or one with K, M, G or T behind it");
	return 0;
}

static int parse_member(struct policy_entry *entry, const char *place, const char *key,
	const struct json *value, struct error *err)
{
	char at[80];

	snprintf(at, sizeof(at), "%s.%.40s", place, key);
	for (size_t i = 0; i < POLICY_LISTS; i++)
		if (strcmp(key, policy_list_names[i]) == 0)
			return parse_globs(value, at, &entry->lists[i], err);
	if (strcmp(key, "max_size") == 0) {
		entry->limits_size = true;
		return parse_limit(value, at, &entry->max_size, err);
	}
	if (strcmp(key, "max_inodes") == 0) {
		entry->limits_inodes = true;
		return parse_limit(value, at, &entry->max_inodes, err);
	}
	return fail(err, at, "unknown key");
}

static int parse_entry(
	struct policy_entry *entry, size_t index, const struct json *value, struct error *err)
{
	char place[40];
	int r = 0;

	snprintf(place, sizeof(place), "allow[%zu]", index);
	if (value->type != JSON_OBJECT)
		return fail(err, place, "wants an object");
	for (size_t i = 0; !r && i < value->count; i++)
		r = parse_member(entry, place, value->keys[i], &value->values[i], err);
	return r;
}

static int parse_allow(struct policy *policy, const struct json *allow, struct error *err)
{
	int r = 0;

	if (allow->type != JSON_ARRAY)
		return fail(err, "allow", "wants a list of objects");
	policy->entries = calloc(allow->count + 1, sizeof(policy->entries[0]));
	if (!policy->entries)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	policy->count = allow->count;
	for (size_t i = 0; !r && i < allow->count; i++)
		r = parse_entry(&policy->entries[i], i, &allow->values[i], err);
	return r;
}

static int parse_document(struct policy *policy, const struct json *json, struct error *err)
{
	if (json->type != JSON_OBJECT)
		return fail(err, "policy", "wants an object {\"allow\": [...]}");
	for (size_t i = 0; i < json->count; i++) {
		char place[60];

		if (strcmp(json->keys[i], "allow") == 0)
			continue;
		snprintf(place, sizeof(place), "%.40s", json->keys[i]);
		return fail(err, place, "unknown key");
	}
	if (!json_member(json, "allow"))
		return fail(err, "allow", "missing");
	return parse_allow(policy, json_member(json, "allow"), err);
}

int policy_parse(const char *text, size_t size, bool is_rootful, struct policy **ret_policy,
	struct error *err)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	struct json *json = NULL;
	int r = 0;

	if (!policy)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	if (text) {
		r = json_parse(text, size, &json, err);
		if (!r)
			r = parse_document(policy, json, err);
		json_free(json);
	} else {
		policy->allows_all = !is_rootful;
		policy->is_missing = is_rootful;
	}
	if (r < 0) {
		policy_free(policy);
		return r;
	}
	*ret_policy = policy;
	return 0;
}

static void free_globs(struct policy_globs *globs)
{
	for (size_t i = 0; i < globs->count; i++)
		free(globs->globs[i]);
	free(globs->globs);
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	for (size_t i = 0; i < policy->count; i++)
		for (size_t list = 0; list < POLICY_LISTS; list++)
			free_globs(&policy->entries[i].lists[list]);
	free(policy->entries);
	free(policy->path);
	free(policy);
}
