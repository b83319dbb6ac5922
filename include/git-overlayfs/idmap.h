/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Id maps: the translation between container ids (uid and gid as a process in
 * the mount sees them) and storage ids (as the backing store records them, seen
 * from the daemon's user namespace).
 *
 * The text form is fuse-overlayfs's, `C:H:N[:C:H:N...]`: N ids from container
 * id C on are stored as the N ids from H on. Without a map an id is itself. An
 * id outside the map has no counterpart: it is shown as the overflow id, and it
 * is never written, unless a squash option says whose it becomes.
 *
 * A struct idmap is immutable after idmap_parse() and the squash fields are
 * set; any thread may then read it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <git-overlayfs/error.h>

/* As many extents as the kernel takes in /proc/PID/uid_map (since 4.15). */
#define IDMAP_EXTENTS_MAX 340

/* The id that the kernel shows for one that has no mapping (its default). */
#define IDMAP_OVERFLOW_ID 65534u

struct idmap_extent {
	uint32_t container;
	uint32_t storage;
	uint32_t count;
};

struct idmap_table {
	size_t count; /* 0: identity */
	struct idmap_extent extents[IDMAP_EXTENTS_MAX];
};

enum idmap_kind { IDMAP_UID, IDMAP_GID };

struct idmap {
	struct idmap_table tables[2]; /* by enum idmap_kind */
	/*
	 * With a squash every storage id is shown as `squash_id`, and whatever a
	 * process asks for, new and changed objects keep the daemon's own id:
	 * fuse-overlayfs's squash_to_root and squash_to_uid/gid.
	 */
	bool squash[2];
	uint32_t squash_id[2];
	/*
	 * True in a user namespace that does not map every id: there stat shows
	 * an unmapped owner as IDMAP_OVERFLOW_ID, so that id counts as unmapped.
	 */
	bool overflow_is_unmapped[2];
};

/* Identity, nothing squashed. */
void idmap_init(struct idmap *map);

/*
 * Parses `text` into one table. Rejects, with an error that quotes the option:
 * an empty string, a number of fields that is not a multiple of three, a field
 * that is not a decimal u32, a count of 0, a range that passes 2^32-1, and
 * ranges that overlap on either side (two strangers would become one owner).
 */
int idmap_parse(struct idmap *map, enum idmap_kind kind, const char *text, struct error *err);

/*
 * The container's id of a storage id that is no stat's answer but written somewhere: there the
 * overflow id is somebody. False when it is not mapped. A squash plays no part.
 */
bool idmap_find_container(
	const struct idmap *map, enum idmap_kind kind, uint32_t storage_id, uint32_t *ret_id);

/* What the container sees; IDMAP_OVERFLOW_ID for an id that is not mapped. */
uint32_t idmap_to_container(const struct idmap *map, enum idmap_kind kind, uint32_t storage_id);

/*
 * What is written for a container id: 0 and *ret_id, or -EINVAL when the id is
 * not mapped. With a squash *ret_id is (uint32_t)-1: leave the owner alone, as
 * chown(2) understands it.
 */
int idmap_to_storage(
	const struct idmap *map, enum idmap_kind kind, uint32_t container_id, uint32_t *ret_id);

/*
 * Whether an object owned by this storage id may be copied up: true when the id
 * is mapped, or squashed.
 */
bool idmap_can_copy(const struct idmap *map, enum idmap_kind kind, uint32_t storage_id);
