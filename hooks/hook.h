/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The OCI hook, git-overlayfs-hook. One thread, short-lived, in the runtime's
 * namespaces with the runtime's rights: it reads what the runtime says about
 * the container, judges the wishes for workspaces, starts a supervisor for each,
 * lets a child of its own mount in the container's namespaces, and leaves.
 *
 *   main           oci-hook.c        what to do, and the one line when it fails
 *   arguments      arguments.c       the command line
 *   environment    environment.c     what of the engine's environment stays
 *   input          input.c           bounded reading
 *   container      container.c       is the pid what the state says; its namespaces
 *   entries        entries.c         which of several hook processes of a container does what
 *   job            job.c             one workspace, from the wish to READY or to nothing
 *   record         record.c          the record, which a container that ends has still
 *   pod            pod.c             no two workspaces of a pod by one name
 *   supervise      supervise.c       the exec of the supervisor
 *   mounter        mounter.c         the child in the container's namespaces
 *   target         target.c          what may not be mounted on, and undoing mkdir
 *   volumes        volumes.c         what lies below a target, and stays visible
 *   channel        channel.c         results and descriptors between hook and child
 *   clock          clock.c           how long anything may still take
 *   report         report.c          the one line, and where it goes
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>
#include <git-overlayfs/oci.h>
#include <git-overlayfs/source.h>
#include <git-overlayfs/supervisor.h>
#include <git-overlayfs/workspace.h>

struct volumes;

/*
 * The shipped hooks.d file gives the hook 30 seconds. However many workspaces there are,
 * work ends at WORK_END, and undoing it at UNDO_END.
 */
#define HOOK_WORK_END_MS 18000
#define HOOK_UNDO_END_MS 26000
/* The most that one step may take of it. */
#define HOOK_INPUT_TIMEOUT_MS  5000
#define HOOK_OPENED_TIMEOUT_MS 12000
#define HOOK_MOUNT_TIMEOUT_MS  5000
#define HOOK_READY_TIMEOUT_MS  5000
#define HOOK_UNDO_TIMEOUT_MS   5000
#define HOOK_NAMES_TIMEOUT_MS  5000
/* Of an earlier workspace of this id: its end, and until it is seen that it has come. */
#define HOOK_ENDED_TIMEOUT_MS	10000
#define HOOK_NOTICED_TIMEOUT_MS 3000

/* Call first: from here the time counts. `spent_ms` of it are gone already. */
void clock_start(int64_t spent_ms);
/* What is left until the end of the work, or of the undoing, but at most `limit_ms`. */
int clock_work_left(int limit_ms);
int clock_undo_left(int limit_ms);

enum hook_verb { HOOK_CREATE, HOOK_POSTSTOP };

struct hook_options {
	enum hook_verb verb;
	const char *policy;
	const char *log; /* NULL: none */
	const char *program;
	const char *mounts[OCI_WORKSPACES_MAX];
	size_t mount_count;
};

/* 1: --help or --version was answered, exit 0. The strings are borrowed from argv. */
int arguments_parse(int argc, char **argv, struct hook_options *ret, struct error *err);

/* Reads all of standard input; beyond `max` it reads on, and then fails with -EFBIG. */
int input_read_stdin(size_t max, char **ret_text, size_t *ret_size, struct error *err);
/*
 * A regular file of at most `max` bytes. -ENOENT is told apart from other failures.
 * *ret_stat is what was opened; NULL: not wanted.
 */
int input_read_file(int dirfd, const char *path, int flags, size_t max, char **ret_text,
	size_t *ret_size, struct stat *ret_stat, struct error *err);

struct container {
	struct oci_state state;
	struct oci_config config; /* json is NULL when there was no config.json */
	char *rootfs;		  /* as the host names it */
	int pidfd;
	int rootfs_fd; /* O_PATH, of the container's mount namespace */
	/*
	 * Namespaces, opened while we are outside: from inside its user namespace the kernel
	 * refuses the way by pidfd when the process is not dumpable, as those of runtimes.
	 */
	int mntns_fd;
	int userns_fd; /* -1: the container shares ours */
};

