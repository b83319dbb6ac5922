/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/workspace.h>

#include "host/mountinfo.h"
#include "util/cleanup.h"

/* Less than a requester waits for the layers to be opened. */
#define KNOWN_HOLDER_MS 10000
#define LAST_MOMENT_MS	500

/* One of the two while it is being checked. */
struct candidate {
	const char *option; /* "upperdir" */
	const char *path;   /* as it was given */
	int given_fd;	    /* what stands for it, -1: the path */
	char resolved[PATH_MAX];
	int fd;
	struct statx stx;
};

void upper_dirs_init(struct upper_dirs *dirs)
{
	*dirs = (struct upper_dirs){.upper_fd = -1, .work_fd = -1, .parent_fd = -1};
}

void upper_dirs_release(struct upper_dirs *dirs)
{
	close_keep_errno(steal_fd(&dirs->upper_fd));
	close_keep_errno(steal_fd(&dirs->work_fd));
	close_keep_errno(steal_fd(&dirs->parent_fd));
	free(steal_ptr(&dirs->upper_below));
	free(steal_ptr(&dirs->work_below));
}

static int open_candidate(struct candidate *c, struct error *err)
{
	char link[64];
	ssize_t n;

	c->fd = c->given_fd < 0 ? open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				: openat(c->given_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd < 0 && errno == ENOENT)
		return error_set(err, ENOENT, EXIT_STATUS_FAILED,
			"%s=%s: no such directory; make it first", c->option, c->path);
	if (c->fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s=%s", c->option, c->path);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", c->fd);
	n = readlink(link, c->resolved, sizeof(c->resolved) - 1);
	if (n < 0 || statx(c->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &c->stx) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s=%s", c->option, c->path);
	c->resolved[n] = '\0';
	return 0;
}

/* Whether `path` is `dir` or lies below it; both absolute and resolved. */
static bool is_within(const char *path, const char *dir)
{
	size_t length = strlen(dir);

	if (!strcmp(dir, "/"))
		return true;
	return !strncmp(path, dir, length) && (path[length] == '/' || !path[length]);
}

static int check_pair(
	const struct candidate *upper, const struct candidate *work, struct error *err)
{
	if (upper->stx.stx_dev_major != work->stx.stx_dev_major ||
		upper->stx.stx_dev_minor != work->stx.stx_dev_minor)
		return error_set(err, EXDEV, EXIT_STATUS_FAILED,
			"upperdir=%s and workdir=%s lie on different file systems; put them on one",
			upper->path, work->path);
	if (upper->stx.stx_mnt_id != work->stx.stx_mnt_id)
		return error_set(err, EXDEV, EXIT_STATUS_FAILED,
			"upperdir=%s and workdir=%s lie on different mounts of one file system; "
			"put them on one mount",
			upper->path, work->path);
	if (upper->stx.stx_ino == work->stx.stx_ino || !strcmp(upper->resolved, work->resolved))
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"upperdir=%s and workdir=%s are the same directory; they must be two",
			upper->path, work->path);
	if (is_within(work->resolved, upper->resolved) ||
		is_within(upper->resolved, work->resolved))
		return error_set(err, EINVAL, EXIT_STATUS_FAILED,
			"of upperdir=%s and workdir=%s one lies inside the other; put them side by "
			"side",
			upper->path, work->path);
	return 0;
}

static int check_layer(const struct candidate *c, const struct layer_spec *layer,
	const struct source *source, struct error *err)
{
	const char *dir = source->dir.path;
	struct stat st;

	if (!dir)
		return 0;
	if (fstat(source->dir.fd, &st) == 0 && st.st_ino == c->stx.stx_ino &&
		st.st_dev == makedev(c->stx.stx_dev_major, c->stx.stx_dev_minor))
		return error_set(err, ELOOP, EXIT_STATUS_FAILED,
			"%s=%s is the layer %s itself; choose another directory", c->option,
			c->path, layer->path);
	if (is_within(c->resolved, dir))
		return error_set(err, ELOOP, EXIT_STATUS_FAILED,
			"%s=%s lies inside the layer %s; choose a directory outside of it",
			c->option, c->path, layer->path);
	if (is_within(dir, c->resolved))
		return error_set(err, ELOOP, EXIT_STATUS_FAILED,
			"the layer %s lies inside %s=%s; choose a directory beside it", layer->path,
			c->option, c->path);
	return 0;
}

