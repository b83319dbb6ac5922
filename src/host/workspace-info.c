/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git-overlayfs/json.h>
#include <git-overlayfs/log.h>

#include "util/cleanup.h"
#include "util/fully.h"

/* 500 layers, with long paths in JSON. */
#define INFO_SIZE_MAX (8 << 20)

static const char *const states[] = {
	[WORKSPACE_MOUNTING] = "mounting",
	[WORKSPACE_READY] = "ready",
	[WORKSPACE_ENDING] = "ending",
};

const char *workspace_state_name(enum workspace_state state)
{
	return states[state];
}

static void closejson(struct json **json)
{
	json_free(*json);
}

void workspace_info_release(struct workspace_info *info)
{
	free(steal_ptr(&info->id));
	free(steal_ptr(&info->mountpoint));
	free(steal_ptr(&info->source));
	free(steal_ptr(&info->commit));
	free(steal_ptr(&info->upper));
	free(steal_ptr(&info->container));
	workspace_request_free(steal_ptr(&info->request));
}

static int info_to_text(const struct workspace_info *info, char **ret_text, size_t *ret_size)
{
	const struct {
		const char *key, *value;
	} strings[] = {
		{"id", info->id},
		{"mountpoint", info->mountpoint},
		{"source", info->source},
		{"commit", info->commit},
		{"upper", info->upper},
		{"container", info->container},
		{"state", states[info->state]},
	};
	struct json_writer *writer;
	int r = json_writer_new(true, &writer);

	if (r < 0)
		return r;
	json_write_object_begin(writer);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		json_write_key(writer, strings[i].key);
		json_write_string(writer, strings[i].value ? strings[i].value : "");
	}
	json_write_flag(writer, "keep", info->keep);
	json_write_number(writer, "supervisor", info->supervisor);
	json_write_number(writer, "daemon", info->daemon);
	json_write_number(writer, "created", info->created);
	json_write_number(writer, "connection", info->connection);
	if (info->request) {
		json_write_key(writer, "request");
		workspace_request_write(info->request, writer);
	}
	json_write_object_end(writer);
	return json_writer_finish(writer, ret_text, ret_size);
}

/* So that a reboot, which empties the run directory, does not cost the upper. */
static int mark_kept(const char *state_dir)
{
	_cleanup_close_ int dir = open(state_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = -1;

	if (dir < 0)
		return -errno;
	fd = openat(dir, WORKSPACE_KEEP_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : 0;
}

int workspace_store(
	const struct workspace *ws, const struct workspace_info *info, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	size_t size = 0;
	int r = info_to_text(info, &text, &size);

	if (r == 0 && info->keep && ws->state_dir)
		r = mark_kept(ws->state_dir);
	if (r == 0) {
		fd = openat(ws->run_fd, WORKSPACE_FILE ".new",
			O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : write_fully(fd, text, size);
	}
	if (r == 0 && renameat(ws->run_fd, WORKSPACE_FILE ".new", ws->run_fd, WORKSPACE_FILE) < 0)
		r = -errno;
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"workspace %s: cannot write its record", ws->id);
	return 0;
}

static int read_file(int dir_fd, const char *name, char **ret_text, size_t *ret_size)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size > INFO_SIZE_MAX)
		return -E2BIG;
	/* It is replaced as a whole, so it does not grow. */
	room = (size_t)st.st_size + 1;
	text = malloc(room);
	if (!text)
		return -ENOMEM;
	while (size < room && (n = read(fd, text + size, room - size)) != 0) {
		if (n < 0)
			return -errno;
		size += (size_t)n;
	}
	*ret_text = steal_ptr(&text);
	*ret_size = size;
	return 0;
}

static int take_string(const struct json *json, const char *key, char **ret)
{
	const char *value = json_member_string(json, key);

	*ret = strdup(value ? value : "");
	return *ret ? 0 : -ENOMEM;
}

static int64_t take_integer(const struct json *json, const char *key)
{
	const struct json *value = json_member(json, key);

	return value && value->is_integer ? value->integer : 0;
}

static pid_t take_pid(const struct json *json, const char *key)
{
	int64_t value = take_integer(json, key);

	/* 0 and negative numbers mean groups of processes to kill(2). */
	return value > 1 && value <= INT_MAX ? (pid_t)value : 0;
}

