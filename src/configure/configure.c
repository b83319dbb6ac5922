/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diff.h"
#include "util/cleanup.h"

static const struct engine *const engines[] = {
	&engine_podman, &engine_docker, &engine_containerd, &engine_crio};
const char *const configure_engines[] = {"podman", "docker", "containerd", "crio", NULL};

static int out_of_memory(struct error *err)
{
	return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
}

/* --- planning --- */

static int next_change(struct configure_plan *plan, const char *path, struct change **ret_change,
	struct error *err)
{
	struct change *change = &plan->changes[plan->count];

	if (plan->count == CHANGES_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_FAILED, "%s: too many files", path);
	*change = (struct change){0};
	plan->count++;
	*ret_change = change;
	return place_open(plan->root_fd, path, &change->place, err);
}

static bool text_equal(const char *a, size_t a_size, const char *b, size_t b_size)
{
	return (a == NULL) == (b == NULL) && a_size == b_size && (!a || !memcmp(a, b, a_size));
}

/* Whether putting it into `before` gives what is there: then nobody has edited the file since. */
static bool comes_from(const struct configure_plan *plan, const struct edit *edit,
	const struct place *place, const char *before, size_t size)
{
	_cleanup_free_ char *text = NULL;
	size_t text_size = 0;

	return edit->put(plan, before, size, &text, &text_size, NULL) == 0 &&
	       text_equal(text, text_size, place->text, place->size);
}

/* Whether something of ours is in it, which makes it no file as it was before us. */
static bool holds_ours(
	const struct configure_plan *plan, const struct edit *edit, const char *text, size_t size)
{
	_cleanup_free_ char *rest = NULL;
	size_t rest_size = 0;

	return edit->take(plan, text, size, &rest, &rest_size, NULL) < 0 ||
	       !text_equal(rest, rest_size, text, size);
}

/* Whether a file that we made is left when what is ours goes out of it. */
static bool is_left_of_ours(
	const struct configure_plan *plan, const struct edit *edit, const char *text, size_t size)
{
	_cleanup_free_ char *made = NULL, *rest = NULL;
	size_t made_size = 0, rest_size = 0;

	return edit->put(plan, NULL, 0, &made, &made_size, NULL) == 0 &&
	       edit->take(plan, made, made_size, &rest, &rest_size, NULL) == 0 &&
	       text_equal(rest, rest_size, text, size);
}

/* A file that has our part already, in an older form, is backed up without it. */
static int plan_backup(struct configure_plan *plan, struct change *change, const struct edit *edit,
	struct error *err)
{
	const struct place *place = &change->place;
	_cleanup_free_ char *rest = NULL;
	size_t size = 0;
	int r = edit->take(plan, place->text, place->size, &rest, &size, err);

	if (r < 0)
		return error_prefix(err, "%s", place->path);
	if (!text_equal(rest, size, place->text, place->size) &&
		is_left_of_ours(plan, edit, rest, size))
		return 0;
	change->backup = steal_ptr(&rest);
	change->backup_size = size;
	return 0;
}

static int plan_take(struct configure_plan *plan, struct change *change, const struct edit *edit,
	struct error *err)
{
	struct place *place = &change->place;
	_cleanup_free_ char *backup = NULL;
	size_t size = 0;
	bool is_stale;
	int r;

	if (!place->exists)
		return 0;
	r = edit->take(plan, place->text, place->size, &change->after, &change->after_size, err);
	if (r < 0)
		return error_prefix(err, "%s", place->path);
	if (text_equal(change->after, change->after_size, place->text, place->size))
		return 0;
	r = place_read_backup(place, &backup, &size, err);
	if (r < 0)
		return r;
	is_stale = r > 0 && holds_ours(plan, edit, backup, size);
	if (r > 0 && !is_stale && comes_from(plan, edit, place, backup, size)) {
		free(change->after);
		change->after = steal_ptr(&backup);
		change->after_size = size;
		change->takes_backup_away = true;
	} else if (comes_from(plan, edit, place, NULL, 0)) {
		free(steal_ptr(&change->after));
		change->after_size = 0;
		change->takes_backup_away = is_stale;
	}
	return 0;
}

int plan_edit(
	struct configure_plan *plan, const char *path, const struct edit *edit, struct error *err)
{
	struct change *change;
	int r = next_change(plan, path, &change, err);

	if (r < 0)
		return r;
	if (plan->request->remove)
		return plan_take(plan, change, edit, err);
	r = edit->put(plan, change->place.text, change->place.size, &change->after,
		&change->after_size, err);
	if (r < 0)
		return error_prefix(err, "%s", change->place.path);
	return change->place.exists ? plan_backup(plan, change, edit, err) : 0;
}

static bool is_own(const struct place *place)
{
	return place->exists && !strncmp(place->text, OWN_HEADER, sizeof(OWN_HEADER) - 1);
}

int plan_has_own_file(struct configure_plan *plan, const char *path, struct error *err)
{
	struct place place;
	int r = place_open(plan->root_fd, path, &place, err);

	if (r == 0)
		r = is_own(&place);
	place_release(&place);
	return r;
}

int plan_own_file(
	struct configure_plan *plan, const char *path, const char *text, struct error *err)
{
	struct change *change;
	int r = next_change(plan, path, &change, err);

	if (r < 0)
		return r;
	change->is_own = true;
	if (change->place.exists && !is_own(&change->place))
		return error_set(err, EEXIST, EXIT_STATUS_FAILED,
			"%s was not written by git-overlayfs configure; move it away first",
			change->place.path);
	if (plan->request->remove)
		return 0;
	change->after = strdup(text);
	if (!change->after)
		return out_of_memory(err);
	change->after_size = strlen(text);
	return 0;
}

