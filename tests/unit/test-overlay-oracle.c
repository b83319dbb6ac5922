/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random sequences of calls of the overlay, on layers in memory, and the same on a native
 * directory: every result and at intervals the whole trees are equal. The seeds are printed; SEED
 * and STEPS in the environment choose others.
 */
#include "overlay-fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

#define STEPS_DEFAULT 2000
#define SLOTS	      4
#define PATH_SIZE     64
#define COUNT(list)   (sizeof(list) / sizeof((list)[0]))

struct oracle {
	struct fixture fx;
	int native; /* the root of the other tree */
	uint64_t random, seed;
	time_t start;
	struct overlay_file *files[SLOTS]; /* kept open, on both sides */
	uint64_t nodes[SLOTS];
	int fds[SLOTS];
	char paths[2][PATH_SIZE]; /* of this step */
	unsigned kind, mode;
	bool is_lost; /* a directory on the way is none: the kernel asks nothing then */
};

struct result {
	long value; /* or -errno */
	char detail[200];
};

static unsigned draw(struct oracle *o, unsigned limit)
{
	uint64_t z = o->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ (z >> 31)) >> 33) % limit;
}

/* --- paths: symlinks are entries like others, as below the kernel's walk --- */

static void draw_path(struct oracle *o, char path[PATH_SIZE])
{
	static const char *const dirs[] = {"", "a/", "a/", "b/", "a/b/", "a/c/", "b/a/", "b/c/"};
	static const char *const names[] = {"a", "b", "c", "f", "f", "g", "g", "h", "x", "y"};

	snprintf(path, PATH_SIZE, "%s%s", dirs[draw(o, COUNT(dirs))], names[draw(o, COUNT(names))]);
}

