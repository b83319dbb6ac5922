/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Begins with a dot, as no id does. Behind the id stands what no other one of it has. */
#define PREFIX ".discarded-"

static int failed(struct error *err, int r, const char *id)
{
	return error_set_errno(
		err, -r, EXIT_STATUS_FAILED, "workspace %s: cannot remove the upper directory", id);
}

static int choose_name(const char *id, char ret[static WORKSPACE_DISCARD_NAME_MAX])
{
	unsigned long long random;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -errno;
	snprintf(ret, WORKSPACE_DISCARD_NAME_MAX, PREFIX "%s-%016llx", id, random);
	return 0;
}

/* Its lock says that somebody is at it; taken before the name says that it may be removed. */
static int open_locked(int base_fd, const char *name, int *ret_fd)
{
	_cleanup_close_ int fd =
		openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	*ret_fd = steal_fd(&fd);
	return 0;
}

int workspace_discard_begin(
	struct workspace *ws, struct workspace_discard *ret_discard, struct error *err)
{
	struct workspace_discard discard = {.base_fd = -1, .lock_fd = -1};
	_cleanup_free_ char *run = NULL, *state = NULL;
	_cleanup_close_ int run_fd = -1;
	int r = workspace_base_open(WORKSPACE_RUN, false, &run, &run_fd, err);

	*ret_discard = discard;
	if (r < 0)
		return r;
	/* Meanwhile the id may be another's. */
	if (!workspace_is_current(ws, run_fd))
		return workspace_leave_upper(ws, err);
	r = workspace_base_open(WORKSPACE_STATE, false, &state, &discard.base_fd, NULL);
	if (r == 0)
		r = choose_name(ws->id, discard.name);
	if (r == 0)
		r = open_locked(discard.base_fd, ws->id, &discard.lock_fd);
	if (r == 0 && renameat2(discard.base_fd, ws->id, discard.base_fd, discard.name,
			      RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0) {
		close_keep_errno(discard.lock_fd);
		close_keep_errno(discard.base_fd);
		return r == -ENOENT ? 0 : failed(err, r, ws->id);
	}
	*ret_discard = discard;
	return 0;
}

int workspace_discard_finish(struct workspace_discard *discard)
{
	int r = discard->base_fd < 0 ? 0 : tree_remove(discard->base_fd, discard->name);

	close_keep_errno(steal_fd(&discard->lock_fd));
	close_keep_errno(steal_fd(&discard->base_fd));
	return r;
}

/* The id within a name; false: it is not one of ours. */
static bool parse_name(const char *name, char ret_id[static WORKSPACE_DISCARD_NAME_MAX])
{
	size_t n = strlen(name);
	char *end;

	if (n >= WORKSPACE_DISCARD_NAME_MAX || strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	strcpy(ret_id, name + strlen(PREFIX));
	end = strrchr(ret_id, '-');
	if (!end)
		return false;
	*end = '\0';
	return workspace_id_is_valid(ret_id);
}

/* 1: it is gone, or would be; 0: somebody is at it. */
static int clear_one(int base_fd, const char *name, bool dry_run)
{
	_cleanup_close_ int fd = -1;
	int r = open_locked(base_fd, name, &fd);

	if (r < 0)
		return r == -EWOULDBLOCK || r == -ENOENT ? 0 : r;
	if (!dry_run)
		r = tree_remove(base_fd, name);
	return r < 0 ? r : 1;
}

int workspace_discards_clear(bool dry_run, void (*each)(const char *id), struct error *err)
{
	char id[WORKSPACE_DISCARD_NAME_MAX];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int first = workspace_base_list(WORKSPACE_STATE, &dir, err);

	while (dir && (entry = readdir(dir))) {
		int r;

		if (!parse_name(entry->d_name, id))
			continue;
		r = clear_one(dirfd(dir), entry->d_name, dry_run);
		if (r > 0)
			each(id);
		else if (r < 0 && first == 0)
			first = failed(err, r, id);
	}
	return first;
}
