/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resolving a target below a root that somebody else may change meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <ftw.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/mount.h>

static char top[PATH_MAX]; /* holds root/ and outside/ */
static int root_fd = -1;

static void at(char *path, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", top, name);
}

static void make_dir(const char *name)
{
	char path[PATH_MAX];

	at(path, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
	char path[PATH_MAX];

	at(path, name);
	assert_int_equal(symlink(target, path), 0);
}

static int setup(void **state)
{
	static const char *const dirs[] = {"root", "outside", "root/proc", "root/sys", "root/dev",
		"root/dev/shm", "root/data", "root/data/deep"};
	char path[PATH_MAX];
	FILE *file;

	strcpy(top, "/tmp/unit-target.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make_dir(dirs[i]);
	at(path, "root/file");
	file = fopen(path, "w");
	fclose(file);
	make_link("/data", "root/absolute");
	make_link("data", "root/relative");
	make_link("../../../../outside", "root/escape");
	make_link("/nowhere", "root/dangling");
	make_link("/proc", "root/to-proc");
	make_link("/", "root/to-root");
	make_link("loop", "root/loop");
	at(path, "root");
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root_fd < 0 ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	close(root_fd);
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Where an O_PATH descriptor lies, relative to `top`. */
static const char *place(int fd)
{
	static char path[PATH_MAX];
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	assert_true(n > 0);
	path[n] = '\0';
	assert_memory_equal(path, top, strlen(top));
	return path + strlen(top) + 1;
}

static void found_or_made(void **state)
{
	static const struct {
		const char *path, *place;
	} rows[] = {
		{"/data", "root/data"},
		{"data", "root/data"},
		{"//data/./deep/", "root/data/deep"},
		{"/absolute/deep", "root/data/deep"},
		{"/relative", "root/data"},
		{"/new", "root/new"},
		{"/new", "root/new"},
		{"/a/b/c/d/", "root/a/b/c/d"},
		{"/absolute/fresh/two", "root/data/fresh/two"},
		{"/devices", "root/devices"},
		{"/data/proc", "root/data/proc"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};
		struct stat st;
		int fd = -1, r = mount_resolve_target(root_fd, rows[i].path, &fd, &err);

		if (r)
			fail_msg("'%s': %d (%s)", rows[i].path, r, err.text);
		assert_string_equal(place(fd), rows[i].place);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_mode, S_IFDIR | 0755);
		close(fd);
	}
}

static void made_with_0755_whatever_the_umask(void **state)
{
	mode_t old = umask(077);
	struct stat st;
	int fd, r = mount_resolve_target(root_fd, "/masked/two", &fd, NULL);

	assert_int_equal(umask(old), 077);
	assert_int_equal(r, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	close(fd);
}

static void refused(void **state)
{
	static const struct {
		const char *path;
		int code;
	} rows[] = {
		{"", EINVAL}, {"/", EINVAL}, {"/.", EINVAL}, {"..", EINVAL},
		{"/data/../data", EINVAL}, {"../../etc", EINVAL}, {"/to-root", EINVAL},
		{"/proc", EINVAL}, {"/proc/x", EINVAL}, {"/to-proc/y", EINVAL}, {"/sys", EINVAL},
		{"/dev", EINVAL}, {"/dev/shm", EINVAL}, {"/dev/shm/new", EINVAL},
		{"/file", ENOTDIR}, {"/file/below", ENOTDIR}, {"/dangling", ELOOP},
		{"/dangling/below", ELOOP}, {"/loop", ELOOP},
		{"/escape", ELOOP}, /* stays inside, where nothing has that name */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};
		int fd = -1, r = mount_resolve_target(root_fd, rows[i].path, &fd, &err);

		if (r != -rows[i].code)
			fail_msg("'%s': %d, not %d (%s)", rows[i].path, r, -rows[i].code, err.text);
		assert_int_equal(fd, -1);
		assert_true(err.text[0] != '\0');
	}
}

static void nothing_is_made_where_it_is_refused(void **state)
{
	static const char *const paths[] = {
		"root/dev/shm/new", "root/proc/x", "root/proc/y", "root/nowhere", "outside/below"};
	char path[PATH_MAX];
	struct stat st;

	refused(state);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		at(path, paths[i]);
		if (lstat(path, &st) == 0)
			fail_msg("%s was made", paths[i]);
	}
}

static void too_long(void **state)
{
	char path[3 * PATH_MAX];
	int fd;

	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(mount_resolve_target(root_fd, path, &fd, NULL), -ENAMETOOLONG);
	path[256] = '\0';
	assert_int_equal(mount_resolve_target(root_fd, path, &fd, NULL), -ENAMETOOLONG);
	for (size_t i = 0; i < 2000; i++)
		path[i] = i % 2 ? '/' : 'b';
	path[2000] = '\0';
	assert_int_equal(mount_resolve_target(root_fd, path, &fd, NULL), -ENAMETOOLONG);
}

/*
 * Swaps root/race, a directory, for a symlink to the outside and back, and moves a
 * directory of the root out of it, as fast as it can.
 */
__attribute__((noreturn)) static void race(void)
{
	char dir[PATH_MAX], trap[PATH_MAX], inner[PATH_MAX];

	at(dir, "root/race");
	at(trap, "root/trap");
	at(inner, "root/race/sub");
	for (;;) {
		syscall(SYS_renameat2, AT_FDCWD, dir, AT_FDCWD, trap, RENAME_EXCHANGE);
		rmdir(inner);
	}
}

static bool outside_is_empty(void)
{
	char path[PATH_MAX];

	at(path, "outside");
	return rmdir(path) == 0 && mkdir(path, 0755) == 0;
}

static void race_never_leaves_the_root(void **state)
{
	char outside[PATH_MAX];
	unsigned good = 0, bad = 0;
	pid_t child;

	make_dir("root/race");
	at(outside, "outside");
	make_link(outside, "root/trap");
	child = fork();
	if (child == 0)
		race();
	for (int i = 0; i < 3000; i++) {
		int fd, r = mount_resolve_target(root_fd, "/race/sub/leaf", &fd, NULL);

		bad += r != 0;
		if (r)
			continue;
		good++;
		/* rmdir() of the racer may have unlinked it since: then it has no place. */
		assert_true(strncmp(place(fd), "root/", 5) == 0);
		close(fd);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	print_message("resolved %u times, refused %u times\n", good, bad);
	assert_true(good > 0);
	assert_true(outside_is_empty());
}

#define row(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(found_or_made),
		row(made_with_0755_whatever_the_umask),
		row(refused),
		row(nothing_is_made_where_it_is_refused),
		row(too_long),
		row(race_never_leaves_the_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
