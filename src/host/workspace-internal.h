/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files workspace*.c share; see include/git-overlayfs/workspace.h. */
#pragma once

#include <dirent.h>

#include <git-overlayfs/json.h>
#include <git-overlayfs/workspace.h>

#define WORKSPACE_FILE "workspace.json"
/* In which namespaces a container is whose workspace has its name from an id=: the hook's. */
#define WORKSPACE_NAMESPACES_FILE "namespaces"
/* What the supervisor counts. */
#define WORKSPACE_COUNTERS_FILE "counters"
/* Stands in a state directory whose upper outlives the workspace. */
#define WORKSPACE_KEEP_MARK "keep"

enum workspace_base { WORKSPACE_RUN, WORKSPACE_STATE };

/*
 * Opens the directory that holds all records, or all uppers, and makes it when `create`.
 * It belongs to the caller and nobody else may write there. -ENOENT: there is none.
 */
int workspace_base_open(
	enum workspace_base base, bool create, char **ret_path, int *ret_fd, struct error *err);

/* The same as a stream, for the caller to close. Where there is none *ret_dir is NULL. */
int workspace_base_list(enum workspace_base base, DIR **ret_dir, struct error *err);

/*
 * A lock among the processes of one user, by a file in the run directory, so that only its owner
 * can hold it. Its name begins with a dot, which no record's does. Waits. An interrupt in between
 * leaves an empty file, which the next one removes.
 */
int workspace_lock_file(const char *name, int *ret_lock_fd, struct error *err);
/* The same, but waits no longer than this: -EWOULDBLOCK, which is in no error. */
int workspace_lock_file_within(
	const char *name, int timeout_ms, int *ret_lock_fd, struct error *err);
void workspace_unlock_file(const char *name, int lock_fd);

/*
 * Removes `name` below `parent_fd` with all that is in it: by descriptors, never through
 * a symlink, however deep, and where the owner may, in directories without permissions.
 */
int tree_remove(int parent_fd, const char *name);

/* Reads workspace.json of an open record. */
int workspace_info_read(
	int run_fd, const char *id, struct workspace_info *ret_info, struct error *err);
/* Whether the upper of this id, below the state directory, was to outlive its workspace. */
bool workspace_state_is_kept(int base_fd, const char *id);
/*
 * Whether somebody serves from the upper of this id, whose record may be in another run directory:
 * XDG_RUNTIME_DIR is not the same everywhere, nor for ever.
 */
bool workspace_upper_is_held(int base_fd, const char *id);
/* Fills in state_dir, where there is one. */
int workspace_find_state(struct workspace *ws, struct error *err);
/* Of one whose record has gone: -ESTALE, its upper may be another's by now; 0: there is none. */
int workspace_leave_upper(struct workspace *ws, struct error *err);
/* Whether the record of this id is still the one that was opened. */
bool workspace_is_current(const struct workspace *ws, int base_fd);
/*
 * Whether an open record that says nothing is being made: between mkdir(2) and flock(2) nobody
 * holds it. By its age, for there is nothing else to tell it from one that was left.
 */
bool workspace_is_begun(int run_fd);
/* Whether somebody holds the lock of an open record. */
bool workspace_is_locked(int run_fd);

/* As a value of workspace.json, and back: NULL where there is none. */
void workspace_request_write(const struct workspace_request *request, struct json_writer *writer);
int workspace_request_from_json(const struct json *json, struct workspace_request **ret_request);
