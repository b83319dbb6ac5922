/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The layers, and the native directory that shows what they show together. */
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BASE, MIDDLE, TOP };
enum { WHITEOUT = 1 }; /* a type that no file has */

#define COMMIT_TIME 1700000000

struct plant {
	int layer;
	mode_t type;
	const char *path;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	const char *data; /* content or target */
	long size;	  /* content is repeated up to here */
	bool is_opaque;
	bool is_sparse;
};

static const struct plant plants[] = {
	{BASE, S_IFDIR, "a", 0755, 1000, 2000},
	{BASE, S_IFREG, "a/f", 0644, 1000, 2000, "one\n", 4},
	{BASE, S_IFREG, "a/g", 0755, 1000, 2000, "two of a few\n", 5000},
	{BASE, S_IFLNK, "a/s", 0777, 1000, 2000, "f"},
	{BASE, S_IFLNK, "a/l", 0777, 1000, 2000, "../b"},
	{BASE, S_IFDIR, "a/a", 0775, 1000, 2000},
	{BASE, S_IFREG, "a/a/f", 0664, 1001, 2000, "member\n", 7},
	{BASE, S_IFDIR, "a/b", 0755, 1000, 2000},
	{BASE, S_IFREG, "a/b/f", 0644, 1000, 2000, "three\n", 6},
	{BASE, S_IFREG, "a/b/h", 0644, 1000, 2000, "a larger one, ", 200000},
	{BASE, S_IFDIR, "a/b/c", 0755, 1000, 2000},
	{BASE, S_IFREG, "a/b/c/f", 0600, 1000, 2000, "deep\n", 5},
	{BASE, S_IFREG, "a/b/c/g", 0644, 0, 0, "root's\n", 7},
	{BASE, S_IFDIR, "a/c", 0755, 1000, 2000},
	{BASE, S_IFREG, "a/c/x", 0644, 1000, 2000, "x", 4096},
	{BASE, S_IFDIR, "b", 0777, 0, 0},
	{BASE, S_IFREG, "b/f", 0666, 0, 0, "for all\n", 8},
	{BASE, S_IFREG, "b/h", 04755, 0, 0, "set-user-ID\n", 12},
	{BASE, S_IFLNK, "b/l", 0777, 0, 0, "a"},
	{BASE, S_IFDIR, "b/a", 0755, 1000, 2000},
	{BASE, S_IFREG, "b/a/f", 0644, 1000, 2000, "four\n", 5},
	{BASE, S_IFREG, "b/a/g", 0644, 1000, 2000, "five\n", 70000},
	{BASE, S_IFDIR, "b/b", 0755, 1000, 2000},
	{BASE, S_IFREG, "b/b/g", 0444, 1000, 2000, "six\n", 4},
	{BASE, S_IFDIR, "b/b/a", 0755, 1000, 2000},
	{BASE, S_IFREG, "b/b/a/y", 0644, 1000, 2000, "", 0},
	{BASE, S_IFDIR, "c", 02775, 0, 2000},
	{BASE, S_IFREG, "c/f", 0664, 1000, 2000, "group's\n", 8},
	{BASE, S_IFREG, "c/h", 0644, 1000, 2000, "end", 150000, .is_sparse = true},
	{BASE, S_IFIFO, "c/p", 0664, 1000, 2000},
	{BASE, S_IFSOCK, "c/w", 0775, 1000, 2000},
	{BASE, S_IFCHR, "c/z", 0600, 0, 0},
	{BASE, S_IFDIR, "c/a", 01777, 0, 0},
	{BASE, S_IFREG, "c/a/f", 0644, 1001, 1001, "member's\n", 9},
	{BASE, S_IFREG, "c/a/g", 0644, 1002, 1002, "other's\n", 8},
	{BASE, S_IFDIR, "c/b", 0700, 1000, 2000},
	{BASE, S_IFREG, "c/b/f", 0644, 1000, 2000, "private\n", 8},
	{BASE, S_IFREG, "c/g", 0644, 1000, 2000, "a file below a directory\n", 25},
	{BASE, S_IFREG, "f", 0644, 1000, 2000, "at the root\n", 12},
	{BASE, S_IFREG, "g", 0644, 0, 0, "g\n", 9000},
	{BASE, S_IFLNK, "s", 0777, 1000, 2000, "nowhere"},

	{MIDDLE, S_IFDIR, "a", 0755, 1000, 2000},
	{MIDDLE, WHITEOUT, "a/g"},
	{MIDDLE, S_IFDIR, "a/b", 0775, 1001, 2000},
	{MIDDLE, S_IFREG, "a/b/x", 0644, 1000, 2000, "from the middle\n", 16},
	{MIDDLE, S_IFREG, "a/c", 0644, 1000, 2000, "a file above a directory\n", 25},
	{MIDDLE, S_IFDIR, "b", 0777, 0, 0},
	{MIDDLE, S_IFDIR, "b/a", 0755, 1000, 2000, .is_opaque = true},
	{MIDDLE, S_IFREG, "b/a/x", 0644, 1000, 2000, "alone\n", 6},
	{MIDDLE, WHITEOUT, "b/b"},
	{MIDDLE, S_IFDIR, "c", 02775, 0, 2000},
	{MIDDLE, S_IFDIR, "c/g", 0755, 1000, 2000},
	{MIDDLE, S_IFREG, "c/g/f", 0644, 1000, 2000, "in its place\n", 13},
	{MIDDLE, S_IFREG, "c/x", 0640, 1000, 2000, "hidden by the top\n", 18},
	{MIDDLE, S_IFIFO, "c/p", 0664, 1000, 2000},
	{MIDDLE, S_IFREG, "g", 0600, 1000, 2000, "another g\n", 10},

	{TOP, S_IFDIR, "a", 0755, 1000, 2000},
	{TOP, S_IFREG, "a/y", 0644, 1000, 2000, "from the top\n", 13},
	{TOP, S_IFDIR, "a/b", 0777, 1000, 2000},
	{TOP, WHITEOUT, "a/b/h"},
	{TOP, S_IFDIR, "a/b/c", 0755, 1002, 2000},
	{TOP, S_IFLNK, "a/b/c/s", 0777, 1000, 2000, "../x"},
	{TOP, S_IFDIR, "b", 0777, 0, 0},
	{TOP, S_IFDIR, "b/b", 0755, 1000, 2000},
	{TOP, S_IFREG, "b/b/f", 0644, 1000, 2000, "anew\n", 5},
	{TOP, S_IFDIR, "c", 02775, 0, 2000},
	{TOP, WHITEOUT, "c/x"},
};

