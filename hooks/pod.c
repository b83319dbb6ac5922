/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who writes the same id= for two containers of a pod means one workspace, which two containers
 * cannot have. That they are of one pod the kernel says: they have a namespace in common that is
 * not the engine's. An annotation says nothing, for an image can bring it.
 */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>

#include "host/workspace-internal.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/fully.h"

#define NAMESPACES_MAX 512

/* Hooks alone hold it, and only to look and to write: a mount that hangs holds nobody up. */
#define NAMES_LOCK ".naming"

/* Until a supervisor has seen that its container has ended. */
#define NOTICED_MS 1000

/*
 * A network namespace makes no pod: strangers have one in common where it is a way to a network
 * (podman's --network=ns:PATH). Pods for Kubernetes share these, too, whatever else they share.
 */
static const char *const kinds[POD_NAMESPACES_MAX] = {"ipc", "uts", "pid"};

/* -1 in *ret_fd: it is ours, or the kernel has none of the kind. */
static int open_kind(
	const struct container *container, const char *kind, int *ret_fd, struct error *err)
{
	pid_t pid = container->state.pid;
	int r = namespace_is_shared(pid, kind);
	char path[64];

	*ret_fd = -1;
	if (r > 0 || r == -ENOENT)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
	if (r == 0) {
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
		r = *ret_fd < 0 ? -errno : 0;
	}
	return r < 0 ? error_set_errno(err, -r, EXIT_STATUS_FAILED, "%s", path) : 0;
}

void pod_init(struct pod *pod)
{
	for (size_t i = 0; i < POD_NAMESPACES_MAX; i++)
		pod->fds[i] = -1;
}

int pod_open(const struct container *container, struct pod *pod, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < POD_NAMESPACES_MAX; i++)
		r = open_kind(container, kinds[i], &pod->fds[i], err);
	return r ? r : container_check_alive(container, err);
}

void pod_release(struct pod *pod)
{
	for (size_t i = 0; i < POD_NAMESPACES_MAX; i++)
		close_keep_errno(steal_fd(&pod->fds[i]));
}

/* "KIND DEVICE:INODE" a line, and a line's end before the first. */
struct namespaces {
	char text[NAMESPACES_MAX];
};

