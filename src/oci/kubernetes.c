/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <string.h>

/* podman and buildah pass an image's annotations on, under any name, so what tells is none. */

/* The last part of the text is the id; what is before it has *ret_size bytes. */
static bool ends_with_id(const char *text, const char *id, size_t *ret_size)
{
	size_t size = strlen(text), id_size = strlen(id);

	if (size < id_size || strcmp(text + size - id_size, id) != 0)
		return false;
	*ret_size = size - id_size;
	return true;
}

/* CRI-O names the cgroup: SLICE:crio:ID, or PARENT/crio-ID. podman has libpod in that place. */
static bool is_of_crio(const char *cgroup, const char *id)
{
	static const char *const ends[] = {":crio:", "/crio-"};
	size_t size;

	if (!ends_with_id(cgroup, id, &size))
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (size >= n && memcmp(cgroup + size - n, ends[i], n) == 0)
			return true;
	}
	return false;
}

/*
 * containerd's bundles are STATE/io.containerd.runtime.VERSION/NAMESPACE/ID, in a namespace of
 * containerd's own; its CRI plugin is always in k8s.io.
 */
static bool is_of_containerd(const char *bundle, const char *id)
{
	static const char runtimes[] = "/io.containerd.runtime.", namespace[] = "/k8s.io/";
	size_t size, n = sizeof(namespace) - 1;
	const char *slash;

	if (!ends_with_id(bundle, id, &size) || size < n ||
		memcmp(bundle + size - n, namespace, n) != 0)
		return false;
	slash = memrchr(bundle, '/', size - n);
	return slash && strncmp(slash, runtimes, sizeof(runtimes) - 1) == 0;
}

bool oci_is_of_kubernetes(const struct oci_state *state, const struct oci_config *config)
{
	const char *cgroup = json_member_string(json_member(config->json, "linux"), "cgroupsPath");

	if (!state->id || !state->id[0])
		return false;
	return (state->bundle && is_of_containerd(state->bundle, state->id)) ||
	       (cgroup && is_of_crio(cgroup, state->id));
}
