/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on attributes, extended attributes and ACLs. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_SIZE 1024
#define PATH_ARG(name, n)     \
	char name[PATH_SIZE]; \
	step_expand(step->arg[n].text, name, PATH_SIZE)

static void op_chmod(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, chmod(path, (mode_t)step->arg[1].number));
}

static void op_fchmod(struct side *side, const struct step *step, struct outcome *out)
{
	outcome_set(out, fchmod(slot_of(side, &step->arg[0]), (mode_t)step->arg[1].number));
}

static bool is_open_for_writing(const struct side *side, const struct stat *st)
{
	struct stat slot;

	for (size_t i = 0; i < SLOTS; i++)
		if (side->slots[i] >= 0 && fstat(side->slots[i], &slot) == 0 &&
			slot.st_ino == st->st_ino &&
			(fcntl(side->slots[i], F_GETFL) & O_ACCMODE) != O_RDONLY)
			return true;
	return false;
}

/*
 * A chown that sets nothing takes set-id bits, or is EPERM for who may not. The kernel's FUSE asks
 * the same of us before a write, so that where the file is open for writing nobody can tell.
 */
static bool looks_like_a_write(const struct side *side, const struct stat *st,
	const struct value *uid, const struct value *gid)
{
	return uid->number == -1 && gid->number == -1 && S_ISREG(st->st_mode) &&
	       st->st_mode & (S_ISUID | S_ISGID) && is_open_for_writing(side, st);
}

static void op_chown(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	struct stat st;

	if (fstatat(AT_FDCWD, path, &st, (int)step->arg[3].number) == 0 &&
		looks_like_a_write(side, &st, &step->arg[1], &step->arg[2]))
		return;
	outcome_set(out, fchownat(AT_FDCWD, path, (uid_t)step->arg[1].number,
				 (gid_t)step->arg[2].number, (int)step->arg[3].number));
}

static void op_fchown(struct side *side, const struct step *step, struct outcome *out)
{
	struct stat st;

	if (fstat(slot_of(side, &step->arg[0]), &st) == 0 &&
		looks_like_a_write(side, &st, &step->arg[1], &step->arg[2]))
		return;
	outcome_set(out, fchown(slot_of(side, &step->arg[0]), (uid_t)step->arg[1].number,
				 (gid_t)step->arg[2].number));
}

static struct timespec time_of(const struct value *value)
{
	if (value->number == -1000001)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (value->number == -1000002)
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){.tv_sec = value->number, .tv_nsec = 123456789};
}

static void op_utimens(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	struct timespec times[2] = {time_of(&step->arg[1]), time_of(&step->arg[2])};

	outcome_set(out, utimensat(AT_FDCWD, path, times, (int)step->arg[3].number));
}

static void op_futimens(struct side *side, const struct step *step, struct outcome *out)
{
	struct timespec times[2] = {time_of(&step->arg[1]), time_of(&step->arg[2])};

	outcome_set(out, futimens(slot_of(side, &step->arg[0]), times));
}

static void op_umask(struct side *side, const struct step *step, struct outcome *out)
{
	outcome_set(out, (long)umask(step->arg[0].number ? 022 : 0));
}

static void op_fstat(struct side *side, const struct step *step, struct outcome *out)
{
	struct stat st;
	int r = fstat(slot_of(side, &step->arg[0]), &st);

	outcome_set(out, r);
	if (r == 0)
		outcome_add_stat(out, side, &st);
}

/* --- extended attributes --- */

/* What setcap cap_net_raw+ep writes. */
static const struct vfs_cap_data capability = {
	.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
	.data = {{.permitted = 1 << CAP_NET_RAW}},
};

static size_t xattr_value(const struct step *step, size_t which, char value[512])
{
	size_t size = (size_t)step->arg[which].number * 19;

	if (strcmp(step->arg[1].text, "security.capability") == 0) {
		memcpy(value, &capability, XATTR_CAPS_SZ_2);
		return XATTR_CAPS_SZ_2;
	}
	memset(value, 'v', size);
	return size;
}

