/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy of workspaces in containers, and what workspaces have left. */
#include "doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <git-overlayfs/mount.h>
#include <git-overlayfs/oci.h>
#include <git-overlayfs/workspace.h>

#include "build-config.h"
#include "dead.h"
#include "doctor-files.h"
#include "host/mountinfo.h"
#include "oci/policy.h"
#include "util/cleanup.h"

/* What no wish can keep to: each has a layer, which an entry must name. */
static bool grants_nothing(const struct policy *policy)
{
	for (size_t i = 0; i < policy->count; i++) {
		const struct policy_globs *lists = policy->entries[i].lists;
		bool is_empty = !lists[POLICY_REPOSITORIES].count && !lists[POLICY_LAYERS].count;

		for (size_t k = 0; k < POLICY_LISTS; k++)
			is_empty |= lists[k].is_set && !lists[k].count &&
				    k != POLICY_REPOSITORIES && k != POLICY_LAYERS &&
				    k != POLICY_UPPERS;
		if (!is_empty)
			return false;
	}
	return true;
}

static bool has_engine(void)
{
	static const char *const programs[] = {"podman", "dockerd", "containerd", "crio"};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (doctor_has_program(programs[i]))
			return true;
	return false;
}

static void judge_missing_policy(const char *path, bool is_rootful, struct finding *finding)
{
	if (!is_rootful)
		finding_set(finding, FINDING_OK, "",
			"no %s: containers of root alone would need it", path);
	else if (!has_engine())
		finding_set(finding, FINDING_OK, "", "no %s, and no engine of containers", path);
	else
		finding_set(finding, FINDING_WARN,
			"write which repositories annotations may name into it, see "
			"git-overlayfs-policy(5)",
			"no %s: containers of root get no workspace by annotations", path);
}

void look_at_policy(struct finding *finding)
{
	/* As the hook sees it: an id map of one user makes no root of the machine. */
	const bool is_rootful = geteuid() == 0 && engine_is_rootful();
	_cleanup_free_ char *path = strdup(doctor_path(POLICY_PATH));
	struct policy *policy = NULL;
	struct error err = {0};
	/* The line of the finding begins with the word that the error begins with. */
	const char *fault = err.text + strlen("policy ");

	if (!path)
		return;
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		judge_missing_policy(path, is_rootful, finding);
	} else if (policy_read(path, is_rootful, &policy, &err) == 0) {
		if (grants_nothing(policy))
			finding_set(finding, FINDING_WARN,
				"name repositories in an entry, see git-overlayfs-policy(5), or "
				"remove the file",
				"policy %s grants nothing to anybody", path);
		else
			finding_set(finding, FINDING_OK, "", "%s is valid", path);
		policy_free(policy);
	} else if (err.code == EACCES) {
		finding_set(finding, FINDING_WARN, "make it readable, or run this as root", "%s",
			fault);
	} else {
		finding_set(finding, FINDING_FAIL,
			"correct it: until then the hook refuses every container", "%s", fault);
	}
}

static int count_dead(void *ctx, const struct workspace_info *info)
{
	++*(unsigned *)ctx;
	return 0;
}

void look_at_workspaces(struct finding *finding)
{
	struct error err = {0};
	unsigned dead = 0;

	if (dead_for_each(count_dead, &dead, &err) < 0)
		finding_set_error(finding, FINDING_FAIL,
			"let this user read it, or remove it when no workspace is mounted", "",
			&err);
	else if (dead)
		finding_set(finding, FINDING_WARN, "git-overlayfs gc",
			"%u dead workspaces have left something", dead);
	else
		finding_set(finding, FINDING_OK, "", "no dead workspaces");
}

static int find_dead_mount(void *ctx, const struct mountinfo *info)
{
	struct finding *finding = ctx;

	if (strcmp(info->type, MOUNTINFO_OURS) != 0 || !mountinfo_is_dead(info->mountpoint))
		return 0;
	finding_set(finding, FINDING_WARN, "git-overlayfs umount it",
		"%.300s is a mount whose daemon has died", info->mountpoint);
	return 1;
}

void look_at_mounts(struct finding *finding)
{
	int r = mountinfo_for_each(find_dead_mount, finding);

	if (r < 0)
		finding_set(finding, FINDING_WARN, "mount /proc",
			"the mounts of this namespace cannot be read: %s", strerror(-r));
	else if (r == 0)
		finding_set(finding, FINDING_OK, "", "no mounts without a daemon");
}