static int tell_namespaces(const struct pod *pod, struct namespaces *ret, struct error *err)
{
	size_t used = 1;

	strcpy(ret->text, "\n");
	for (size_t i = 0; i < POD_NAMESPACES_MAX; i++) {
		struct stat st;

		if (pod->fds[i] < 0)
			continue;
		if (fstat(pod->fds[i], &st) < 0)
			return error_set_errno(
				err, errno, EXIT_STATUS_FAILED, "%s namespace", kinds[i]);
		used += (size_t)snprintf(ret->text + used, sizeof(ret->text) - used, "%s %lu:%lu\n",
			kinds[i], (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	}
	return 0;
}

static bool have_one_in_common(const struct namespaces *ours, const struct namespaces *theirs)
{
	for (const char *line = ours->text; line[1]; line = strchr(line + 1, '\n')) {
		char whole[NAMESPACES_MAX];

		snprintf(whole, sizeof(whole), "%.*s", (int)(strchr(line + 1, '\n') + 1 - line),
			line);
		if (strstr(theirs->text, whole))
			return true;
	}
	return false;
}

/* -ENOENT: it is called by no id=, or is being made, or has gone. */
static int read_namespaces(const char *id, struct namespaces *ret)
{
	_cleanup_(workspace_release) struct workspace ws = {.run_fd = -1, .lock_fd = -1};
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r = workspace_open(id, &ws, NULL);

	if (r < 0)
		return r;
	fd = openat(ws.run_fd, WORKSPACE_NAMESPACES_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret->text, sizeof(ret->text) - 1);
	if (n < 0)
		return -errno;
	ret->text[n] = '\0';
	return 0;
}

static int write_namespaces(
	const struct workspace *ws, const struct namespaces *namespaces, struct error *err)
{
	_cleanup_close_ int fd = openat(ws->run_fd, WORKSPACE_NAMESPACES_FILE,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_fully(fd, namespaces->text, strlen(namespaces->text));

	return r < 0 ? error_set_errno(err, -r, EXIT_STATUS_FAILED, "record of %s", ws->id) : 0;
}

struct search {
	const char *container_id;
	const struct pod_name *names;
	size_t count;
	struct namespaces namespaces;
	size_t index; /* of the one that another has */
	char found[WORKSPACE_ID_MAX + 1];
	pid_t supervisor; /* of that one; 0: none yet */
};

/* By its id alone, which says it all: what a record says may be unreadable just now. */
static bool find_name(struct search *search, const char *id)
{
	const char *separator = strchr(id, WORKSPACE_ID_SEPARATOR);

	if (!separator || workspace_id_is_of(id, search->container_id))
		return false;
	for (size_t i = 0; i < search->count; i++) {
		search->index = i;
		if (strcmp(separator + 1, search->names[i].name) == 0)
			return true;
	}
	return false;
}

/* One that is ending is in nobody's way: it is its container's alone. */
static int look_at(void *ctx, const struct workspace_info *info)
{
	struct search *search = ctx;
	struct namespaces theirs;
	int r;

	if (!info->alive || info->state == WORKSPACE_ENDING || !find_name(search, info->id))
		return 0;
	r = read_namespaces(info->id, &theirs);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!have_one_in_common(&search->namespaces, &theirs))
		return 0;
	snprintf(search->found, sizeof(search->found), "%s", info->id);
	search->supervisor = info->supervisor;
	return 1;
}

static int lock_names(const struct search *search, int *ret_fd, struct error *err)
{
	const char *record = search->names[0].workspace->run_dir;
	int length = (int)(strrchr(record, '/') - record);
	int r = workspace_lock_file_within(
		NAMES_LOCK, clock_work_left(HOOK_NAMES_TIMEOUT_MS), ret_fd, err);

	if (r != -EWOULDBLOCK)
		return r;
	return error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"another container's git-overlayfs-hook hangs or is stopped, and no container gets "
		"an id= meanwhile; end what has its lock open (fuser -v %.*s/" NAMES_LOCK ")",
		length, record);
}

/* 1: another one is called so. */
static int try_claim(struct search *search, struct error *err)
{
	int lock_fd, r = lock_names(search, &lock_fd, err);

	if (r < 0)
		return r;
	r = workspace_for_each(look_at, search, err);
	if (r < 0 && err->code == 0)
		error_set_errno(err, -r, EXIT_STATUS_FAILED, "records of the pod's workspaces");
	/* All of them or none: who has one and waits for another may be waited for. */
	for (size_t i = 0; r == 0 && i < search->count; i++)
		r = write_namespaces(search->names[i].workspace, &search->namespaces, err);
	workspace_unlock_file(NAMES_LOCK, lock_fd);
	return r;
}

/* Of a container that is long gone, too, where its supervisor hangs or is stopped. */
static void explain_taken(const struct search *search, struct error *err)
{
	char hint[WORKSPACE_ID_MAX + 160] = "";

	if (search->supervisor > 0)
		snprintf(hint, sizeof(hint),
			"; if that container is gone, end what is left of it (kill -KILL %d; "
			"git-overlayfs umount %s)",
			(int)search->supervisor, search->found);
	error_set(err, EBUSY, EXIT_STATUS_BUSY,
		"id=%s is a workspace of container %.*s of the same pod, and a workspace is one "
		"container's; leave id= out, or choose another, and share files by a volume%s",
		search->names[search->index].name,
		(int)strcspn(search->found, (char[]){WORKSPACE_ID_SEPARATOR, '\0'}), search->found,
		hint);
}

int pod_claim_names(const struct pod *pod, const char *container_id, const struct pod_name *names,
	size_t count, size_t *ret_index, struct error *err)
{
	static const struct timespec pause = {.tv_nsec = 50000000};
	struct search search = {.container_id = container_id, .names = names, .count = count};
	int64_t until = clock_now_ms() + clock_work_left(NOTICED_MS);
	int r = count ? tell_namespaces(pod, &search.namespaces, err) : 0;

	if (r < 0 || count == 0)
		return r;
	/* A container that is made anew follows one that has ended, and may not be known to have.
	 */
	while ((r = try_claim(&search, err)) > 0 && clock_now_ms() < until)
		nanosleep(&pause, NULL);
	if (r <= 0)
		return r;
	*ret_index = search.index;
	explain_taken(&search, err);
	return 1;
}
