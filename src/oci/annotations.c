/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <errno.h>
#include <string.h>

#include <git-overlayfs/config.h>

#include "oci/member.h"
#include "util/cleanup.h"

struct wish_list {
	struct oci_wish *wishes;
	size_t count;
};

static bool list_has(const struct wish_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->wishes[i].name, name) == 0)
			return true;
	return false;
}

/*
 * podman before 5.0 splits --annotation at commas, so a semicolon may stand for one
 * there; a backslash or quotes keep it what it is.
 */
static char *with_commas(const char *options)
{
	char *text = malloc(strlen(options) + 1), *out = text;
	bool quoted = false;

	for (const char *p = options; text && *p; p++) {
		if (p[0] == '\\' && p[1] == ';') {
			*out++ = *++p;
			continue;
		}
		if (p[0] == '\\' && p[1])
			*out++ = *p++;
		else if (*p == '"')
			quoted = !quoted;
		*out++ = *p == ';' && !quoted ? ',' : *p;
	}
	if (text)
		*out = '\0';
	return text;
}

static int list_add(
	struct wish_list *list, const char *name, const char *options, struct error *err)
{
	struct oci_wish wish = {.trusted = false};

	if (list_has(list, name))
		return 0;
	if (list->count == OCI_WORKSPACES_MAX)
		return error_set(err, E2BIG, EXIT_STATUS_FAILED,
			"more than %d workspaces in one container", OCI_WORKSPACES_MAX);
	wish.name = strdup(name);
	wish.options = with_commas(options);
	list->wishes[list->count++] = wish;
	if (!wish.name || !wish.options)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	return 0;
}

/* What stands behind OCI_ANNOTATION in the key: "" or a name; NULL: not our form. */
static const char *wish_name(const char *key)
{
	size_t n = strlen(OCI_ANNOTATION);

	if (strncmp(key, OCI_ANNOTATION, n) != 0)
		return NULL;
	if (!key[n])
		return key + n;
	return key[n] == '.' && config_id_is_valid(key + n + 1) ? key + n + 1 : NULL;
}

static bool is_ours(const char *key)
{
	return strncmp(key, OCI_ANNOTATIONS, strlen(OCI_ANNOTATIONS)) == 0;
}

static int take_name(const char *key, const char **ret_name, struct error *err)
{
	*ret_name = wish_name(key);
	if (*ret_name)
		return 0;
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"annotation %.100s: unknown; write %s or %s.NAME", key, OCI_ANNOTATION,
		OCI_ANNOTATION);
}

static int add_annotation(
	struct wish_list *list, const char *key, const struct json *value, struct error *err)
{
	const char *name;
	int r;

	if (!is_ours(key) || strcmp(key, OCI_SERVICE_ACCOUNT) == 0)
		return 0;
	r = take_name(key, &name, err);
	if (r < 0)
		return r;
	if (value->type != JSON_STRING || !value->string[0])
		return error_set(err, EINVAL, EXIT_STATUS_USAGE,
			"annotation %.100s: no text; write REPO[@REV],target=PATH", key);
	return list_add(list, name, value->string, err);
}

static int add_annotations(struct wish_list *list, const struct json *object, struct error *err)
{
	const struct json *annotations;
	int r = oci_take_object(object, "annotations", &annotations, err);

	for (size_t i = 0; !r && annotations && i < annotations->count; i++)
		r = add_annotation(list, annotations->keys[i], &annotations->values[i], err);
	return r;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct oci_wish *)a)->name, ((const struct oci_wish *)b)->name);
}

int oci_wishes(const struct oci_state *state, const struct oci_config *config,
	struct oci_wish **ret_wishes, size_t *ret_count, struct error *err)
{
	struct wish_list list = {.wishes = calloc(OCI_WORKSPACES_MAX, sizeof(struct oci_wish))};
	int r;

	if (!list.wishes)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	/* The first one of a name stays: that of the state. */
	r = add_annotations(&list, state ? state->json : NULL, err);
	if (!r)
		r = add_annotations(&list, config ? config->json : NULL, err);
	if (r < 0) {
		oci_wishes_free(list.wishes, list.count);
		return r;
	}
	qsort(list.wishes, list.count, sizeof(list.wishes[0]), compare_names);
	*ret_wishes = list.wishes;
	*ret_count = list.count;
	return 0;
}

void oci_wish_release(struct oci_wish *wish)
{
	free(wish->name);
	free(wish->options);
	*wish = (struct oci_wish){NULL};
}

void oci_wishes_free(struct oci_wish *wishes, size_t count)
{
	for (size_t i = 0; wishes && i < count; i++)
		oci_wish_release(&wishes[i]);
	free(wishes);
}

int oci_wish_from_text(const char *text, struct oci_wish *ret_wish, struct error *err)
{
	const char *equals = strchr(text, '='), *name = "", *value = text;
	_cleanup_free_ char *key = NULL;
	struct oci_wish wish;

	if (is_ours(text) && equals) {
		key = strndup(text, (size_t)(equals - text));
		if (!key)
			return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
		if (take_name(key, &name, err) < 0)
			return -EINVAL;
		value = equals + 1;
	}
	wish = (struct oci_wish){.name = strdup(name), .options = with_commas(value)};
	if (!wish.name || !wish.options) {
		oci_wish_release(&wish);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	*ret_wish = wish;
	return 0;
}

/* State wins, as for wishes. */
static const char *annotation_of(
	const struct oci_state *state, const struct oci_config *config, const char *key)
{
	const char *text = json_member_string(json_member(state->json, "annotations"), key);

	return text ? text : json_member_string(json_member(config->json, "annotations"), key);
}

void oci_asker(
	const struct oci_state *state, const struct oci_config *config, struct policy_asker *ret)
{
	/* Of containerd, and of CRI-O, which makes annotations of the kubelet's labels. */
	static const char *const keys[OCI_NAMESPACES_MAX] = {
		"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"};
	size_t count = 0;

	ret->namespaces[0] = NULL;
	ret->service_account = NULL;
	/* Elsewhere an image may have brought them. */
	if (!oci_is_of_kubernetes(state, config))
		return;
	for (size_t i = 0; i < OCI_NAMESPACES_MAX; i++) {
		const char *name = annotation_of(state, config, keys[i]);

		if (name)
			ret->namespaces[count++] = name;
	}
	ret->namespaces[count] = NULL;
	ret->service_account = annotation_of(state, config, OCI_SERVICE_ACCOUNT);
}

static bool annotation_is(const struct json *object, const char *key, const char *value)
{
	const char *text = json_member_string(json_member(object, "annotations"), key);

	return text && strcmp(text, value) == 0;
}

bool oci_is_sandbox_container(const struct oci_state *state, const struct oci_config *config)
{
	static const char *const keys[] = {
		"io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"};
	const struct json *objects[] = {state->json, config->json};

	/* An image can say so, too. */
	if (!oci_is_of_kubernetes(state, config))
		return false;
	for (size_t o = 0; o < 2; o++)
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			if (annotation_is(objects[o], keys[k], "sandbox"))
				return true;
	return false;
}
