/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in memory while objects are made of deltas, of which nothing but the result need be
 * small: many readers at once take no more than there is room for.
 */
#include "memory-peak.h"
#include "pack-bytes.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/git-delta.h"
#include "layer/git-hash.h"
#include "layer/git-library.h"
#include "layer/git-room.h"
#include "layer/git-store.h"

#define MOMENT	50000 /* microseconds */
#define READERS 4
#define MIB	(1u << 20)
/* Two of them are more than the store has room for. */
#define LARGE (72 * MIB)
#define ROOM  (128 * MIB)

/* The memory of a sanitizer is no measure. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEMORY_COUNTS false
#else
#define MEMORY_COUNTS true
#endif

/* --- packs --- */

struct maker {
	FILE *pack;
	struct entry entries[16];
	size_t count;
	git_object_t type;     /* of the objects */
	git_oid made[READERS]; /* what is to be read */
	size_t made_count;
	char top[32];
};

static int setup(void **state)
{
	struct maker *maker = calloc(1, sizeof(*maker));

	assert_non_null(maker);
	if (object_hash_asks_library())
		assert_int_equal(git_library_load(NULL), 0);
	strcpy(maker->top, "git-room-XXXXXX");
	assert_non_null(mkdtemp(maker->top));
	assert_int_equal(chdir(maker->top), 0);
	assert_int_equal(mkdir("objects", 0700), 0);
	assert_int_equal(mkdir("objects/pack", 0700), 0);
	maker->pack = fopen("objects/pack/pack-1.pack", "w");
	assert_non_null(maker->pack);
	assert_int_equal(fwrite("PACK\0\0\0\2\0\0\0\0", 1, 12, maker->pack), 12);
	maker->type = GIT_OBJECT_BLOB;
	*state = maker;
	return 0;
}

static int teardown(void **state)
{
	struct maker *maker = *state;
	char command[64];

	assert_int_equal(chdir(".."), 0);
	snprintf(command, sizeof(command), "rm -r '%s'", maker->top);
	free(maker);
	return system(command);
}

static void put_byte(struct buffer *buffer, unsigned byte)
{
	uint8_t value = (uint8_t)byte;

	put(buffer, &value, 1);
}

/* Seven bits a byte, the lowest first; in so many bytes at least. */
static void put_size(struct buffer *buffer, uint64_t size, unsigned bytes)
{
	for (; size >= 0x80 || bytes > 1; size >>= 7, bytes -= bytes > 0)
		put_byte(buffer, 0x80 | (unsigned)(size & 0x7f));
	put_byte(buffer, (unsigned)size);
}

/* `start`, and NULs up to `size`. */
static void put_deflated(FILE *file, const struct buffer *start, uint64_t size)
{
	static uint8_t zeros[MIB], out[2 * MIB];
	z_stream stream = {0};

	assert_int_equal(deflateInit(&stream, 1), Z_OK);
	for (uint64_t done = 0; done < size; done += stream.total_in - done) {
		uint64_t left = size - done;

		stream.next_in = done ? zeros : (uint8_t *)(uintptr_t)start->bytes;
		stream.avail_in = (unsigned)(done ? left < MIB ? left : MIB : start->size);
		stream.next_out = out;
		stream.avail_out = sizeof(out);
		assert_true(deflate(&stream, stream.avail_in == left ? Z_FINISH : Z_NO_FLUSH) >= 0);
		fwrite(out, 1, sizeof(out) - stream.avail_out, file);
	}
	deflateEnd(&stream);
}

/* An entry of this id; a delta where it has a base. */
static void add_entry(struct maker *maker, const git_oid *id, const git_oid *base,
	const struct buffer *start, uint64_t size)
{
	struct entry *entry = &maker->entries[maker->count++];
	struct buffer header = {.size = 0};

	memcpy(entry->id, id->id, sizeof(entry->id));
	entry->offset = (uint64_t)ftell(maker->pack);
	put_byte(&header, 0x80 | (unsigned)(base ? PACK_ID_DELTA : maker->type) << 4 | (size & 15));
	put_size(&header, size >> 4, 1);
	if (base)
		put(&header, base->id, sizeof(base->id));
	fwrite(header.bytes, 1, header.size, maker->pack);
	put_deflated(maker->pack, start, size);
}

