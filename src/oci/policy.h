/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parsed policy: what policy-parse.c makes and policy.c judges by. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <git-overlayfs/oci.h>

/* What is longer is cut in explanations. */
#define POLICY_ASKED_MAX 1024

enum policy_list {
	POLICY_REPOSITORIES,
	POLICY_REVISIONS,
	POLICY_UPPERS,
	POLICY_LAYERS,
	POLICY_TARGETS,
	POLICY_OWNERS,
	POLICY_KEEP,
	POLICY_USERS,
	POLICY_NAMESPACES,
	POLICY_SERVICE_ACCOUNTS,
	POLICY_LISTS,
};

extern const char *const policy_list_names[POLICY_LISTS];

struct policy_globs {
	bool is_set; /* an empty list is set too, and matches nothing */
	char **globs;
	size_t count;
};

struct policy_entry {
	struct policy_globs lists[POLICY_LISTS];
	bool limits_size, limits_inodes;
	uint64_t max_size, max_inodes;
};

struct policy {
	char *path;	 /* NULL: read from no file */
	bool allows_all; /* rootless and without a policy file */
	bool is_missing; /* rootful and without a policy file */
	struct policy_entry *entries;
	size_t count;
};

/*
 * One entry against one request. `passed` counts the questions that the entry answered
 * with yes, so that the entry that came closest is the one that the refusal speaks of.
 */
struct policy_trial {
	const struct policy_entry *entry;
	const struct policy_request *request;
	unsigned passed;
	/* The first key that did not match, and why. */
	const char *key;
	const struct policy_globs *globs; /* NULL: it is a limit */
	uint64_t limit;
	char asked[POLICY_ASKED_MAX];	 /* as it is written; "" when nothing is */
	char resolved[POLICY_ASKED_MAX]; /* where that leads; "" when not known, or the same */
	char fault[600];		 /* for the refusal: tells nothing of `resolved` */
};

/* The questions of an entry, until the first no. */
bool policy_entry_admits(struct policy_trial *trial);