/* An O_PATH descriptor of what the path names, or of its directory. */
static int native_walk(struct oracle *o, const char *path, bool is_parent, const char **name)
{
	_cleanup_close_ int fd = openat(o->native, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *p = path;

	while (*p) {
		char component[PATH_SIZE];
		size_t length = strcspn(p, "/");
		int next;

		if (is_parent && !p[length])
			break;
		snprintf(component, sizeof(component), "%.*s", (int)length, p);
		next = openat(fd, component,
			O_PATH | O_NOFOLLOW | O_CLOEXEC | (p[length] ? O_DIRECTORY : 0));
		if (next < 0) {
			o->is_lost |= p[length] != 0;
			return -errno;
		}
		close(fd);
		fd = next;
		p += length + (p[length] == '/');
	}
	if (name)
		*name = p;
	return steal_fd(&fd);
}

static long negative(long r)
{
	return r < 0 ? -errno : r;
}

/* --- what is said of a result --- */

static void tell_stat(const struct oracle *o, struct result *out, const struct stat *st)
{
	bool is_dir = S_ISDIR(st->st_mode), is_new = st->st_mtim.tv_sec >= o->start;

	snprintf(out->detail, sizeof(out->detail), "%#o %u:%u size %lld links %lu mtime %lld.%09ld",
		st->st_mode, st->st_uid, st->st_gid, is_dir ? 0 : (long long)st->st_size,
		is_dir ? 0 : (unsigned long)st->st_nlink,
		is_new ? -1 : (long long)st->st_mtim.tv_sec, is_new ? 0 : st->st_mtim.tv_nsec);
}

static void tell_bytes(struct result *out, const char *buf)
{
	uint64_t hash = 0;

	for (long i = 0; i < out->value; i++)
		hash = hash * 31 + (unsigned char)buf[i];
	snprintf(out->detail, sizeof(out->detail), "%016llx", (unsigned long long)hash);
}

/* --- names --- */

static const char *const targets[] = {"f", "../b", "nowhere"};
static const mode_t modes[] = {0644, 0600, 0755, 0700};

enum kind { KIND_DIR, KIND_LINK, KIND_OTHER };

static long make_here(struct oracle *o, uint64_t parent, const char *name)
{
	mode_t mode = modes[o->mode % COUNT(modes)];
	struct overlay_entry entry;
	int r;

	if (o->kind == KIND_DIR)
		r = overlay_mkdir(o->fx.ov, &o->fx.caller, parent, name, mode | 0700, &entry);
	else if (o->kind == KIND_LINK)
		r = overlay_symlink(o->fx.ov, &o->fx.caller, parent, name,
			targets[o->mode % COUNT(targets)], &entry);
	else
		r = overlay_mknod(o->fx.ov, &o->fx.caller, parent, name,
			(o->mode / 4 % 2 ? S_IFIFO : S_IFREG) | mode, 0, &entry);
	/* Every call that makes an entry gives one reference. */
	if (r == 0)
		fx_forget(&o->fx, entry.node);
	return r;
}

static long make_natively(struct oracle *o, int parent, const char *name)
{
	mode_t mode = modes[o->mode % COUNT(modes)];

	if (o->kind == KIND_DIR)
		return negative(mkdirat(parent, name, mode | 0700));
	if (o->kind == KIND_LINK)
		return negative(symlinkat(targets[o->mode % COUNT(targets)], parent, name));
	return negative(mknodat(parent, name, (o->mode / 4 % 2 ? S_IFIFO : S_IFREG) | mode, 0));
}

static void op_make(struct oracle *o, struct result out[2])
{
	const char *name;
	uint64_t parent;
	_cleanup_close_ int fd = native_walk(o, o->paths[0], true, &name);

	o->kind = draw(o, 4);
	out[1].value = fd < 0 ? fd : make_natively(o, fd, name);
	out[0].value = fx_parent(&o->fx, o->paths[0], &parent, &name);
	if (out[0].value < 0)
		return;
	out[0].value = make_here(o, parent, name);
	fx_forget(&o->fx, parent);
}

static void op_link(struct oracle *o, struct result out[2])
{
	const char *name, *from_name;
	_cleanup_close_ int from = native_walk(o, o->paths[0], false, NULL);
	_cleanup_close_ int from_dir = native_walk(o, o->paths[0], true, &from_name);
	_cleanup_close_ int to = native_walk(o, o->paths[1], true, &name);
	struct stat st;

	/* The kernel asks for no link to a directory. */
	if (from >= 0 && fstat(from, &st) == 0 && S_ISDIR(st.st_mode))
		return;
	out[1].value = from < 0 ? from : to;
	if (from >= 0 && to >= 0)
		out[1].value = negative(linkat(from_dir, from_name, to, name, 0));
	out[0].value = fx_link(&o->fx, o->paths[0], o->paths[1]);
}

/* unlink or rmdir. */
static void op_remove(struct oracle *o, struct result out[2])
{
	int flags = draw(o, 2) ? AT_REMOVEDIR : 0;
	const char *name;
	_cleanup_close_ int fd = native_walk(o, o->paths[0], true, &name);

	out[1].value = fd < 0 ? fd : negative(unlinkat(fd, name, flags));
	out[0].value = flags ? fx_rmdir(&o->fx, o->paths[0]) : fx_unlink(&o->fx, o->paths[0]);
}

static void op_rename(struct oracle *o, struct result out[2])
{
	static const unsigned flags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	unsigned flag = flags[draw(o, COUNT(flags))];
	const char *from_name, *to_name;
	_cleanup_close_ int from = native_walk(o, o->paths[0], true, &from_name);
	_cleanup_close_ int to = native_walk(o, o->paths[1], true, &to_name);

	/* One above the other: the kernel refuses that itself. */
	if (strstr(o->paths[0], o->paths[1]) == o->paths[0] ||
		strstr(o->paths[1], o->paths[0]) == o->paths[1])
		return;
	out[1].value = from < 0 ? from : to;
	if (from >= 0 && to >= 0)
		out[1].value = negative(renameat2(from, from_name, to, to_name, flag));
	out[0].value = fx_rename(&o->fx, o->paths[0], o->paths[1], flag);
}

/* --- attributes --- */

static void op_stat(struct oracle *o, struct result out[2])
{
	_cleanup_close_ int fd = native_walk(o, o->paths[0], false, NULL);
	struct stat st;

	out[1].value = fd < 0 ? fd : negative(fstat(fd, &st));
	if (fd >= 0)
		tell_stat(o, &out[1], &st);
	out[0].value = fx_stat(&o->fx, o->paths[0], &st);
	if (out[0].value == 0)
		tell_stat(o, &out[0], &st);
}

/* The kernel never asks for the mode of a symlink to be changed. */
static void op_setattr(struct oracle *o, struct result out[2])
{
	const char *name;
	_cleanup_close_ int fd = native_walk(o, o->paths[0], false, NULL);
	_cleanup_close_ int parent = native_walk(o, o->paths[0], true, &name);
	struct timespec times[2] = {{.tv_sec = 5000}, {.tv_sec = 6000 + draw(o, 9), .tv_nsec = 7}};
	struct stat st = {
		.st_mode = modes[draw(o, 4)] | 0700, .st_atim = times[0], .st_mtim = times[1]};
	bool is_mode = draw(o, 2);
	struct overlay_entry entry;
	struct stat native;

	if (fd >= 0 && fstat(fd, &native) == 0 && S_ISLNK(native.st_mode))
		is_mode = false;
	out[1].value = fd;
	if (fd >= 0)
		out[1].value =
			negative(is_mode ? fchmodat(parent, name, st.st_mode, 0)
					 : utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW));
	out[0].value = fx_walk(&o->fx, o->paths[0], &entry);
	if (out[0].value < 0)
		return;
	out[0].value = overlay_setattr(o->fx.ov, entry.node, NULL, &st,
		is_mode ? OVERLAY_SET_MODE : OVERLAY_SET_ATIME | OVERLAY_SET_MTIME, &st);
	fx_forget(&o->fx, entry.node);
}

