/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the engines of this module share; see include/git-overlayfs/configure.h. */
#pragma once

#include <git-overlayfs/configure.h>

#include "place.h"

#define CHANGES_MAX 8
/* How each file of our own begins. */
#define OWN_HEADER "# Written by git-overlayfs configure"

struct change {
	struct place place;
	char *after; /* NULL: the file goes */
	size_t after_size;
	char *backup; /* what others wrote, to be kept; NULL: nothing is */
	size_t backup_size;
	bool is_own; /* nothing of others is in it */
	bool takes_backup_away;
	bool made_backup;
	bool applied;
};

struct engine;

/* What another program is told instead of a directory of this root. */
struct outside {
	char name[48];
	char path[PATH_MAX];
};

struct configure_plan {
	const struct configure_request *request;
	const struct engine *engine;
	int root_fd;
	struct change changes[CHANGES_MAX];
	size_t count;
	char note[1000];
	char check[200];
	struct outside outsides[2];
	size_t outside_count;
};

struct engine {
	const char *name;
	int (*plan)(struct configure_plan *plan, struct error *err);
	/* Fills plan->check; a failure is the engine's refusal. */
	int (*check)(struct configure_plan *plan, struct error *err);
	const char *restart, *restart_rootless; /* restart_rootless NULL: root alone runs it */
};

extern const struct engine engine_podman, engine_docker, engine_containerd, engine_crio;

/* How an engine changes a file that may hold what others wrote. */
struct edit {
	/*
	 * text NULL: there is no file. -errno, err without the path; EBADMSG in it: the text is
	 * broken, and what to do about it is added.
	 */
	int (*put)(const struct configure_plan *plan, const char *text, size_t size,
		char **ret_text, size_t *ret_size, struct error *err);
	/* The text without what is ours. */
	int (*take)(const struct configure_plan *plan, const char *text, size_t size,
		char **ret_text, size_t *ret_size, struct error *err);
};

/* Puts into the file or, where the request says so, takes out of it. */
int plan_edit(
	struct configure_plan *plan, const char *path, const struct edit *edit, struct error *err);
/* A file of our own with this text, which is copied; on removal, none. One of others is -EEXIST. */
int plan_own_file(
	struct configure_plan *plan, const char *path, const char *text, struct error *err);
/* 1: there is a file of our own; 0; -errno. */
int plan_has_own_file(struct configure_plan *plan, const char *path, struct error *err);

void plan_note(struct configure_plan *plan, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A note when what the engine is going to run or read is not installed. */
void plan_note_missing(struct configure_plan *plan, const char *path);

/*
 * What the engine's own program says of it: 0, and *ret_text is the whole of it, which the caller
 * frees; 1: it cannot be asked, and plan->check says why; -EINVAL with its words: it refuses.
 */
int plan_ask(
	struct configure_plan *plan, const char *const words[], char **ret_text, struct error *err);
/*
 * A path by which another program finds a place of this root: at most two for plan_ask(), which
 * tells a refusal with the places' own paths.
 */
void plan_path_outside(
	struct configure_plan *plan, const struct place *place, char *ret_path, size_t size);
/* Where a configuration file of the system's, or the user's, is: "/etc/NAME" or
 * "HOME/.config/NAME". */
void plan_config_path(
	const struct configure_plan *plan, const char *name, char *ret_path, size_t size);
