/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the OCI hook reads: the state on its standard input, the bundle's
 * config.json, the annotations in both, and the policy that says which of the
 * annotations' wishes are granted. Container, image and annotations are
 * attackers; the policy file and the hook's arguments are not.
 *
 * Formats: OCI runtime-spec 1.3, runtime.md (State) and config.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>
#include <git-overlayfs/json.h>
#include <git-overlayfs/source.h>

#define OCI_STATE_MAX  (1u << 20)
#define OCI_CONFIG_MAX (16u << 20)
#define OCI_ANNOTATION "org.git-overlayfs.mount"
/* Every annotation below it is ours: a misspelt one must not be passed over. */
#define OCI_ANNOTATIONS	   "org.git-overlayfs."
#define OCI_WORKSPACES_MAX 32

struct oci_state {
	char *id;     /* [A-Za-z0-9_][A-Za-z0-9_.+-]* */
	char *status; /* not judged: runtimes differ */
	char *bundle; /* absolute */
	char *root;   /* crun's own: root.path; NULL elsewhere */
	pid_t pid;    /* 0 when there is none (poststop) */
	struct json *json;
};

/* Parses the state. Everything in *ret_state is owned by it. */
int oci_state_parse(const char *text, size_t size, struct oci_state *ret_state, struct error *err);
void oci_state_release(struct oci_state *state);

struct oci_config {
	char *root_path; /* as written: relative to the bundle, or absolute */
	uint32_t uid;	 /* process.user, container ids */
	uint32_t gid;
	struct json *json;
};

int oci_config_parse(
	const char *text, size_t size, struct oci_config *ret_config, struct error *err);
void oci_config_release(struct oci_config *config);

/* One wish for a workspace: the option text and where it came from. */
struct oci_wish {
	char *name;    /* "" or the <name> of org.git-overlayfs.mount.<name> */
	char *options; /* the option syntax of -o */
	bool trusted;  /* from the hook's own arguments: no policy needed */
};

/* All wishes of state and config (state wins), sorted by name. */
int oci_wishes(const struct oci_state *state, const struct oci_config *config,
	struct oci_wish **ret_wishes, size_t *ret_count, struct error *err);
void oci_wishes_free(struct oci_wish *wishes, size_t count);

/*
 * A wish as people write it: the annotation's value, or KEY=VALUE as --annotation takes it.
 * The caller ends it with oci_wish_release().
 */
int oci_wish_from_text(const char *text, struct oci_wish *ret_wish, struct error *err);
void oci_wish_release(struct oci_wish *wish);

/* True for the pause container of a pod of Kubernetes', which gets no workspace. */
bool oci_is_sandbox_container(const struct oci_state *state, const struct oci_config *config);

/*
 * Whether annotations need a policy file. False only in the user namespace of one user, as
 * rootless engines make it, whose root is that user and nobody else outside: root of a
 * system container owns many ids, and what it can read is not its callers'.
 */
bool engine_is_rootful(void);
bool engine_map_is_rootful(FILE *map); /* by the text of a uid_map; when in doubt, true */
/*
 * Who may write to what a rootful hook obeys has root's rights: -EPERM for a file that is not
 * root's alone. Of a rootless engine any file will do.
 */
int engine_check_file(bool is_rootful, const struct stat *st, struct error *err);
/* A rootless engine runs us as root of a user namespace: the user is who that is outside. */
unsigned engine_user(void);
/* Who that is: a name, or a number where there is none. */
const char *engine_user_name(char *buffer, size_t size);

/* The annotation that names a pod's service account, which no engine sets by itself. */
#define OCI_SERVICE_ACCOUNT "org.git-overlayfs.service-account"
#define OCI_NAMESPACES_MAX  2

/* Who asks. The strings are borrowed; NULL: not known. */
struct policy_asker {
	const char *user; /* who runs the engine */
	/* Of Kubernetes. An engine has its own annotation for it; what it does not set, a pod may.
	 */
	const char *namespaces[OCI_NAMESPACES_MAX + 1];
	const char *service_account;
};

/*
 * True for a container of CRI-O's, or of containerd's CRI plugin, by what no image chooses: the
 * name of its cgroup, or the place of its bundle.
 */
bool oci_is_of_kubernetes(const struct oci_state *state, const struct oci_config *config);

/*
 * Fills namespaces and service account from the annotations of state and config, or with NULL
 * where no engine for Kubernetes has written them.
 */
void oci_asker(
	const struct oci_state *state, const struct oci_config *config, struct policy_asker *ret);

struct policy;

#define POLICY_FILE_MAX (1u << 20)

/*
 * Reads a policy file; strict: unknown keys and wrong types are errors that name the key.
 * No such file: a rootful hook is allowed nothing, a rootless one what its user can read. A
 * rootful hook takes only a file of root's that nobody else may write to.
 */
int policy_read(const char *path, bool is_rootful, struct policy **ret_policy, struct error *err);
/* The same from its text; NULL: there is no file. */
int policy_parse(const char *text, size_t size, bool is_rootful, struct policy **ret_policy,
	struct error *err);
void policy_free(struct policy *policy);

struct policy_request {
	const struct workspace_config *config;
	/* Opened: the policy judges resolved paths. NULL: the paths as they are written. */
	const struct source *sources;
	/* Where these are, resolved; NULL: as they are written. A refusal never tells it. */
	const char *upper, *work, *target;
	const struct policy_asker *asker;
};

/* 0, or -EACCES and an error that says what is not allowed and where to allow it. */
int policy_check(
	const struct policy *policy, const struct policy_request *request, struct error *err);

/* A text that is longer matches no glob. */
#define POLICY_TEXT_MAX 4096
/*
 * Globs, see git-overlayfs-policy(5): `*` and `?` stay within a path component, `**` does
 * not, a backslash takes the meaning from the next byte, everything else is itself.
 */
bool policy_glob_matches(const char *glob, const char *text);

/*
 * Parses what a wish says: `options` as an annotation has them, a target that needs no more
 * than normalizing. Files belong to `uid` and `gid` unless it says otherwise. `config` was
 * initialized, and is the caller's to release, after a failure too.
 */
int wish_parse(const char *options, uint32_t uid, uint32_t gid, struct workspace_config *config,
	struct error *err);

/*
 * Gives an absolute target its one spelling, in place ("//a/./b/" is "/a/b"): wishes are
 * compared by it, and ordered so that the outer one is mounted first.
 */
void target_normalize(char *target);

/*
 * What a wish names on the host, opened once: the descriptors tell the policy where things
 * really are, and go to the supervisor, so that what lies at a path by then does not matter.
 */
struct wish_places {
	bool are_open; /* all of them */
	struct source *sources;
	size_t source_count;
	struct source_dir upper, work; /* fd -1: none is given */
};

void wish_places_init(struct wish_places *places);
void wish_places_release(struct wish_places *places); /* idempotent */
int wish_open(const struct workspace_config *config, struct wish_places *places, struct error *err);

/*
 * Opens the places and asks the policy, in an order in which the answer does not tell what
 * exists where nothing is granted. 0, -EACCES from the policy, or why they cannot be opened.
 */
int wish_judge(const struct policy *policy, const struct workspace_config *config,
	const struct policy_asker *asker, struct wish_places *places, struct error *err);
/* The same as one question, by the places if they are open. `target`: resolved, or NULL. */
struct policy_request wish_request(const struct workspace_config *config,
	const struct wish_places *places, const char *target, const struct policy_asker *asker);
