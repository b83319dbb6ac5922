/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What arguments are drawn from: few names, so that steps meet one another often. */
#include "oracle.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CHOICE(rnd, list) ((list)[random_below((rnd), (unsigned)COUNT(list))])

/* --- paths --- */

const char *const pool_names[NAMES] = {"a", "b", "c", "f", "g", "h", "x", "y", "s", "l", "p",
	"LONG", "BYTES", "none", "w", "z", "nowhere"};
static const char *const directories[] = {"a", "a", "b", "b", "c"};
static const char *const leaves[] = {
	"a", "b", "c", "f", "f", "g", "g", "h", "x", "x", "y", "y", "s", "l", "p", "LONG", "BYTES"};
static const char *const odd_leaves[] = {".", "..", "TOOLONG", "none", "f/", "a/", "l/", "s/"};

/* What the layers have, so that most steps find something. */
static const char *const known_paths[] = {"a/f", "a/g", "a/y", "a/x", "a/b/f", "a/b/h", "a/b/x",
	"a/b/c/f", "a/b/c/g", "a/c/x", "a/a/f", "b/f", "b/f", "b/h", "b/g", "b/a/f", "b/a/g",
	"b/b/g", "b/b/f", "b/b/a/y", "c/f", "c/h", "c/g", "c/a/f", "c/a/g", "c/b/f", "f", "g", "x",
	"a", "a/b", "a/a", "a/c", "a/b/c", "b", "b/a", "b/b", "c", "c/a", "c/b", "a/s", "a/l",
	"b/l", "c/p", "s"};

static void add_component(struct value *value, const char *name)
{
	size_t used = strlen(value->text);

	snprintf(value->text + used, TEXT_MAX - used, "%s%s", used ? "/" : "", name);
}

static void draw_path(struct random *rnd, struct value *value)
{
	static const unsigned depths[] = {0, 0, 1, 1, 1, 1, 2, 2, 2, 3};
	unsigned depth = CHOICE(rnd, depths);

	if (random_below(rnd, 2) == 0) {
		snprintf(value->text, TEXT_MAX, "%s", CHOICE(rnd, known_paths));
		return;
	}

	for (unsigned i = 0; i < depth; i++)
		add_component(value, random_below(rnd, 30) == 0 ? CHOICE(rnd, leaves)
								: CHOICE(rnd, directories));
	if (random_below(rnd, 40) == 0)
		add_component(value, CHOICE(rnd, odd_leaves));
	else
		add_component(value, CHOICE(rnd, leaves));
	if (random_below(rnd, 12) == 0) {
		memmove(value->text + 1, value->text, TEXT_MAX - 1);
		value->text[0] = '/';
		value->text[TEXT_MAX - 1] = '\0';
	}
}

static void draw_target(struct random *rnd, struct value *value)
{
	static const char *const targets[] = {
		"f", "a", "b", "..", ".", "../b", "/a/b", "l", "s", "x/y", "nowhere", "../../c/f"};

	snprintf(value->text, TEXT_MAX, "%s", CHOICE(rnd, targets));
}

const struct kind kind_path = {.name = "path", .generate = draw_path, .is_text = true};
const struct kind kind_target = {.name = "target", .generate = draw_target, .is_text = true};

/* --- opening --- */

/* Those that contain others first. */
static const struct word open_words[] = {{"O_WRONLY", O_WRONLY}, {"O_RDWR", O_RDWR},
	{"O_CREAT", O_CREAT}, {"O_EXCL", O_EXCL}, {"O_TRUNC", O_TRUNC}, {"O_APPEND", O_APPEND},
	{"O_TMPFILE", O_TMPFILE}, {"O_DIRECTORY", O_DIRECTORY}, {"O_NOFOLLOW", O_NOFOLLOW},
	{"O_PATH", O_PATH}, {"O_DIRECT", O_DIRECT}, {"O_SYNC", O_SYNC}, {"O_DSYNC", O_DSYNC},
	{"O_NOATIME", O_NOATIME}, {"O_RDONLY", 0}, {NULL, 0}};

