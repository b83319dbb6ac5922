/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on what is kept open: descriptors, locks, directory streams. */
#include "oracle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PATH_SIZE 1024

int slot_of(const struct side *side, const struct value *value)
{
	return side->slots[(unsigned long)value->number % SLOTS];
}

void slot_keep(struct side *side, const struct value *value, int fd)
{
	int *slot = &side->slots[(unsigned long)value->number % SLOTS];

	if (fd < 0)
		return;
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

static void op_close(struct side *side, const struct step *step, struct outcome *out)
{
	int *slot = &side->slots[(unsigned long)step->arg[0].number % SLOTS];

	outcome_set(out, close(*slot));
	*slot = -1;
}

static void op_flock(struct side *side, const struct step *step, struct outcome *out)
{
	outcome_set(out, flock(slot_of(side, &step->arg[0]), (int)step->arg[1].number | LOCK_NB));
}

/* Locks of an open file description: two slots of one file are in each other's way. */
static void op_range_lock(struct side *side, const struct step *step, struct outcome *out)
{
	long type = step->arg[1].number;
	struct flock lock = {
		.l_whence = SEEK_SET, .l_start = step->arg[2].number, .l_len = step->arg[3].number};

	lock.l_type = type == LOCK_SH ? F_RDLCK : type == LOCK_EX ? F_WRLCK : F_UNLCK;
	outcome_set(out, fcntl(slot_of(side, &step->arg[0]), F_OFD_SETLK, &lock));
}

const struct operation handle_operations[] = {
	{"close", 8, op_close, {&kind_slot}},
	{"flock", 3, op_flock, {&kind_slot, &kind_lock}},
	{"range-lock", 3, op_range_lock, {&kind_slot, &kind_lock, &kind_offset, &kind_length}},
	{NULL},
};

/* --- directory streams --- */

static struct stream *stream_of(struct side *side, const struct value *value)
{
	return &side->streams[(unsigned long)value->number % STREAMS];
}

/* Which of the names that steps use are in the directory, and as what. */
static void look(struct stream *stream, bool is_start)
{
	for (size_t i = 0; i < NAMES; i++) {
		char name[300];
		struct stat st;
		bool is_there;

		step_expand(pool_names[i], name, sizeof(name));
		is_there = fstatat(dirfd(stream->dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		if (is_there)
			stream->names[i].was_there = true;
		if (is_start) {
			stream->names[i].stayed = is_there;
			stream->names[i].ino = st.st_ino;
		} else if (!is_there || st.st_ino != stream->names[i].ino) {
			stream->names[i].stayed = false;
		}
	}
}

void streams_observe(struct side *side)
{
	for (size_t i = 0; i < STREAMS; i++)
		if (side->streams[i].dir)
			look(&side->streams[i], false);
}

static void begin(struct stream *stream)
{
	memset(stream->names, 0, sizeof(stream->names));
	look(stream, true);
}

static void op_stream_open(struct side *side, const struct step *step, struct outcome *out)
{
	struct stream *stream = stream_of(side, &step->arg[0]);
	char path[PATH_SIZE];
	DIR *dir;

	step_expand(step->arg[1].text, path, sizeof(path));
	dir = opendir(path);
	outcome_set(out, dir ? 0 : -1);
	if (!dir)
		return;
	if (stream->dir)
		closedir(stream->dir);
	stream->dir = dir;
	begin(stream);
}

static void count_name(struct stream *stream, const char *shown, struct outcome *out)
{
	if (strcmp(shown, ".") == 0 || strcmp(shown, "..") == 0)
		return;
	for (size_t i = 0; i < NAMES; i++) {
		char name[300];

		step_expand(pool_names[i], name, sizeof(name));
		if (strcmp(name, shown) != 0)
			continue;
		stream->names[i].listed++;
		if (!stream->names[i].was_there)
			outcome_add(out, " '%s' never was there", shown);
		if (stream->names[i].listed > 1 && stream->names[i].stayed)
			outcome_add(out, " '%s' listed twice", shown);
		return;
	}
	outcome_add(out, " '%s' is nobody's name", shown);
}

/* The order is each file system's own, so what one call gives is not compared. */
static void op_stream_read(struct side *side, const struct step *step, struct outcome *out)
{
	struct stream *stream = stream_of(side, &step->arg[0]);
	struct dirent *entry;

	if (!stream->dir)
		return;
	for (long n = step->arg[1].number; n > 0; n--) {
		errno = 0;
		entry = readdir(stream->dir);
		if (!entry)
			break;
		count_name(stream, entry->d_name, out);
	}
	if (errno)
		outcome_set(out, -1);
}

static void op_stream_end(struct side *side, const struct step *step, struct outcome *out)
{
	struct stream *stream = stream_of(side, &step->arg[0]);
	struct value all = {.number = 100000};
	struct step read_all = *step;

	if (!stream->dir)
		return;
	read_all.arg[1] = all;
	op_stream_read(side, &read_all, out);
	for (size_t i = 0; i < NAMES && !out->error; i++)
		if (stream->names[i].stayed && stream->names[i].listed == 0)
			outcome_add(out, " '%s' not listed", pool_names[i]);
	closedir(stream->dir);
	stream->dir = NULL;
}

static void op_stream_rewind(struct side *side, const struct step *step, struct outcome *out)
{
	struct stream *stream = stream_of(side, &step->arg[0]);

	if (!stream->dir)
		return;
	rewinddir(stream->dir);
	begin(stream);
}

/* A whole directory in one step, with what the entries say of themselves. */
static void op_list(struct side *side, const struct step *step, struct outcome *out)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	uint64_t hash = 0;
	unsigned count = 0;
	DIR *dir;

	step_expand(step->arg[0].text, path, sizeof(path));
	dir = opendir(path);
	outcome_set(out, dir ? 0 : -1);
	while (dir && (entry = readdir(dir))) {
		hash += hash_bytes(entry->d_type, entry->d_name, strlen(entry->d_name));
		count++;
	}
	if (dir) {
		outcome_add(out, " %u entries %016llx", count, (unsigned long long)hash);
		closedir(dir);
	}
}

const struct operation stream_operations[] = {
	{"stream-open", 5, op_stream_open, {&kind_stream, &kind_path}},
	{"stream-read", 6, op_stream_read, {&kind_stream, &kind_count}},
	{"stream-end", 5, op_stream_end, {&kind_stream}},
	{"stream-rewind", 1, op_stream_rewind, {&kind_stream}},
	{"list", 10, op_list, {&kind_path}},
	{NULL},
};
