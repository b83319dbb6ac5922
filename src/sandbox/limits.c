/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox/steps.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int set_limits(void)
{
	const struct rlimit no_core = {0, 0};
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	return setrlimit(RLIMIT_CORE, &no_core) < 0 ? -errno : 0;
}

int sandbox_close_doors(struct error *err)
{
	/*
	 * Nobody else of this user may trace the process or look into /proc/PID. It gives
	 * /proc/PID/fd to root, but the kernel lets a process into its own all the
	 * same, so paths /proc/self/fd/N go on working.
	 */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "PR_SET_DUMPABLE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "PR_SET_NO_NEW_PRIVS");
	return 0;
}

int sandbox_limit(struct error *err)
{
	int r = set_limits();

	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "setrlimit");
	return sandbox_close_doors(err);
}
