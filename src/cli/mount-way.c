/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mount-request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "host/rights.h"
#include "util/cleanup.h"

/*
 * The capability alone says nothing: it must be held over the user namespace that owns
 * this mount namespace, and that is what fsopen(2) checks.
 */
enum mount_way mount_way_find(void)
{
	_cleanup_close_ int fd = fsopen("fuse", FSOPEN_CLOEXEC);

	if (fd >= 0 || errno != EPERM)
		return rights_has_admin() ? MOUNT_WAY_DIRECT : MOUNT_WAY_FUSERMOUNT;
	return rights_has_admin() ? MOUNT_WAY_USERNS : MOUNT_WAY_FUSERMOUNT;
}

bool mount_allow_other(void)
{
	FILE *file = fopen("/etc/fuse.conf", "re");
	bool found = false;
	char line[256];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		line[strcspn(line, " \t\r\n#")] = '\0';
		found = !strcmp(line, "user_allow_other");
	}
	fclose(file);
	return found;
}
