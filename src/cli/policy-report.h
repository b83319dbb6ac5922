/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `policy check` and `policy show` print. */
#pragma once

#include <git-overlayfs/error.h>
#include <git-overlayfs/oci.h>

struct policy_report {
	const char *path;
	const struct policy *policy;
	const struct policy_request *request;
	bool is_rootful;
	const char
		*place_error; /* why the places cannot be opened; NULL: they are, or need not be */
};

/* Index of the first entry that admits the request, -1 when there is none. */
ssize_t report_find_entry(const struct policy_report *report);
/* Whether it is granted: by an entry, or since a rootless hook needs no policy. */
bool report_is_allowed(const struct policy_report *report);

/* What it means that there is no policy file, where there is none. */
void report_print_missing(const struct policy *policy, const char *path);
void report_print(const struct policy_report *report);
int report_print_json(const struct policy_report *report, struct error *err);

void policy_show(const struct policy *policy, const char *path);
int policy_show_json(const struct policy *policy, const char *path, struct error *err);