/* A record of an older version says nothing of it, and had its mount when it had a daemon. */
static enum workspace_state take_state(const struct json *json, pid_t daemon)
{
	const char *value = json_member_string(json, "state");

	for (size_t i = 0; value && i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(value, states[i]))
			return (enum workspace_state)i;
	return daemon > 0 ? WORKSPACE_READY : WORKSPACE_MOUNTING;
}

int workspace_info_read(
	int run_fd, const char *id, struct workspace_info *ret_info, struct error *err)
{
	_cleanup_(closejson) struct json *json = NULL;
	struct workspace_info info = {0};
	_cleanup_free_ char *text = NULL;
	const struct json *keep;
	size_t size = 0;
	int r = read_file(run_fd, WORKSPACE_FILE, &text, &size);

	if (r < 0)
		return error_set_errno(
			err, -r, EXIT_STATUS_FAILED, "workspace %s: cannot read its record", id);
	r = json_parse(text, size, &json, err);
	if (r < 0) {
		error_prefix(err, "workspace %s: its record", id);
		return r;
	}
	info.id = strdup(id);
	keep = json_member(json, "keep");
	/* A record that says nothing of it keeps: that is the mistake one can undo. */
	info.keep = !keep || keep->type != JSON_BOOL || keep->boolean;
	info.supervisor = take_pid(json, "supervisor");
	info.daemon = take_pid(json, "daemon");
	info.created = take_integer(json, "created");
	info.connection = (unsigned)take_integer(json, "connection");
	info.state = take_state(json, info.daemon);
	if (!info.id || take_string(json, "mountpoint", &info.mountpoint) < 0 ||
		take_string(json, "source", &info.source) < 0 ||
		take_string(json, "commit", &info.commit) < 0 ||
		take_string(json, "upper", &info.upper) < 0 ||
		take_string(json, "container", &info.container) < 0 ||
		workspace_request_from_json(json_member(json, "request"), &info.request) < 0) {
		workspace_info_release(&info);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	info.alive = workspace_is_locked(run_fd);
	*ret_info = info;
	return 0;
}

int workspace_read_info(
	const struct workspace *ws, struct workspace_info *ret_info, struct error *err)
{
	return workspace_info_read(ws->run_fd, ws->id, ret_info, err);
}

/* A record without a readable workspace.json: what there is to know of it. */
static int bare_info(int run_fd, const char *id, struct workspace_info *ret_info)
{
	struct workspace_info info = {.keep = true,
		.alive = workspace_is_locked(run_fd),
		.begun = workspace_is_begun(run_fd)};

	info.id = strdup(id);
	info.mountpoint = strdup("");
	info.source = strdup("");
	info.commit = strdup("");
	info.upper = strdup("");
	info.container = strdup("");
	*ret_info = info;
	if (info.id && info.mountpoint && info.source && info.commit && info.upper &&
		info.container)
		return 0;
	workspace_info_release(ret_info);
	return -ENOMEM;
}

static int visit(int base_fd, const char *id, workspace_fn fn, void *ctx)
{
	_cleanup_(workspace_info_release) struct workspace_info info = {0};
	_cleanup_close_ int fd =
		openat(base_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct error err = {0};
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	r = workspace_info_read(fd, id, &info, &err);
	if (r < 0) {
		r = bare_info(fd, id, &info);
		if (r < 0)
			return r;
		info.begun &= err.code == ENOENT;
		/* One that is being made or removed has none, and that is no fault. */
		if (!info.alive && err.code != ENOENT)
			log_warning("%s", err.text);
	}
	return fn(ctx, &info);
}

int workspace_for_each(workspace_fn fn, void *ctx, struct error *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int r = workspace_base_list(WORKSPACE_RUN, &dir, err);

	if (r < 0 || !dir)
		return r;
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (workspace_id_is_valid(entry->d_name))
			r = visit(dirfd(dir), entry->d_name, fn, ctx);
	if (r == 0 && errno)
		r = error_set_errno(err, errno, EXIT_STATUS_FAILED, "records of workspaces");
	return r;
}