void container_init(struct container *container);
/* The state is filled in: reads config.json. */
int container_read_config(struct container *container, struct error *err);
/* Opens the process and its namespaces, and proves that it is this container's. */
int container_open(struct container *container, struct error *err);
/* What was read by the number of an open container's process was its own only if this is 0 then. */
int container_check_alive(const struct container *container, struct error *err);
/* What an owner in the container is outside of it, in our user namespace. */
int container_map_owner(const struct container *container, uint32_t uid, uint32_t gid,
	uid_t *ret_uid, gid_t *ret_gid, struct error *err);
void container_release(struct container *container);

/*
 * The environment may be the image's, or hold what steers a loader or git: only the
 * directories of a rootless engine's user are kept, or found.
 */
int hook_clean_environment(void);

/* What a child answers: an error (code 0: none) and perhaps a descriptor. */
int channel_pair(int ret_fds[2], struct error *err);
int channel_send(int fd, const struct error *result, int passed_fd);
/*
 * Waits; the child's error becomes ours. ret_fd may be NULL: none is expected. An answer
 * that is no error may have a text, a remark, which is then in *err, with the code 0.
 */
int channel_receive(int fd, int timeout_ms, int *ret_fd, struct error *err);
/* The child's side: what it keeps, everything else is closed and stdio is /dev/null. */
int channel_child_keep(int *fds[], size_t count);
/*
 * Waits for a child for so long, then kills it, and leaves it alone when not even that
 * ends it: a server in foreign hands does not answer it, and is ended by others. Returns
 * its wait status or -errno.
 */
int child_reap(pid_t pid, int timeout_ms);
/* Where the error is that a child died: how, by what child_reap() returned. */
void child_explain(int status, struct error *err);

struct mounter {
	pid_t pid; /* 0: none */
	int channel;
	struct error remark; /* no error: a text that somebody should read, or "" */
};

struct mounter_request {
	const char *target;
	const struct fuse_mount_options *options;
	/* Judges where the target really is, as a path in the container. */
	int (*check)(void *ctx, const char *resolved, struct error *err);
	void *ctx;
};

/* Mounts; the child then waits for the end. *ret_fuse_fd is the connection. */
int mounter_start(const struct container *container, const struct mounter_request *request,
	struct mounter *ret_mounter, int *ret_fuse_fd, struct error *err);
/*
 * Stats the root of the mount from within the container's namespaces, and moves into it
 * what was mounted below the target.
 */
int mounter_wait_ready(struct mounter *mounter, struct error *err);
void mounter_commit(struct mounter *mounter); /* idempotent, as the next */
void mounter_undo(struct mounter *mounter);

/* How many leading components of `target` exist below root_fd. */
size_t target_existing(int root_fd, const char *target);
/* Removes the directories behind the first `existing` components, if they are empty. */
void target_remove_made(int root_fd, const char *target, size_t existing);
/*
 * Refuses a target whose mount would reach the host; `volumes`, which is made for this
 * target, gets what is mounted below it. *ret_resolved: where it is below the root, for
 * a policy; the caller frees it.
 */
int target_examine(int root_fd, int target_fd, struct volumes *volumes, char **ret_resolved,
	struct error *err);
/* Whether a volume of the engine's is mounted on the very target. */
bool target_is_mountpoint(int target_fd);
/* 1: the target holds something besides volumes, the name of which is returned; 0, -errno. */
int target_find_content(int target_fd, const struct volumes *volumes, char *ret_name, size_t size);

#define POD_NAMESPACES_MAX SUPERVISOR_HELD_MAX

/*
 * The namespaces that make containers one pod, where they have one of them in common that is not
 * ours. While a descriptor is held nobody else's namespace gets its number.
 */
struct pod {
	int fds[POD_NAMESPACES_MAX]; /* -1: ours, or none */
};

void pod_init(struct pod *pod);
int pod_open(const struct container *container, struct pod *pod, struct error *err);
void pod_release(struct pod *pod);

