/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fault-tree.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"

/* --- what it holds --- */

static void add_sparse(struct fixture *fx, size_t tree, const char *path)
{
	struct mem_entry entry = {.path = path,
		.mode = S_IFREG | 0644,
		.uid = geteuid(),
		.gid = getegid(),
		.mtime = {.tv_sec = 2500},
		.data = "head",
		.length = 4,
		.size = 70000};

	assert_int_equal(mem_tree_add(fx->trees[tree], &entry), 0);
}

static void add_odd(
	struct fixture *fx, size_t tree, const char *path, mode_t mode, const char *data)
{
	struct mem_entry entry = {.path = path,
		.mode = mode,
		.uid = geteuid(),
		.gid = getegid(),
		.mtime = {.tv_sec = 2600, .tv_nsec = 9},
		.data = data,
		.length = data ? strlen(data) : 0};

	assert_int_equal(mem_tree_add(fx->trees[tree], &entry), 0);
}

static void fill_layers(struct fixture *fx)
{
	fixture_file(fx, 0, "f", 0640, "lower f");
	assert_int_equal(mem_tree_set_xattr(fx->trees[0], "f", "user.k", "v", 1), 0);
	add_sparse(fx, 0, "s");
	add_odd(fx, 0, "l", S_IFLNK | 0777, "target");
	add_odd(fx, 0, "p", S_IFIFO | 0600, NULL);
	fixture_file(fx, 0, "h1", 0644, "linked");
	assert_int_equal(mem_tree_link(fx->trees[0], "h1", "h2"), 0);
	fixture_file(fx, 0, "c", 0644, "copied later");
	fixture_dir(fx, 0, "d", 0750);
	fixture_file(fx, 0, "d/a", 0644, "top a");
	fixture_dir(fx, 0, "d/sub", 0755);
	fixture_file(fx, 0, "d/sub/x", 0600, "x");
	fixture_dir(fx, 0, "e", 0700);
	fixture_file(fx, 0, "e/only", 0644, "only");
	fixture_dir(fx, 0, "o", 0755);
	fixture_file(fx, 0, "o/hidden", 0644, "hidden");
	fixture_dir(fx, 0, "r0", 0755);
	fixture_file(fx, 0, "r0/kept", 0644, "kept");
	fixture_file(fx, 1, "g", 0644, "gone");
	fixture_dir(fx, 1, "gd", 0755);
	fixture_file(fx, 1, "gd/inside", 0644, "gone too");
	fixture_dir(fx, 1, "d", 0711);
	fixture_file(fx, 1, "d/a", 0644, "bottom a");
	fixture_file(fx, 1, "d/b", 0644, "bottom b");
	fixture_dir(fx, 1, "m", 0755);
	fixture_file(fx, 1, "m/old", 0644, "old");
}

/* A default ACL that says what the mode says: rwxr-xr-x. */
static void set_default_acl(const struct fixture *fx, const char *name)
{
	static const unsigned char acl[] = "\2\0\0\0"
					   "\1\0\7\0\377\377\377\377"
					   "\4\0\5\0\377\377\377\377"
					   "\40\0\5\0\377\377\377\377";
	char path[128];

	snprintf(path, sizeof(path), "%s/upper/%s", fx->dir, name);
	/* Without it the operation there is one more of the plain sort. */
	if (setxattr(path, "system.posix_acl_default", acl, sizeof(acl) - 1, 0) < 0)
		assert_int_equal(errno, EOPNOTSUPP);
}

static void fill_upper(struct fixture *fx)
{
	assert_int_equal(fx_create(fx, "u", 0644, "upper u"), 0);
	assert_int_equal(fx_create(fx, "u1", 0600, "upper linked"), 0);
	assert_int_equal(fx_link(fx, "u1", "u2"), 0);
	assert_int_equal(fx_symlink(fx, "elsewhere", "ul"), 0);
	assert_int_equal(fx_mkdir(fx, "ud", 0755), 0);
	assert_int_equal(fx_create(fx, "ud/x", 0644, "upper x"), 0);
	assert_int_equal(fx_mkdir(fx, "ue", 0755), 0);
	assert_int_equal(fx_mkdir(fx, "acl", 0755), 0);
	assert_int_equal(fx_unlink(fx, "g"), 0);
	assert_int_equal(fx_unlink(fx, "gd/inside"), 0);
	assert_int_equal(fx_rmdir(fx, "gd"), 0);
	assert_int_equal(fx_unlink(fx, "e/only"), 0);
	assert_int_equal(fx_create(fx, "m/new", 0644, "new"), 0);
	assert_int_equal(fx_chmod(fx, "c", 0600), 0);
	assert_int_equal(fx_unlink(fx, "o/hidden"), 0);
	assert_int_equal(fx_rmdir(fx, "o"), 0);
	assert_int_equal(fx_mkdir(fx, "o", 0755), 0);
	assert_int_equal(fx_create(fx, "o/shown", 0644, "shown"), 0);
	assert_int_equal(fx_rename(fx, "r0", "r1", 0), 0);
	set_default_acl(fx, "acl");
}

