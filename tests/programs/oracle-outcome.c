/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a step gave, in words that are equal on both sides when the behaviour is. */
#include "file-clock.h"
#include "oracle.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sysmacros.h>

void outcome_set(struct outcome *out, long result)
{
	out->result = result;
	out->error = result < 0 ? errno : 0;
}

void outcome_add(struct outcome *out, const char *format, ...)
{
	size_t used = strlen(out->detail);
	va_list args;

	va_start(args, format);
	vsnprintf(out->detail + used, DETAIL_MAX - used, format, args);
	va_end(args);
}

uint64_t hash_bytes(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; size >= sizeof(word); size -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = (hash ^ word) * 0x100000001b3u;
		hash ^= hash >> 29;
	}
	for (; size > 0; size--, p++)
		hash = (hash ^ *p) * 0x100000001b3u;
	return hash;
}

void outcome_add_bytes(struct outcome *out, const void *data, size_t size)
{
	const unsigned char *p = data;

	outcome_add(out, " %016llx", (unsigned long long)hash_bytes(HASH_START, data, size));
	for (size_t i = 0; i < size && i < 6; i++)
		outcome_add(out, "%s%02x", i ? "" : " ", p[i]);
}

unsigned epoch_of(const struct board *board, const struct timespec *ts)
{
	const struct epochs *epochs = &board->epochs;
	struct timespec now;
	unsigned n = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	if (is_before(&now, ts))
		return 0;
	while (n < epochs->count && !is_before(ts, &epochs->start[n]))
		n++;
	return n;
}

/*
 * Times of before are smaller than the start, those of after are not: files take theirs from
 * the coarse clock, which on an idle machine lags far behind.
 */
void epoch_begin(struct board *board)
{
	struct timespec now;

	if (board->epochs.count == EPOCHS_MAX)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	board->epochs.start[board->epochs.count++] = now;
	file_clock_pass(&now);
}

static void add_time(struct outcome *out, const struct side *side, const struct timespec *ts)
{
	unsigned epoch = epoch_of(side->board, ts);

	if (epoch == 0)
		outcome_add(out, " mtime %lld.%09ld", (long long)ts->tv_sec, ts->tv_nsec);
	else if (side->without & FEATURE_MTIME)
		outcome_add(out, " mtime now");
	else
		outcome_add(out, " mtime of epoch %u", epoch);
}

mode_t mode_shown(mode_t mode)
{
	return S_ISREG(mode) && !(mode & S_IXGRP) ? mode & ~(mode_t)S_ISGID : mode;
}

void outcome_add_stat(struct outcome *out, const struct side *side, const struct stat *st)
{
	outcome_add(out, " %#o %u:%u", mode_shown(st->st_mode), st->st_uid, st->st_gid);
	if (!S_ISDIR(st->st_mode))
		outcome_add(out, " size %lld", (long long)st->st_size);
	if (!S_ISDIR(st->st_mode) || !(side->without & FEATURE_DIRLINKS))
		outcome_add(out, " links %lu", (unsigned long)st->st_nlink);
	if (st->st_rdev)
		outcome_add(out, " rdev %u:%u", major(st->st_rdev), minor(st->st_rdev));
	if (!S_ISFIFO(st->st_mode))
		add_time(out, side, &st->st_mtim);
}
