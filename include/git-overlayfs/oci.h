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
#include <sys/types.h>

#include <git-overlayfs/config.h>
#include <git-overlayfs/error.h>
#include <git-overlayfs/json.h>
#include <git-overlayfs/source.h>

#define OCI_STATE_MAX	   (1u << 20)
#define OCI_CONFIG_MAX	   (16u << 20)
#define OCI_ANNOTATION	   "org.git-overlayfs.mount"
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

/* True for a pod's pause container, which gets no workspace. */
bool oci_is_sandbox_container(const struct oci_state *state, const struct oci_config *config);

struct policy;

/*
 * Reads a policy file's text; strict: unknown keys and wrong types are errors that
 * name the key. `is_rootful` and no text (NULL): nothing is allowed; rootless and no
 * text: what the user can read is allowed.
 */
int policy_parse(const char *text, size_t size, bool is_rootful, struct policy **ret_policy,
	struct error *err);
void policy_free(struct policy *policy);

struct policy_request {
	const struct workspace_config *config;
	/* Opened: the policy judges resolved paths. NULL: the paths as they are written. */
	const struct source *sources;
	/* Where these are, resolved; NULL: as they are written. A refusal never tells it. */
	const char *upper, *work, *target;
	const char *user;	       /* who runs the engine, NULL when not known */
	const char *const *namespaces; /* Kubernetes namespaces, NULL-terminated, or NULL */
};

/* 0, or -EACCES and an error that says what is not allowed and where to allow it. */
int policy_check(
	const struct policy *policy, const struct policy_request *request, struct error *err);

/* Globs: `*` and `?` stay within a path component, `**` does not. */
bool policy_glob_matches(const char *glob, const char *text);
