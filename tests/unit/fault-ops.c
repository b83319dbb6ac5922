/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fault-ops.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- what operations show --- */

static void show_stat(struct attempt *at, const struct stat *st)
{
	bool is_below = st->st_ino >> 62;

	fprintf(at->out, "%o %u:%u %ju %jd %ju\n", st->st_mode, st->st_uid, st->st_gid,
		(uintmax_t)st->st_nlink, S_ISDIR(st->st_mode) ? 0 : (intmax_t)st->st_size,
		is_below ? (uintmax_t)st->st_ino : 0);
}

/* Shows an entry, and gives its reference back. */
static int show_entry(struct attempt *at, int r, const struct overlay_entry *entry)
{
	if (r < 0)
		return r;
	show_stat(at, &entry->st);
	overlay_forget(at->fx.ov, entry->node, 1);
	return 0;
}

static int show_bytes(struct attempt *at, ssize_t n, const char *bytes)
{
	if (n < 0)
		return (int)n;
	fprintf(at->out, "%zd ", n);
	fwrite(bytes, 1, (size_t)n, at->out);
	return 0;
}

/* --- names --- */

static int run_lookup(struct attempt *at)
{
	struct overlay_entry entry;
	int r = overlay_lookup(at->fx.ov, at->parent, at->leaf, &entry);

	return show_entry(at, r, &entry);
}

static int run_create(struct attempt *at)
{
	struct overlay_file *file;
	struct overlay_entry entry;
	int r = overlay_create(at->fx.ov, &at->fx.caller, at->parent, at->leaf,
		(mode_t)at->op->value, O_RDWR, &entry, &file);

	if (r == 0)
		overlay_release(at->fx.ov, file);
	return show_entry(at, r, &entry);
}

static int run_mkdir(struct attempt *at)
{
	struct overlay_entry entry;
	int r = overlay_mkdir(
		at->fx.ov, &at->fx.caller, at->parent, at->leaf, (mode_t)at->op->value, &entry);

	return show_entry(at, r, &entry);
}

static int run_mknod(struct attempt *at)
{
	struct overlay_entry entry;
	int r = overlay_mknod(
		at->fx.ov, &at->fx.caller, at->parent, at->leaf, (mode_t)at->op->value, 0, &entry);

	return show_entry(at, r, &entry);
}

static int run_symlink(struct attempt *at)
{
	struct overlay_entry entry;
	int r = overlay_symlink(
		at->fx.ov, &at->fx.caller, at->parent, at->leaf, "pointed/at", &entry);

	return show_entry(at, r, &entry);
}

static int run_link(struct attempt *at)
{
	struct overlay_entry entry;
	int r = overlay_link(at->fx.ov, at->node, at->to_parent, at->to_leaf, &entry);

	return show_entry(at, r, &entry);
}

static int run_unlink(struct attempt *at)
{
	return overlay_unlink(at->fx.ov, at->parent, at->leaf);
}

static int run_rmdir(struct attempt *at)
{
	return overlay_rmdir(at->fx.ov, at->parent, at->leaf);
}

static int run_rename(struct attempt *at)
{
	return overlay_rename(at->fx.ov, &at->fx.caller, at->parent, at->leaf, at->to_parent,
		at->to_leaf, (unsigned)at->op->value);
}

/* --- metadata --- */

static int set_attributes(struct attempt *at, const struct stat *wanted, unsigned set)
{
	struct stat st;
	int r = overlay_setattr(at->fx.ov, at->node, NULL, wanted, set, &st);

	if (r == 0)
		show_stat(at, &st);
	return r;
}

static int run_chmod(struct attempt *at)
{
	const struct stat st = {.st_mode = (mode_t)at->op->value};

	return set_attributes(at, &st, OVERLAY_SET_MODE);
}

static int run_chown(struct attempt *at)
{
	const struct stat st = {.st_uid = (uid_t)at->op->value, .st_gid = (gid_t)at->op->value};

	return set_attributes(at, &st, OVERLAY_SET_UID | OVERLAY_SET_GID);
}

