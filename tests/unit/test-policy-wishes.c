/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wishes as annotations write them, against policies as files hold them: who is granted what,
 * and which key of the entry says no first. Nothing is opened: paths are those of the wish.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/oci.h>

#include "oci/policy.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define W	   "target=/workspace"

#define CONTAINERD_BUNDLE "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c1"

struct row {
	const char *entry; /* of a policy that has no other */
	const char *wish;
	const char *key; /* NULL: it is granted */
	const char *reason;
	const char *user, *namespace, *pod_namespace, *account;
};

#define GIT "\"repositories\": [\"/srv/git/**\"]"

static const struct row rows[] = {
	/* Repositories. */
	{"", "/srv/git/a.git," W, "repositories", "repository '/srv/git/a.git'"},
	{"\"repositories\": []", "/srv/git/a.git," W, "repositories", "add it to"},
	{GIT, "/srv/git/a.git," W},
	{GIT, "/srv/git/team/deep/a.git," W},
	{GIT, "/srv/git," W, "repositories", "'/srv/git'"},
	{GIT, "/srv/git/," W},
	{GIT, "/srv/gitx/a.git," W, "repositories", "'/srv/gitx/a.git'"},
	{GIT, "/SRV/git/a.git," W, "repositories", "'/SRV/git/a.git'"},
	{GIT, "srv/git/a.git," W, "repositories", "'srv/git/a.git'"},
	{GIT, "./srv/git/a.git," W, "repositories", ""},
	{GIT, "/srv//git/a.git," W, "repositories", "'/srv//git/a.git'"},
	{GIT, "//srv/git/a.git," W, "repositories", ""},
	{GIT, "/srv/./git/a.git," W, "repositories", ""},
	{GIT, "/srv/git/../secret.git," W, "repositories", "'/srv/git/../secret.git'"},
	{GIT, "/srv/git/a/../../secret.git," W, "repositories", ""},
	{GIT, "/srv/git/..," W, "repositories", ""},
	{GIT, "/srv/git/..a.git," W},
	{GIT, "/srv/git/a..git," W},
	{GIT, "/srv/git/a\nb.git," W},
	{GIT, "\n/srv/git/a.git," W, "repositories", ""},
	{GIT, "/srv/git\n/a.git," W, "repositories", ""},
	{GIT, "repo=/srv/git/a.git,rev=main," W},
	{GIT, "repo=/etc,rev=main," W, "repositories", "'/etc'"},
	{GIT, "/srv/git/a.git,repo=/etc," W, "repositories", "'/etc'"},
	{GIT, "/etc,repo=/srv/git/a.git," W},
	{GIT, "/srv/git/a.git,layer=git:/srv/git/b.git," W},
	{GIT, "/srv/git/a.git,layer=git:/etc/b.git," W, "repositories", "'/etc/b.git'"},
	{"\"repositories\": [\"/srv/git/*\"]", "/srv/git/a.git," W},
	{"\"repositories\": [\"/srv/git/*\"]", "/srv/git/t/a.git," W, "repositories", ""},
	{"\"repositories\": [\"/srv/git/*\"]", "/srv/git/a.git/," W, "repositories", ""},
	{"\"repositories\": [\"/srv/git/*.git\"]", "/srv/git/a," W, "repositories", ""},
	{"\"repositories\": [\"/srv/git/?.git\"]", "/srv/git/a.git," W},
	{"\"repositories\": [\"/srv/git/?.git\"]", "/srv/git/ab.git," W, "repositories", ""},
	{"\"repositories\": [\"/srv/git/\\\\*.git\"]", "/srv/git/a.git," W, "repositories", ""},
	{"\"repositories\": [\"/srv/git/\\\\*.git\"]", "/srv/git/*.git," W},
	{"\"repositories\": [\"/srv/git/[ab].git\"]", "/srv/git/a.git," W, "repositories", ""},
	{"\"repositories\": [\"/x\", \"/srv/git/a.git\"]", "/srv/git/a.git," W},
	{"\"repositories\": [\"/home/me/app\"]", "/home/me/app/.git," W},
	{"\"repositories\": [\"/home/me/app/.git\"]", "/home/me/app," W, "repositories", ""},
	{"\"repositories\": [\"**\"]", "/anything/at/all," W},
	{"\"repositories\": [\"*\"]", "/anything," W, "repositories", ""},

	/* Revisions. */
	{GIT ", \"revisions\": [\"main\"]", "/srv/git/a.git@main," W},
	{GIT ", \"revisions\": [\"main\"]", "/srv/git/a.git@main:app," W},
	{GIT ", \"revisions\": [\"main\"]", "/srv/git/a.git," W, "revisions", "'HEAD'"},
	{GIT ", \"revisions\": [\"HEAD\"]", "/srv/git/a.git," W},
	{GIT ", \"revisions\": [\"main\"]", "/srv/git/a.git@MAIN," W, "revisions", "'MAIN'"},
	{GIT ", \"revisions\": [\"main\"]", "/srv/git/a.git@main~1," W, "revisions", "plain name"},
	{GIT ", \"revisions\": [\"**\"]", "/srv/git/a.git@main^2," W, "revisions", "plain name"},
	{GIT ", \"revisions\": [\"**\"]", "/srv/git/a.git@main@{1}," W, "revisions", ""},
	{GIT ", \"revisions\": [\"**\"]", "/srv/git/a.git@main\n," W, "revisions", ""},
	{GIT ", \"revisions\": [\"**\"]", "/srv/git/a.git@v1-2-gabcd," W, "revisions", ""},
	{GIT ", \"revisions\": [\"**\"]", "/srv/git/a.git@cafe1234," W, "revisions", "'cafe1234'"},
	{GIT ", \"revisions\": [\"cafe1234\"]", "/srv/git/a.git@cafe1234," W},
	{GIT ", \"revisions\": [\"cafe*\"]", "/srv/git/a.git@cafe1234," W, "revisions", ""},
	{GIT ", \"revisions\": [\"release/*\"]", "/srv/git/a.git@release/1.2," W},
	{GIT ", \"revisions\": [\"release/*\"]", "/srv/git/a.git@release/1/2," W, "revisions", ""},
	{GIT ", \"revisions\": [\"release/**\"]", "/srv/git/a.git@release/1/2," W},
	{GIT ", \"revisions\": [\"v*\"]", "/srv/git/a.git@v1,rev=topic," W, "revisions", "'topic'"},
	{GIT ", \"revisions\": []", "/srv/git/a.git@main," W, "revisions", ""},
	{GIT ", \"revisions\": [\"main\"]", "/srv/git/a.git@main,layer=git:/srv/git/b.git@x," W,
		"revisions", "'x'"},

	/* Targets. */
	{GIT ", \"targets\": [\"/workspace\"]", "/srv/git/a.git," W},
	{GIT ", \"targets\": [\"/workspace\"]", "/srv/git/a.git,target=/workspace/"},
	{GIT ", \"targets\": [\"/workspace\"]", "/srv/git/a.git,target=//workspace/."},
	{GIT ", \"targets\": [\"/workspace\"]", "/srv/git/a.git,target=/etc", "targets", "'/etc'"},
	{GIT ", \"targets\": [\"/workspace\"]", "/srv/git/a.git,target=/workspace/in", "targets",
		""},
	{GIT ", \"targets\": [\"/builds/**\"]", "/srv/git/a.git,target=/builds/a/b"},
	{GIT ", \"targets\": [\"/builds/**\"]", "/srv/git/a.git,target=/builds", "targets", ""},
	{GIT ", \"targets\": [\"/builds/*\"]", "/srv/git/a.git,target=/builds/a\nb"},
	{GIT ", \"targets\": []", "/srv/git/a.git," W, "targets", ""},
	{GIT, "/srv/git/a.git,target=/etc"},

	/* Owners: by default the user of the container's process, here 5:6. */
	{GIT ", \"owners\": [\"5:6\"]", "/srv/git/a.git," W},
	{GIT ", \"owners\": [\"5:6\"]", "/srv/git/a.git,owner=0:0," W, "owners", "'0:0'"},
	{GIT ", \"owners\": [\"1000:*\"]", "/srv/git/a.git,owner=1000:7," W},
	{GIT ", \"owners\": [\"1000:*\"]", "/srv/git/a.git,owner=10000:7," W, "owners", ""},
	{GIT ", \"owners\": [\"0:0\"]", "/srv/git/a.git," W, "owners", "'5:6'"},

	/* What stays, uppers, directories. */
	{GIT ", \"keep\": [\"discard\"]", "/srv/git/a.git," W},
	{GIT ", \"keep\": [\"discard\"]", "/srv/git/a.git,keep=keep," W, "keep", "'keep'"},
	{GIT ", \"keep\": [\"keep\"]", "/srv/git/a.git," W, "keep", "'discard'"},
	{GIT, "/srv/git/a.git,upperdir=/u/a,workdir=/u/w," W, "uppers", "upperdir '/u/a'"},
	{GIT ", \"uppers\": [\"/u/a\"]", "/srv/git/a.git,upperdir=/u/a,workdir=/u/w," W, "uppers",
		"workdir '/u/w'"},
	{GIT ", \"uppers\": [\"/u/*\"]", "/srv/git/a.git,upperdir=/u/a,workdir=/u/w," W},
	{GIT ", \"uppers\": [\"/u/**\"]", "/srv/git/a.git,upperdir=/u/../x,workdir=/u/w," W,
		"uppers", "'/u/../x'"},
	{GIT ", \"uppers\": [\"/u/*\"], \"keep\": [\"discard\"]",
		"/srv/git/a.git,upperdir=/u/a,workdir=/u/w," W, "keep", "'keep'"},
	{GIT, "/srv/git/a.git,layer=dir:/opt/sdk," W, "layers", "'/opt/sdk'"},
	{GIT ", \"layers\": [\"/opt/*\"]", "/srv/git/a.git,layer=dir:/opt/sdk," W},
	{GIT ", \"layers\": [\"/opt/*\"]", "/srv/git/a.git,layer=dir:/opt/sdk,layer=dir:/etc," W,
		"layers", "'/etc'"},
	{GIT ", \"layers\": [\"/opt/**\"]", "/srv/git/a.git,layer=dir:/opt/../etc," W, "layers",
		""},
	{"\"layers\": [\"/opt/*\"]", "layer=dir:/opt/sdk," W},
	{"\"layers\": [\"/opt/*\"]", "layer=dir:/opt/sdk,layer=git:/opt/x," W, "repositories", ""},

	/* Sizes. */
	{GIT ", \"max_size\": \"1G\"", "/srv/git/a.git,size=1G," W},
	{GIT ", \"max_size\": \"1G\"", "/srv/git/a.git,size=1073741825," W, "max_size",
		"size=1073741825"},
	{GIT ", \"max_size\": \"1G\"", "/srv/git/a.git," W, "max_size", "no size="},
	{GIT ", \"max_size\": \"1G\"", "/srv/git/a.git,ro," W},
	{GIT ", \"max_size\": 0", "/srv/git/a.git,size=1," W, "max_size", "size=1"},
	{GIT ", \"max_inodes\": \"1K\"", "/srv/git/a.git,inodes=1024," W},
	{GIT ", \"max_inodes\": 9", "/srv/git/a.git,inodes=10," W, "max_inodes", "inodes=10"},
	{GIT ", \"max_inodes\": 9", "/srv/git/a.git," W, "max_inodes", "no inodes="},
	{GIT ", \"max_inodes\": 9, \"max_size\": 9", "/srv/git/a.git,size=9," W, "max_inodes", ""},

	/* Who asks. */
	{GIT ", \"users\": [\"ci\"]", "/srv/git/a.git," W, .user = "ci"},
	{GIT ", \"users\": [\"ci\"]", "/srv/git/a.git," W, "users", "'cis'", .user = "cis"},
	{GIT ", \"users\": [\"**\"]", "/srv/git/a.git," W, "users", "not known"},
	{GIT ", \"namespaces\": [\"ci-*\"]", "/srv/git/a.git," W, .namespace = "ci-1"},
	{GIT ", \"namespaces\": [\"ci-*\"]", "/srv/git/a.git," W, "namespaces", "'prod'",
		.namespace = "prod"},
	{GIT ", \"namespaces\": [\"ci-*\"]", "/srv/git/a.git," W, .pod_namespace = "ci-1"},
	{GIT ", \"namespaces\": [\"ci-*\"]", "/srv/git/a.git," W, "namespaces", "not known"},
	/* A pod that says so itself changes nothing. */
	{GIT ", \"namespaces\": [\"ci-*\"]", "/srv/git/a.git," W, "namespaces", "'prod'",
		.namespace = "prod", .pod_namespace = "ci-1"},
	{GIT ", \"namespaces\": [\"ci-*\"]", "/srv/git/a.git," W, "namespaces", "'prod'",
		.namespace = "ci-1", .pod_namespace = "prod"},
	{GIT ", \"namespaces\": [\"ci\"]", "/srv/git/a.git," W, "namespaces", "",
		.namespace = "ci\n"},
	{GIT ", \"service_accounts\": [\"builder\"]", "/srv/git/a.git," W, .account = "builder"},
	{GIT ", \"service_accounts\": [\"builder\"]", "/srv/git/a.git," W, "service_accounts",
		"service account 'default'", .account = "default"},
	{GIT ", \"service_accounts\": [\"**\"]", "/srv/git/a.git," W, "service_accounts",
		"not known"},
	{GIT ", \"service_accounts\": [\"b\"], \"namespaces\": [\"ci\"]", "/srv/git/a.git," W,
		"namespaces", "'x'", .account = "b", .namespace = "x"},
};

