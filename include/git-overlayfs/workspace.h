/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The record of a workspace on the host: a directory with its id under the run
 * directory (/run/git-overlayfs, for a user $XDG_RUNTIME_DIR/git-overlayfs), and one
 * for an ephemeral upper under the state directory (/var/lib/git-overlayfs, for a user
 * $XDG_STATE_HOME/git-overlayfs or ~/.local/state/git-overlayfs). GIT_OVERLAYFS_RUN_DIR
 * and GIT_OVERLAYFS_STATE_DIR override both, for tests; the hook ignores them.
 *
 * A lock on the record is held by its supervisor for as long as the workspace
 * lives, so a record without a lock is what a dead workspace left behind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>
#include <git-overlayfs/source.h>

#define WORKSPACE_ID_MAX 128

/*
 * Stands between the id of a container and what its workspace is called: no container's
 * id holds it, so nobody's workspace can have the id of another container's.
 */
#define WORKSPACE_ID_SEPARATOR ':'

/* ID or CONTAINER:NAME, each as config_id_is_valid() has it, at most WORKSPACE_ID_MAX. */
bool workspace_id_is_valid(const char *id);
/* Whether it is the container's id, or that with a name behind it. */
bool workspace_id_is_of(const char *id, const char *container);

struct workspace {
	char id[WORKSPACE_ID_MAX + 1];
	char *run_dir;	 /* this workspace's own, absolute */
	char *state_dir; /* its own, absolute; made by workspace_make_upper() */
	int run_fd;
	int lock_fd;
};

enum workspace_state {
	WORKSPACE_MOUNTING,
	WORKSPACE_READY,
	WORKSPACE_ENDING, /* nothing that uses it can count on it any more */
};
const char *workspace_state_name(enum workspace_state state);

/*
 * What was asked for, as it was parsed and resolved: the mountpoint, the layers by the
 * directories that were opened, revisions as texts, and each option that is not at its default.
 */
struct workspace_request;

/* What list, umount and the janitor know of a workspace: workspace.json. */
struct workspace_info {
	char *id;
	char *mountpoint; /* "" while it is not mounted; in a container: its target */
	char *source;	  /* "REPO@REV:SUBDIR" of the topmost layer, as it was asked for */
	char *commit;	  /* the object that it resolved to, hex; "" when no git layer */
	char *upper;	  /* directory of the changes; "" for a read-only mount */
	char *container;  /* id, or "" */
	bool keep;	  /* whether the upper outlives the workspace */
	pid_t supervisor;
	pid_t daemon;
	int64_t created;     /* seconds since the epoch */
	unsigned connection; /* minor device number of the mount; 0: not known */
	enum workspace_state state;
	struct workspace_request *request; /* NULL: not recorded; owned */
	bool alive;			   /* its supervisor holds the lock; not stored */
	bool begun; /* says nothing, and is too young to have been left; not stored */
};

/*
 * Makes the record and takes its lock. `id` NULL: a random one. A dead record of the
 * same id is cleared away first; a live one is -EBUSY (EXIT_STATUS_BUSY), or -EADDRINUSE where its
 * record is in another run directory.
 */
int workspace_create(const char *id, struct workspace *ret_ws, struct error *err);
/* Clears away what a dead one of this id left, but for an upper that was to be kept. As create. */
int workspace_clear(const char *id, struct error *err);

/*
 * Makes state_dir/{upper,work}, owned by these ids of the caller's user namespace. An
 * upper that an earlier workspace of this id has kept is used again.
 */
int workspace_make_upper(struct workspace *ws, uid_t uid, gid_t gid, struct error *err);

/* Replaces workspace.json: written aside, then renamed. */
int workspace_store(
	const struct workspace *ws, const struct workspace_info *info, struct error *err);

/*
 * Removes the state directory with all that is in it, for who holds the lock on the upper (see
 * upper_dirs_open() of the supervisor); -ESTALE where the record is not the workspace's any more.
 */
int workspace_remove_upper(struct workspace *ws, struct error *err);
/* The same for who does not. -EADDRINUSE: somebody else does, and it is left alone. */
int workspace_remove_unused_upper(struct workspace *ws, struct error *err);
/* Whether there is an upper that an earlier workspace of this id was to keep. */
bool workspace_was_kept(struct workspace *ws);