static int run_truncate(struct attempt *at)
{
	const struct stat st = {.st_size = at->op->value};

	return set_attributes(at, &st, OVERLAY_SET_SIZE);
}

static int run_utimens(struct attempt *at)
{
	const struct stat st = {.st_atim = {.tv_sec = 17}, .st_mtim = {.tv_sec = 71, .tv_nsec = 7}};

	return set_attributes(at, &st, OVERLAY_SET_ATIME | OVERLAY_SET_MTIME);
}

static int run_getattr(struct attempt *at)
{
	struct stat st;
	int r = overlay_getattr(at->fx.ov, at->node, NULL, &st);

	if (r == 0)
		show_stat(at, &st);
	return r;
}

static int run_readlink(struct attempt *at)
{
	char target[256];

	return show_bytes(
		at, overlay_readlink(at->fx.ov, at->node, target, sizeof(target)), target);
}

static int run_setxattr(struct attempt *at)
{
	return overlay_setxattr(at->fx.ov, at->node, "user.new", "value", 5, 0);
}

static int run_removexattr(struct attempt *at)
{
	return overlay_removexattr(at->fx.ov, at->node, "user.k");
}

static int run_getxattr(struct attempt *at)
{
	char value[64];

	return show_bytes(
		at, overlay_getxattr(at->fx.ov, at->node, "user.k", value, sizeof(value)), value);
}

static int run_listxattr(struct attempt *at)
{
	char names[256];

	return show_bytes(at,
		overlay_listxattr(at->fx.ov, &at->fx.caller, at->node, names, sizeof(names)),
		names);
}

static int run_statfs(struct attempt *at)
{
	struct statvfs st;
	int r = overlay_statfs(at->fx.ov, &st);

	if (r == 0)
		fprintf(at->out, "%lu", st.f_namemax);
	return r;
}

static int run_sync(struct attempt *at)
{
	return overlay_sync(at->fx.ov);
}

/* --- files --- */

static int run_open(struct attempt *at)
{
	struct overlay_file *file;
	char buf[64];
	ssize_t n = 0;
	int r = overlay_open(at->fx.ov, at->node, (int)at->op->value, &file);

	if (r < 0)
		return r;
	if ((at->op->value & O_ACCMODE) != O_WRONLY)
		n = overlay_read(at->fx.ov, file, buf, sizeof(buf), 0);
	overlay_release(at->fx.ov, file);
	return show_bytes(at, n, buf);
}

static int run_read(struct attempt *at)
{
	char buf[64];

	return show_bytes(at, overlay_read(at->fx.ov, at->reader, buf, sizeof(buf), 0), buf);
}

static int run_write(struct attempt *at)
{
	ssize_t n = overlay_write(at->fx.ov, at->writer, "W", 1, 1);

	return n < 0 ? (int)n : n == 1 ? 0 : -EIO;
}

static int run_fallocate(struct attempt *at)
{
	return overlay_fallocate(at->fx.ov, at->writer, (int)at->op->value, 0, 4096);
}

static int run_lseek(struct attempt *at)
{
	off_t offset = overlay_lseek(at->fx.ov, at->reader, 1, SEEK_HOLE);

	if (offset >= 0)
		fprintf(at->out, "%jd", (intmax_t)offset);
	return offset < 0 ? (int)offset : 0;
}

static int run_copy_range(struct attempt *at)
{
	ssize_t n = overlay_copy_file_range(at->fx.ov, at->reader, 0, at->writer, 2, 3);

	return n < 0 ? (int)n : n == 3 ? 0 : -EIO;
}

static int run_fsync(struct attempt *at)
{
	return overlay_fsync(at->fx.ov, at->writer, at->op->value);
}

/* --- directories --- */

struct reading {
	struct attempt *attempt;
	uint64_t offset, given;
};