static bool is_git(const struct place *place, const struct plant *p)
{
	return p->layer == BASE && place->layout != LAYOUT_DIR;
}

/* What git cannot hold is not in its layer. */
static bool is_planted(const struct place *place, const struct plant *p)
{
	if (place->layout != LAYOUT_LAYERS && p->layer != BASE)
		return false;
	return !is_git(place, p) || p->type == S_IFDIR || p->type == S_IFREG || p->type == S_IFLNK;
}

/* Git has no holes. */
static void write_content(const struct place *place, int fd, const struct plant *p)
{
	size_t length = strlen(p->data);

	if (p->is_sparse && !is_git(place, p)) {
		if (pwrite(fd, p->data, length, p->size - (long)length) < 0)
			die("%s: %m", p->path);
		return;
	}
	for (long at = 0; at < p->size; at += (long)length) {
		size_t n = p->size - at < (long)length ? (size_t)(p->size - at) : length;

		if (write(fd, p->data, n) != (ssize_t)n)
			die("%s: %m", p->path);
	}
}

static int make(const struct place *place, const struct plant *p, const char *path)
{
	int fd;

	switch (p->type) {
	case S_IFDIR:
		return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
	case S_IFLNK:
		return symlink(p->data, path);
	case S_IFREG:
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		write_content(place, fd, p);
		return close(fd);
	case WHITEOUT:
		return mknod(path, S_IFCHR | 0600, 0);
	default:
		return mknod(path, p->type | 0600, p->type == S_IFCHR ? makedev(4000, 300) : 0);
	}
}

/* Git knows one owner, one time, and whether a file can be executed. */
static void adorn(const struct place *place, const struct plant *p, const char *path)
{
	bool git = is_git(place, p);
	mode_t mode = p->mode;

	if (git)
		mode = p->type == S_IFDIR || p->mode & 0100 ? 0755 : 0644;
	if (lchown(path, git ? 1000 : p->uid, git ? 2000 : p->gid) < 0)
		die("%s: %m", path);
	if (p->type != S_IFLNK && chmod(path, mode) < 0)
		die("%s: %m", path);
	if (!git && p->type == S_IFREG && p->mode == 0664 &&
		setxattr(path, "user.a", "planted", 7, 0) < 0)
		die("%s: %m", path);
	if (p->is_opaque && setxattr(path, "trusted.overlay.opaque", "y", 1, 0) < 0)
		die("%s: %m", path);
}

static void set_time(const struct place *place, const struct plant *p, const char *path)
{
	struct timespec time = {.tv_sec = COMMIT_TIME};
	struct timespec times[2];

	if (!is_git(place, p))
		time = (struct timespec){
			.tv_sec = 1100000000 + 1000 * (p - plants), .tv_nsec = 111 * (p - plants)};
	times[0] = times[1] = time;
	if (utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0)
		die("%s: %m", path);
}

static void path_of(char path[600], const char *root, const struct plant *p)
{
	snprintf(path, 600, "%s/%s", root, p->path);
}

