/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * git-overlayfs-runtime, for engines that know no hooks: it stands where they expect
 * runc, adds the hook to the config.json of a container that asks for a workspace, and
 * becomes the low-level runtime by execve(2), whatever it was called with. One thread.
 *
 *   main       runtime-wrapper.c    the order, and the one line when it fails
 *   arguments  runtime-arguments.c  as much of the command line as it takes
 *   hooks      runtime-hooks.c      how the hook is called: the hooks.d files
 *   edit       runtime-edit.c       who asks for a workspace, and what is then added
 *   bundle     runtime-bundle.c     config.json, read and replaced
 *   exec       runtime-exec.c       which program the low-level runtime is
 *   report     runtime-report.c     what the engine shows to its user
 *
 * config.json is the engine's, but its environment, its annotations and much else are
 * the image's, and hostile. The process's own environment, the arguments and the hooks.d
 * files are who runs the engine, and trusted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <git-overlayfs/error.h>

#define RUNTIME_IDENT "git-overlayfs-runtime"
/* A workspace by the environment: this, or this with _NAME. */
#define RUNTIME_VARIABLE "GIT_OVERLAYFS_MOUNT"

/* Borrowed from argv. NULL: not given. */
struct runtime_arguments {
	const char *command;
	const char *bundle;
	const char *config; /* crun's: in the place of the bundle's config.json */
	const char *log;
	const char *log_format;
};

/* Never fails: what is wrong in argv the low-level runtime will say. */
void runtime_arguments_parse(int argc, char *const argv[], struct runtime_arguments *ret);
/* The command makes a container from a bundle. */
bool runtime_arguments_create(const struct runtime_arguments *arguments);

struct runtime_hook {
	const char *stage; /* static */
	char *path;
	char *entry; /* the JSON of the hooks.d file's "hook"; NULL: there is no such hook */
};

struct runtime_hooks {
	struct runtime_hook create; /* at createRuntime, or prestart */
	struct runtime_hook poststop;
	bool always; /* "when": {"always": true} */
};

/* The installed files, or those of $GIT_OVERLAYFS_HOOKS_DIR; that there are none is no error. */
int runtime_hooks_read(struct runtime_hooks *ret_hooks, struct error *err);
/* Adds what the text of one hooks.d file says. */
int runtime_hooks_parse(
	struct runtime_hooks *hooks, const char *text, size_t size, struct error *err);
void runtime_hooks_release(struct runtime_hooks *hooks);

/*
 * 1 and the text of config.json with what the container's workspaces take, which the caller
 * frees; 0: it is as it should be. Everything else in it stays byte for byte.
 */
int runtime_edit(const char *text, size_t size, const struct runtime_hooks *hooks, char **ret_text,
	size_t *ret_size, struct error *err);

/* Edits the config.json that the arguments name. One that is not there is the runtime's to miss. */
int runtime_bundle_edit(const struct runtime_arguments *arguments,
	const struct runtime_hooks *hooks, struct error *err);

/* `name` is what we were called as. The caller frees *ret_path. */
int runtime_find(const char *name, const char *search, char **ret_path, struct error *err);
/* Becomes the low-level runtime; returns only when that failed. */
int runtime_exec(char *argv[], struct error *err);

/* To standard error, and to the engine's --log in its --log-format. */
void runtime_report(const struct runtime_arguments *arguments, const struct error *err);
/* One line of that log; the caller frees *ret_line. `time` is RFC 3339. */
int runtime_log_line(const char *format, const char *time, const char *text, char **ret_line);
