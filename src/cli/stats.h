/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `stats` knows of a workspace, and how it is shown. */
#pragma once

#include <git-overlayfs/json.h>
#include <git-overlayfs/workspace.h>

#include "changes.h"
#include "supervisor/counters.h"

struct stats {
	const struct workspace_info *info;
	bool has_counters; /* it runs, and counts */
	struct counters_page counters;
	bool has_changes; /* they were counted */
	struct changes changes;
};

/* "passthrough", "writeback" or "plain": what the data of files in the upper goes by. */
const char *stats_data_path(const struct stats *stats);
/* Why it is not passed through; NULL where it is. */
const char *stats_reason(const struct stats *stats);

/* Why the kernel does not collect writes, where writeback=auto wished it; else NULL. */
const char *stats_writeback_reason(const struct stats *stats);

/* Names of FUSE's operations, by number; NULL for those without. */
const char *stats_request_name(unsigned opcode);
uint64_t stats_requests(const struct stats *stats);
uint64_t stats_plain_opens(const struct stats *stats);
/* "lower", "cached"...: why an open file was not passed through. */
extern const char *const stats_plain_names[SESSION_PLAIN_REASONS];

void stats_write_json(const struct stats *stats, struct json_writer *writer);
void stats_print(const struct stats *stats);
