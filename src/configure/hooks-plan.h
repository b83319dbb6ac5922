/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file of our own that lets an engine read our directory of hooks. */
#pragma once

#include "hooks-dirs.h"
#include "plan.h"

/*
 * The file `dirs->own`: `table` and a list of all directories that the engine reads, and ours
 * before an administrator's. Nothing is planned where it reads ours as it is, unless `always`.
 */
int hooks_plan(struct configure_plan *plan, const struct hooks_dirs *dirs, const char *table,
	bool always, struct error *err);