void plan_note(struct configure_plan *plan, const char *format, ...)
{
	size_t used = strlen(plan->note);
	va_list arguments;

	if (used > 0)
		used += (size_t)snprintf(plan->note + used, sizeof(plan->note) - used, "; ");
	if (used >= sizeof(plan->note))
		return;
	va_start(arguments, format);
	vsnprintf(plan->note + used, sizeof(plan->note) - used, format, arguments);
	va_end(arguments);
}

void plan_note_missing(struct configure_plan *plan, const char *path)
{
	if (!plan->request->remove && !place_exists(plan->root_fd, path))
		plan_note(plan, "%s is not there: install git-overlayfs whole", path);
}

void plan_config_path(
	const struct configure_plan *plan, const char *name, char *ret_path, size_t size)
{
	const char *home = plan->request->config_home;

	snprintf(ret_path, size, "%s/%s", home ? home : "/etc", name);
}

static int find_engine(struct configure_plan *plan, struct error *err)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (!strcmp(engines[i]->name, plan->request->engine))
			plan->engine = engines[i];
	if (!plan->engine)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"'%s' is no engine; write podman, docker, containerd or crio",
			plan->request->engine);
	if (plan->request->config_home && !plan->engine->restart_rootless)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"%s is root's alone: configure it as root, or with --system",
			plan->engine->name);
	if (plan->request->storage_driver && plan->engine != &engine_podman)
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"--storage-driver is for podman, not for %s", plan->engine->name);
	return 0;
}

/* Puts what to do behind what is wrong with a file's text. */
static void add_remedy(struct error *err)
{
	struct error what;

	if (!err || err->code != EBADMSG)
		return;
	what = *err;
	error_set(err, what.code, what.status,
		"%.900s; nothing was changed, correct the file first", what.text);
}

int configure_plan_new(const struct configure_request *request, struct configure_plan **ret_plan,
	struct error *err)
{
	struct configure_plan *plan = calloc(1, sizeof(*plan));
	int r;

	if (!plan)
		return out_of_memory(err);
	plan->request = request;
	plan->root_fd = -1;
	r = find_engine(plan, err);
	if (r == 0)
		plan->root_fd = open(request->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && plan->root_fd < 0)
		r = error_set_errno(err, errno, EXIT_STATUS_FAILED, "%s", request->root);
	if (r == 0)
		r = plan->engine->plan(plan, err);
	if (r < 0) {
		add_remedy(err);
		configure_plan_free(plan);
		return r;
	}
	*ret_plan = plan;
	return 0;
}

void configure_plan_free(struct configure_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->count; i++) {
		place_release(&plan->changes[i].place);
		free(plan->changes[i].after);
		free(plan->changes[i].backup);
	}
	close_keep_errno(plan->root_fd);
	free(plan);
}

/* --- applying --- */

static bool change_is_none(const struct change *change)
{
	return text_equal(
		change->place.text, change->place.size, change->after, change->after_size);
}

static int apply_change(struct change *change, struct error *err)
{
	struct place *place = &change->place;
	int r = 0;

	if (change->backup)
		r = place_make_backup(place, change->backup, change->backup_size, err);
	if (r < 0)
		return r;
	change->made_backup = r > 0;
	r = place_replace(place, change->after, change->after_size, err);
	change->applied = r == 0;
	return r;
}

/* The error that led here stays the one that is told, unless this fails too. */
static void undo(struct configure_plan *plan, struct error *err)
{
	for (size_t i = plan->count; i-- > 0;) {
		struct change *change = &plan->changes[i];
		struct place *place = &change->place;
		struct error why = {0};

		if (change->applied && place_replace(place, place->text, place->size, &why) < 0)
			error_prefix(err, "undoing it failed, too (%.200s)", why.text);
		else if (change->made_backup)
			place_remove_backup(place, &why);
	}
}

int configure_plan_apply(struct configure_plan *plan, struct error *err)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->count; i++) {
		if (change_is_none(&plan->changes[i]))
			continue;
		any = true;
		r = apply_change(&plan->changes[i], err);
	}
	if (r == 0 && any)
		r = plan->engine->check(plan, err);
	if (r < 0) {
		undo(plan, err);
		return r;
	}
	for (size_t i = 0; r == 0 && i < plan->count; i++)
		if (plan->changes[i].applied && plan->changes[i].takes_backup_away)
			r = place_remove_backup(&plan->changes[i].place, err);
	return r;
}

/* --- telling --- */

size_t configure_plan_count(const struct configure_plan *plan)
{
	return plan->count;
}

enum configure_action configure_plan_action(const struct configure_plan *plan, size_t i)
{
	const struct change *change = &plan->changes[i];

	if (change_is_none(change))
		return CONFIGURE_KEEPS;
	if (!change->after)
		return CONFIGURE_REMOVES;
	return change->place.text ? CONFIGURE_CHANGES : CONFIGURE_CREATES;
}

const char *configure_plan_path(const struct configure_plan *plan, size_t i)
{
	return plan->changes[i].place.path;
}

char *configure_plan_diff(const struct configure_plan *plan, size_t i)
{
	const struct change *change = &plan->changes[i];

	return diff_unified(change->place.path, change->place.text, change->place.size,
		change->after, change->after_size);
}

bool configure_plan_made_backup(const struct configure_plan *plan, size_t i)
{
	return plan->changes[i].made_backup;
}

const char *configure_plan_note(const struct configure_plan *plan)
{
	return plan->note;
}

const char *configure_plan_check(const struct configure_plan *plan)
{
	return plan->check;
}

const char *configure_plan_restart(const struct configure_plan *plan)
{
	return plan->request->config_home ? plan->engine->restart_rootless : plan->engine->restart;
}
