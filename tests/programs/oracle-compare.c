/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two trees side by side. */
#include "oracle.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct report {
	char *text;
	size_t size, used, lines;
};

#define LINES_MAX 12

__attribute__((format(printf, 2, 3))) static void differ(
	struct report *report, const char *format, ...)
{
	va_list args;
	int n;

	if (++report->lines > LINES_MAX || report->used + 2 >= report->size)
		return;
	va_start(args, format);
	n = vsnprintf(report->text + report->used, report->size - report->used, format, args);
	va_end(args);
	report->used += (size_t)n;
	if (report->used + 2 < report->size) {
		strcpy(report->text + report->used, "\n");
		report->used++;
	}
}

static void print_name(const struct item *item, char name[100])
{
	size_t used = 0;

	for (const char *p = item->path; *p && used < 90; p++)
		used += (size_t)sprintf(
			name + used, (unsigned char)*p < 128 ? "%c" : "\\x%02x", (unsigned char)*p);
	name[used] = '\0';
}

static void compare_numbers(struct report *report, const struct item *item, const char *what,
	const char *format, unsigned long long ours, unsigned long long native)
{
	char name[100], a[40], b[40];

	if (ours == native)
		return;
	print_name(item, name);
/* The format is one of those below. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(a, sizeof(a), format, ours);
	snprintf(b, sizeof(b), format, native);
#pragma GCC diagnostic pop
	differ(report, "%s of '%s': %s, natively %s", what, name, a, b);
}

static void compare_texts(struct report *report, const struct item *item, const char *what,
	const char *ours, const char *native)
{
	char name[100];

	if (strcmp(ours ? ours : "", native ? native : "") == 0)
		return;
	print_name(item, name);
	differ(report, "%s of '%s': %s, natively %s", what, name, ours ? ours : "none",
		native ? native : "none");
}

static void compare_times(struct report *report, const struct item *ours, const struct item *native,
	const struct board *board, unsigned without)
{
	unsigned epochs[2] = {
		epoch_of(board, &ours->st.st_mtim), epoch_of(board, &native->st.st_mtim)};
	char name[100];
	bool is_same =
		epochs[0] && epochs[1] && (epochs[0] == epochs[1] || without & FEATURE_MTIME);

	if (epochs[0] == 0 && epochs[1] == 0)
		is_same = ours->st.st_mtim.tv_sec == native->st.st_mtim.tv_sec &&
			  ours->st.st_mtim.tv_nsec == native->st.st_mtim.tv_nsec;
	if (is_same)
		return;
	print_name(ours, name);
	differ(report, "mtime of '%s': %lld.%09ld (epoch %u), natively %lld.%09ld (epoch %u)", name,
		(long long)ours->st.st_mtim.tv_sec, ours->st.st_mtim.tv_nsec, epochs[0],
		(long long)native->st.st_mtim.tv_sec, native->st.st_mtim.tv_nsec, epochs[1]);
}

static void compare_items(struct report *report, const struct item *ours, const struct item *native,
	const struct board *board, unsigned without)
{
	bool is_dir = S_ISDIR(ours->st.st_mode) && S_ISDIR(native->st.st_mode);

	compare_numbers(
		report, ours, "error", "%llu", (unsigned)ours->error, (unsigned)native->error);
	compare_numbers(report, ours, "mode", "%#llo", mode_shown(ours->st.st_mode),
		mode_shown(native->st.st_mode));
	compare_numbers(report, ours, "uid", "%llu", ours->st.st_uid, native->st.st_uid);
	compare_numbers(report, ours, "gid", "%llu", ours->st.st_gid, native->st.st_gid);
	compare_numbers(report, ours, "rdev", "%#llx", ours->st.st_rdev, native->st.st_rdev);
	if (!is_dir)
		compare_numbers(report, ours, "size", "%llu", (unsigned long long)ours->st.st_size,
			(unsigned long long)native->st.st_size);
	if (!is_dir || !(without & FEATURE_DIRLINKS))
		compare_numbers(
			report, ours, "links", "%llu", ours->st.st_nlink, native->st.st_nlink);
	compare_numbers(report, ours, "content", "hash %llx", ours->content, native->content);
	compare_texts(report, ours, "target", ours->target, native->target);
	compare_texts(report, ours, "xattrs", ours->xattrs, native->xattrs);
	if (!S_ISFIFO(native->st.st_mode))
		compare_times(report, ours, native, board, without);
}

/* --- inode numbers --- */

static struct identity *find_identity(struct identities *ids, const struct item *native)
{
	for (size_t i = 0; i < ids->count; i++)
		if (ids->list[i].native == native->st.st_ino && ids->list[i].birth == native->birth)
			return &ids->list[i];
	return NULL;
}

static void add_identity(struct identities *ids, const struct item *ours, const struct item *native)
{
	if (ids->count == ids->capacity) {
		ids->capacity = ids->capacity ? 2 * ids->capacity : 256;
		ids->list = reallocarray(ids->list, ids->capacity, sizeof(struct identity));
		if (!ids->list)
			die("out of memory");
	}
	ids->list[ids->count++] =
		(struct identity){native->st.st_ino, native->birth, ours->st.st_ino};
}

/* What is one object natively has one number here, now and later. */
static void check_identity(struct report *report, struct identities *ids, const struct item *ours,
	const struct item *native)
{
	struct identity *id = find_identity(ids, native);
	char name[100];

	print_name(ours, name);
	if (ours->listed_ino != ours->st.st_ino)
		differ(report, "d_ino of '%s': %llu, st_ino %llu", name,
			(unsigned long long)ours->listed_ino, (unsigned long long)ours->st.st_ino);
	if (ours->listed_type != DT_UNKNOWN && ours->listed_type != IFTODT(ours->st.st_mode))
		differ(report, "d_type of '%s': %u, mode %#o", name, ours->listed_type,
			ours->st.st_mode);
	if (!id)
		add_identity(ids, ours, native);
	else if (id->ours != ours->st.st_ino) {
		differ(report, "inode of '%s': %llu, before %llu", name,
			(unsigned long long)ours->st.st_ino, (unsigned long long)id->ours);
		id->ours = ours->st.st_ino;
	}
}

struct pair {
	uint64_t ours, native;
	const struct item *item;
};

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->ours != y->ours)
		return x->ours < y->ours ? -1 : 1;
	return x->native < y->native ? -1 : x->native > y->native;
}