/* The options of a configuration, for the supervisor's command line. */
int supervise_options(const struct workspace_config *config, char **ret_text, struct error *err);

struct supervise_request {
	const char *program;
	const struct container *container;
	const struct workspace_config *config;
	const struct source *sources;
	const struct workspace *workspace;
	const struct pod *pod;
	int upper_fd, work_fd; /* -1: none is given */
};

int supervise_start(const struct supervise_request *request, pid_t *ret_pid, int *ret_control_fd,
	struct error *err);

/*
 * workspace_create(), after the end of an earlier workspace of this id that is on its way out, as
 * the one of a container that is started again is. One that lives is -EBUSY at once.
 */
int record_create(const char *id, const char *container_id, struct workspace *ret_workspace,
	struct error *err);

/* The name of an id= in an annotation, and the record of what it names. Borrowed. */
struct pod_name {
	const char *name;
	const struct workspace *workspace;
};

/*
 * Claims the names for a container, all or none. They are its own as long as whoever holds the
 * locks of the records holds the pod's namespaces. 1: another container of the pod has the one
 * at *ret_index, and err says so. Other failures are no name's.
 */
int pod_claim_names(const struct pod *pod, const char *container_id, const struct pod_name *names,
	size_t count, size_t *ret_index, struct error *err);

/*
 * A container may have several entries of this hook, each of which is a process: CDI devices and
 * the hooks.d file. What config.json says of them to one that has --mount.
 */
struct entries {
	bool leaves_annotations; /* another one takes them */
	bool has_others; /* which make workspaces: names are by the target, that is one's own */
};
/* `has_wishes`: whether there are annotations for whoever takes them. */
void entries_judge(
	const struct container *container, char **argv, bool has_wishes, struct entries *ret);
/* For one without --mount, which takes the annotations: -EINVAL where another one would, too. */
int entries_check_only_one(const struct container *container, char **argv, struct error *err);
/* The name of the --mount for a target, at most `max` bytes; -1: there is no room for one. */
int entries_name_target(const char *target, size_t max, char *ret_name, size_t size);

/* One workspace on its way. */
struct job {
	const struct oci_wish *wish;
	struct workspace_config config;
	struct wish_places places;
	char id[WORKSPACE_ID_MAX + 1];
	struct workspace workspace;
	bool has_workspace;
	bool has_kept_upper; /* of an earlier workspace of this id: not ours to undo */
	pid_t supervisor;    /* 0: none */
	int control_fd;
	struct mounter mounter;
};

struct job_context {
	const struct hook_options *options;
	const struct container *container;
	const struct policy *policy;
	const struct pod *pod;
	bool by_target; /* what --mount without id= is called; else wish->name */
};

/* For qsort(3): outer targets come before those below them. */
int job_compare(const void *a, const void *b);
void job_init(struct job *job, const struct oci_wish *wish);
/* Parses, opens the sources, asks the policy: nothing is made yet. */
int job_prepare(struct job *job, const struct job_context *context, struct error *err);
/* Makes the record, and nothing that anybody else sees. */
int job_reserve(struct job *job, const struct job_context *context, struct error *err);
/* What the pod has to know the job's workspace by; NULL: nothing. */
const char *job_name_in_pod(const struct job *job);
int job_start(struct job *job, const struct job_context *context, struct error *err);
int job_release_workspace(struct job *job, struct error *err); /* READY: it lives on its own */
void job_undo(struct job *job, const struct error *why);
void job_release(struct job *job);

/* One line to the runtime, which may show it, one to the system's log, and to --log. */
struct report {
	const char *log;	  /* the file; NULL: none */
	const char *container_id; /* NULL: not known */
};
/* The log of all that only the administrator should read. */
void report_open_log(const struct report *report);
void report_failure(const struct report *report, const char *text);
void report_warning(const struct report *report, const char *text);

/* Clears away what a workspace of this container left; never waits, never fails. */
void janitor_run(const char *container_id);
