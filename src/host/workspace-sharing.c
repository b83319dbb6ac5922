/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workspace-internal.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <git-overlayfs/json.h>

#include "util/cleanup.h"

#define SHARING_FILE "sharing.json"
#define SHARING_LOCK ".sharing"

static void closejson(struct json **json)
{
	json_free(*json);
}

void workspace_sharing_release(struct workspace_sharing *sharing)
{
	workspace_request_free(steal_ptr(&sharing->request));
	sharing->count = 0;
}

static int to_text(const struct workspace_sharing *sharing, char **ret_text, size_t *ret_size)
{
	struct json_writer *writer;
	int r = json_writer_new(true, &writer);

	if (r < 0)
		return r;
	json_write_object_begin(writer);
	json_write_number(writer, "connection", sharing->connection);
	json_write_key(writer, "members");
	json_write_array_begin(writer);
	for (size_t i = 0; i < sharing->count; i++)
		json_write_integer(writer, sharing->members[i]);
	json_write_array_end(writer);
	json_write_key(writer, "request");
	workspace_request_write(sharing->request, writer);
	json_write_object_end(writer);
	return json_writer_finish(writer, ret_text, ret_size);
}

int workspace_sharing_store(
	const struct workspace *ws, const struct workspace_sharing *sharing, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = to_text(sharing, &text, &size);

	if (r == 0)
		r = workspace_file_write(ws->run_fd, SHARING_FILE, text, size);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"workspace %s: cannot write who shares it", ws->id);
	return 0;
}

static void take_members(const struct json *list, struct workspace_sharing *sharing)
{
	for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->count; i++) {
		const struct json *item = &list->values[i];

		if (item->is_integer && item->integer > 1 && item->integer <= INT_MAX &&
			sharing->count < WORKSPACE_MEMBERS_MAX)
			sharing->members[sharing->count++] = (pid_t)item->integer;
	}
}

static int from_json(const struct json *json, struct workspace_sharing *ret)
{
	const struct json *connection = json_member(json, "connection");
	int r = workspace_request_from_json(json_member(json, "request"), &ret->request);

	if (r < 0)
		return r;
	if (!ret->request || !connection || !connection->is_integer || connection->integer <= 0 ||
		connection->integer > UINT_MAX)
		return -EINVAL;
	ret->connection = (unsigned)connection->integer;
	take_members(json_member(json, "members"), ret);
	return 0;
}

int workspace_sharing_read(
	const struct workspace *ws, struct workspace_sharing *ret_sharing, struct error *err)
{
	_cleanup_(workspace_sharing_release) struct workspace_sharing sharing = {0};
	_cleanup_(closejson) struct json *json = NULL;
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = workspace_file_read(ws->run_fd, SHARING_FILE, &text, &size);

	if (r == 0)
		r = json_parse(text, size, &json, NULL);
	if (r == 0)
		r = from_json(json, &sharing);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"workspace %s: cannot read who shares it", ws->id);
	*ret_sharing = sharing;
	sharing.request = NULL;
	return 0;
}

static void drop_ended(struct workspace_sharing *sharing)
{
	size_t count = 0;

	for (size_t i = 0; i < sharing->count; i++)
		if (kill(sharing->members[i], 0) == 0 || errno != ESRCH)
			sharing->members[count++] = sharing->members[i];
	sharing->count = count;
}

static int add_locked(const struct workspace *ws, pid_t member, struct error *err)
{
	_cleanup_(workspace_sharing_release) struct workspace_sharing sharing = {0};
	int r = workspace_sharing_read(ws, &sharing, err);

	if (r < 0)
		return r;
	drop_ended(&sharing);
	if (sharing.count == WORKSPACE_MEMBERS_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_BUSY,
			"workspace %s is shared by %d containers, and no more can have it", ws->id,
			WORKSPACE_MEMBERS_MAX);
	sharing.members[sharing.count++] = member;
	return workspace_sharing_store(ws, &sharing, err);
}

int workspace_sharing_add(const struct workspace *ws, pid_t member, struct error *err)
{
	int lock_fd, r = workspace_lock_file(SHARING_LOCK, &lock_fd, err);

	if (r < 0)
		return r;
	r = add_locked(ws, member, err);
	workspace_unlock_file(SHARING_LOCK, lock_fd);
	return r;
}