/* Two objects have two numbers. */
static void check_unique(struct report *report, struct pair *pairs, size_t count)
{
	char a[100], b[100];

	qsort(pairs, count, sizeof(pairs[0]), compare_pairs);
	for (size_t i = 1; i < count; i++) {
		if (pairs[i].ours != pairs[i - 1].ours || pairs[i].native == pairs[i - 1].native)
			continue;
		print_name(pairs[i - 1].item, a);
		print_name(pairs[i].item, b);
		differ(report, "inode number %llu is shared by '%s' and '%s'",
			(unsigned long long)pairs[i].ours, a, b);
	}
}

void tree_compare(const struct tree *ours, const struct tree *native, const struct board *board,
	struct identities *ids, unsigned without, char *text, size_t size)
{
	struct report report = {.text = text, .size = size};
	struct pair *pairs = calloc(ours->count, sizeof(struct pair));
	size_t i = 0, j = 0, count = 0;
	char name[100];

	if (!pairs)
		die("out of memory");
	text[0] = '\0';
	while (i < ours->count || j < native->count) {
		const struct item *a = &ours->items[i], *b = &native->items[j];
		int order = i == ours->count	 ? 1
			    : j == native->count ? -1
						 : strcmp(a->path, b->path);

		if (order != 0) {
			print_name(order < 0 ? a : b, name);
			differ(&report, "presence of '%s': only %s, error %d", name,
				order < 0 ? "in the mount" : "natively",
				(order < 0 ? a : b)->error);
			order < 0 ? i++ : j++;
			continue;
		}
		compare_items(&report, a, b, board, without);
		check_identity(&report, ids, a, b);
		pairs[count++] = (struct pair){a->st.st_ino, b->st.st_ino, a};
		i++;
		j++;
	}
	check_unique(&report, pairs, count);
	free(pairs);
}
