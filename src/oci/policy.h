/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parsed policy: what policy-parse.c makes and policy.c judges by. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <git-overlayfs/oci.h>

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
	bool allows_all; /* rootless and without a policy file */
	bool is_missing; /* rootful and without a policy file */
	struct policy_entry *entries;
	size_t count;
};
