/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The jail: what can be seen in it, and that nothing else can. */
#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <cmocka.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/sandbox.h>

#include "child.h"

static char top[PATH_MAX]; /* holds repository/ and changes/ */

static void path_of(char *path, const char *name)
{
	snprintf(path, PATH_MAX, "%.4000s/%s", top, name);
}

static int group_setup(void **state)
{
	static const char *const dirs[] = {
		"repository", "repository/sub", "changes", "changes/upper", "changes/work"};
	char path[PATH_MAX];

	strcpy(top, "/tmp/unit-jail.XXXXXX");
	if (!mkdtemp(top))
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		path_of(path, dirs[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	path_of(path, "repository/file");
	return close(open(path, O_CREAT | O_WRONLY, 0644));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int group_teardown(void **state)
{
	return nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int clone_of(const char *name, unsigned flags)
{
	char path[PATH_MAX];
	struct error err = {0};
	int fd = -1;

	path_of(path, name);
	if (mount_clone_tree(AT_FDCWD, path, flags, -1, &fd, &err) < 0)
		dprintf(2, "%s\n", err.text);
	return fd;
}

static int enter(void)
{
	unsigned flags = CLONE_TREE_NODEV | CLONE_TREE_NOSUID | CLONE_TREE_NOEXEC;
	struct jail_tree trees[] = {
		{clone_of("repository", flags | CLONE_TREE_READ_ONLY), "/layer/0/git"},
		{clone_of("repository/sub", flags | CLONE_TREE_READ_ONLY), "/layer/0/objects/0"},
		{clone_of("changes", flags), "/upper"},
	};
	struct error err = {0};

	if (trees[0].mount_fd < 0 || trees[1].mount_fd < 0 || trees[2].mount_fd < 0)
		return -1;
	if (jail_enter(trees, 3, &err) < 0) {
		dprintf(2, "%s\n", err.text);
		return -1;
	}
	return 0;
}

/* The names in a directory, in order, each with a space behind it. */
static const char *names_in(const char *path)
{
	static char text[1024];
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);

	text[0] = '\0';
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			strcat(text, entries[i]->d_name);
			strcat(text, " ");
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return n < 0 ? "?" : text;
}

static int only_the_trees(void)
{
	char cwd[PATH_MAX];

	expect(enter() == 0);
	expect(strcmp(names_in("/"), "layer proc upper ") == 0);
	expect(strcmp(names_in("/layer/0"), "git objects ") == 0);
	expect(strcmp(names_in("/layer/0/git"), "file sub ") == 0);
	expect(strcmp(names_in("/upper"), "upper work ") == 0);
	expect(strcmp(names_in("/proc"), "self ") == 0);
	expect(strcmp(names_in("/proc/self"), "fd ") == 0);
	expect(strcmp(names_in("/.."), "layer proc upper ") == 0);
	expect(strcmp(names_in("/upper/../.."), "layer proc upper ") == 0);
	expect(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	expect(access(top, F_OK) < 0 && errno == ENOENT);
	return 0;
}

static int read_only_where_it_should(void)
{
	expect(enter() == 0);
	expect(mkdir("/new", 0755) < 0 && errno == EROFS);
	expect(mkdir("/layer/0/new", 0755) < 0 && errno == EROFS);
	expect(mkdir("/layer/0/git/new", 0755) < 0 && errno == EROFS);
	expect(open("/layer/0/git/file", O_WRONLY) < 0 && errno == EROFS);
	expect(mkdir("/upper/upper/new", 0755) == 0);
	/* One mount: what moves from the work directory to the upper one is renamed. */
	expect(mkdir("/upper/work/staged", 0755) == 0);
	expect(rename("/upper/work/staged", "/upper/upper/moved") == 0);
	expect(rmdir("/upper/upper/moved") == 0 && rmdir("/upper/upper/new") == 0);
	return 0;
}

static int descriptors_stay(void)
{
	char path[PATH_MAX], name[64];
	struct stat a, b;
	int before, o_path, after;

	path_of(path, "repository/file");
	before = open(path, O_RDONLY);
	expect(before >= 0 && enter() == 0);
	expect(fstat(before, &a) == 0);
	o_path = open("/layer/0/git/file", O_PATH);
	expect(o_path >= 0 && fstat(o_path, &b) == 0);
	expect(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", o_path);
	after = open(name, O_RDONLY);
	expect(after >= 0);
	/* Read-only is what the mount says that it was opened through. */
	expect(open(name, O_RDWR) < 0 && errno == EROFS);
	o_path = open("/upper/upper", O_PATH);
	snprintf(name, sizeof(name), "/proc/self/fd/%d/x", o_path);
	after = open(name, O_CREAT | O_RDWR, 0600);
	expect(after >= 0 && unlink(name) == 0);
	return 0;
}

static int after_the_lock(void)
{
	int dirs[2], o_path, fd;
	struct sandbox_config config = {
		.read_fds = &dirs[0], .read_count = 1, .write_fds = &dirs[1], .write_count = 1};
	struct error err = {0};
	char name[64];

	expect(enter() == 0);
	dirs[0] = open("/layer", O_PATH);
	dirs[1] = open("/upper", O_PATH);
	expect(dirs[0] >= 0 && dirs[1] >= 0);
	expect(sandbox_lock(&config, &err) == 0);
	o_path = openat(dirs[0], "0/git/file", O_PATH);
	expect(o_path >= 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", o_path);
	fd = open(name, O_RDONLY);
	expect(fd >= 0);
	expect(open("/layer/0/git/file", O_RDONLY) >= 0);
	fd = openat(dirs[1], "upper/x", O_CREAT | O_RDWR, 0600);
	expect(fd >= 0 && unlinkat(dirs[1], "upper/x", 0) == 0);
	expect(mkdirat(dirs[1], "work/d", 0700) == 0);
	expect(renameat(dirs[1], "work/d", dirs[1], "upper/d") == 0);
	expect(unlinkat(dirs[1], "upper/d", AT_REMOVEDIR) == 0);
	return 0;
}

static int no_network(void)
{
	struct if_nameindex *interfaces;

	expect(enter() == 0);
	interfaces = if_nameindex();
	expect(interfaces);
	expect(strcmp(interfaces[0].if_name, "lo") == 0 && interfaces[1].if_index == 0);
	return 0;
}

static size_t count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t n = 0;
	int c;

	while (file && (c = getc(file)) != EOF)
		n += c == '\n';
	if (file)
		fclose(file);
	return n;
}

/* From outside: the root, /proc/self/fd and the three trees, and no sixth mount. */
static int five_mounts(void)
{
	int ready[2], finish[2];
	char path[64], byte;
	size_t mounts;
	pid_t pid;

	expect(pipe(ready) == 0 && pipe(finish) == 0);
	pid = fork();
	if (pid == 0) {
		close(finish[1]);
		if (enter() == 0 && write(ready[1], "", 1) == 1)
			_exit(read(finish[0], &byte, 1) < 0);
		_exit(1);
	}
	close(ready[1]);
	expect(read(ready[0], &byte, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	mounts = count_lines(path);
	close(finish[1]);
	waitpid(pid, NULL, 0);
	if (mounts != 5)
		dprintf(2, "%zu mounts\n", mounts);
	expect(mounts == 5);
	return 0;
}

/* A mount below a tree, locked since a user namespace began: it comes along. */
static int locked_child(void)
{
	char sub[PATH_MAX], inside[PATH_MAX];
	struct error err = {0};
	int fd = -1;

	if (CHILD_HAS_THREADS)
		return CHILD_CANNOT;
	path_of(sub, "repository/sub");
	path_of(inside, "repository/sub/on-top");
	expect(mount("none", sub, "tmpfs", 0, NULL) == 0);
	expect(mkdir(inside, 0755) == 0);
	expect(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	path_of(sub, "repository");
	if (mount_clone_tree(AT_FDCWD, sub, CLONE_TREE_READ_ONLY, -1, &fd, &err) < 0)
		dprintf(2, "%s\n", err.text);
	expect(fd >= 0);
	expect(faccessat(fd, "sub/on-top", F_OK, 0) == 0);
	expect(mkdirat(fd, "new", 0755) < 0 && errno == EROFS);
	expect(mkdirat(fd, "sub/new", 0755) < 0);
	return 0;
}

static void the_jail_shows_only_the_trees(void **state)
{
	child_check(only_the_trees);
}

static void what_is_read_only(void **state)
{
	child_check(read_only_where_it_should);
}

static void descriptors_stay_valid(void **state)
{
	child_check(descriptors_stay);
}

static void the_whole_sandbox(void **state)
{
	child_check(after_the_lock);
}

static void no_network_interfaces(void **state)
{
	child_check(no_network);
}

static void nothing_else_is_mounted(void **state)
{
	child_check(five_mounts);
}

static void a_tree_with_locked_mounts(void **state)
{
	child_check(locked_child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_jail_shows_only_the_trees),
		cmocka_unit_test(what_is_read_only),
		cmocka_unit_test(descriptors_stay_valid),
		cmocka_unit_test(the_whole_sandbox),
		cmocka_unit_test(no_network_interfaces),
		cmocka_unit_test(nothing_else_is_mounted),
		cmocka_unit_test(a_tree_with_locked_mounts),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