static int show_dirent(void *ctx, const struct overlay_dirent *entry)
{
	struct reading *reading = ctx;

	/* Numbers of the upper are any. */
	fprintf(reading->attempt->out, "%s %o %d\n", entry->name, entry->type,
		(int)(entry->ino >> 62));
	reading->offset = entry->next;
	reading->given++;
	return 0;
}

/* As getdents(2) does: until nothing comes. */
static int run_readdir(struct attempt *at)
{
	struct reading reading = {.attempt = at};
	int r;

	do {
		reading.given = 0;
		r = overlay_readdir(at->fx.ov, at->node, reading.offset, show_dirent, &reading);
	} while (r == 0 && reading.given > 0);
	return r;
}

static int run_fsyncdir(struct attempt *at)
{
	return overlay_fsyncdir(at->fx.ov, at->node, false);
}

/* clang-format off */
#define PARENT NEEDS_PARENT
#define NODE   NEEDS_NODE

#define LOOKUP(path) {"lookup " path, run_lookup, PARENT, path}
#define CREATE(path) {"create " path, run_create, PARENT, path, .value = 0640}
#define MKDIR(path) {"mkdir " path, run_mkdir, PARENT, path, .value = 0750}
#define MKNOD(path) {"mknod " path, run_mknod, PARENT, path, .value = S_IFIFO | 0604}
#define SYMLINK(path) {"symlink " path, run_symlink, PARENT, path}
#define LINK(path, to) {"link " path " " to, run_link, NODE | NEEDS_TO, path, to}
#define UNLINK(path) {"unlink " path, run_unlink, PARENT, path}
#define RMDIR(path) {"rmdir " path, run_rmdir, PARENT, path}
#define RENAME(path, to) {"rename " path " " to, run_rename, PARENT | NEEDS_TO, path, to}
#define EXCHANGE(path, to) {"exchange " path " " to, run_rename, PARENT | NEEDS_TO, path, to, RENAME_EXCHANGE}
#define NOREPLACE(path, to) \
	{"noreplace " path " " to, run_rename, PARENT | NEEDS_TO, path, to, RENAME_NOREPLACE}
