/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store on packs that are hostile, or that somebody changes while they are held. */
#include "pack-bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/git-delta.h"
#include "layer/git-store.h"
#include "util/pages.h"

struct pack_maker {
	struct buffer pack;
	struct entry entries[8];
	size_t count;
};

static void begin_pack(struct pack_maker *maker)
{
	*maker = (struct pack_maker){.count = 0};
	put(&maker->pack, "PACK\0\0\0\2\0\0\0\0", 12);
}

/* An entry whose id begins with its number. */
static void add_entry(struct pack_maker *maker, const char *header, size_t header_size,
	const void *content, size_t size)
{
	struct entry *entry = &maker->entries[maker->count++];
	uint8_t out[4096];

	entry->id[0] = (uint8_t)maker->count;
	entry->offset = maker->pack.size;
	put(&maker->pack, header, header_size);
	put(&maker->pack, out,
		deflate_with(9, Z_DEFAULT_STRATEGY, content, size, out, sizeof(out)));
}

/* A delta on the entry of the given number, which may come later. */
static void add_id_delta(struct pack_maker *maker, unsigned number, const char *delta, size_t size)
{
	char header[21] = {0};

	assert_true(size < 16);
	header[0] = (char)(PACK_ID_DELTA << 4 | size);
	header[1] = (char)number;
	add_entry(maker, header, sizeof(header), delta, size);
}

static void write_file(const char *path, const struct buffer *buffer)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, buffer->bytes, buffer->size), buffer->size);
	close(fd);
}

static struct object_store *finish_pack(struct pack_maker *maker)
{
	static const char *const dirs[] = {"objects", NULL};
	static struct buffer index;
	struct object_store *store;
	struct error err;

	maker->pack.bytes[11] = (uint8_t)maker->count;
	put(&maker->pack, no_checksum, sizeof(no_checksum));
	make_index(&index, 2, maker->entries, maker->count);
	mkdir("objects", 0700);
	mkdir("objects/pack", 0700);
	write_file("objects/pack/pack-1.idx", &index);
	write_file("objects/pack/pack-1.pack", &maker->pack);
	assert_int_equal(object_store_open(dirs, &store, &err), 0);
	return store;
}

static void expect_broken(struct object_store *store, unsigned number, const char *what)
{
	git_oid id = {{(unsigned char)number}};
	struct object_cause cause = {""};
	struct object_bytes bytes;
	uint64_t size;

	assert_int_equal(object_store_read(store, &id, GIT_OBJECT_BLOB, &bytes, &cause), -EIO);
	if (!strstr(cause.text, what))
		fail_msg("'%s' lacks '%s'", cause.text, what);
	/* The size may be told, if it is in the header: it must end, and take no memory. */
	(void)object_store_read_size(store, &id, GIT_OBJECT_BLOB, &size, &cause);
}

static void hostile_packs(void **state)
{
	struct pack_maker *maker = malloc(sizeof(*maker));
	struct object_store *store;

	begin_pack(maker);
	/* 1 and 2 are made of each other, 3 of itself, 4 of what is not there. */
	add_id_delta(maker, 2, "\x10\x04\x90\x04", 4);
	add_id_delta(maker, 1, "\x10\x04\x90\x04", 4);
	add_id_delta(maker, 3, "\x10\x04\x90\x04", 4);
	add_id_delta(maker, 99, "\x10\x04\x90\x04", 4);
	/* 5 lies in front of the pack's start, 6 claims a petabyte, 7 less than it has. */
	add_entry(maker, "\x64\xff\x7f", 3, "\x10\x04\x90\x04", 4);
	add_entry(maker, "\xb0\x80\x80\x80\x80\x80\x80\x04", 8, "x", 1);
	add_entry(maker, "\x33", 1, "four", 4);
	/* 8 is sound, but for its id. */
	add_entry(maker, "\x34", 1, "four", 4);
	store = finish_pack(maker);
	for (unsigned number = 1; number <= 7; number++)
		expect_broken(store, number, "damaged");
	expect_broken(store, 8, "another id");
	object_store_close(store);
	free(maker);
}

/* An object that its header and its delta give a size that no pack can hold. */
static void claims_of_deltas(void **state)
{
	struct pack_maker *maker = malloc(sizeof(*maker));
	struct object_store *store;

	begin_pack(maker);
	add_entry(maker, "\x34", 1, "four", 4);
	add_id_delta(maker, 1, "\x04\x80\x80\x80\x80\x80\x80\x80\x04\x90\x04", 11);
	add_id_delta(maker, 1, "\x05\x04\x90\x04", 4);
	store = finish_pack(maker);
	expect_broken(store, 2, "damaged");
	expect_broken(store, 3, "damaged");
	object_store_close(store);
	free(maker);
}

/* Somebody cuts the pack off while it is held: an error, no signal. */
static void a_pack_that_is_cut_off_meanwhile(void **state)
{
	struct pack_maker *maker = malloc(sizeof(*maker));
	struct object_store *store;

	begin_pack(maker);
	add_entry(maker, "\x34", 1, "four", 4);
	store = finish_pack(maker);
	assert_int_equal(truncate("objects/pack/pack-1.pack", 15), 0);
	expect_broken(store, 1, "damaged");
	assert_int_equal(truncate("objects/pack/pack-1.pack", 0), 0);
	expect_broken(store, 1, "damaged");
	object_store_close(store);
	free(maker);
}

/* The same with the index, which is mapped, and whatever else is written into it. */
static void an_index_that_changes_meanwhile(void **state)
{
	struct pack_maker *maker = malloc(sizeof(*maker));
	struct object_store *store;
	uint8_t noise[4096];
	int fd;

	assert_int_equal(pages_guard(), 0);
	for (unsigned round = 0; round < 20; round++) {
		begin_pack(maker);
		add_entry(maker, "\x34", 1, "four", 4);
		store = finish_pack(maker);
		fd = open("objects/pack/pack-1.idx", O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)(round ? random_below(256) : 0xff);
		/* Behind the magic, and within the file. */
		assert_int_equal(pwrite(fd, noise, 1024 + 8 * (size_t)round, 8), 1024 + 8 * round);
		expect_broken(store, 1, "");
		assert_int_equal(ftruncate(fd, 0), 0);
		expect_broken(store, 1, "");
		close(fd);
		object_store_close(store);
	}
	free(maker);
}

static int enter_scratch(void **state)
{
	static char path[] = "/tmp/test-git-store.XXXXXX";

	*state = path;
	return mkdtemp(path) && chdir(path) == 0 ? 0 : -1;
}

static int leave_scratch(void **state)
{
	unlink("objects/pack/pack-1.idx");
	unlink("objects/pack/pack-1.pack");
	rmdir("objects/pack");
	rmdir("objects");
	return chdir("/") == 0 && rmdir(*state) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_packs),
		cmocka_unit_test(claims_of_deltas),
		cmocka_unit_test(a_pack_that_is_cut_off_meanwhile),
		cmocka_unit_test(an_index_that_changes_meanwhile),
	};

	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
