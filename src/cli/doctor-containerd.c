/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether containerd hands annotations of pods to a runtime, by the files that it reads. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/oci.h>

#include "configure/containerd-files.h"
#include "configure/place.h"
#include "configure/toml.h"
#include "doctor-files.h"
#include "util/cleanup.h"

#define CONFIG "/etc/" CONTAINERD_CONFIG

struct runtimes {
	bool has_cri_off, has_runtime;
	bool passes;	   /* the runtime whose list is read */
	char passing[100]; /* the section of one that passes our annotations */
};

static int note_cri_off(void *ctx, const char *plugin)
{
	struct runtimes *runtimes = ctx;

	for (size_t i = 0; i < CONTAINERD_VERSIONS; i++)
		if (!strcmp(plugin, containerd_plugins[i]))
			runtimes->has_cri_off = true;
	return 0;
}

/* As path.Match of Go, for a name without a slash. */
static int note_pattern(void *ctx, const char *pattern)
{
	struct runtimes *runtimes = ctx;

	if (fnmatch(pattern, OCI_ANNOTATION, 0) == 0)
		runtimes->passes = true;
	return 0;
}

static void take_runtime(
	void *ctx, const char *section, const char *key, const char *value, size_t size)
{
	struct runtimes *runtimes = ctx;
	const char *name = strstr(section, ".containerd.runtimes.");

	if (!section[0] && !strcmp(key, "disabled_plugins"))
		toml_each_string(value, size, note_cri_off, ctx, NULL);
	if (!name)
		return;
	runtimes->has_runtime = true;
	if (strcmp(key, "pod_annotations") != 0)
		return;
	runtimes->passes = false;
	toml_each_string(value, size, note_pattern, ctx, NULL);
	if (runtimes->passes)
		snprintf(runtimes->passing, sizeof(runtimes->passing), "%s",
			name + strlen(".containerd.runtimes."));
}

static int look_at_file(
	void *ctx, const char *path, const char *text, size_t size, struct error *err)
{
	struct runtimes *runtimes = ctx;
	int r = containerd_names_plugin(text, size, err);

	/* Its section takes the place of those before. */
	if (r > 0) {
		runtimes->has_runtime = false;
		runtimes->passing[0] = '\0';
	}
	if (r >= 0)
		r = doctor_each_setting(text, take_runtime, runtimes, err);
	return r < 0 ? error_prefix(err, "%s", path) : 0;
}

static int look_at_files(struct runtimes *runtimes, struct error *err)
{
	_cleanup_(containerd_imports_release) struct containerd_imports imports = {0};
	_cleanup_close_ int root_fd = open(doctor_path("/"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct place place;
	int r;

	if (root_fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "/");
	r = place_open(root_fd, CONFIG, &place, err);
	if (r == 0 && place.exists) {
		r = look_at_file(runtimes, CONFIG, place.text, place.size, err);
		if (r == 0)
			r = containerd_imports_read(&imports, CONFIG, place.text, place.size, err);
	}
	place_release(&place);
	return r == 0 ? containerd_imports_each(&imports, root_fd, look_at_file, runtimes, err) : r;
}

static void judge_runtimes(const struct runtimes *runtimes, struct finding *finding)
{
	bool serves = runtimes->has_runtime || doctor_exists("/var/lib/kubelet");

	if (runtimes->has_cri_off || !serves)
		finding_set(finding, FINDING_OK, "", "containerd serves no pods here");
	else if (runtimes->passing[0])
		finding_set(finding, FINDING_OK, "",
			"containerd passes annotations of pods to the runtime %s",
			runtimes->passing);
	else
		finding_set(finding, FINDING_WARN,
			"git-overlayfs configure containerd, or write pod_annotations = "
			"[\"org.git-overlayfs.*\"] into the section of the runtime in " CONFIG
			"; then restart containerd",
			"containerd passes no annotation %s from pods to a runtime",
			OCI_ANNOTATION);
}

void look_at_containerd(struct finding *finding)
{
	struct runtimes runtimes = {.has_runtime = false};
	struct error err = {0};
	int r = 0;

	if (!doctor_has_program("containerd")) {
		finding_set(finding, FINDING_OK, "", "containerd is not installed");
		return;
	}
	r = look_at_files(&runtimes, &err);
	if (r == -EACCES && geteuid() != 0)
		finding_set(finding, FINDING_OK, "", "only root may read %s", CONFIG);
	else if (r < 0)
		finding_set(finding, FINDING_WARN,
			"correct the file: containerd does not start with it", "%.350s", err.text);
	else
		judge_runtimes(&runtimes, finding);
}