#define ON_NODE(verb, path, v) \
	{#verb " " path, run_##verb, NODE, path, .value = v}
#define ON_FILE(verb, path, v) \
	{#verb " " path, run_##verb, NEEDS_WRITER, path, .value = v}

const struct operation operations[] = {
	LOOKUP("f"), LOOKUP("u"), LOOKUP("c"), LOOKUP("d"), LOOKUP("d/b"), LOOKUP("g"),
	LOOKUP("none"), LOOKUP("ud/x"), LOOKUP("u2"), LOOKUP("h2"), LOOKUP("o"), LOOKUP("r1"),
	LOOKUP("m/none"), LOOKUP("o/hidden"), LOOKUP("ul"), ON_NODE(getattr, "f", 0),
	ON_NODE(getattr, "u", 0), ON_NODE(getattr, "m", 0), ON_NODE(readlink, "l", 0),
	ON_NODE(readlink, "ul", 0), ON_NODE(getxattr, "f", 0), ON_NODE(getxattr, "u", 0),
	ON_NODE(listxattr, "f", 0), ON_NODE(listxattr, "u", 0), ON_NODE(open, "f", O_RDONLY),
	ON_NODE(open, "s", O_RDONLY), ON_NODE(open, "u", O_RDONLY), ON_NODE(readdir, "d", 0),
	ON_NODE(readdir, "m", 0), ON_NODE(readdir, "e", 0), ON_NODE(readdir, "ud", 0),
	ON_NODE(readdir, "", 0), ON_NODE(readdir, "r1", 0), {"statfs", run_statfs, 0},
	{"sync", run_sync, 0}, {"read f", run_read, NEEDS_READER, "f"},
	{"read s", run_read, NEEDS_READER, "s"}, {"read u", run_read, NEEDS_READER, "u"},
	{"lseek s", run_lseek, NEEDS_READER, "s"}, {"lseek u", run_lseek, NEEDS_READER, "u"},
	ON_NODE(fsyncdir, "ud", 0), ON_FILE(fsync, "u", 0), ON_FILE(fsync, "u", 1), CREATE("n"),
	CREATE("d/n"), CREATE("d/sub/n"), CREATE("g"), CREATE("acl/n"), CREATE("f"),
	CREATE("o/hidden"), MKDIR("n"), MKDIR("d/n"), MKDIR("g"), MKDIR("gd"), MKDIR("acl/n"),
	MKDIR("r0"), MKNOD("n"), MKNOD("g"), SYMLINK("n"), SYMLINK("d/n"), SYMLINK("g"),
	{"create for another", run_create, PARENT, "ud/n", .value = 0640, .needs_root = true},
	{"mkdir for another", run_mkdir, PARENT, "ud/n", .value = 0750, .needs_root = true},
	LINK("u", "n"), LINK("f", "d/n"), LINK("u", "g"), LINK("u1", "ud/n"), LINK("l", "n"),
	UNLINK("u"), UNLINK("f"), UNLINK("c"), UNLINK("u1"), UNLINK("d/sub/x"), UNLINK("m/new"),
	UNLINK("m/old"), UNLINK("l"), UNLINK("ud/x"), UNLINK("none"), UNLINK("o/shown"),
	RMDIR("ue"), {"rmdir e", run_rmdir, PARENT, "e", .any_numbers = true}, RMDIR("acl"),
	RMDIR("d"), RMDIR("ud"), RENAME("u", "n"), RENAME("u", "f"), RENAME("u", "c"),
	RENAME("f", "n"), RENAME("f", "u"), RENAME("f", "g"), RENAME("d/sub/x", "ud/x"),
	RENAME("u", "d/n"), RENAME("u1", "u2"), RENAME("c", "m/old"), RENAME("l", "ud/l"),
	RENAME("u", "ud/x"), RENAME("p", "n"), RENAME("ud", "n"), RENAME("ud", "ue"),
	{"rename ud e", run_rename, PARENT | NEEDS_TO, "ud", "e", .any_numbers = true},
	RENAME("ud", "g"), RENAME("ud", "gd"), RENAME("ud", "d/n"),
	{"rename ue e", run_rename, PARENT | NEEDS_TO, "ue", "e", .any_numbers = true},
	RENAME("d", "n"), RENAME("d", "ud/n"), RENAME("d", "ue"),
	{"rename d e", run_rename, PARENT | NEEDS_TO, "d", "e", .any_numbers = true},
	RENAME("d", "gd"), RENAME("m", "r0"), RENAME("r1", "r0"), RENAME("r1", "n"),
	RENAME("r1", "d/n"), RENAME("d/sub", "m/n"), RENAME("e", "ue"), EXCHANGE("u", "f"),
	EXCHANGE("u", "ud"), EXCHANGE("ud", "d"), EXCHANGE("ud/x", "f"), EXCHANGE("d", "m"),
	EXCHANGE("d/sub", "m"), EXCHANGE("u", "d/a"), EXCHANGE("u", "none"), NOREPLACE("u", "n"),
	NOREPLACE("f", "g"), NOREPLACE("u", "f"), NOREPLACE("d", "n"), ON_NODE(chmod, "f", 0600),
	ON_NODE(chmod, "u", 0600), ON_NODE(chmod, "d", 0700), ON_NODE(chmod, "d/sub/x", 0644),
	ON_NODE(chmod, "p", 0640), ON_NODE(chmod, "", 0700),
	{"chown f", run_chown, NODE, "f", .value = 1234, .needs_root = true},
	{"chown l", run_chown, NODE, "l", .value = 1234, .needs_root = true},
	{"chown ud", run_chown, NODE, "ud", .value = 1234, .needs_root = true},
	ON_NODE(truncate, "f", 3), ON_NODE(truncate, "f", 0), ON_NODE(truncate, "s", 50000),
	ON_NODE(truncate, "u", 2), ON_NODE(truncate, "f", 70000), ON_NODE(utimens, "f", 0),
	ON_NODE(utimens, "l", 0), ON_NODE(utimens, "d", 0), ON_NODE(utimens, "u", 0),
	ON_NODE(setxattr, "f", 0), ON_NODE(setxattr, "d", 0), ON_NODE(setxattr, "u", 0),
	ON_NODE(removexattr, "f", 0), ON_NODE(removexattr, "u", 0),
	ON_NODE(open, "f", O_WRONLY | O_TRUNC), ON_NODE(open, "f", O_RDWR),
	ON_NODE(open, "s", O_RDWR), ON_NODE(open, "u", O_WRONLY | O_TRUNC),
	ON_NODE(open, "d/sub/x", O_WRONLY), ON_FILE(write, "u", 0), ON_FILE(write, "f", 0),
	ON_FILE(fallocate, "u", 0),
	ON_FILE(fallocate, "s", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
	{"copy range", run_copy_range, NEEDS_READER | NEEDS_WRITER, "u"},
	{"chmod h1", run_chmod, NODE, "h1", .value = 0600, .any_numbers = true},
	{"open h1", run_open, NODE, "h1", .value = O_RDWR, .any_numbers = true},
	{"unlink h1", run_unlink, PARENT, "h1", .any_numbers = true},
	{"link h1 n", run_link, NODE | NEEDS_TO, "h1", "n", .any_numbers = true},
	{"rename h1 n", run_rename, PARENT | NEEDS_TO, "h1", "n", .any_numbers = true},
};
/* clang-format on */

const size_t operation_count = sizeof(operations) / sizeof(operations[0]);

/* --- attempts --- */

void attempt_init(struct attempt *at, const struct operation *op, enum fault_format format)
{
	*at = (struct attempt){.op = op, .format = format};
	fault_tree_init(&at->fx, format);
	if (op->needs_root && geteuid() == 0 && strstr(op->name, "for another"))
		at->fx.caller = (struct overlay_caller){.uid = 1234, .gid = 1234};
	at->fx.caller.umask = 022;
}

void attempt_end(struct attempt *at)
{
	if (at->out)
		fclose(at->out);
	free(at->output);
	fixture_end(&at->fx);
}

void attempt_begin(struct attempt *at)
{
	const struct operation *op = at->op;
	struct overlay_entry entry;

	fault_tree_mount(&at->fx, at->format);
	if (op->needs & NEEDS_PARENT)
		assert_int_equal(fx_parent(&at->fx, op->path, &at->parent, &at->leaf), 0);
	if (op->needs & NEEDS_TO)
		assert_int_equal(fx_parent(&at->fx, op->to, &at->to_parent, &at->to_leaf), 0);
	if (!(op->needs & (NEEDS_NODE | NEEDS_READER | NEEDS_WRITER)))
		return;
	assert_int_equal(fx_walk(&at->fx, op->path, &entry), 0);
	at->node = entry.node;
	if (op->needs & NEEDS_READER)
		assert_int_equal(overlay_open(at->fx.ov, at->node, O_RDONLY, &at->reader), 0);
	if (op->needs & NEEDS_WRITER)
		assert_int_equal(overlay_open(at->fx.ov, at->node, O_RDWR, &at->writer), 0);
}

void attempt_finish(struct attempt *at)
{
	if (at->reader)
		overlay_release(at->fx.ov, at->reader);
	if (at->writer)
		overlay_release(at->fx.ov, at->writer);
	if (at->node)
		fx_forget(&at->fx, at->node);
	if (at->parent)
		fx_forget(&at->fx, at->parent);
	if (at->to_parent)
		fx_forget(&at->fx, at->to_parent);
	at->reader = at->writer = NULL;
	at->node = at->parent = at->to_parent = 0;
	fixture_unmount(&at->fx);
}

int attempt_run(struct attempt *at)
{
	int r;

	if (at->out)
		fclose(at->out);
	free(at->output);
	at->out = open_memstream(&at->output, &at->output_size);
	assert_non_null(at->out);
	r = at->op->run(at);
	fflush(at->out);
	return r;
}
