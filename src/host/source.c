/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/source.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/source-read.h"
#include "util/cleanup.h"

#define GITFILE_PREFIX "gitdir:"

static void source_init(struct source *source)
{
	*source = (struct source){.alternate_count = 0};
	source_dir_init(&source->dir);
}

void source_release(struct source *source)
{
	for (size_t i = 0; i < source->alternate_count; i++)
		source_dir_release(&source->alternates[i]);
	source_dir_release(&source->dir);
	cleanup_freep(&source->git_dir);
	source_init(source);
}

/* The one line of a file such as `commondir`, without the space around it. */
static int read_line(int dirfd, const char *path, char **ret_line)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r = source_read_text(dirfd, path, &text, &length);

	if (r)
		return r;
	length = strlen(text);
	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		text[--length] = '\0';
	if (length == 0 || strchr(text, '\n'))
		return -EBADMSG;
	*ret_line = steal_ptr(&text);
	return 0;
}

/*
 * Opens the git directory that the file `name` in `dirfd` leads to ("gitdir: PATH",
 * relative to the file's directory). `shown` is what a person calls the file.
 */
static int open_gitfile(
	int dirfd, const char *name, const char *shown, struct source_dir *ret, struct error *err)
{
	_cleanup_free_ char *line = NULL;
	const char *target;
	int r = read_line(dirfd, name, &line);

	if (r == -EBADMSG || r == -EFBIG || r == -EINVAL ||
		(!r && strncmp(line, GITFILE_PREFIX, strlen(GITFILE_PREFIX)) != 0))
		return error_set(err, EBADMSG, EXIT_STATUS_SOURCE,
			"'%s' is neither a directory nor a file with one line 'gitdir: PATH'",
			shown);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_SOURCE, "'%s'", shown);
	target = line + strlen(GITFILE_PREFIX);
	while (*target == ' ' || *target == '\t')
		target++;
	r = source_dir_open(dirfd, target, ret);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_SOURCE,
			"'%s': the git directory that it leads to", shown);
	return 0;
}

/* `path` is a file: it may be the .git file of a worktree itself. */
static int open_path_of_gitfile(const char *path, struct source_dir *ret, struct error *err)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int dirfd = -1;
	char *slash;

	if (!copy)
		return error_set_errno(err, ENOMEM, EXIT_STATUS_FAILED, "'%s'", path);
	slash = strrchr(copy, '/');
	if (!slash)
		return open_gitfile(AT_FDCWD, path, path, ret, err);
	*slash = '\0';
	dirfd = open(slash == copy ? "/" : copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_SOURCE, "'%s'", path);
	return open_gitfile(dirfd, slash + 1, path, ret, err);
}

static int refuse_path(const char *what, const char *path, int code, struct error *err)
{
	if (code == ENOENT)
		return error_set(err, ENOENT, EXIT_STATUS_SOURCE, "no such %s: '%s'", what, path);
	return error_set_errno(err, code, EXIT_STATUS_SOURCE, "%s '%s'", what, path);
}

/* PATH/.git (a directory, or a file that leads to one) or else PATH itself. */
static int find_git_dir(const char *path, struct source_dir *ret, struct error *err)
{
	struct source_dir top;
	struct stat st;
	char shown[PATH_MAX];
	int r = source_dir_open(AT_FDCWD, path, &top);

	if (r == -ENOTDIR && stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return open_path_of_gitfile(path, ret, err);
	if (r)
		return refuse_path("repository", path, -r, err);
	if (fstatat(top.fd, ".git", &st, 0) < 0) {
		if (errno == ENOENT) {
			*ret = top;
			return 0;
		}
		r = refuse_path("repository", path, errno, err);
	} else if (S_ISDIR(st.st_mode)) {
		r = source_dir_open(top.fd, ".git", ret);
		if (r)
			refuse_path("repository", path, -r, err);
	} else {
		snprintf(shown, sizeof(shown), "%s/.git", path);
		r = open_gitfile(top.fd, ".git", shown, ret, err);
	}
	source_dir_release(&top);
	return r;
}

/* The directory that a git directory shares with others: itself, or `commondir`. */
static int open_common(const struct source_dir *git, struct source_dir *ret, struct error *err)
{
	_cleanup_free_ char *line = NULL;
	int r = read_line(git->fd, "commondir", &line);

	if (r && r != -ENOENT)
		return error_set_errno(err, -r, EXIT_STATUS_SOURCE, "'%s/commondir'", git->path);
	r = source_dir_open(git->fd, line ? line : ".", ret);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_SOURCE,
			"'%s/commondir': the directory that it leads to", git->path);
	return 0;
}