/* The number, and NULs. */
static git_oid id_of(git_object_t type, unsigned number, uint64_t size)
{
	char *data = calloc(1, size);
	git_oid id;

	assert_non_null(data);
	snprintf(data, 9, "%08u", number);
	assert_int_equal(object_hash(type, data, size, &id), 0);
	free(data);
	return id;
}

/* No object: what deltas are made against is not verified. */
static git_oid any_id(const struct maker *maker)
{
	return (git_oid){{0, (unsigned char)maker->count}};
}

static git_oid add_base(struct maker *maker, uint64_t size)
{
	const struct buffer start = {.bytes = {0}, .size = 8};
	git_oid id = any_id(maker);

	add_entry(maker, &id, NULL, &start, size);
	return id;
}

static void make_delta(
	struct buffer *delta, unsigned number, uint64_t base_size, uint64_t size, unsigned bytes)
{
	uint64_t most = base_size < 8 * MIB ? base_size - 8 : 8 * MIB;
	char digits[9];

	delta->size = 0;
	put_size(delta, base_size, bytes);
	put_size(delta, size, bytes);
	snprintf(digits, sizeof(digits), "%08u", number);
	put_byte(delta, 8);
	put(delta, digits, 8);
	for (uint64_t left = size - 8, now; left > 0; left -= now) {
		now = left < most ? left : most;
		/* From behind its number. */
		put_byte(delta, 0xf1);
		put_byte(delta, 8);
		for (unsigned shift = 0; shift < 24; shift += 8)
			put_byte(delta, (unsigned)(now >> shift & 0xff));
	}
}

static void add_made(struct maker *maker, const git_oid *base, uint64_t base_size, uint64_t size)
{
	unsigned number = (unsigned)maker->made_count;
	git_oid id = id_of(maker->type, number, size);
	struct buffer delta;

	make_delta(&delta, number, base_size, size, 1);
	add_entry(maker, &id, base, &delta, delta.size);
	maker->made[maker->made_count++] = id;
}

static int compare_entries(const void *a, const void *b)
{
	return memcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id, PACK_ID_SIZE);
}

static struct object_store *finish(struct maker *maker)
{
	static const char *const dirs[] = {"objects", NULL};
	static struct buffer index;
	struct object_store *store;
	uint8_t count = (uint8_t)maker->count;
	struct error err;
	FILE *file = fopen("objects/pack/pack-1.idx", "w");

	assert_non_null(file);
	qsort(maker->entries, maker->count, sizeof(maker->entries[0]), compare_entries);
	make_index(&index, 2, maker->entries, maker->count);
	fwrite(index.bytes, 1, index.size, file);
	assert_int_equal(fclose(file), 0);
	fwrite(no_checksum, 1, sizeof(no_checksum), maker->pack);
	fseek(maker->pack, 11, SEEK_SET);
	fwrite(&count, 1, 1, maker->pack);
	assert_int_equal(fclose(maker->pack), 0);
	if (object_store_open(dirs, &store, &err) < 0)
		fail_msg("%s", err.text);
	return store;
}

/* --- readers --- */

struct reader {
	struct object_store *store;
	const git_oid *id;
	git_object_t type;
	bool pours;
	int result;
	struct object_cause cause;
	pthread_t thread;
};

static int begin_nothing(struct object_sink *sink, git_object_t type, uint64_t size)
{
	return 0;
}

static int take_nothing(struct object_sink *sink, const void *data, size_t size)
{
	return 0;
}

static void *read_one(void *arg)
{
	struct reader *reader = arg;
	struct object_sink sink = {begin_nothing, take_nothing};
	struct object_bytes bytes = {.data = NULL};
	bool is_held;

	reader->result = reader->pours ? object_store_pour(reader->store, reader->id, reader->type,
						 &sink, &is_held, &reader->cause)
				       : object_store_read(reader->store, reader->id, reader->type,
						 &bytes, &reader->cause);
	object_bytes_release(&bytes);
	return NULL;
}

static void expect_peak(long before, long most)
{
	if (MEMORY_COUNTS && peak() - before > most)
		fail_msg("%ld bytes of memory, not %ld", peak() - before, most);
}

