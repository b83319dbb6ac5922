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

/* No core files, as many descriptors as allowed, no ptrace, no new privileges. */
int sandbox_limit(struct error *err);

/* Landlock, if the kernel has it; needs no_new_privs. */
int sandbox_restrict_paths(const struct sandbox_config *config, struct error *err);

/* The seccomp filter; needs no_new_privs. */
int sandbox_filter_calls(enum seccomp_mode mode, struct error *err);
