/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/acl.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>

#include "overlay/call.h"

/* What the kernel writes for an id that has no number in the reader's user namespace. */
#define ID_UNKNOWN ((uint32_t)-1)

bool acl_is_name(const char *name)
{
	return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

bool acl_is_supported(const struct overlay *ov)
{
	/* With a squash all named entries would be one: none of them means what it says. */
	if (ov->ids->squash[IDMAP_UID] || ov->ids->squash[IDMAP_GID])
		return false;
	return ov->upper_fd < 0 || call_getxattr(ov->upper_fd, ACL_ACCESS, NULL, 0) != -EOPNOTSUPP;
}

/* The entries behind the header; NULL for a value that is no ACL. */
static struct posix_acl_xattr_entry *entries_of(void *acl, size_t size, size_t *ret_count)
{
	struct posix_acl_xattr_header *header = acl;

	if (size < sizeof(*header) || le32toh(header->a_version) != POSIX_ACL_XATTR_VERSION ||
		(size - sizeof(*header)) % sizeof(struct posix_acl_xattr_entry))
		return NULL;
	*ret_count = (size - sizeof(*header)) / sizeof(struct posix_acl_xattr_entry);
	return (struct posix_acl_xattr_entry *)(header + 1);
}

/* Whether the entry names somebody: then *ret_kind says of which kind. */
static bool names_somebody(const struct posix_acl_xattr_entry *entry, enum idmap_kind *ret_kind)
{
	uint16_t tag = le16toh(entry->e_tag);

	*ret_kind = tag == ACL_USER ? IDMAP_UID : IDMAP_GID;
	return tag == ACL_USER || tag == ACL_GROUP;
}

int acl_to_storage(const struct idmap *ids, void *acl, size_t size)
{
	size_t count;
	struct posix_acl_xattr_entry *entries = entries_of(acl, size, &count);

	if (!entries)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		enum idmap_kind kind;
		uint32_t id;
		int r;

		if (!names_somebody(&entries[i], &kind))
			continue;
		r = idmap_to_storage(ids, kind, le32toh(entries[i].e_id), &id);
		if (r < 0)
			return r;
		entries[i].e_id = htole32(id);
	}
	return 0;
}

ssize_t acl_to_container(const struct idmap *ids, void *acl, size_t size)
{
	size_t count, kept = 0;
	struct posix_acl_xattr_entry *entries = entries_of(acl, size, &count);

	if (!entries)
		return -EIO;
	for (size_t i = 0; i < count; i++) {
		struct posix_acl_xattr_entry entry = entries[i];
		enum idmap_kind kind;
		uint32_t id;

		if (names_somebody(&entry, &kind)) {
			id = le32toh(entry.e_id);
			if (id == ID_UNKNOWN || !idmap_find_container(ids, kind, id, &id))
				continue;
			entry.e_id = htole32(id);
		}
		entries[kept++] = entry;
	}
	return (ssize_t)(sizeof(struct posix_acl_xattr_header) + kept * sizeof(*entries));
}

int acl_check_copy(const void *acl, size_t size)
{
	size_t count;
	const struct posix_acl_xattr_entry *entries = entries_of((void *)acl, size, &count);
	enum idmap_kind kind;

	for (size_t i = 0; entries && i < count; i++)
		if (names_somebody(&entries[i], &kind) && le32toh(entries[i].e_id) == ID_UNKNOWN)
			return -EOVERFLOW;
	return 0;
}

int acl_has_default(int dir_fd)
{
	ssize_t size = call_getxattr(dir_fd, ACL_DEFAULT, NULL, 0);

	if (size == -ENODATA || size == -EOPNOTSUPP)
		return 0;
	return size < 0 ? (int)size : size > 0;
}

static int clear_one(int fd, const char *name)
{
	int r = call_removexattr(fd, name);

	return r == -ENODATA || r == -EOPNOTSUPP ? 0 : r;
}

int acl_clear(int fd)
{
	int r = clear_one(fd, ACL_DEFAULT);

	return r < 0 ? r : clear_one(fd, ACL_ACCESS);
}
