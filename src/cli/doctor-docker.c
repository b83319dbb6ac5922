/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether docker knows a runtime that makes workspaces, by its daemon.json. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/json.h>

#include "configure/config-home.h"
#include "configure/docker-file.h"
#include "configure/place.h"
#include "doctor-files.h"
#include "util/cleanup.h"

#define SYSTEM_FILE "/etc/docker/daemon.json"
#define PROGRAM	    "git-overlayfs-runtime"

/* Of a rootless docker, where this user has one; else the system's. */
static void find_file(char *ret_path, size_t size)
{
	static const char file[] = "/docker/daemon.json";

	if (geteuid() != 0 && config_home_find(ret_path, size - sizeof(file))) {
		strcat(ret_path, file);
		if (doctor_exists(ret_path))
			return;
	}
	snprintf(ret_path, size, SYSTEM_FILE);
}

/* The name of a runtime that is ours, with its path; NULL: there is none. */
static const char *find_runtime(const struct json *file, const char **ret_path)
{
	const struct json *runtimes = json_member(file, "runtimes");

	for (size_t i = 0; runtimes && runtimes->type == JSON_OBJECT && i < runtimes->count; i++) {
		const char *path = json_member_string(&runtimes->values[i], "path");
		const char *slash = path ? strrchr(path, '/') : NULL;

		if (path && !strcmp(slash ? slash + 1 : path, PROGRAM)) {
			*ret_path = path;
			return runtimes->keys[i];
		}
	}
	return NULL;
}

static void judge(const char *path, const struct json *file, struct finding *finding)
{
	const char *program, *name = find_runtime(file, &program);

	if (!name)
		finding_set(finding, FINDING_WARN,
			"git-overlayfs configure docker, then systemctl reload docker",
			"docker has no runtime " PROGRAM
			" in %.200s: no container gets a workspace "
			"by an annotation or GIT_OVERLAYFS_MOUNT=",
			path);
	else if (*program == '/' ? !doctor_exists(program) : !doctor_has_program(program))
		finding_set(finding, FINDING_WARN, "install the program there, or correct the file",
			"the runtime %.50s of %.150s is %.150s, which is not there: no container "
			"starts with it",
			name, path, program);
	else
		finding_set(finding, FINDING_OK, "", "docker run --runtime=%.50s makes workspaces",
			name);
}

static int parse(const struct place *place, struct json **ret_file, struct error *err)
{
	int r = place->text ? docker_file_parse(place->text, place->size, ret_file, err) : 0;

	return r < 0 ? error_prefix(err, "%s", place->path) : 0;
}

void look_at_docker(struct finding *finding)
{
	_cleanup_close_ int root_fd = open(doctor_path("/"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct json *file = NULL;
	struct error err = {0};
	struct place place;
	char path[PATH_MAX];
	int r;

	if (!doctor_has_program("dockerd")) {
		finding_set(finding, FINDING_OK, "", "docker is not installed");
		return;
	}
	find_file(path, sizeof(path));
	r = place_open(root_fd, path, &place, &err);
	if (r == 0)
		r = parse(&place, &file, &err);
	if (r == 0)
		judge(path, file, finding);
	else if (r == -EACCES && geteuid() != 0)
		finding_set(finding, FINDING_OK, "", "only root may read %.300s", path);
	else
		finding_set_error(finding, FINDING_WARN,
			"correct the file: dockerd does not start with it", "", &err);
	json_free(file);
	place_release(&place);
}
