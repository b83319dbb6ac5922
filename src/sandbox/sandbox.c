/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/sandbox.h>

#include "sandbox/seccomp-table.h"
#include "sandbox/steps.h"

/*
 * The order matters: dropping the bounding set takes a capability, Landlock and
 * seccomp take no_new_privs, and after seccomp none of the calls before is left.
 */
int sandbox_lock(const struct sandbox_config *config, struct error *err)
{
	int r = sandbox_drop_capabilities(config->keep_sys_admin, err);

	if (!r)
		r = sandbox_limit(err);
	if (!r)
		r = sandbox_restrict_paths(config, err);
	if (!r)
		r = sandbox_filter_calls(config->seccomp, &daemon_calls, err);
	return r ? error_prefix(err, "sandbox") : 0;
}

int sandbox_lock_broker(enum seccomp_mode seccomp, struct error *err)
{
	int r = sandbox_keep_registering(err);

	if (!r)
		r = sandbox_close_doors(err);
	if (!r)
		r = sandbox_filter_calls(seccomp, &broker_calls, err);
	return r ? error_prefix(err, "sandbox of the broker") : 0;
}