/* --- making it --- */

static time_t start;

static int make_old(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const struct timespec times[2] = {
		{.tv_sec = 4000, .tv_nsec = 3}, {.tv_sec = 4000, .tv_nsec = 3}};

	if (st->st_mtim.tv_sec < start)
		return 0;
	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

void fault_tree_mount(struct fixture *fx, enum fault_format format)
{
	/* The first mknod(2) is the one that asks whether device nodes can be made. */
	if (format == FORMAT_AUFS)
		fault_refuse_devices(true);
	fixture_mount(fx);
	fault_refuse_devices(false);
}

/* Thousands of trees are made: in memory, where that has attributes. */
static const char *find_place(void)
{
	static const char *place;
	char dir[] = "/dev/shm/overlay-test.XXXXXX";

	if (!place && mkdtemp(dir)) {
		if (setxattr(dir, "user.overlay.x", "y", 1, 0) == 0)
			place = "/dev/shm";
		rmdir(dir);
	}
	if (!place)
		place = "/tmp";
	return place;
}

void fault_tree_init(struct fixture *fx, enum fault_format format)
{
	char upper[128];

	start = time(NULL);
	fixture_init_at(fx, 2, find_place());
	fx->wrap_layer = fault_layer_new;
	/* A count that fails is 1, "unknown", and no error. */
	fx->static_nlink = true;
	fill_layers(fx);
	fault_tree_mount(fx, format);
	fill_upper(fx);
	fixture_unmount(fx);
	snprintf(upper, sizeof(upper), "%s/upper", fx->dir);
	assert_int_equal(nftw(upper, make_old, 8, FTW_DEPTH | FTW_PHYS), 0);
}

unsigned fault_tree_leftovers(const struct fixture *fx)
{
	char path[128];
	struct dirent *entry;
	unsigned count = 0;
	DIR *stream;

	snprintf(path, sizeof(path), "%s/work/work", fx->dir);
	stream = opendir(path);
	if (!stream)
		return 0;
	while ((entry = readdir(stream)))
		count += entry->d_name[0] != '.';
	closedir(stream);
	return count;
}

/* --- its text --- */

static void put_content(struct fixture *fx, uint64_t node, FILE *out)
{
	uint64_t hash = 0xcbf29ce484222325u;
	struct overlay_file *file;
	char buf[65536];
	off_t offset = 0;
	ssize_t n = overlay_open(fx->ov, node, O_RDONLY, &file);

	if (n < 0) {
		fprintf(out, " OPEN %zd", n);
		return;
	}
	while ((n = overlay_read(fx->ov, file, buf, sizeof(buf), offset)) > 0) {
		if (offset == 0)
			fprintf(out, " '%.*s'", (int)strnlen(buf, n < 20 ? (size_t)n : 20), buf);
		for (ssize_t i = 0; i < n; i++)
			hash = (hash ^ (unsigned char)buf[i]) * 0x100000001b3u;
		offset += n;
	}
	overlay_release(fx->ov, file);
	fprintf(out, " %" PRIx64, hash);
	if (n < 0)
		fprintf(out, " READ %zd", n);
}

static void put_target(struct fixture *fx, uint64_t node, FILE *out)
{
	char target[256];
	ssize_t n = overlay_readlink(fx->ov, node, target, sizeof(target));

	if (n < 0)
		fprintf(out, " READLINK %zd", n);
	else
		fprintf(out, " -> %.*s", (int)n, target);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_xattrs(struct fixture *fx, uint64_t node, FILE *out)
{
	char list[1024], value[256];
	const char *names[16];
	size_t count = 0;
	ssize_t size = overlay_listxattr(fx->ov, &fx->caller, node, list, sizeof(list));

	if (size < 0)
		fprintf(out, " LISTXATTR %zd", size);
	for (const char *p = list; p < list + size; p += strlen(p) + 1) {
		assert_true(count < 16);
		names[count++] = p;
	}
	qsort(names, count, sizeof(names[0]), by_text);
	for (size_t i = 0; i < count; i++) {
		ssize_t n = overlay_getxattr(fx->ov, node, names[i], value, sizeof(value));

		fprintf(out, " %s=%.*s", names[i], n < 0 ? 5 : (int)n, n < 0 ? "ERROR" : value);
	}
}

static void put_mtime(const struct stat *st, FILE *out)
{
	if (st->st_mtim.tv_sec >= start)
		fprintf(out, " m=now");
	else
		fprintf(out, " m=%jd.%09ld", (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

static void put_object(
	struct fixture *fx, const char *path, const struct overlay_entry *entry, FILE *out)
{
	const struct stat *st = &entry->st;
	bool is_below = st->st_ino >> 62;

	fprintf(out, "%s %06o %u:%u n=%ju", *path ? path : ".", st->st_mode, st->st_uid, st->st_gid,
		(uintmax_t)st->st_nlink);
	/* An object of the upper has any number. */
	fprintf(out, " i=%ju", is_below ? (uintmax_t)(st->st_ino & ~(1ull << 62)) : 0);
	put_mtime(st, out);
	if (!S_ISDIR(st->st_mode))
		fprintf(out, " s=%jd", (intmax_t)st->st_size);
	if (S_ISREG(st->st_mode))
		put_content(fx, entry->node, out);
	else if (S_ISLNK(st->st_mode))
		put_target(fx, entry->node, out);
	put_xattrs(fx, entry->node, out);
}

struct listing {
	struct {
		char name[64];
		mode_t type;
		uint64_t ino;
	} entries[64];
	size_t count;
};

static int keep_entry(void *ctx, const struct overlay_dirent *entry)
{
	struct listing *list = ctx;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return 0;
	assert_true(list->count < 64);
	snprintf(list->entries[list->count].name, 64, "%s", entry->name);
	list->entries[list->count].type = entry->type;
	list->entries[list->count++].ino = entry->ino;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void put_directory(struct fixture *fx, const char *path, uint64_t node, FILE *out);

static void put_child(struct fixture *fx, const char *dir, uint64_t parent,
	const struct listing *list, size_t i, FILE *out)
{
	const char *name = list->entries[i].name;
	struct overlay_entry entry;
	char path[256];
	int r = overlay_lookup(fx->ov, parent, name, &entry);

	snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);
	if (r < 0) {
		fprintf(out, "%s LOOKUP %d\n", path, r);
		return;
	}
	put_object(fx, path, &entry, out);
	if ((entry.st.st_mode & S_IFMT) != list->entries[i].type)
		fprintf(out, " LISTED AS %o", list->entries[i].type);
	if (entry.st.st_ino != list->entries[i].ino)
		fprintf(out, " LISTED WITH %#" PRIx64, list->entries[i].ino);
	fputc('\n', out);
	if (S_ISDIR(entry.st.st_mode))
		put_directory(fx, path, entry.node, out);
	overlay_forget(fx->ov, entry.node, 1);
}

static void put_directory(struct fixture *fx, const char *path, uint64_t node, FILE *out)
{
	struct listing list = {.count = 0};
	int r = overlay_readdir(fx->ov, node, 0, keep_entry, &list);

	if (r < 0)
		fprintf(out, "%s READDIR %d\n", path, r);
	qsort(list.entries, list.count, sizeof(list.entries[0]), by_name);
	for (size_t i = 0; i < list.count; i++)
		put_child(fx, path, node, &list, i, out);
}

char *fault_tree_text(struct fixture *fx)
{
	struct overlay_entry root = {.node = OVERLAY_ROOT_ID};
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);
	int r = overlay_getattr(fx->ov, root.node, NULL, &root.st);

	if (r < 0)
		fprintf(out, "GETATTR %d\n", r);
	put_object(fx, "", &root, out);
	fputc('\n', out);
	put_directory(fx, "", root.node, out);
	fclose(out);
	return text;
}

/* --- comparing --- */

/* Compares two lines, and steps over them. */
static bool lines_equal(const char **a, const char **b, bool after_fault, bool any_numbers)
{
	bool is_dir = strncmp(*a + strcspn(*a, " "), " 04", 3) == 0;

	while (**a && **a == **b && **a != '\n') {
		(*a)++, (*b)++;
		if (any_numbers && (*a)[-1] == '=' && ((*a)[-2] == 'n' || (*a)[-2] == 'i'))
			*a += strspn(*a, "0123456789"), *b += strspn(*b, "0123456789");
		if (after_fault && is_dir && strncmp(*a, "m=now", 5) == 0)
			*a += 5, *b += strcspn(*b, " \n");
	}
	return **a == **b && (**a == '\n' || !**a);
}

bool fault_tree_equal(const char *got, const char *wanted, bool after_fault, bool any_numbers)
{
	while (*got || *wanted) {
		if (!lines_equal(&got, &wanted, after_fault, any_numbers))
			return false;
		got += *got == '\n';
		wanted += *wanted == '\n';
	}
	return true;
}