/*
 * The same in two steps, for who must not be waited for: the first one takes the state directory
 * aside, under a name of nobody's, however much is in it, so that the record can go and the next
 * workspace of this id come; the second one removes it. Where nobody comes to that, clear does.
 */
#define WORKSPACE_DISCARD_NAME_MAX 192
struct workspace_discard {
	char name[WORKSPACE_DISCARD_NAME_MAX];
	int base_fd, lock_fd; /* -1: there was nothing */
};
int workspace_discard_begin(
	struct workspace *ws, struct workspace_discard *ret_discard, struct error *err);
int workspace_discard_finish(struct workspace_discard *discard); /* 0 or -errno; idempotent */
/* Calls `each` for what nobody is at any more, and was removed (`dry_run`: would be). */
int workspace_discards_clear(bool dry_run, void (*each)(const char *id), struct error *err);

/*
 * Removes the record and, unless `keep_upper`, the state directory with all that is in it, where
 * nobody holds the lock on the upper.
 */
int workspace_remove(struct workspace *ws, bool keep_upper, struct error *err);
void workspace_release(struct workspace *ws); /* closes, removes nothing; idempotent */

/* Calls fn for each record, dead ones too. A record that cannot be read is logged. */
typedef int (*workspace_fn)(void *ctx, const struct workspace_info *info);
int workspace_for_each(workspace_fn fn, void *ctx, struct error *err);

/*
 * By id or by mountpoint (as it is resolved now): there the one whose mount is on top, as far as
 * records tell. -ENOENT, err says so.
 */
int workspace_find(
	const char *id_or_mountpoint, struct workspace_info *ret_info, struct error *err);
void workspace_info_release(struct workspace_info *info); /* idempotent */

/* Opens a record that exists, without its lock: for umount and the janitor. */
int workspace_open(const char *id, struct workspace *ret_ws, struct error *err);
/* What is known of a record that is open. -ENOENT: nothing yet. */
int workspace_read_info(
	const struct workspace *ws, struct workspace_info *ret_info, struct error *err);
/*
 * For a supervisor that was started by exec: takes over the record of its requester,
 * whose lock came along as the descriptor `lock_fd`, which the workspace then owns.
 */
int workspace_adopt(const char *id, int lock_fd, struct workspace *ret_ws, struct error *err);

/*
 * One of a user's requests at a time looks at a mountpoint and mounts there; for the moment that
 * this takes. Waits. An interrupt in between leaves an empty file, which the next one removes.
 */
int workspace_lock_mounts(int *ret_lock_fd, struct error *err);
void workspace_unlock_mounts(int lock_fd);

/* Waits until the supervisor has let go of the record: 0, or -ETIMEDOUT. */
int workspace_wait_gone(const char *id, int timeout_ms);

/* `sources` are those of config's layers, `mountpoint` is absolute. */
int workspace_request_new(const struct workspace_config *config, const struct source *sources,
	const char *mountpoint, struct workspace_request **ret_request, struct error *err);
void workspace_request_free(struct workspace_request *request);
/* Whether they differ; then *ret_text says in what: "revision is 'a' there, 'b' was asked for". */
bool workspace_request_differs(const struct workspace_request *there,
	const struct workspace_request *asked, char *ret_text, size_t size);

/*
 * Waiting for what becomes of a workspace, without looking again and again: for its record
 * (inotify) and for its supervisor (pidfd).
 */
struct workspace_watch {
	char id[WORKSPACE_ID_MAX + 1];
	int base_fd, run_fd, inotify_fd, pidfd;
	pid_t supervisor; /* whose pidfd it is */
};

struct workspace_look {
	bool gone;     /* the record was removed */
	bool alive;    /* somebody holds its lock */
	bool has_info; /* there is a workspace.json */
	bool begun;    /* there is none yet: nobody holds it for a moment, and it is not dead */
	struct workspace_info info;
};

/* -ENOENT: no such record; err says so. */
int workspace_watch_open(const char *id, struct workspace_watch *ret_watch, struct error *err);
void workspace_watch_release(struct workspace_watch *watch); /* idempotent */
/* What there is to see now. The caller releases ret_look->info. */
int workspace_watch_look(
	struct workspace_watch *watch, struct workspace_look *ret_look, struct error *err);
/* Until something may have changed since the last look: 0, or -ETIMEDOUT. -1: for ever. */
int workspace_watch_wait(struct workspace_watch *watch, int timeout_ms);