/* As the hook learns who asks: from what the engine wrote into the bundle. */
static struct json *annotations_of(const struct row *row)
{
	const char *const pairs[][2] = {
		{"io.kubernetes.cri.sandbox-namespace", row->namespace},
		{"io.kubernetes.pod.namespace", row->pod_namespace},
		{"org.git-overlayfs.service-account", row->account},
		{"org.git-overlayfs.mount", row->wish},
	};
	struct json_writer *writer;
	struct json *json;
	char *text;
	size_t size;

	assert_int_equal(json_writer_new(false, &writer), 0);
	json_write_object_begin(writer);
	json_write_key(writer, "annotations");
	json_write_object_begin(writer);
	for (size_t i = 0; i < ROWS(pairs); i++) {
		if (!pairs[i][1])
			continue;
		json_write_key(writer, pairs[i][0]);
		json_write_string(writer, pairs[i][1]);
	}
	json_write_object_end(writer);
	json_write_object_end(writer);
	assert_int_equal(json_writer_finish(writer, &text, &size), 0);
	assert_int_equal(json_parse(text, size, &json, NULL), 0);
	free(text);
	return json;
}

static void check_verdict(
	const struct row *row, const struct policy *policy, const struct policy_request *request)
{
	struct policy_trial trial = {.entry = &policy->entries[0], .request = request};
	struct error err = {0};
	int r = policy_check(policy, request, &err);
	bool admits = policy_entry_admits(&trial);

	if (r != (row->key ? -EACCES : 0) || admits == !!row->key)
		fail_msg("{%s}, '%s': %d, entry %d, '%s'", row->entry, row->wish, r, admits,
			err.text);
	if (!row->key)
		return;
	if (strcmp(trial.key, row->key) != 0 || !strstr(err.text, row->reason) ||
		!strstr(err.text, row->key))
		fail_msg("{%s}, '%s': wanted %s and \"%s\", got %s: %s", row->entry, row->wish,
			row->key, row->reason, trial.key, err.text);
}