static void op_setxattr(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	char value[512];
	size_t size = xattr_value(step, 2, value);
	int flags = (int)step->arg[3].number;

	if (step->arg[4].number)
		outcome_set(out, lsetxattr(path, step->arg[1].text, value, size, flags));
	else
		outcome_set(out, setxattr(path, step->arg[1].text, value, size, flags));
}

static void op_fsetxattr(struct side *side, const struct step *step, struct outcome *out)
{
	char value[512];
	size_t size = xattr_value(step, 2, value);

	outcome_set(out, fsetxattr(slot_of(side, &step->arg[0]), step->arg[1].text, value, size,
				 (int)step->arg[3].number));
}

static void tell_value(struct outcome *out, ssize_t n, const char *value)
{
	outcome_set(out, n);
	if (n >= 0)
		outcome_add_bytes(out, value, (size_t)n);
}

static void op_getxattr(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	char value[512];

	if (step->arg[2].number)
		tell_value(out, lgetxattr(path, step->arg[1].text, value, sizeof(value)), value);
	else
		tell_value(out, getxattr(path, step->arg[1].text, value, sizeof(value)), value);
}

static void op_fgetxattr(struct side *side, const struct step *step, struct outcome *out)
{
	char value[512];

	tell_value(out,
		fgetxattr(slot_of(side, &step->arg[0]), step->arg[1].text, value, sizeof(value)),
		value);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void op_listxattr(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	char list[2048];
	const char *names[64];
	size_t count = 0;
	ssize_t n = step->arg[1].number ? llistxattr(path, list, sizeof(list))
					: listxattr(path, list, sizeof(list));

	outcome_set(out, n);
	for (char *p = list; n > 0 && p < list + n && count < COUNT(names); p += strlen(p) + 1)
		names[count++] = p;
	qsort(names, count, sizeof(names[0]), compare_names);
	for (size_t i = 0; i < count; i++)
		outcome_add(out, " %s", names[i]);
}

static void op_removexattr(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, step->arg[2].number ? lremovexattr(path, step->arg[1].text)
					     : removexattr(path, step->arg[1].text));
}

/* --- ACLs --- */

#define ANY ACL_UNDEFINED_ID
static const struct {
	uint16_t tag, permissions;
	uint32_t id;
} acls[][6] = {
	{{ACL_USER_OBJ, 6, ANY}, {ACL_GROUP_OBJ, 4, ANY}, {ACL_OTHER, 4, ANY}},
	{{ACL_USER_OBJ, 7, ANY}, {ACL_USER, 7, 1002}, {ACL_GROUP_OBJ, 5, ANY}, {ACL_MASK, 7, ANY},
		{ACL_OTHER, 0, ANY}},
	{{ACL_USER_OBJ, 6, ANY}, {ACL_USER, 4, 1001}, {ACL_GROUP_OBJ, 0, ANY}, {ACL_MASK, 4, ANY},
		{ACL_OTHER, 0, ANY}},
	{{ACL_USER_OBJ, 7, ANY}, {ACL_GROUP_OBJ, 5, ANY}, {ACL_GROUP, 6, 2000}, {ACL_MASK, 6, ANY},
		{ACL_OTHER, 5, ANY}},
	{{ACL_USER_OBJ, 7, ANY}, {ACL_GROUP_OBJ, 7, ANY}, {ACL_OTHER, 7, ANY}},
	{{ACL_USER_OBJ, 6, ANY}, {ACL_USER, 0, 1002}, {ACL_GROUP_OBJ, 6, ANY}, {ACL_MASK, 6, ANY},
		{ACL_OTHER, 6, ANY}},
	{{ACL_USER_OBJ, 6, ANY}, {ACL_OTHER, 6, ANY}}, /* no group: invalid */
	{{0}},					       /* no entry at all */
};