static int check_writable(const struct candidate *c, struct error *err)
{
	struct statvfs fs;

	if (fstatvfs(c->fd, &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return error_set(err, EROFS, EXIT_STATUS_FAILED,
			"%s=%s lies on a read-only file system; choose another one, or mount with "
			"ro and without it",
			c->option, c->path);
	if (faccessat(c->fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED,
			"%s=%s is not writable, choose another directory", c->option, c->path);
	return 0;
}

/* What the kernel's overlayfs, fuse-overlayfs and we ourselves leave in a work directory. */
static bool is_overlay_leftover(const char *name)
{
	return name[0] == '#' || !strcmp(name, ".") || !strcmp(name, "..") ||
	       !strcmp(name, "work") || !strcmp(name, "index") || !strcmp(name, "incompat");
}

static int check_work_content(const struct candidate *work, struct error *err)
{
	int fd = openat(work->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		close_keep_errno(fd);
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "workdir=%s", work->path);
	}
	while ((entry = readdir(dir)))
		if (!is_overlay_leftover(entry->d_name))
			return error_set(err, ENOTEMPTY, EXIT_STATUS_FAILED,
				"workdir=%s is not empty ('%s' is in it) and would be cleared; "
				"name an empty directory",
				work->path, entry->d_name);
	return 0;
}

struct holder {
	const char *upper;
	bool is_known; /* a record names the upper */
};

/* Non-zero: a workspace that can be seen from here is mounted with this upper. */
static int is_mounted_with(void *ctx, const struct workspace_info *info)
{
	struct holder *holder = ctx;
	_cleanup_(mountinfo_release) struct mountinfo mount = {0};

	if (!info->upper || strcmp(info->upper, holder->upper) != 0)
		return 0;
	holder->is_known = true;
	return mountinfo_find(info->mountpoint, &mount) == 0 && mount.minor == info->connection &&
	       !strcmp(mount.type, MOUNTINFO_OURS);
}

/*
 * Engines unmount by umount2(2), which waits for no daemon, and mount the same upper again at
 * once: who is on its way out gets the time to flush. The record goes before the lock does.
 */
static int lock_in_time(const struct candidate *c, const struct candidate *upper)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	struct holder holder = {.upper = upper->resolved};
	int waited = 0;

	while (flock(c->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (waited % 500 == 0 && workspace_for_each(is_mounted_with, &holder, NULL) > 0)
			return -EBUSY;
		if (waited >= (holder.is_known ? KNOWN_HOLDER_MS : LAST_MOMENT_MS))
			return -EBUSY;
		nanosleep(&pause, NULL);
		waited += 10;
	}
	return 0;
}

static int take_lock(const struct candidate *c, const struct candidate *upper, struct error *err)
{
	int r = lock_in_time(c, upper);

	if (r == -EBUSY)
		return error_set(err, EBUSY, EXIT_STATUS_BUSY,
			"%s=%s is in use by another workspace; git-overlayfs list shows it",
			c->option, c->path);
	if (r < 0)
		return error_set_errno(
			err, -r, EXIT_STATUS_FAILED, "%s=%s: flock", c->option, c->path);
	return 0;
}

static int check_candidates(const struct workspace_config *config, const struct source *sources,
	const struct candidate *upper, const struct candidate *work, struct error *err)
{
	int r = check_pair(upper, work, err);

	for (size_t i = 0; r == 0 && i < config->layer_count; i++) {
		r = check_layer(upper, &config->layers[i], &sources[i], err);
		if (r == 0)
			r = check_layer(work, &config->layers[i], &sources[i], err);
	}
	if (r == 0)
		r = check_writable(upper, err);
	if (r == 0)
		r = check_writable(work, err);
	/* The lock before the look: who holds it may have files of its own in there. */
	if (r == 0)
		r = take_lock(upper, upper, err);
	if (r == 0)
		r = take_lock(work, upper, err);
	return r == 0 ? check_work_content(work, err) : r;
}

int upper_open_below(int dir_fd, const char *path, int like_fd, int *ret_fd)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	struct stat found, like;

	if (fd < 0 || fstat(fd, &found) < 0 || fstat(like_fd, &like) < 0)
		return -errno;
	if (found.st_dev != like.st_dev || found.st_ino != like.st_ino)
		return -ESTALE;
	*ret_fd = steal_fd(&fd);
	return 0;
}

static bool is_first_component(const char *name, const char *path)
{
	size_t length = strlen(name);

	return !strncmp(name, path, length) && (path[length] == '/' || !path[length]);
}

/* `fd` may hold what leads to the two paths below it and nothing else. */
static int check_nothing_else(int fd, const char *const paths[2], struct error *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir) {
		close_keep_errno(copy);
		return error_set_errno(
			err, errno, EXIT_STATUS_FAILED, "the directory of upperdir and workdir");
	}
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
			!is_first_component(entry->d_name, paths[0]) &&
			!is_first_component(entry->d_name, paths[1]))
			/* No name of it: the wish may be a stranger's. */
			return error_set(err, ENOTEMPTY, EXIT_STATUS_FAILED,
				"something lies beside upperdir and workdir, where the daemon of a "
				"container could reach it; put upperdir and workdir alone into one "
				"directory of their own");
	return 0;
}

