/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fully.h"

#define LINKS_MAX   16
#define ENTRIES_MAX 1000

static int open_in_root(int root_fd, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static int open_dir(int root_fd, const char *path)
{
	return open_in_root(root_fd, path, O_RDONLY | O_DIRECTORY);
}

bool place_exists(int root_fd, const char *path)
{
	_cleanup_close_ int fd = open_in_root(root_fd, path, O_PATH);

	return fd >= 0;
}

static int failed(const struct place *place, int code, const char *what, struct error *err)
{
	return error_set_errno(err, code, EXIT_STATUS_FAILED, "%s: %s", place->path, what);
}

/* "/etc/x" and name "x"; the directory's part is "/etc" or "/". */
static int open_parent(struct place *place)
{
	char *slash = strrchr(place->path, '/');
	int fd;

	*slash = '\0';
	fd = open_dir(place->root_fd, *place->path ? place->path : "/");
	*slash = '/';
	place->name = slash + 1;
	return fd;
}

/* path becomes what the link at its end says. */
static int follow(struct place *place)
{
	char target[PATH_MAX], whole[2 * PATH_MAX];
	ssize_t n = readlinkat(place->dir_fd, place->name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (*target == '/')
		snprintf(whole, sizeof(whole), "%s", target);
	else
		snprintf(whole, sizeof(whole), "%.*s%s", (int)(place->name - place->path),
			place->path, target);
	n = (ssize_t)strlen(whole);
	if (n >= (ssize_t)sizeof(place->path))
		return -ENAMETOOLONG;
	memcpy(place->path, whole, (size_t)n + 1);
	return 0;
}

/* Opens directories until the name at the end is no symlink. */
static int locate(struct place *place)
{
	for (int links = 0; links < LINKS_MAX; links++) {
		struct stat st;
		int r = open_parent(place);

		if (r == -ENOENT)
			return 0;
		if (r < 0)
			return r;
		place->dir_fd = r;
		if (fstatat(place->dir_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : -errno;
		/* Not of a link: its mode, 0777, would be that of the file that is made. */
		if (!S_ISLNK(st.st_mode)) {
			place->st = st;
			place->exists = true;
			return 0;
		}
		r = follow(place);
		close(steal_fd(&place->dir_fd));
		if (r < 0)
			return r;
	}
	return -ELOOP;
}

/* 0, -EFBIG, -ENOTSUP (no regular file), ... */
static int read_file(
	int dir_fd, const char *name, struct stat *ret_st, char **ret_text, size_t *ret_size)
{
	_cleanup_close_ int fd =
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -ENOTSUP;
	text = malloc(PLACE_SIZE_MAX + 1);
	if (!text)
		return -ENOMEM;
	n = read_fully(fd, text, PLACE_SIZE_MAX + 1);
	if (n < 0 || n > PLACE_SIZE_MAX)
		return n < 0 ? (int)n : -EFBIG;
	text[n] = '\0';
	*ret_text = steal_ptr(&text);
	*ret_size = (size_t)n;
	return 0;
}

int place_open(int root_fd, const char *path, struct place *ret_place, struct error *err)
{
	int r = 0;

	*ret_place = (struct place){.root_fd = root_fd, .dir_fd = -1};
	snprintf(ret_place->path, sizeof(ret_place->path), "%s", path);
	r = locate(ret_place);
	if (r == 0 && ret_place->exists)
		r = read_file(ret_place->dir_fd, ret_place->name, &ret_place->st, &ret_place->text,
			&ret_place->size);
	if (r == -ENOTSUP)
		return error_set(
			err, ENOTSUP, EXIT_STATUS_FAILED, "%s is no regular file", ret_place->path);
	if (r == -EFBIG)
		return error_set(
			err, EFBIG, EXIT_STATUS_FAILED, "%s is larger than 1 MiB", ret_place->path);
	return r < 0 ? failed(ret_place, -r, "reading", err) : 0;
}

void place_release(struct place *place)
{
	close_keep_errno(place->dir_fd);
	place->dir_fd = -1;
	free(steal_ptr(&place->text));
}

/* --- the backup --- */

static int backup_name(const struct place *place, char name[NAME_MAX + 1])
{
	int n = snprintf(name, NAME_MAX + 1, "%s" PLACE_BACKUP, place->name);

	return n > NAME_MAX ? -ENAMETOOLONG : 0;
}

int place_read_backup(
	const struct place *place, char **ret_text, size_t *ret_size, struct error *err)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int r = place->dir_fd < 0 ? -ENOENT : backup_name(place, name);

	if (r == 0)
		r = read_file(place->dir_fd, name, &st, ret_text, ret_size);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? failed(place, -r, "its backup", err) : 1;
}

/* What the file had besides its text: labels and ACLs, where there are any. */
static void copy_attributes(const struct place *place, int fd)
{
	static const char *const names[] = {"security.selinux", "system.posix_acl_access"};
	_cleanup_close_ int old =
		openat(place->dir_fd, place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char value[4096];

	for (size_t i = 0; old >= 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		ssize_t n = fgetxattr(old, names[i], value, sizeof(value));

		if (n > 0)
			(void)fsetxattr(fd, names[i], value, (size_t)n, 0);
	}
}

static int fill(const struct place *place, int fd, const char *text, size_t size)
{
	bool known = place->st.st_mode != 0;
	mode_t mode = known ? place->st.st_mode & 07777 : 0644;
	int r = write_fully(fd, text, size);

	if (r < 0)
		return r;
	/* The owner first: chown takes set-id bits away. */
	if (known && fchown(fd, place->st.st_uid, place->st.st_gid) < 0)
		return -errno;
	if (place->exists)
		copy_attributes(place, fd);
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Writes a file beside, and gives it its name with these flags of renameat2(2). */
static int write_beside(
	const struct place *place, const char *name, const char *text, size_t size, unsigned flags)
{
	_cleanup_close_ int fd = -1;
	char beside[64];
	uint64_t number;
	int r;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -EIO;
	snprintf(beside, sizeof(beside), ".git-overlayfs-%016llx", (unsigned long long)number);
	fd = openat(
		place->dir_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fill(place, fd, text, size);
	if (r == 0 && renameat2(place->dir_fd, beside, place->dir_fd, name, flags) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(place->dir_fd, beside, 0);
	else if (fsync(place->dir_fd) < 0)
		r = -errno;
	return r;
}

int place_make_backup(const struct place *place, const char *text, size_t size, struct error *err)
{
	char name[NAME_MAX + 1];
	int r = backup_name(place, name);

	if (r == 0)
		r = write_beside(place, name, text, size, RENAME_NOREPLACE);
	if (r == -EEXIST)
		return 0;
	return r < 0 ? failed(place, -r, "making its backup", err) : 1;
}

int place_remove_backup(const struct place *place, struct error *err)
{
	char name[NAME_MAX + 1];
	int r = backup_name(place, name);

	if (r == 0 && unlinkat(place->dir_fd, name, 0) < 0 && errno != ENOENT)
		r = -errno;
	return r < 0 ? failed(place, -r, "removing its backup", err) : 0;
}

/* --- replacing --- */

static int make_dirs(struct place *place)
{
	char copy[PATH_MAX];
	int r = 0;

	memcpy(copy, place->path, sizeof(copy));
	for (char *p = copy + 1; r == 0 && (p = strchr(p, '/')); *p++ = '/') {
		_cleanup_close_ int above = -1;
		char *name;

		*p = '\0';
		name = strrchr(copy, '/');
		*name = '\0';
		above = open_dir(place->root_fd, *copy ? copy : "/");
		*name = '/';
		if (above < 0)
			return above;
		if (mkdirat(above, name + 1, 0755) < 0 && errno != EEXIST)
			r = -errno;
	}
	if (r == 0)
		r = open_parent(place);
	if (r < 0)
		return r;
	place->dir_fd = r;
	return 0;
}

/* Nobody has written it since. */
static int check_unchanged(const struct place *place)
{
	struct stat st;

	if (fstatat(place->dir_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno != ENOENT ? -errno : place->exists ? -EBUSY : 0;
	if (!place->exists || st.st_ino != place->st.st_ino || st.st_size != place->st.st_size ||
		st.st_mtim.tv_sec != place->st.st_mtim.tv_sec ||
		st.st_mtim.tv_nsec != place->st.st_mtim.tv_nsec)
		return -EBUSY;
	return 0;
}

static int replace(struct place *place, const char *text, size_t size)
{
	int r = place->dir_fd < 0 ? make_dirs(place) : 0;

	if (r == 0)
		r = check_unchanged(place);
	if (r < 0)
		return r;
	if (text)
		return write_beside(place, place->name, text, size, 0);
	if (place->exists && unlinkat(place->dir_fd, place->name, 0) < 0)
		return -errno;
	return fsync(place->dir_fd) < 0 ? -errno : 0;
}

int place_replace(struct place *place, const char *text, size_t size, struct error *err)
{
	int r = replace(place, text, size);

	if (r == -EBUSY)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"%s: somebody else has written it just now; try again", place->path);
	if (r < 0)
		return failed(place, -r, "writing", err);
	place->exists = text != NULL;
	if (text && fstatat(place->dir_fd, place->name, &place->st, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(place, errno, "writing", err);
	return 0;
}

/* --- directories of files --- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(DIR *dir, char *names[ENTRIES_MAX], size_t *ret_count)
{
	struct dirent *entry;

	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (*ret_count == ENTRIES_MAX)
			return -E2BIG;
		names[*ret_count] = strdup(entry->d_name);
		if (!names[(*ret_count)++])
			return -ENOMEM;
	}
	return 0;
}

int place_each(int root_fd, const char *dir,
	int (*fn)(void *ctx, const char *path, struct error *err), void *ctx, struct error *err)
{
	int fd = open_dir(root_fd, dir), r = 0;
	_cleanup_closedir_ DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	char *names[ENTRIES_MAX];
	size_t count = 0;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd >= 0 && !stream)
		close(fd);
	r = stream ? list_names(stream, names, &count) : fd < 0 ? fd : -ENOMEM;
	if (r < 0)
		error_set_errno(err, -r, EXIT_STATUS_FAILED, "%s", dir);
	qsort(names, count, sizeof(names[0]), compare_names);
	for (size_t i = 0; i < count; i++) {
		char path[PATH_MAX];

		if (r == 0 && names[i] &&
			snprintf(path, sizeof(path), "%s/%s", dir, names[i]) < (int)sizeof(path))
			r = fn(ctx, path, err);
		free(names[i]);
	}
	return r;
}