static void read_together(struct maker *maker, bool pours, int result)
{
	struct object_store *store = finish(maker);
	struct reader readers[READERS];
	long before;

	forget_peak();
	before = peak();
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){store, &maker->made[i], maker->type, pours};
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, read_one, &readers[i]), 0);
	}
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	expect_peak(before, ROOM);
	for (int i = 0; i < READERS; i++)
		if (readers[i].result != result)
			fail_msg("%d: %s", readers[i].result, readers[i].cause.text);
	object_store_close(store);
}

static void add_made_of_large(struct maker *maker, uint64_t size)
{
	for (int i = 0; i < READERS; i++) {
		git_oid base = add_base(maker, LARGE);

		add_made(maker, &base, LARGE, size);
	}
}

static void small_blobs_of_large_bases(void **state)
{
	add_made_of_large(*state, 4 * MIB);
	read_together(*state, false, 0);
}

static void large_blobs_of_larger_bases(void **state)
{
	add_made_of_large(*state, 10 * MIB);
	read_together(*state, true, 0);
}

static void trees_of_large_bases(void **state)
{
	struct maker *maker = *state;

	maker->type = GIT_OBJECT_TREE;
	add_made_of_large(maker, MIB);
	read_together(maker, false, 0);
}

/* Neither what the chain ends with nor what comes of it is large. */
static void large_in_the_middle(void **state)
{
	struct maker *maker = *state;
	git_oid base = add_base(maker, MIB);

	for (int i = 0; i < READERS; i++) {
		git_oid middle = any_id(maker);
		struct buffer delta;

		make_delta(&delta, 0, MIB, LARGE, 1);
		add_entry(maker, &middle, &base, &delta, delta.size);
		add_made(maker, &middle, LARGE, MIB);
	}
	read_together(maker, false, 0);
}

/* It has more instructions than its result has room for, and is read before that is seen. */
static void large_deltas(void **state)
{
	struct maker *maker = *state;
	git_oid base = add_base(maker, MIB);
	struct buffer delta;

	make_delta(&delta, 0, MIB, MIB, 1);
	for (int i = 0; i < READERS; i++) {
		maker->made[i] = any_id(maker);
		add_entry(maker, &maker->made[i], &base, &delta, LARGE);
	}
	read_together(maker, false, -EIO);
}

/* The sizes do not fit into what is usually enough to see them. */
static void sizes_of_large_deltas(void **state)
{
	struct maker *maker = *state;
	git_oid base = add_base(maker, MIB), id = any_id(maker);
	struct object_store *store;
	struct object_cause cause;
	struct buffer delta;
	uint64_t size;
	long before;

	make_delta(&delta, 0, MIB, 12345, 9);
	add_entry(maker, &id, &base, &delta, LARGE);
	store = finish(maker);
	forget_peak();
	before = peak();
	assert_int_equal(object_store_read_size(store, &id, GIT_OBJECT_BLOB, &size, &cause), 0);
	assert_int_equal(size, 12345);
	expect_peak(before, MIB);
	object_store_close(store);
}

/* --- what is larger than was asked for --- */

static void add_loose(const git_oid *id, unsigned number, uint64_t size)
{
	struct buffer start = {.size = 0};
	char hex[GIT_OID_HEXSZ + 1], path[80];
	FILE *file;

	start.size = (size_t)snprintf((char *)start.bytes, sizeof(start.bytes), "blob %ju",
			     (uintmax_t)size) +
		     1;
	size += start.size;
	snprintf((char *)start.bytes + start.size, 9, "%08u", number);
	start.size += 8;
	id_to_hex(id, hex);
	snprintf(path, sizeof(path), "objects/%.2s", hex);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "objects/%.2s/%s", hex, hex + 2);
	file = fopen(path, "w");
	assert_non_null(file);
	put_deflated(file, &start, size);
	assert_int_equal(fclose(file), 0);
}

static void expect_small(struct object_store *store, const git_oid *id, int result)
{
	struct object_cause cause = {""};
	struct object_bytes bytes = {.data = NULL};
	long before;

	forget_peak();
	before = peak();
	assert_int_equal(object_store_read_small(store, id, &bytes, &cause), result);
	expect_peak(before, 4 * MIB);
	object_bytes_release(&bytes);
}