static const char *const xattr_names[] = {"user.a", "user.b", "user.overlay.opaque"};

/* Of files and directories only: for others the kernel answers itself. */
static void op_xattr(struct oracle *o, struct result out[2])
{
	const char *name = xattr_names[draw(o, COUNT(xattr_names))];
	_cleanup_close_ int fd = native_walk(o, o->paths[0], false, NULL);
	char proc[64], value[2][64];
	unsigned what = draw(o, 3), size = 1 + draw(o, 40);
	struct overlay_entry entry;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	memset(value[1], 'v', sizeof(value[1]));
	out[1].value = negative(what == 0   ? setxattr(proc, name, value[1], size, 0)
				: what == 1 ? getxattr(proc, name, value[1], 64)
					    : removexattr(proc, name));
	out[0].value = fx_walk(&o->fx, o->paths[0], &entry);
	if (out[0].value < 0)
		return;
	memset(value[0], 'v', sizeof(value[0]));
	out[0].value = what == 0   ? overlay_setxattr(o->fx.ov, entry.node, name, value[0], size, 0)
		       : what == 1 ? overlay_getxattr(o->fx.ov, entry.node, name, value[0], 64)
				   : overlay_removexattr(o->fx.ov, entry.node, name);
	fx_forget(&o->fx, entry.node);
	for (unsigned i = 0; i < 2 && what == 1; i++)
		tell_bytes(&out[i], value[i]);
}

/* --- files --- */

static void close_slot(struct oracle *o, unsigned slot)
{
	if (!o->files[slot])
		return;
	overlay_release(o->fx.ov, o->files[slot]);
	fx_forget(&o->fx, o->nodes[slot]);
	close(o->fds[slot]);
	o->files[slot] = NULL;
}

