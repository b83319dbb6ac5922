/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox of the daemon, and the order in which it is built: namespaces and
 * jail, capabilities, no_new_privs, Landlock, seccomp. Each step only takes
 * rights away. All of it is called by a process with one thread, before the
 * first byte that a container or a repository controls is parsed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <git-overlayfs/error.h>

/* One tree that is visible in the jail. */
struct jail_tree {
	int mount_fd;	/* a detached mount, mount_clone_tree() makes one; borrowed */
	const char *at; /* absolute path in the jail, made as needed */
};

/*
 * Moves the process into mount, network, IPC and UTS namespaces of its own, whose root is
 * an empty read-only tmpfs with the given trees and /proc/self/fd of this process. Needs
 * CAP_SYS_ADMIN in the current user namespace. Open descriptors stay valid.
 */
int jail_enter(const struct jail_tree *trees, size_t count, struct error *err);

enum seccomp_mode {
	SECCOMP_MODE_KILL, /* a call that is not on the list kills the process */
	SECCOMP_MODE_TRAP, /* prints the number to standard error, then dies of SIGSYS */
	SECCOMP_MODE_LOG,  /* audit log only */
	SECCOMP_MODE_OFF,
};

/* "kill", "trap", "log", "off". -EINVAL, err says which there are. */
int seccomp_mode_parse(const char *text, enum seccomp_mode *ret_mode, struct error *err);

struct sandbox_config {
	enum seccomp_mode seccomp;
	/*
	 * The daemon reads and writes trusted.overlay.* marks, which takes
	 * CAP_SYS_ADMIN; seccomp keeps it from everything else that one gives.
	 */
	bool keep_sys_admin;
	/* Landlock: directories (any descriptor of one) and what may be done below. */
	const int *read_fds;
	size_t read_count;
	const int *write_fds;
	size_t write_count;
};

/*
 * Capabilities, rlimits, PR_SET_DUMPABLE, no_new_privs, Landlock (where the kernel has
 * it), seccomp; in this order. After it the process can open files below the given
 * directories, serve FUSE, and little else.
 */
int sandbox_lock(const struct sandbox_config *config, struct error *err);

/*
 * For a process that takes descriptors and makes two ioctls of FUSE: CAP_SYS_ADMIN alone, and no
 * way to open, map or start anything.
 */
int sandbox_lock_broker(enum seccomp_mode seccomp, struct error *err);
