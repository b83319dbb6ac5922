/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ACLs, by their extended attributes; inode flags; mounts. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "posix.h"

/* Of <linux/posix_acl.h>, which user space does not get. */
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
#define ENTRIES 16

struct acl {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[ENTRIES];
};

static unsigned permissions_of(const char *letters)
{
	return (strchr(letters, 'r') ? 4u : 0) | (strchr(letters, 'w') ? 2u : 0) |
	       (strchr(letters, 'x') ? 1u : 0);
}

/* "u::rw,u:bob:r,g::r,m::rw,o::-" */
static size_t parse_acl(const char *text, struct acl *acl)
{
	char *copy = strdup(text), *save = NULL;
	size_t n = 0;

	acl->header.a_version = POSIX_ACL_XATTR_VERSION;
	for (char *p = strtok_r(copy, ",", &save); p && n < ENTRIES;
		p = strtok_r(NULL, ",", &save)) {
		char *name = strchr(p, ':') + 1, *letters = strchr(name, ':') + 1;
		bool is_named = name + 1 != letters;

		letters[-1] = '\0';
		acl->entries[n++] = (struct posix_acl_xattr_entry){
			.e_tag = p[0] == 'u'   ? (is_named ? USER : USER_OBJ)
				 : p[0] == 'g' ? (is_named ? GROUP : GROUP_OBJ)
				 : p[0] == 'm' ? MASK
					       : OTHER,
			.e_perm = (unsigned short)permissions_of(letters),
			.e_id = is_named ? posix_id(name) : (unsigned)-1,
		};
	}
	free(copy);
	return sizeof(acl->header) + n * sizeof(acl->entries[0]);
}

static const char *attribute_of(const char *word)
{
	return word[0] == 'd' ? "system.posix_acl_default" : "system.posix_acl_access";
}

/* setacl PATH access|default ACL */
static long op_setacl(struct posix_run *run, char **args, char *result)
{
	struct acl acl;
	size_t size = parse_acl(args[2], &acl);

	return setxattr(args[0], attribute_of(args[1]), &acl, size, 0) < 0 ? -errno : 0;
}

static long op_removeacl(struct posix_run *run, char **args, char *result)
{
	return removexattr(args[0], attribute_of(args[1])) < 0 ? -errno : 0;
}

/* acl PATH access|default */
static long op_acl(struct posix_run *run, char **args, char *result)
{
	struct acl acl;
	ssize_t n = getxattr(args[0], attribute_of(args[1]), &acl, sizeof(acl));
	size_t used = 0;

	if (n < 0)
		return -errno;
	for (size_t i = 0; sizeof(acl.header) + (i + 1) * sizeof(acl.entries[0]) <= (size_t)n; i++)
		used += (size_t)snprintf(result + used, POSIX_RESULT - used, "%u:%u:%u,",
			acl.entries[i].e_tag,
			acl.entries[i].e_tag & (USER | GROUP) ? acl.entries[i].e_id : 0,
			acl.entries[i].e_perm);
	return 0;
}

/* --- inode flags --- */

/* flags PATH i|a|ia|-: immutable, append only */
static long op_flags(struct posix_run *run, char **args, char *result)
{
	int fd = open(args[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC), flags = 0;
	long r = fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ? -errno : 0;

	flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
	flags |= strchr(args[1], 'i') ? FS_IMMUTABLE_FL : 0;
	flags |= strchr(args[1], 'a') ? FS_APPEND_FL : 0;
	if (r == 0 && ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

/* --- mounts --- */

static long op_mount(struct posix_run *run, char **args, char *result)
{
	return mount("none", args[0], "tmpfs", 0, "size=1m") < 0 ? -errno : 0;
}

/* bind FROM TO */
static long op_bindmount(struct posix_run *run, char **args, char *result)
{
	return mount(args[0], args[1], NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static long op_umount(struct posix_run *run, char **args, char *result)
{
	return umount2(args[0], MNT_DETACH) < 0 ? -errno : 0;
}

const struct posix_op posix_acl_ops[] = {
	{"setacl", 3, false, op_setacl},
	{"removeacl", 2, false, op_removeacl},
	{"acl", 2, true, op_acl},
	{"flags", 2, false, op_flags},
	{"mount", 1, false, op_mount},
	{"bindmount", 2, false, op_bindmount},
	{"umount", 1, false, op_umount},
	{NULL},
};