static void op_open(struct oracle *o, struct result out[2])
{
	static const int flags[] = {O_RDONLY, O_RDWR, O_RDWR, O_RDWR | O_TRUNC};
	unsigned slot = draw(o, SLOTS);
	int flag = flags[draw(o, COUNT(flags))], native;
	const char *name;
	_cleanup_close_ int fd = native_walk(o, o->paths[0], false, NULL);
	_cleanup_close_ int parent = native_walk(o, o->paths[0], true, &name);
	struct overlay_entry entry;
	struct stat st;

	/* The kernel opens nothing but files here. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	close_slot(o, slot);
	native = openat(parent, name, flag | O_NOFOLLOW | O_CLOEXEC);
	out[1].value = native < 0 ? -errno : 0;
	out[0].value = fx_walk(&o->fx, o->paths[0], &entry);
	if (out[0].value == 0) {
		out[0].value = overlay_open(o->fx.ov, entry.node, flag, &o->files[slot]);
		if (out[0].value < 0)
			fx_forget(&o->fx, entry.node);
	}
	if (out[0].value < 0 || native < 0)
		return;
	o->nodes[slot] = entry.node;
	o->fds[slot] = native;
}

static const off_t offsets[] = {0, 0, 5, 4095, 4096, 10000, 70000};
static const size_t sizes[] = {1, 5, 100, 4096, 9000};

static bool is_writable(const struct oracle *o, unsigned slot)
{
	return o->files[slot] && (fcntl(o->fds[slot], F_GETFL) & O_ACCMODE) == O_RDWR;
}

static void op_io(struct oracle *o, struct result out[2])
{
	unsigned slot = draw(o, SLOTS);
	off_t offset = offsets[draw(o, COUNT(offsets))];
	size_t size = sizes[draw(o, COUNT(sizes))];
	bool is_write = draw(o, 2);
	char buf[9000];

	if (!o->files[slot] || (is_write && !is_writable(o, slot)))
		return;
	memset(buf, 'a' + (int)draw(o, 26), size);
	out[1].value = negative(is_write ? pwrite(o->fds[slot], buf, size, offset)
					 : pread(o->fds[slot], buf, size, offset));
	tell_bytes(&out[1], buf);
	out[0].value = is_write ? overlay_write(o->fx.ov, o->files[slot], buf, size, offset)
				: overlay_read(o->fx.ov, o->files[slot], buf, size, offset);
	tell_bytes(&out[0], buf);
}

/* Sizes: by truncation, or by fallocate's KEEP_SIZE and PUNCH_HOLE. */
static void op_resize(struct oracle *o, struct result out[2])
{
	static const int kinds[] = {0, 1, 3};
	unsigned slot = draw(o, SLOTS), kind = draw(o, COUNT(kinds) + 1);
	off_t offset = offsets[draw(o, COUNT(offsets))];
	struct stat st = {.st_size = offset};

	if (!is_writable(o, slot))
		return;
	if (kind == COUNT(kinds)) {
		out[1].value = negative(ftruncate(o->fds[slot], offset));
		out[0].value = overlay_setattr(
			o->fx.ov, o->nodes[slot], o->files[slot], &st, OVERLAY_SET_SIZE, &st);
	} else {
		out[1].value = negative(fallocate(o->fds[slot], kinds[kind], offset, 4096));
		out[0].value =
			overlay_fallocate(o->fx.ov, o->files[slot], kinds[kind], offset, 4096);
	}
}

/* Also of what has lost its name. */
static void op_fstat(struct oracle *o, struct result out[2])
{
	unsigned slot = draw(o, SLOTS);
	struct stat st[2] = {{0}, {0}};

	if (!o->files[slot])
		return;
	out[1].value = negative(fstat(o->fds[slot], &st[1]));
	out[0].value = overlay_getattr(o->fx.ov, o->nodes[slot], o->files[slot], &st[0]);
	for (unsigned i = 0; i < 2; i++)
		tell_stat(o, &out[i], &st[i]);
}

/* --- the steps --- */

static const struct {
	const char *name;
	unsigned weight;
	void (*run)(struct oracle *o, struct result out[2]);
} operations[] = {{"make", 14, op_make}, {"link", 6, op_link}, {"remove", 10, op_remove},
	{"rename", 12, op_rename}, {"stat", 8, op_stat}, {"setattr", 8, op_setattr},
	{"xattr", 8, op_xattr}, {"open", 14, op_open}, {"io", 16, op_io}, {"resize", 6, op_resize},
	{"fstat", 6, op_fstat}};

static unsigned draw_operation(struct oracle *o)
{
	unsigned at = draw(o, 108); /* the sum of all weights */

	for (unsigned i = 0;; at -= operations[i++].weight)
		if (at < operations[i].weight)
			return i;
}

static void step(struct oracle *o, unsigned long number)
{
	struct result out[2] = {{.value = 0}, {.value = 0}};
	unsigned op = draw_operation(o);

	draw_path(o, o->paths[0]);
	draw_path(o, o->paths[1]);
	o->is_lost = false;
	o->mode = draw(o, 1000);
	operations[op].run(o, out);
	if (o->is_lost && out[0].value < 0 && out[1].value < 0)
		return;
	if (out[0].value != out[1].value || strcmp(out[0].detail, out[1].detail) != 0)
		fail_msg("SEED=%llu, step %lu, %s %s %s: overlay %ld %s, natively %ld %s",
			(unsigned long long)o->seed, number, operations[op].name, o->paths[0],
			o->paths[1], out[0].value, out[0].detail, out[1].value, out[1].detail);
}

/* --- whole trees --- */

static void list_natively(struct oracle *o, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = native_walk(o, path, false, NULL);
	struct dirent **entries;
	int n = scandirat(fd, ".", &entries, NULL, alphasort);
	size_t used = 0;

	buf[0] = '\0';
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? " " : "",
				entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void compare_content(struct oracle *o, const char *path)
{
	static char ours[100000], native[100000];
	const char *name;
	_cleanup_close_ int parent = native_walk(o, path, true, &name);
	_cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = pread(fd, native, sizeof(native) - 1, 0);
	int r = fx_read(&o->fx, path, ours, sizeof(ours));

	if (n < 0 || r < 0 || memcmp(ours, native, (size_t)n) != 0)
		fail_msg("SEED=%llu: content of %s: overlay %d, natively %zd",
			(unsigned long long)o->seed, path, r, n);
}

static void compare_tree(struct oracle *o, const char *path)
{
	char ours[2000], native[2000], child[200], *save = NULL;
	struct result out[2] = {{.value = 0}, {.value = 0}};
	_cleanup_close_ int fd = native_walk(o, path, false, NULL);
	struct stat st;

	snprintf(o->paths[0], PATH_SIZE, "%s", path);
	op_stat(o, out);
	if (out[0].value || strcmp(out[0].detail, out[1].detail) != 0)
		fail_msg("SEED=%llu: %s: overlay %ld %s, natively %s", (unsigned long long)o->seed,
			path, out[0].value, out[0].detail, out[1].detail);
	assert_int_equal(fstat(fd, &st), 0);
	if (S_ISREG(st.st_mode))
		compare_content(o, path);
	if (!S_ISDIR(st.st_mode))
		return;
	list_natively(o, path, native, sizeof(native));
	assert_int_equal(fx_list(&o->fx, path, ours, sizeof(ours)), 0);
	if (strcmp(ours, native) != 0)
		fail_msg("SEED=%llu: %s has: overlay %s, natively %s", (unsigned long long)o->seed,
			path, ours, native);
	for (char *p = strtok_r(native, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
		snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", p);
		if (strlen(child) < PATH_SIZE)
			compare_tree(o, child);
	}
}

static void compare_all(struct oracle *o)
{
	for (unsigned i = 0; i < SLOTS; i++)
		close_slot(o, i);
	compare_tree(o, "");
}

/* --- the trees at the start --- */

static const struct {
	const char *path, *text; /* NULL: a directory */
	size_t tree;		 /* 0 is on top */
} plants[] = {{"a", NULL, 1}, {"a/f", "below", 1}, {"a/b", NULL, 1}, {"a/b/f", "deep", 1},
	{"a/b/g", "deeper", 1}, {"b", NULL, 1}, {"b/f", "other", 1}, {"b/a", NULL, 1},
	{"b/a/x", "far", 1}, {"a", NULL, 0}, {"a/g", "on top", 0}, {"a/b", NULL, 0},
	{"a/b/h", "merged", 0}, {"f", "at the root", 0}};

static void plant_natively(struct oracle *o, const char *path, const char *text)
{
	struct timespec file_time = {.tv_sec = 2000, .tv_nsec = 5};
	struct timespec times[2] = {file_time, file_time};
	int fd;

	if (!text) {
		if (mkdirat(o->native, path, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		return;
	}
	fd = openat(o->native, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

/* The upper's root keeps its own time: both are set alike. */
static void plant_times(struct oracle *o)
{
	struct timespec times[2] = {{.tv_sec = 3000, .tv_nsec = 7}, {.tv_sec = 3000, .tv_nsec = 7}};
	char upper[100];

	for (size_t i = 0; i < COUNT(plants); i++)
		if (!plants[i].text)
			assert_int_equal(utimensat(o->native, plants[i].path, times, 0), 0);
	assert_int_equal(futimens(o->native, times), 0);
	snprintf(upper, sizeof(upper), "%s/upper", o->fx.dir);
	assert_int_equal(utimensat(AT_FDCWD, upper, times, 0), 0);
}

static void begin(struct oracle *o, uint64_t seed)
{
	char path[100];

	memset(o, 0, sizeof(*o));
	o->seed = o->random = seed;
	o->start = time(NULL) - 1;
	fixture_init(&o->fx, 2);
	snprintf(path, sizeof(path), "%s/native", o->fx.dir);
	assert_int_equal(mkdir(path, 0755), 0);
	o->native = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(o->native >= 0);
	for (size_t i = 0; i < COUNT(plants); i++) {
		if (plants[i].text)
			fixture_file(&o->fx, plants[i].tree, plants[i].path, 0644, plants[i].text);
		else
			fixture_dir(&o->fx, plants[i].tree, plants[i].path, 0755);
		plant_natively(o, plants[i].path, plants[i].text);
	}
	plant_times(o);
	fixture_mount(&o->fx);
}

static unsigned long number_from(const char *name, unsigned long otherwise)
{
	return getenv(name) ? strtoul(getenv(name), NULL, 10) : otherwise;
}

static void run(uint64_t seed)
{
	unsigned long steps = number_from("STEPS", STEPS_DEFAULT);
	struct oracle o;

	begin(&o, seed);
	print_message("SEED=%llu STEPS=%lu\n", (unsigned long long)seed, steps);
	for (unsigned long i = 0; i < steps; i++) {
		step(&o, i);
		if (i % 250 != 249)
			continue;
		compare_all(&o);
		fixture_unmount(&o.fx);
		fixture_mount(&o.fx);
		compare_all(&o);
	}
	close(o.native);
	fixture_end(&o.fx);
}

static void same_as_natively(void **state)
{
	run(number_from("SEED", 1));
	run((uint64_t)time(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_natively)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
