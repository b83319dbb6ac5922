/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What container engines must be told about git-overlayfs, written into their configuration. First
 * a plan, which reads and changes nothing; then it is applied as a whole, or not at all. Who calls
 * sees to it that nobody else does the same meanwhile. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>

struct configure_request {
	const char *engine;	 /* podman, docker, containerd, crio */
	const char *root;	 /* "/", or the directory of an image */
	const char *config_home; /* of a user whose engine it is, in the root; NULL: the system's */
	bool remove;
	bool storage_driver;   /* podman: as its mount_program, too */
	const char *hooks_dir; /* where things are installed */
	const char *program;
	const char *runtime;
};

enum configure_action {
	CONFIGURE_KEEPS,
	CONFIGURE_CREATES,
	CONFIGURE_CHANGES,
	CONFIGURE_REMOVES,
};

struct configure_plan;

/* Reads all files. `request` is borrowed until the plan is freed. */
int configure_plan_new(const struct configure_request *request, struct configure_plan **ret_plan,
	struct error *err);
void configure_plan_free(struct configure_plan *plan);

/*
 * Writes what was planned, and asks the engine, where it is installed, whether it takes it. If not,
 * or if a step fails, all is as it was before.
 */
int configure_plan_apply(struct configure_plan *plan, struct error *err);

/* --- what it says; all borrowed from the plan --- */

size_t configure_plan_count(const struct configure_plan *plan);
enum configure_action configure_plan_action(const struct configure_plan *plan, size_t i);
const char *configure_plan_path(const struct configure_plan *plan, size_t i); /* in the root */
/* A unified diff of the change, which the caller frees; NULL: out of memory. */
char *configure_plan_diff(const struct configure_plan *plan, size_t i);
/* After apply: whether a backup was made of it now. */
bool configure_plan_made_backup(const struct configure_plan *plan, size_t i);
/* What people should know; "" when there is nothing. */
const char *configure_plan_note(const struct configure_plan *plan);
/* After apply: the check that passed, or why there was none; "" when nothing was to be done. */
const char *configure_plan_check(const struct configure_plan *plan);
/* The command that lets a running engine see it; "" when none is needed. */
const char *configure_plan_restart(const struct configure_plan *plan);

/* Names of the engines, ended by NULL. */
extern const char *const configure_engines[];