static bool type_is(const char *path, mode_t type)
{
	struct stat st;

	return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

/* One layer as it lies on disk. */
static void plant_layer(const struct place *place, int layer, const char *root)
{
	char path[600];

	if (mkdir(root, 0755) < 0)
		die("%s: %m", root);
	for (const struct plant *p = plants; p < plants + COUNT(plants); p++) {
		if (p->layer != layer || !is_planted(place, p))
			continue;
		path_of(path, root, p);
		if (make(place, p, path) < 0)
			die("%s: %m", path);
		if (p->type != WHITEOUT)
			adorn(place, p, path);
	}
	for (const struct plant *p = plants; p < plants + COUNT(plants); p++) {
		if (p->layer != layer || !is_planted(place, p) || p->type == WHITEOUT)
			continue;
		path_of(path, root, p);
		set_time(place, p, path);
	}
}

/* The layers one upon the other, as overlayfs merges them. */
static void plant_merged(const struct place *place, const char *root)
{
	char path[600];

	for (const struct plant *p = plants; p < plants + COUNT(plants); p++) {
		struct plant plain = *p;

		if (!is_planted(place, p))
			continue;
		path_of(path, root, p);
		if ((p->type != S_IFDIR || p->is_opaque || !type_is(path, S_IFDIR)) &&
			faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			remove_tree(path);
		if (p->type == WHITEOUT)
			continue;
		plain.is_opaque = false;
		if (make(place, &plain, path) < 0)
			die("%s: %m", path);
		plain.layer = is_git(place, p) ? BASE : p->layer;
		adorn(place, &plain, path);
	}
	for (const struct plant *p = plants; p < plants + COUNT(plants); p++) {
		if (!is_planted(place, p))
			continue;
		path_of(path, root, p);
		if (type_is(path, p->type))
			set_time(place, p, path);
	}
}

/* For several processes, the same tree stands several times. */
static void for_each_copy(const struct place *place, const char *root, int layer,
	void (*plant)(const struct place *, int, const char *))
{
	char path[500];

	if (place->copies == 0) {
		plant(place, layer, root);
		return;
	}
	if (mkdir(root, 0777) < 0 && errno != EEXIST)
		die("%s: %m", root);
	for (unsigned i = 0; i < place->copies; i++) {
		struct timespec times[2] = {{.tv_sec = COMMIT_TIME}, {.tv_sec = COMMIT_TIME}};

		snprintf(path, sizeof(path), "%s/p%u", root, i);
		plant(place, layer, path);
		if (chown(path, 1000, 2000) < 0 || chmod(path, 0755) < 0 ||
			utimensat(AT_FDCWD, path, times, 0) < 0)
			die("%s: %m", path);
	}
}

static void commit(const char *tree, const char *repo)
{
	setenv("GIT_AUTHOR_NAME", "oracle", 1);
	setenv("GIT_AUTHOR_EMAIL", "oracle@localhost", 1);
	setenv("GIT_COMMITTER_NAME", "oracle", 1);
	setenv("GIT_COMMITTER_EMAIL", "oracle@localhost", 1);
	setenv("GIT_AUTHOR_DATE", "1700000000 +0000", 1);
	setenv("GIT_COMMITTER_DATE", "1700000000 +0000", 1);
	run_program((const char *const[]){"git", "init", "-q", "--bare", repo, NULL});
	setenv("GIT_DIR", repo, 1);
	setenv("GIT_WORK_TREE", tree, 1);
	run_program((const char *const[]){"git", "symbolic-ref", "HEAD", "refs/heads/main", NULL});
	run_program((const char *const[]){"git", "add", "-A", "-f", NULL});
	run_program((const char *const[]){"git", "commit", "-q", "-m", "import", NULL});
	unsetenv("GIT_DIR");
	unsetenv("GIT_WORK_TREE");
}

void plant_layers(const struct place *place)
{
	static const char *const names[] = {"base", "middle", "top"};
	char path[400], repo[400];

	for (int layer = BASE; layer <= TOP; layer++) {
		if (layer != BASE && place->layout != LAYOUT_LAYERS)
			continue;
		snprintf(path, sizeof(path), "%s/%s", place->dir, names[layer]);
		for_each_copy(place, path, layer, plant_layer);
		if (layer == BASE && place->layout != LAYOUT_DIR) {
			snprintf(repo, sizeof(repo), "%s/base.git", place->dir);
			commit(path, repo);
		}
	}
}

static void plant_copy(const struct place *place, int layer, const char *root)
{
	if (mkdir(root, 0777) < 0 && errno != EEXIST)
		die("%s: %m", root);
	plant_merged(place, root);
}

void plant_native(const struct place *place, const char *root)
{
	for_each_copy(place, root, BASE, plant_copy);
}