static void draw_open(struct random *rnd, struct value *value)
{
	static const long ways[] = {O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
	static const long usual[] = {O_CREAT, O_CREAT, O_EXCL, O_TRUNC, O_APPEND};
	static const long seldom[] = {
		O_DIRECTORY, O_NOFOLLOW, O_NOFOLLOW, O_PATH, O_SYNC, O_DSYNC, O_DIRECT, O_NOATIME};

	value->number = CHOICE(rnd, ways);
	for (unsigned n = random_below(rnd, 4); n > 0; n--)
		value->number |= CHOICE(rnd, usual);
	if (random_below(rnd, 4) == 0)
		value->number |= CHOICE(rnd, seldom);
	/* A descriptor with O_DIRECT takes only whole blocks: there is a step for that. */
	value->number &= ~(long)O_DIRECT;
}

const struct kind kind_open = {
	.name = "flags", .generate = draw_open, .words = open_words, .is_flags = true};

static const struct word mode_words[] = {{"0644", 0644}, {"0600", 0600}, {"0755", 0755},
	{"0700", 0700}, {"0777", 0777}, {"0666", 0666}, {"0000", 0}, {"0444", 0444}, {"0640", 0640},
	{"04755", 04755}, {"02755", 02755}, {"06777", 06777}, {"01777", 01777}, {"02775", 02775},
	{"0711", 0711}, {"0570", 0570}, {NULL, 0}};

const struct kind kind_mode = {.name = "mode", .words = mode_words, .is_octal = true};
static const struct word create_mode_words[] = {{"0644", 0644}, {"0666", 0666}, {"0777", 0777},
	{"0755", 0755}, {"0600", 0600}, {"0700", 0700}, {"02777", 02777}, {"01777", 01777},
	{"04711", 04711}, {NULL, 0}};
const struct kind kind_create_mode = {.name = "mode", .words = create_mode_words, .is_octal = true};

/* To be written at once. */
static const struct word write_flags[] = {{"O_CREAT", O_CREAT}, {"O_EXCL", O_EXCL},
	{"O_TRUNC", O_TRUNC}, {"O_APPEND", O_APPEND}, {NULL, 0}};

static void draw_write(struct random *rnd, struct value *value)
{
	static const long flags[] = {0, O_CREAT, O_CREAT | O_TRUNC, O_TRUNC, O_APPEND,
		O_CREAT | O_APPEND, O_CREAT | O_EXCL};

	value->number = CHOICE(rnd, flags);
}

const struct kind kind_write = {
	.name = "flags", .generate = draw_write, .words = write_flags, .is_flags = true};
static const struct word tmpfile_words[] = {{"0", 0}, {"O_EXCL", O_EXCL}, {NULL, 0}};
const struct kind kind_tmpfile = {.name = "flags", .words = tmpfile_words};

/* --- numbers --- */

static void draw_slot(struct random *rnd, struct value *value)
{
	value->number = random_below(rnd, SLOTS);
}

static void draw_stream(struct random *rnd, struct value *value)
{
	value->number = random_below(rnd, STREAMS);
}

static void draw_offset(struct random *rnd, struct value *value)
{
	static const long offsets[] = {
		0, 0, 0, 1, 7, 100, 4095, 4096, 4096, 8192, 8193, 65536, 100000, 131072, -1};

	value->number = CHOICE(rnd, offsets);
}

static void draw_length(struct random *rnd, struct value *value)
{
	static const long lengths[] = {
		0, 1, 5, 5, 100, 100, 4095, 4096, 4097, 8192, 12288, 65536, 131073, 262144};

	value->number = CHOICE(rnd, lengths);
}

static void draw_fill(struct random *rnd, struct value *value)
{
	value->number = random_below(rnd, 26);
}

static void draw_count(struct random *rnd, struct value *value)
{
	value->number = 1 + random_below(rnd, 6);
}

const struct kind kind_slot = {.name = "slot", .generate = draw_slot};
const struct kind kind_stream = {.name = "stream", .generate = draw_stream};
const struct kind kind_offset = {.name = "offset", .generate = draw_offset};
const struct kind kind_length = {.name = "length", .generate = draw_length};
const struct kind kind_fill = {.name = "fill", .generate = draw_fill};
const struct kind kind_count = {.name = "count", .generate = draw_count};

static const struct word uid_words[] = {
	{"-1", -1}, {"0", 0}, {"1000", 1000}, {"1001", 1001}, {"1002", 1002}, {NULL, 0}};
static const struct word gid_words[] = {
	{"-1", -1}, {"0", 0}, {"1000", 1000}, {"2000", 2000}, {"1002", 1002}, {NULL, 0}};
const struct kind kind_uid = {.name = "uid", .words = uid_words};
const struct kind kind_gid = {.name = "gid", .words = gid_words};

/* Seconds; the last two are not times. None of them is near the time of the run. */
static const struct word time_words[] = {{"1000000000", 1000000000}, {"-5", -5}, {"1", 1},
	{"4102444800", 4102444800}, {"NOW", -1000001}, {"OMIT", -1000002}, {NULL, 0}};
const struct kind kind_time = {.name = "time", .words = time_words};

/* --- words --- */

static const struct word rename_words[] = {{"0", 0}, {"RENAME_NOREPLACE", RENAME_NOREPLACE},
	{"RENAME_EXCHANGE", RENAME_EXCHANGE},
	{"NOREPLACE_EXCHANGE", RENAME_NOREPLACE | RENAME_EXCHANGE}, {NULL, 0}};

static void draw_rename(struct random *rnd, struct value *value)
{
	static const long flags[] = {0, 0, 0, 0, 0, 0, RENAME_NOREPLACE, RENAME_NOREPLACE,
		RENAME_EXCHANGE, RENAME_EXCHANGE};

	value->number = random_below(rnd, 100) == 0 ? RENAME_NOREPLACE | RENAME_EXCHANGE
						    : CHOICE(rnd, flags);
}

const struct kind kind_rename = {.name = "flags", .generate = draw_rename, .words = rename_words};

static const struct word allocate_words[] = {{"0", 0}, {"KEEP_SIZE", FALLOC_FL_KEEP_SIZE},
	{"PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
	{"PUNCH_HOLE_ALONE", FALLOC_FL_PUNCH_HOLE}, {"ZERO_RANGE", FALLOC_FL_ZERO_RANGE},
	{"ZERO_RANGE_KEEP_SIZE", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE}, {NULL, 0}};
const struct kind kind_allocate = {.name = "mode", .words = allocate_words};

static const struct word whence_words[] = {{"SEEK_SET", SEEK_SET}, {"SEEK_CUR", SEEK_CUR},
	{"SEEK_END", SEEK_END}, {"SEEK_DATA", SEEK_DATA}, {"SEEK_HOLE", SEEK_HOLE}, {NULL, 0}};
const struct kind kind_whence = {.name = "whence", .words = whence_words};

static const struct word access_words[] = {
	{"R_OK", R_OK}, {"W_OK", W_OK}, {"X_OK", X_OK}, {"F_OK", 0}, {NULL, 0}};
const struct kind kind_access = {.name = "mode", .words = access_words};

static const struct word special_words[] = {{"FIFO", S_IFIFO}, {"SOCKET", S_IFSOCK},
	{"CHAR", S_IFCHR}, {"BLOCK", S_IFBLK}, {"FILE", S_IFREG}, {"DIRECTORY", S_IFDIR},
	{NULL, 0}};
const struct kind kind_special = {.name = "type", .words = special_words};

static const struct word lock_words[] = {
	{"SHARED", LOCK_SH}, {"EXCLUSIVE", LOCK_EX}, {"UNLOCK", LOCK_UN}, {NULL, 0}};
const struct kind kind_lock = {.name = "lock", .words = lock_words};

static const struct word follow_words[] = {
	{"FOLLOW", 0}, {"NOFOLLOW", AT_SYMLINK_NOFOLLOW}, {NULL, 0}};
const struct kind kind_follow = {.name = "follow", .words = follow_words};

/* --- extended attributes --- */

static const char *const xattr_names[] = {"user.a", "user.a", "user.b", "user.overlay.opaque",
	"trusted.c", "trusted.overlay.opaque", "security.capability", "security.test", "other.d",
	"user."};

static void draw_xattr(struct random *rnd, struct value *value)
{
	snprintf(value->text, TEXT_MAX, "%s", CHOICE(rnd, xattr_names));
}

const struct kind kind_xattr = {.name = "xattr", .generate = draw_xattr, .is_text = true};

static const struct word xattr_flag_words[] = {
	{"0", 0}, {"XATTR_CREATE", XATTR_CREATE}, {"XATTR_REPLACE", XATTR_REPLACE}, {NULL, 0}};
const struct kind kind_xattr_flags = {.name = "flags", .words = xattr_flag_words};

static const char *const acl_names[] = {
	"system.posix_acl_access", "system.posix_acl_access", "system.posix_acl_default"};

static void draw_acl(struct random *rnd, struct value *value)
{
	snprintf(value->text, TEXT_MAX, "%s", CHOICE(rnd, acl_names));
}

const struct kind kind_acl = {.name = "acl", .generate = draw_acl, .is_text = true};

/* Which of the values that the executor knows. */
static void draw_acl_value(struct random *rnd, struct value *value)
{
	value->number = random_below(rnd, 8);
}

const struct kind kind_acl_value = {.name = "value", .generate = draw_acl_value};

/* Not those that keep things from being removed: the trees are, in the end. */
static const struct word inode_flag_words[] = {
	{"0", 0}, {"NODUMP", FS_NODUMP_FL}, {"NOATIME", FS_NOATIME_FL}, {NULL, 0}};
const struct kind kind_inode_flags = {.name = "flags", .words = inode_flag_words, .is_flags = true};
