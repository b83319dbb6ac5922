/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git-overlayfs/oci.h>

#include "hook.h"
#include "util/cleanup.h"
#include "util/fully.h"

#define NAMES_TRIED 16

struct place {
	char *dir;
	const char *name; /* within the arguments */
	int fd;
};

static void place_release(struct place *place)
{
	free(place->dir);
	close_keep_errno(place->fd);
}

/* crun takes another name than the bundle's config.json as its caller sees it. */
static int place_open(
	const struct runtime_arguments *arguments, struct place *ret_place, struct error *err)
{
	const char *config = arguments->config ? arguments->config : "config.json";
	const char *slash = strrchr(config, '/');
	const char *dir = arguments->bundle ? arguments->bundle : ".";
	struct place place = {.name = slash ? slash + 1 : config, .fd = -1};

	if (strcmp(config, "config.json") == 0)
		place.dir = strdup(dir);
	else
		place.dir = slash ? strndup(config, (size_t)(slash - config + 1)) : strdup(".");
	if (!place.dir)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	place.fd = open(place.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place.fd < 0) {
		error_set_errno(err, errno, EXIT_STATUS_FAILED, "bundle %s", place.dir);
		place_release(&place);
		return -err->code;
	}
	*ret_place = place;
	return 0;
}

static int make_temporary(const struct place *place, char **ret_name, struct error *err)
{
	for (int i = 0; i < NAMES_TRIED; i++) {
		_cleanup_free_ char *name = NULL;
		int fd;

		if (asprintf(&name, "%s.git-overlayfs-%d-%d", place->name, (int)getpid(), i) < 0) {
			name = NULL;
			return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
		}
		fd = openat(place->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
		if (fd >= 0) {
			*ret_name = steal_ptr(&name);
			return fd;
		}
		if (errno != EEXIST)
			break;
	}
	return error_set_errno(err, errno, EXIT_STATUS_FAILED, "cannot make a file beside it");
}

static int fill(int fd, const struct stat *old, const char *text, size_t size, struct error *err)
{
	struct stat st;
	int r = write_fully(fd, text, size);

	if (!r && fstat(fd, &st) < 0)
		r = -errno;
	if (!r && (st.st_uid != old->st_uid || st.st_gid != old->st_gid) &&
		fchown(fd, old->st_uid, old->st_gid) < 0)
		r = -errno;
	/* The mode last: a change of the owner may take bits away. */
	if (!r && fchmod(fd, old->st_mode & 07777) < 0)
		r = -errno;
	return r < 0 ? error_set_errno(err, -r, EXIT_STATUS_FAILED, "cannot write it anew") : 0;
}

/* Whole or not at all: an engine, or a nested runtime, may be reading it. */
static int replace(const struct place *place, const struct stat *old, const char *text, size_t size,
	struct error *err)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = make_temporary(place, &name, err);
	int r;

	if (fd < 0)
		return fd;
	r = fill(fd, old, text, size, err);
	if (!r && renameat(place->fd, name, place->fd, place->name) < 0)
		r = error_set_errno(err, errno, EXIT_STATUS_FAILED, "cannot replace it");
	if (r < 0)
		unlinkat(place->fd, name, 0);
	return r;
}

static int edit_file(
	const struct place *place, const struct runtime_hooks *hooks, struct error *err)
{
	_cleanup_free_ char *text = NULL, *edited = NULL;
	size_t size = 0, edited_size = 0;
	struct stat st;
	int r = input_read_file(place->fd, place->name, 0, OCI_CONFIG_MAX, &text, &size, &st, err);

	if (r < 0)
		return error_prefix(err, "bundle %s", place->dir);
	r = runtime_edit(text, size, hooks, &edited, &edited_size, err);
	if (r > 0)
		r = replace(place, &st, edited, edited_size, err);
	return r < 0 ? error_prefix(err, "bundle %s: %s", place->dir, place->name) : 0;
}

int runtime_bundle_edit(const struct runtime_arguments *arguments,
	const struct runtime_hooks *hooks, struct error *err)
{
	struct place place = {.fd = -1};
	struct error missing = {0};
	int r = place_open(arguments, &place, &missing);

	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		*err = missing;
		return r;
	}
	if (faccessat(place.fd, place.name, F_OK, AT_EACCESS) < 0 && errno == ENOENT)
		r = 0;
	else
		r = edit_file(&place, hooks, err);
	place_release(&place);
	return r;
}
