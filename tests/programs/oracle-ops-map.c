/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mapped files. */
#include "oracle.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATH_SIZE 1024
#define MAP_ROOM  (300 * 1024)

static sigjmp_buf bus_error;

static void on_bus_error(int signal)
{
	siglongjmp(bus_error, 1);
}

static void catch_bus_error(void)
{
	struct sigaction action = {.sa_handler = on_bus_error};

	sigaction(SIGBUS, &action, NULL);
}

static int open_arg(const struct value *value, int flags)
{
	char path[PATH_SIZE];

	step_expand(value->text, path, sizeof(path));
	return open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* How much of [offset, offset + length) the file has. */
static size_t clip(int fd, long offset, long length)
{
	struct stat st;

	if (offset < 0 || fstat(fd, &st) < 0 || st.st_size <= offset)
		return 0;
	return (size_t)(st.st_size - offset < length ? st.st_size - offset : length);
}

static void with_mapping(
	const struct step *step, struct outcome *out, int open_flags, int sharing, bool is_writing)
{
	int fd = open_arg(&step->arg[0], open_flags);
	long offset = step->arg[1].number;
	size_t size = fd < 0 ? 0 : clip(fd, offset, step->arg[2].number);
	unsigned char *map;

	outcome_set(out, fd < 0 ? -1 : (long)size);
	if (size == 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	map = mmap(NULL, (size_t)offset + size, PROT_READ | (is_writing ? PROT_WRITE : 0), sharing,
		fd, 0);
	if (map == MAP_FAILED) {
		outcome_set(out, -1);
		close(fd);
		return;
	}
	if (is_writing)
		memset(map + offset, 'A' + (int)step->arg[3].number, size);
	if (sharing == MAP_SHARED && msync(map, (size_t)offset + size, MS_SYNC) < 0)
		outcome_set(out, -1);
	outcome_add_bytes(out, map, (size_t)offset + size);
	munmap(map, (size_t)offset + size);
	close(fd);
}

static void op_map_read(struct side *side, const struct step *step, struct outcome *out)
{
	with_mapping(step, out, O_RDONLY, MAP_SHARED, false);
}

static void op_map_write(struct side *side, const struct step *step, struct outcome *out)
{
	with_mapping(step, out, O_RDWR, MAP_SHARED, true);
}

static void op_map_private(struct side *side, const struct step *step, struct outcome *out)
{
	with_mapping(step, out, O_RDONLY, MAP_PRIVATE, true);
}

/* --- one mapping that stays --- */

static void unmap(struct side *side)
{
	if (side->map)
		munmap(side->map, MAP_ROOM);
	side->map = NULL;
}

static void op_map_slot(struct side *side, const struct step *step, struct outcome *out)
{
	int fd = slot_of(side, &step->arg[0]);
	bool is_writable = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
	void *map =
		mmap(NULL, MAP_ROOM, PROT_READ | (is_writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);

	outcome_set(out, map == MAP_FAILED ? -1 : 0);
	if (map == MAP_FAILED)
		return;
	unmap(side);
	side->map = map;
	side->map_is_writable = is_writable;
}

static void op_map_look(struct side *side, const struct step *step, struct outcome *out)
{
	long offset = step->arg[0].number < 0 ? 0 : step->arg[0].number;
	unsigned char copy[128];

	if (!side->map)
		return;
	catch_bus_error();
	if (sigsetjmp(bus_error, 1)) {
		outcome_add(out, " SIGBUS");
		return;
	}
	memcpy(copy, (char *)side->map + offset, sizeof(copy));
	outcome_add_bytes(out, copy, sizeof(copy));
}

static void op_map_change(struct side *side, const struct step *step, struct outcome *out)
{
	long offset = step->arg[0].number < 0 ? 0 : step->arg[0].number;

	if (!side->map || !side->map_is_writable)
		return;
	catch_bus_error();
	if (sigsetjmp(bus_error, 1)) {
		/* What was written before the end is written back now. */
		outcome_set(out, msync(side->map, MAP_ROOM, MS_SYNC));
		outcome_add(out, " SIGBUS");
		return;
	}
	memset((char *)side->map + offset, 'a' + (int)step->arg[1].number, 100);
	outcome_set(out, msync(side->map, MAP_ROOM, MS_SYNC));
}

static void op_unmap(struct side *side, const struct step *step, struct outcome *out)
{
	unmap(side);
}

const struct operation map_operations[] = {
	{"map-read", 6, op_map_read, {&kind_path, &kind_offset, &kind_length}, FEATURE_MMAP},
	{"map-write", 9, op_map_write, {&kind_path, &kind_offset, &kind_length, &kind_fill},
		FEATURE_MMAP},
	{"map-private", 3, op_map_private, {&kind_path, &kind_offset, &kind_length, &kind_fill},
		FEATURE_MMAP},
	{"map-slot", 3, op_map_slot, {&kind_slot}, FEATURE_MMAP},
	{"map-look", 6, op_map_look, {&kind_offset}, FEATURE_MMAP},
	{"map-change", 6, op_map_change, {&kind_offset, &kind_fill}, FEATURE_MMAP},
	{"unmap", 1, op_unmap, {NULL}, FEATURE_MMAP},
	{NULL},
};
