/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of sandbox_lock(), each in a file of its own. All of them only take
 * rights away, and none can be undone.
 */
#pragma once

#include <stdbool.h>

#include <git-overlayfs/sandbox.h>

/* Keeps what the daemon needs of what it has; bounding, ambient, inheritable become empty. */
int sandbox_drop_capabilities(bool keep_sys_admin, struct error *err);
/*
 * Keeps CAP_SYS_ADMIN, and CAP_FSETID: without it the file system takes set-id bits away whoever
 * writes, where the kernel's FUSE has asked the writer's rights already.
 */
int sandbox_keep_registering(struct error *err);

/* No core files, as many descriptors as allowed, no ptrace, no new privileges. */
int sandbox_limit(struct error *err);

/* Landlock, if the kernel has it; needs no_new_privs. */
int sandbox_restrict_paths(const struct sandbox_config *config, struct error *err);

/* No ptrace and no new privileges, without the limits. */
int sandbox_close_doors(struct error *err);

struct call_table;

/* The seccomp filter; needs no_new_privs. */
int sandbox_filter_calls(enum seccomp_mode mode, const struct call_table *table, struct error *err);