/* The sandbox shows the common directory alone, so the worktree's must lie below it. */
static int relate(const struct source_dir *git, const struct source_dir *common, char **ret,
	struct error *err)
{
	const char *below = "";
	size_t n;

	assert(git->path && common->path);
	n = strlen(common->path);
	if (strcmp(git->path, common->path) != 0) {
		if (strncmp(git->path, common->path, n) != 0 || git->path[n] != '/')
			return error_set(err, EXDEV, EXIT_STATUS_SOURCE,
				"the git directory '%s' does not lie below its common directory "
				"'%s', which is not supported: name '%s' instead",
				git->path, common->path, common->path);
		below = git->path + n + 1;
	}
	*ret = strdup(below);
	return *ret ? 0 : error_set_errno(err, ENOMEM, EXIT_STATUS_FAILED, "'%s'", git->path);
}

static int check_subdir(
	const char *shown, const struct source_dir *common, const char *name, struct error *err)
{
	struct stat st;

	if (fstatat(common->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, EXIT_STATUS_SOURCE,
			"not a git repository: '%s' ('%s' has no %s directory)", shown,
			common->path, name);
	if (S_ISLNK(st.st_mode))
		return error_set(err, ENOTSUP, EXIT_STATUS_SOURCE,
			"'%s/%s' is a symbolic link (git-new-workdir?), which is not supported: "
			"name the repository that it leads into",
			common->path, name);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, ENOTDIR, EXIT_STATUS_SOURCE,
			"not a git repository: '%s' ('%s/%s' is not a directory)", shown,
			common->path, name);
	return 0;
}

/* The checks by which git itself tells a repository from another directory. */
static int check_repository(const char *shown, const struct source_dir *git,
	const struct source_dir *common, struct error *err)
{
	_cleanup_free_ char *config = NULL;
	struct stat st;
	size_t length;
	int r;

	if (fstatat(git->fd, "HEAD", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, EXIT_STATUS_SOURCE,
			errno == ENOENT ? "not a git repository: '%s' ('%s' has no HEAD)"
					: "'%s': '%s/HEAD' cannot be looked at",
			shown, git->path);
	r = check_subdir(shown, common, "objects", err);
	if (!r)
		r = check_subdir(shown, common, "refs", err);
	if (r)
		return r;
	r = source_read_text(common->fd, "config", &config, &length);
	if (r == -ENOENT)
		return 0;
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_SOURCE, "'%s/config'", common->path);
	r = source_check_format(config, err);
	return r ? error_prefix(err, "'%s' cannot be used", shown) : 0;
}

static int open_repository(const char *path, struct source *source, struct error *err)
{
	_cleanup_(source_dir_release) struct source_dir git = {.fd = -1};
	int r = find_git_dir(path, &git, err);

	if (!r)
		r = open_common(&git, &source->dir, err);
	if (!r)
		r = check_repository(path, &git, &source->dir, err);
	if (!r)
		r = relate(&git, &source->dir, &source->git_dir, err);
	if (!r)
		r = source_read_alternates(source, err);
	return r;
}

static int open_directory(const char *path, struct source *source, struct error *err)
{
	int r = source_dir_open(AT_FDCWD, path, &source->dir);

	return r ? refuse_path("directory", path, -r, err) : 0;
}

int source_open(const struct layer_spec *spec, struct source *ret_source, struct error *err)
{
	struct source source;
	int r;

	source_init(&source);
	if (strcmp(spec->kind, "git") == 0)
		r = open_repository(spec->path, &source, err);
	else if (strcmp(spec->kind, "dir") == 0)
		r = open_directory(spec->path, &source, err);
	else
		r = error_set(
			err, EINVAL, EXIT_STATUS_USAGE, "no layer is of kind '%s'", spec->kind);
	if (r) {
		source_release(&source);
		return r;
	}
	*ret_source = source;
	return 0;
}