static void check_row(const struct row *row)
{
	struct oci_state state = {.id = strdup("c1"),
		.bundle = strdup(CONTAINERD_BUNDLE),
		.json = annotations_of(row)};
	struct oci_config none = {0};
	struct policy_asker asker = {.user = row->user};
	struct workspace_config config;
	struct wish_places places;
	struct policy_request request;
	struct policy *policy;
	struct oci_wish *wishes;
	struct error err = {0};
	char text[1000];
	size_t count;

	snprintf(text, sizeof(text), "{\"allow\": [{%s}]}", row->entry);
	if (policy_parse(text, strlen(text), true, &policy, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(oci_wishes(&state, &none, &wishes, &count, &err), 0);
	assert_int_equal(count, 1);
	oci_asker(&state, &none, &asker);
	config_init(&config);
	wish_places_init(&places);
	if (wish_parse(wishes[0].options, 5, 6, &config, &err) < 0)
		fail_msg("'%s': %s", row->wish, err.text);
	request = wish_request(&config, &places, NULL, &asker);
	check_verdict(row, policy, &request);
	config_release(&config);
	oci_wishes_free(wishes, count);
	policy_free(policy);
	oci_state_release(&state);
}

static void verdicts(void **state)
{
	assert_true(ROWS(rows) >= 100);
	for (size_t i = 0; i < ROWS(rows); i++)
		check_row(&rows[i]);
}

/* An image brings annotations of any name: they count where an engine of Kubernetes made the rest.
 */
static void engines_of_kubernetes(void **test_state)
{
	static const struct row asked = {.wish = "/a.git,target=/w",
		.namespace = "ci",
		.pod_namespace = "ci",
		.account = "b"};
	static const struct {
		const char *bundle, *cgroup;
		bool counts;
	} places[] = {
		{CONTAINERD_BUNDLE, "/kubepods/pod1/c1", true},
		{CONTAINERD_BUNDLE, NULL, true},
		{"/run/k3s/containerd/io.containerd.runtime.v1.linux/k8s.io/c1", NULL, true},
		{"/run/containerd/io.containerd.runtime.v2.task/default/c1", "/default/c1", false},
		{"/run/containerd/io.containerd.runtime.v2.task/moby/c1", NULL, false},
		{"/run/containerd/io.containerd.runtime.v2.task/k8s.io/c2", NULL, false},
		{"/run/containerd/io.containerd.runtime.v2.task/k8s.io/x/c1", NULL, false},
		{"/srv/io.containerd.runtime.v2.task/x/k8s.io/c1", NULL, false},
		{"/k8s.io/c1", NULL, false},
		{"/run/containers/storage/overlay-containers/c1/userdata",
			"kubepods-besteffort-pod1.slice:crio:c1", true},
		{"/run/containers/storage/overlay-containers/c1/userdata", "/kubepods/pod1/crio-c1",
			true},
		{"/var/lib/containers/storage/overlay-containers/c1/userdata",
			"machine.slice:libpod:c1", false},
		{"/b", "/libpod_parent/libpod-c1", false},
		{"/b", "/x:crio:y/libpod-c1", false},
		{"/b", "/crio-c1/libpod-c1", false},
		{"/b", "system.slice:crio:c12", false},
		{"/b", "system.slice:docker:c1", false},
		{"/b", "crio-c1", false},
		{"/b", "c1", false},
		{"/b", "", false},
		{"/b", NULL, false},
	};

	for (size_t i = 0; i < ROWS(places); i++) {
		struct oci_state state = {.id = strdup("c1"),
			.bundle = strdup(places[i].bundle),
			.json = annotations_of(&asked)};
		struct oci_config config = {0};
		struct policy_asker asker = {.service_account = "left over"};
		char text[200];

		snprintf(text, sizeof(text), "{\"linux\":{\"cgroupsPath\":\"%s\"}}",
			places[i].cgroup ? places[i].cgroup : "");
		assert_int_equal(json_parse(places[i].cgroup ? text : "{}",
					 places[i].cgroup ? strlen(text) : 2, &config.json, NULL),
			0);
		oci_asker(&state, &config, &asker);
		if (!!asker.namespaces[0] != places[i].counts ||
			!!asker.service_account != places[i].counts)
			fail_msg("%s, %s: namespace %s, account %s", places[i].bundle,
				places[i].cgroup ? places[i].cgroup : "no cgroup",
				asker.namespaces[0] ? asker.namespaces[0] : "unknown",
				asker.service_account ? asker.service_account : "unknown");
		oci_state_release(&state);
		oci_config_release(&config);
	}
}

/* What never comes to a policy. */
static void wishes_without_sense(void **state)
{
	static const char *const wishes[] = {
		"",
		W,
		"/srv/git/a.git",
		"/srv/git/a.git,target=workspace",
		"/srv/git/a.git,target=/a/../b",
		"/srv/git/a.git,target=/..",
		"/srv/git/a.git,target=",
		"/srv/git/a.git,owner=x," W,
		"/srv/git/a.git,suid," W,
		"/srv/git/a.git,uidmapping=0:0:1," W,
		"/srv/git/a.git,upperdir=/u," W,
	};

	for (size_t i = 0; i < ROWS(wishes); i++) {
		struct workspace_config config;
		struct error err = {0};

		config_init(&config);
		if (wish_parse(wishes[i], 0, 0, &config, &err) >= 0)
			fail_msg("'%s' was taken", wishes[i]);
		if (err.status != EXIT_STATUS_USAGE || strchr(err.text, '\n'))
			fail_msg("'%s': status %d, '%s'", wishes[i], (int)err.status, err.text);
		config_release(&config);
	}
}

static void wishes_as_people_write_them(void **state)
{
	static const struct {
		const char *text, *name, *options;
	} texts[] = {
		{"/a.git,target=/w", "", "/a.git,target=/w"},
		{"/a.git;target=/w", "", "/a.git,target=/w"},
		{"org.git-overlayfs.mount=/a.git,target=/w", "", "/a.git,target=/w"},
		{"org.git-overlayfs.mount.two=/a.git;ro", "two", "/a.git,ro"},
		{"org.git-overlayfs.mounts=/a.git", NULL, NULL},
		{"org.git-overlayfs.service-account=x", NULL, NULL},
		{"org.git-overlayfs.mount./=x", NULL, NULL},
	};

	for (size_t i = 0; i < ROWS(texts); i++) {
		struct error err = {0};
		struct oci_wish wish;
		int r = oci_wish_from_text(texts[i].text, &wish, &err);

		if (!texts[i].name) {
			assert_int_equal(r, -EINVAL);
			assert_int_equal(err.status, EXIT_STATUS_USAGE);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(wish.name, texts[i].name);
		assert_string_equal(wish.options, texts[i].options);
		oci_wish_release(&wish);
	}
}

static char *repeat(const char *text, size_t n, const char *end)
{
	size_t size = strlen(text);
	char *all = malloc(size * n + strlen(end) + 1);

	assert_non_null(all);
	for (size_t i = 0; i < n; i++)
		memcpy(all + i * size, text, size);
	strcpy(all + n * size, end);
	return all;
}

/* The longest text against the worst globs; SIGALRM ends what would take for ever. */
static void globs_end_soon(void **state)
{
	static const struct {
		const char *glob;
		size_t times;
		const char *end;
	} globs[] = {
		{"*a", 1000, "b"},
		{"**a", 1000, "b"},
		{"**", 2000, "b"},
		{"**/", 1000, "b"},
		{"*?", 1000, "b"},
		{"**a*", 800, "b"},
		{"a", 2000, "**b"},
	};
	static const char *const texts[] = {"a", "/", "a/", "aa/"};

	alarm(60);
	for (size_t t = 0; t < ROWS(texts); t++) {
		char *text = repeat(texts[t], POLICY_TEXT_MAX / strlen(texts[t]), "");

		for (size_t g = 0; g < ROWS(globs); g++) {
			char *glob = repeat(globs[g].glob, globs[g].times, globs[g].end);

			assert_false(policy_glob_matches(glob, text));
			free(glob);
		}
		assert_true(policy_glob_matches("**", text));
		free(text);
	}
	alarm(0);
}

static void what_is_longer_than_a_path_matches_nothing(void **state)
{
	char *longest = repeat("a", POLICY_TEXT_MAX, ""),
	     *longer = repeat("a", POLICY_TEXT_MAX, "a");
	char *document = repeat("a", POLICY_TEXT_MAX + 1, "\"]}]}");
	static const char start[] = "{\"allow\":[{\"targets\":[\"";
	struct error err = {0};
	struct policy *policy;
	char *text = repeat(start, 1, document);

	assert_true(policy_glob_matches("**", longest));
	assert_false(policy_glob_matches("**", longer));
	assert_int_equal(policy_parse(text, strlen(text), true, &policy, &err), -EINVAL);
	assert_non_null(strstr(err.text, "allow[0].targets[0]"));
	free(text);
	free(document);
	free(longer);
	free(longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(engines_of_kubernetes),
		cmocka_unit_test(wishes_without_sense),
		cmocka_unit_test(wishes_as_people_write_them),
		cmocka_unit_test(globs_end_soon),
		cmocka_unit_test(what_is_longer_than_a_path_matches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
