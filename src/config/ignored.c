/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config-internal.h"

#include <fnmatch.h>
#include <string.h>

/*
 * What mount(8), fstab, systemd and fuse-overlayfs's callers write and what needs no
 * deed here. An option that would change what people see is not in this list.
 */
static const struct {
	const char *name; /* a glob */
	const char *only; /* a glob of the values that are harmless; NULL: any */
	const char *reason;
} ignored_options[] = {
	{"defaults", NULL, "mount(8): stands for nothing"},
	{"auto", NULL, "fstab: when to mount"},
	{"noauto", NULL, "fstab: when to mount"},
	{"user", NULL, "fstab: who may mount"},
	{"users", NULL, "fstab: who may mount"},
	{"nouser", NULL, "fstab: who may mount"},
	{"group", NULL, "fstab: who may mount"},
	{"nogroup", NULL, "fstab: who may mount"},
	{"noowner", NULL, "fstab: who may mount"},
	{"nofail", NULL, "fstab: what a failure means"},
	{"_netdev", NULL, "fstab: when to mount"},
	{"comment", NULL, "fstab: for people"},
	{"[xX]-*", NULL, "mount(8): for other programs"},
	{"silent", NULL, "mount(8): about messages"},
	{"loud", NULL, "mount(8): about messages"},
	{"atime", NULL, "reading moves no access time"},
	{"noatime", NULL, "reading moves no access time"},
	{"diratime", NULL, "reading moves no access time"},
	{"nodiratime", NULL, "reading moves no access time"},
	{"relatime", NULL, "reading moves no access time"},
	{"norelatime", NULL, "reading moves no access time"},
	{"strictatime", NULL, "reading moves no access time"},
	{"nostrictatime", NULL, "reading moves no access time"},
	{"lazytime", NULL, "reading moves no access time"},
	{"nolazytime", NULL, "reading moves no access time"},
	{"async", NULL, "the default"},
	{"iversion", NULL, "FUSE has none"},
	{"noiversion", NULL, "FUSE has none"},
	{"mand", NULL, "gone from Linux"},
	{"nomand", NULL, "gone from Linux"},
	{"context", NULL, "SELinux labels FUSE by policy; fuse-overlayfs ignores it too"},
	{"fscontext", NULL, "SELinux labels FUSE by policy"},
	{"defcontext", NULL, "SELinux labels FUSE by policy"},
	{"rootcontext", NULL, "SELinux labels FUSE by policy"},
	{"seclabel", NULL, "SELinux labels FUSE by policy"},
	{"allow_other", NULL, "always so"},
	{"default_permissions", NULL, "always so"},
	{"timeout", NULL, "chosen for each entry"},
	{"attr_timeout", NULL, "chosen for each entry"},
	{"entry_timeout", NULL, "chosen for each entry"},
	{"negative_timeout", NULL, "chosen for each entry"},
	{"threaded", NULL, "always so"},
	{"clone_fd", NULL, "about speed"},
	{"max_idle_threads", NULL, "about speed"},
	{"max_threads", NULL, "about speed"},
	{"fast_ino", NULL, "inode numbers are stable without it"},
	{"xino", NULL, "inode numbers are stable without it"},
	{"ino32_t", NULL, "for 32-bit programs of long ago"},
	{"noxattrs", "0", "the default"},
	{"private", NULL, "podman's word for its bind mounts"},
	{"userxattr", NULL, "chosen by the rights that the daemon has"},
	{"index", "off", "how it works anyway"},
	{"metacopy", "off", "how it works anyway"},
	{"nfs_export", "off", "how it works anyway"},
	{"verity", "off", "how it works anyway"},
};

bool config_option_is_ignored(const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(ignored_options) / sizeof(ignored_options[0]); i++) {
		const char *only = ignored_options[i].only;

		if (fnmatch(ignored_options[i].name, name, 0))
			continue;
		return !only || (value && !strcmp(value, only));
	}
	return false;
}