/* The directories between the common parent and one of the two. */
static int check_way(int parent_fd, const char *path, struct error *err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		const char *const rest[2] = {slash + 1, slash + 1};
		_cleanup_free_ char *way = strndup(path, (size_t)(slash - path));
		_cleanup_close_ int fd = -1;
		int r;

		if (!way)
			return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
		fd = openat(parent_fd, way, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s", way);
		r = check_nothing_else(fd, rest, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_alone(const struct upper_dirs *dirs, struct error *err)
{
	const char *const paths[2] = {dirs->upper_below, dirs->work_below};
	int r = check_nothing_else(dirs->parent_fd, paths, err);

	if (r == 0)
		r = check_way(dirs->parent_fd, dirs->upper_below, err);
	return r == 0 ? check_way(dirs->parent_fd, dirs->work_below, err) : r;
}

/* The parent is opened by path, and must hold the very directories that were judged. */
static int check_parent(const struct candidate *upper, const struct candidate *work,
	const struct upper_dirs *dirs, struct error *err)
{
	_cleanup_close_ int upper_fd = -1, work_fd = -1;
	int r = upper_open_below(dirs->parent_fd, dirs->upper_below, upper->fd, &upper_fd);

	if (r == 0)
		r = upper_open_below(dirs->parent_fd, dirs->work_below, work->fd, &work_fd);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"upperdir=%s and workdir=%s were moved meanwhile", upper->path, work->path);
	return 0;
}

/* Cuts both paths behind their last common component. */
static int open_common_parent(
	struct candidate *upper, struct candidate *work, struct upper_dirs *dirs, struct error *err)
{
	size_t common = 0;

	for (size_t i = 0; upper->resolved[i] && upper->resolved[i] == work->resolved[i]; i++)
		if (upper->resolved[i] == '/')
			common = i + 1;
	dirs->upper_below = strdup(upper->resolved + common);
	dirs->work_below = strdup(work->resolved + common);
	if (!dirs->upper_below || !dirs->work_below)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	upper->resolved[common] = '\0';
	dirs->parent_fd = open(upper->resolved, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirs->parent_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s", upper->resolved);
	return check_parent(upper, work, dirs, err);
}

int upper_dirs_open(const struct upper_wish *wish, struct upper_dirs *ret_dirs, struct error *err)
{
	const struct workspace_config *config = wish->config;
	const struct workspace *workspace = wish->workspace;
	struct candidate upper = {
		.option = "upperdir", .path = config->upper, .given_fd = wish->upper_fd, .fd = -1};
	struct candidate work = {
		.option = "workdir", .path = config->work, .given_fd = wish->work_fd, .fd = -1};
	_cleanup_free_ char *own_upper = NULL, *own_work = NULL;
	int r;

	if (config->read_only)
		return 0;
	if (!config->upper) {
		if (!workspace->state_dir ||
			asprintf(&own_upper, "%s/upper", workspace->state_dir) < 0 ||
			asprintf(&own_work, "%s/work", workspace->state_dir) < 0)
			return error_set(err, ENOENT, EXIT_STATUS_FAILED, "no upper directory");
		upper.path = own_upper;
		work.path = own_work;
		upper.given_fd = work.given_fd = -1;
	}
	r = open_candidate(&upper, err);
	if (r == 0)
		r = open_candidate(&work, err);
	if (r == 0)
		r = check_candidates(config, wish->sources, &upper, &work, err);
	if (r == 0)
		r = open_common_parent(&upper, &work, ret_dirs, err);
	if (r == 0 && config->upper && wish->for_container)
		r = check_alone(ret_dirs, err);
	ret_dirs->upper_fd = upper.fd;
	ret_dirs->work_fd = work.fd;
	if (r < 0)
		upper_dirs_release(ret_dirs);
	return r;
}