static void only_what_is_small(void **state)
{
	const struct buffer start = {.bytes = "00000001", .size = 8};
	struct maker *maker = *state;
	git_oid base = add_base(maker, LARGE), loose = {{7}}, plain = {{8}};
	git_oid elsewhere = id_of(GIT_OBJECT_BLOB, 5, MIB), missing = {{9}};
	struct object_store *store;

	add_made(maker, &base, LARGE, OBJECT_SMALL_MAX + 1);
	add_entry(maker, &plain, NULL, &start, LARGE);
	/* The pack's is damaged, and a small one is sound. */
	add_entry(maker, &elsewhere, NULL, &start, LARGE);
	add_loose(&elsewhere, 5, MIB);
	add_loose(&loose, 1, LARGE);
	store = finish(maker);
	expect_small(store, &maker->made[0], -EFBIG);
	expect_small(store, &plain, -EFBIG);
	expect_small(store, &loose, -EFBIG);
	expect_small(store, &elsewhere, 0);
	expect_small(store, &missing, -EIO);
	object_store_close(store);
}

/* --- room --- */

struct taker {
	struct room *room;
	uint64_t size;
	atomic_bool has_it;
	pthread_t thread;
};

static void *take_room(void *arg)
{
	struct taker *taker = arg;

	room_take(taker->room, taker->size);
	atomic_store(&taker->has_it, true);
	return NULL;
}

static void begin_to_take(struct taker *taker)
{
	assert_int_equal(pthread_create(&taker->thread, NULL, take_room, taker), 0);
	usleep(MOMENT);
	assert_false(atomic_load(&taker->has_it));
}

static void end_with(struct taker *taker)
{
	pthread_join(taker->thread, NULL);
	assert_true(atomic_load(&taker->has_it));
	room_give(taker->room, taker->size);
}

/* While `held` is taken, `size` is not to be had. */
static void expect_wait(struct room *room, uint64_t held, uint64_t size)
{
	struct taker taker = {.room = room, .size = size};

	room_take(room, held);
	begin_to_take(&taker);
	room_give(room, held);
	end_with(&taker);
}

static void bounded_room(void **state)
{
	struct room room;

	room_init(&room, 100);
	room_take(&room, 60);
	room_take(&room, 40);
	room_give(&room, 40);
	room_give(&room, 60);
	expect_wait(&room, 60, 41);
	expect_wait(&room, 1, 1000);
	expect_wait(&room, 1000, 1);
	expect_wait(&room, UINT64_MAX, 1);
	room_release(&room);
}

static void in_the_order_of_coming(void **state)
{
	struct room room;
	struct taker large = {.room = &room, .size = 100}, small = {.room = &room, .size = 10};

	room_init(&room, 100);
	room_take(&room, 60);
	begin_to_take(&large);
	/* There is room for this one, and always would be for the next. */
	begin_to_take(&small);
	room_give(&room, 60);
	end_with(&large);
	end_with(&small);
	room_release(&room);
}

static void shares_of_room(void **state)
{
	const uint64_t small = ROOM_UNCOUNTED_MAX;
	struct room room;
	struct room_share share = {&room, UINT64_MAX};

	room_init(&room, 10 * small);
	assert_true(room_share_covers(&share, small));
	assert_false(room_share_covers(&share, small + 1));
	room_share_take(&share, small);
	assert_int_equal(room.taken, 0);
	room_share_take(&share, 3 * small);
	assert_int_equal(room.taken, 3 * small);
	assert_true(room_share_covers(&share, 3 * small));
	assert_false(room_share_covers(&share, 3 * small + 1));
	room_share_shrink(&share, 4 * small);
	assert_int_equal(room.taken, 3 * small);
	room_share_shrink(&share, 2 * small);
	assert_int_equal(room.taken, 2 * small);
	room_share_shrink(&share, small);
	assert_int_equal(room.taken, 0);
	room_share_end(&share);
	assert_int_equal(room.taken, 0);
	room_release(&room);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_blobs_of_large_bases),
		TEST(large_blobs_of_larger_bases),
		TEST(trees_of_large_bases),
		TEST(large_in_the_middle),
		TEST(large_deltas),
		TEST(sizes_of_large_deltas),
		TEST(only_what_is_small),
		cmocka_unit_test(bounded_room),
		cmocka_unit_test(in_the_order_of_coming),
		cmocka_unit_test(shares_of_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