static size_t acl_value(unsigned which, char value[512])
{
	struct posix_acl_xattr_header header = {.a_version = POSIX_ACL_XATTR_VERSION};
	size_t used = sizeof(header);

	memcpy(value, &header, sizeof(header));
	for (size_t i = 0; i < 6 && acls[which][i].tag; i++) {
		struct posix_acl_xattr_entry entry = {.e_tag = acls[which][i].tag,
			.e_perm = acls[which][i].permissions,
			.e_id = acls[which][i].id};

		memcpy(value + used, &entry, sizeof(entry));
		used += sizeof(entry);
	}
	return used;
}

static void op_setacl(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	char value[512];
	size_t size = acl_value((unsigned)step->arg[2].number % COUNT(acls), value);

	outcome_set(out, setxattr(path, step->arg[1].text, value, size, 0));
}

static void op_getacl(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	char value[512];

	tell_value(out, getxattr(path, step->arg[1].text, value, sizeof(value)), value);
}

static void op_removeacl(struct side *side, const struct step *step, struct outcome *out)
{
	PATH_ARG(path, 0);
	outcome_set(out, removexattr(path, step->arg[1].text));
}

/* --- flags --- */

static void op_getflags(struct side *side, const struct step *step, struct outcome *out)
{
	int flags = 0;

	outcome_set(out, ioctl(slot_of(side, &step->arg[0]), FS_IOC_GETFLAGS, &flags));
	outcome_add(out, " %#x", flags & FS_FL_USER_VISIBLE & ~FS_EXTENT_FL & ~FS_INLINE_DATA_FL);
}

static void op_setflags(struct side *side, const struct step *step, struct outcome *out)
{
	int flags = 0, fd = slot_of(side, &step->arg[0]);
	int r = ioctl(fd, FS_IOC_GETFLAGS, &flags);

	flags = (flags & ~(FS_NODUMP_FL | FS_NOATIME_FL)) | (int)step->arg[1].number;
	outcome_set(out, r < 0 ? r : ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

const struct operation meta_operations[] = {
	{"chmod", 12, op_chmod, {&kind_path, &kind_mode}},
	{"fchmod", 4, op_fchmod, {&kind_slot, &kind_mode}},
	{"chown", 8, op_chown, {&kind_path, &kind_uid, &kind_gid, &kind_follow}},
	{"fchown", 3, op_fchown, {&kind_slot, &kind_uid, &kind_gid}},
	{"utimens", 8, op_utimens, {&kind_path, &kind_time, &kind_time, &kind_follow}},
	{"futimens", 3, op_futimens, {&kind_slot, &kind_time, &kind_time}},
	{"umask", 2, op_umask, {&kind_offset}},
	{"fstat", 12, op_fstat, {&kind_slot}},
	{"setxattr", 8, op_setxattr,
		{&kind_path, &kind_xattr, &kind_count, &kind_xattr_flags, &kind_follow}},
	{"fsetxattr", 3, op_fsetxattr, {&kind_slot, &kind_xattr, &kind_count, &kind_xattr_flags}},
	{"getxattr", 5, op_getxattr, {&kind_path, &kind_xattr, &kind_follow}},
	{"fgetxattr", 2, op_fgetxattr, {&kind_slot, &kind_xattr}},
	{"listxattr", 4, op_listxattr, {&kind_path, &kind_follow}},
	{"removexattr", 4, op_removexattr, {&kind_path, &kind_xattr, &kind_follow}},
	{"setacl", 8, op_setacl, {&kind_path, &kind_acl, &kind_acl_value}, FEATURE_ACL},
	{"getacl", 4, op_getacl, {&kind_path, &kind_acl}, FEATURE_ACL},
	{"removeacl", 3, op_removeacl, {&kind_path, &kind_acl}, FEATURE_ACL},
	{"getflags", 2, op_getflags, {&kind_slot}, FEATURE_IOCTL},
	{"setflags", 2, op_setflags, {&kind_slot, &kind_inode_flags}, FEATURE_IOCTL},
	{NULL},
};
