/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <git-overlayfs/idmap.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const option_names[] = {"uidmapping", "gidmapping"};

void idmap_init(struct idmap *map)
{
	memset(map, 0, sizeof(*map));
}

/* Reads one decimal u32 that ends at ':' or at the end of the text. */
static int parse_field(const char **p, uint32_t *ret)
{
	unsigned long long value;
	char *end;

	if (**p < '0' || **p > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(*p, &end, 10);
	if (errno || value > UINT32_MAX || (*end && *end != ':'))
		return -EINVAL;
	*ret = (uint32_t)value;
	*p = *end ? end + 1 : end;
	return 0;
}

static bool ranges_overlap(uint32_t a, uint32_t b, uint32_t a_count, uint32_t b_count)
{
	return a < (uint64_t)b + b_count && b < (uint64_t)a + a_count;
}

static const char *extent_fault(const struct idmap_table *table, const struct idmap_extent *new)
{
	if (new->count == 0)
		return "a range of length 0";
	if ((uint64_t) new->container + new->count > UINT32_MAX ||
		(uint64_t) new->storage + new->count > UINT32_MAX)
		return "a range beyond the largest id";
	for (size_t i = 0; i < table->count; i++) {
		const struct idmap_extent *old = &table->extents[i];

		if (ranges_overlap(old->container, new->container, old->count, new->count) ||
			ranges_overlap(old->storage, new->storage, old->count, new->count))
			return "ranges that overlap";
	}
	return table->count == IDMAP_EXTENTS_MAX ? "too many ranges" : NULL;
}

static const char *parse_table(const char *text, struct idmap_table *table)
{
	const char *p = text;

	if (!*p || text[strlen(text) - 1] == ':')
		return "an incomplete range";
	while (*p) {
		struct idmap_extent extent;
		const char *fault;

		if (parse_field(&p, &extent.container) || parse_field(&p, &extent.storage) ||
			parse_field(&p, &extent.count))
			return "a field that is no id, or an incomplete range";
		fault = extent_fault(table, &extent);
		if (fault)
			return fault;
		table->extents[table->count++] = extent;
	}
	return NULL;
}

int idmap_parse(struct idmap *map, enum idmap_kind kind, const char *text, struct error *err)
{
	struct idmap_table table = {0};
	const char *fault = parse_table(text, &table);

	if (fault)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"%s=%s: %s; write CONTAINER:HOST:COUNT, more after another ':'",
			option_names[kind], text, fault);
	map->tables[kind] = table;
	return 0;
}

/* Translates by the table; `forward` is container to storage. */
static bool translate(const struct idmap_table *table, bool forward, uint32_t id, uint32_t *ret)
{
	if (table->count == 0) {
		*ret = id;
		return true;
	}
	for (size_t i = 0; i < table->count; i++) {
		const struct idmap_extent *e = &table->extents[i];
		uint32_t from = forward ? e->container : e->storage;
		uint32_t to = forward ? e->storage : e->container;

		if (id >= from && id - from < e->count) {
			*ret = to + (id - from);
			return true;
		}
	}
	return false;
}

bool idmap_find_container(
	const struct idmap *map, enum idmap_kind kind, uint32_t storage_id, uint32_t *ret_id)
{
	return translate(&map->tables[kind], false, storage_id, ret_id);
}

static bool storage_to_container(
	const struct idmap *map, enum idmap_kind kind, uint32_t storage_id, uint32_t *ret)
{
	if (map->overflow_is_unmapped[kind] && storage_id == IDMAP_OVERFLOW_ID)
		return false;
	return translate(&map->tables[kind], false, storage_id, ret);
}

uint32_t idmap_to_container(const struct idmap *map, enum idmap_kind kind, uint32_t storage_id)
{
	uint32_t id;

	if (map->squash[kind])
		return map->squash_id[kind];
	return storage_to_container(map, kind, storage_id, &id) ? id : IDMAP_OVERFLOW_ID;
}

int idmap_to_storage(
	const struct idmap *map, enum idmap_kind kind, uint32_t container_id, uint32_t *ret_id)
{
	if (map->squash[kind]) {
		*ret_id = (uint32_t)-1;
		return 0;
	}
	/* chown(2) takes -1 for "leave it alone": it is nobody's id. */
	if (container_id == (uint32_t)-1)
		return -EINVAL;
	return translate(&map->tables[kind], true, container_id, ret_id) ? 0 : -EINVAL;
}

bool idmap_can_copy(const struct idmap *map, enum idmap_kind kind, uint32_t storage_id)
{
	uint32_t id;

	return map->squash[kind] || storage_to_container(map, kind, storage_id, &id);
}
