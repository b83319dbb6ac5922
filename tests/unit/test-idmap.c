/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The id map: parsing, both directions, squash, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <git-overlayfs/idmap.h>

static void identity_without_a_map(void **state)
{
	struct idmap map;
	uint32_t id;

	idmap_init(&map);
	assert_int_equal(idmap_to_container(&map, IDMAP_UID, 12345), 12345);
	assert_int_equal(idmap_to_storage(&map, IDMAP_UID, 12345, &id), 0);
	assert_int_equal(id, 12345);
	assert_true(idmap_can_copy(&map, IDMAP_GID, 65534));
	assert_int_equal(idmap_to_storage(&map, IDMAP_UID, (uint32_t)-1, &id), -EINVAL);
}

static void both_directions(void **state)
{
	static const struct {
		uint32_t container, storage;
	} rows[] = {{0, 1000}, {1, 100000}, {65535, 165534}};
	struct idmap map;
	uint32_t id;

	idmap_init(&map);
	assert_int_equal(idmap_parse(&map, IDMAP_UID, "0:1000:1:1:100000:65535", NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			idmap_to_container(&map, IDMAP_UID, rows[i].storage), rows[i].container);
		assert_int_equal(idmap_to_storage(&map, IDMAP_UID, rows[i].container, &id), 0);
		assert_int_equal(id, rows[i].storage);
	}
	assert_int_equal(idmap_to_container(&map, IDMAP_UID, 0), IDMAP_OVERFLOW_ID);
	assert_int_equal(idmap_to_storage(&map, IDMAP_UID, 65536, &id), -EINVAL);
	assert_false(idmap_can_copy(&map, IDMAP_UID, 0));
	/* The gid table was not set: identity. */
	assert_int_equal(idmap_to_container(&map, IDMAP_GID, 7), 7);
}

static void squash(void **state)
{
	struct idmap map;
	uint32_t id = 0;

	idmap_init(&map);
	map.squash[IDMAP_UID] = true;
	map.squash_id[IDMAP_UID] = 5;
	assert_int_equal(idmap_to_container(&map, IDMAP_UID, 777), 5);
	assert_int_equal(idmap_to_storage(&map, IDMAP_UID, 999, &id), 0);
	assert_int_equal(id, (uint32_t)-1);
	assert_true(idmap_can_copy(&map, IDMAP_UID, 777));
}

static void overflow_of_a_user_namespace(void **state)
{
	struct idmap map;

	idmap_init(&map);
	map.overflow_is_unmapped[IDMAP_UID] = true;
	assert_false(idmap_can_copy(&map, IDMAP_UID, IDMAP_OVERFLOW_ID));
	assert_true(idmap_can_copy(&map, IDMAP_UID, 0));
	assert_int_equal(idmap_to_container(&map, IDMAP_UID, IDMAP_OVERFLOW_ID), IDMAP_OVERFLOW_ID);
}

static void refused(void **state)
{
	static const char *const rows[] = {"", ":", "0", "0:1", "0:1:", "0:1:1:", "0:1:1:2",
		"a:1:1", "0:1:0", "-1:0:1", " 0:0:1", "0:0:4294967296", "4294967295:0:1",
		"0:4294967295:1", "0:0:10:5:100:10", "0:0:10:100:5:10", "0:0:1,1:1:1"};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};
		struct idmap map;

		idmap_init(&map);
		if (idmap_parse(&map, IDMAP_UID, rows[i], &err) != -EINVAL)
			fail_msg("'%s' was taken", rows[i]);
		assert_int_equal(err.status, EXIT_STATUS_USAGE);
		assert_int_equal(map.tables[IDMAP_UID].count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_without_a_map),
		cmocka_unit_test(both_directions),
		cmocka_unit_test(squash),
		cmocka_unit_test(overflow_of_a_user_namespace),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
