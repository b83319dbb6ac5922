/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What runtimes write, and what nobody should: state, config.json, annotations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <git-overlayfs/oci.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define HEAD	   "\"ociVersion\":\"1.0\",\"id\":\"c1\",\"bundle\":\"/b\""

static void states(void **state)
{
	static const struct {
		const char *text;
		pid_t pid;
	} rows[] = {
		{"{" HEAD ",\"status\":\"creating\",\"pid\":12,\"annotations\":{\"a\":\"b\"}}", 12},
		{"{" HEAD ",\"status\":\"created\",\"pid\":34,\"root\":\"/r\",\"new\":[1,{}]}", 34},
		{"{" HEAD ",\"status\":\"stopped\"}", 0},
		{"{" HEAD ",\"pid\":0}", 0},
		{"{" HEAD ",\"pid\":null}", 0},
		{"{" HEAD ",\"pid\":2147483647,\"annotations\":null}", 2147483647},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct oci_state parsed;
		struct error err = {0};

		if (oci_state_parse(rows[i].text, strlen(rows[i].text), &parsed, &err) < 0)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(parsed.pid, rows[i].pid);
		assert_string_equal(parsed.id, "c1");
		assert_string_equal(parsed.bundle, "/b");
		oci_state_release(&parsed);
		oci_state_release(&parsed);
	}
}

static void bad_states(void **state)
{
	static const struct {
		const char *text, *wanted;
	} rows[] = {
		{"", "container state"},
		{"{", "container state"},
		{"null", "no JSON object"},
		{"[]", "no JSON object"},
		{"{\"bundle\":\"/b\"}", "id: missing"},
		{"{\"id\":1,\"bundle\":\"/b\"}", "id: no string"},
		{"{\"id\":\"\",\"bundle\":\"/b\"}", "id: ''"},
		{"{\"id\":\"../x\",\"bundle\":\"/b\"}", "id: '../x'"},
		{"{\"id\":\".x\",\"bundle\":\"/b\"}", "id: '.x'"},
		{"{\"id\":\"a/b\",\"bundle\":\"/b\"}", "id: 'a/b'"},
		{"{\"id\":\"c1\"}", "bundle: missing"},
		{"{\"id\":\"c1\",\"bundle\":\"b\"}", "bundle: 'b'"},
		{"{\"id\":\"c1\",\"bundle\":\"\"}", "bundle"},
		{"{" HEAD ",\"root\":7}", "root: no string"},
		{"{" HEAD ",\"pid\":-1}", "pid"},
		{"{" HEAD ",\"pid\":1.5}", "pid"},
		{"{" HEAD ",\"pid\":\"7\"}", "pid"},
		{"{" HEAD ",\"pid\":2147483648}", "pid"},
		{"{" HEAD ",\"pid\":1e3}", "pid"},
		{"{" HEAD "} trailing", "container state"},
		{"{" HEAD ",\"id\":\"c2\"}", "container state"},
		{"{" HEAD ",\"status\":\"\xff\xfe\"}", "container state"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct oci_state parsed;
		struct error err = {0};

		if (oci_state_parse(rows[i].text, strlen(rows[i].text), &parsed, &err) >= 0)
			fail_msg("'%s' was taken", rows[i].text);
		if (!strstr(err.text, rows[i].wanted))
			fail_msg("'%s': '%s' does not say '%s'", rows[i].text, err.text,
				rows[i].wanted);
	}
}

static void configs(void **state)
{
	static const struct {
		const char *text, *wanted; /* NULL: taken, uid 5 and gid 6 */
	} rows[] = {
		{"{\"root\":{\"path\":\"r\"},\"process\":{\"user\":{\"uid\":5,\"gid\":6}}}", NULL},
		{"{\"root\":{\"path\":\"/r\",\"readonly\":true},\"process\":{\"args\":[],"
		 "\"user\":{\"uid\":5,\"gid\":6,\"additionalGids\":[1]}}}",
			NULL},
		{"{}", "root: missing"},
		{"{\"root\":[]}", "root: no object"},
		{"{\"root\":{}}", "root: path: missing"},
		{"{\"root\":{\"path\":\"\"}}", "root.path: empty"},
		{"{\"root\":{\"path\":1}}", "root: path: no string"},
		{"{\"root\":{\"path\":\"r\"},\"process\":1}", "process: no object"},
		{"{\"root\":{\"path\":\"r\"},\"process\":{\"user\":\"root\"}}", "process: user"},
		{"{\"root\":{\"path\":\"r\"},\"process\":{\"user\":{\"uid\":-1}}}", "user.uid"},
		{"{\"root\":{\"path\":\"r\"},\"process\":{\"user\":{\"gid\":4294967295}}}",
			"user.gid"},
		{"\"x\"", "no JSON object"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct oci_config parsed;
		struct error err = {0};
		int r = oci_config_parse(rows[i].text, strlen(rows[i].text), &parsed, &err);

		if ((r < 0) != (rows[i].wanted != NULL))
			fail_msg("'%s': %d '%s'", rows[i].text, r, err.text);
		if (r < 0) {
			if (!strstr(err.text, rows[i].wanted))
				fail_msg("'%s': '%s' does not say '%s'", rows[i].text, err.text,
					rows[i].wanted);
			continue;
		}
		assert_int_equal(parsed.uid, 5);
		assert_int_equal(parsed.gid, 6);
		oci_config_release(&parsed);
	}
}

/* The process is optional before a start: root owns the files then. */
static void config_without_process(void **state)
{
	static const char text[] = "{\"root\":{\"path\":\"rootfs\"}}";
	struct oci_config parsed;

	assert_int_equal(oci_config_parse(text, strlen(text), &parsed, NULL), 0);
	assert_int_equal(parsed.uid, 0);
	assert_string_equal(parsed.root_path, "rootfs");
	oci_config_release(&parsed);
}

static int wishes_of(
	const char *in_state, const char *in_config, char *ret, size_t size, struct error *err)
{
	char text[2][1000];
	struct oci_state parsed;
	struct oci_config config;
	struct oci_wish *wishes;
	size_t count, used = 0;
	int r;

	snprintf(text[0], sizeof(text[0]), "{" HEAD ",\"annotations\":%s}", in_state);
	snprintf(text[1], sizeof(text[1]), "{\"root\":{\"path\":\"r\"},\"annotations\":%s}",
		in_config);
	assert_int_equal(oci_state_parse(text[0], strlen(text[0]), &parsed, err), 0);
	assert_int_equal(oci_config_parse(text[1], strlen(text[1]), &config, err), 0);
	r = oci_wishes(&parsed, &config, &wishes, &count, err);
	oci_state_release(&parsed);
	oci_config_release(&config);
	if (r < 0)
		return r;
	ret[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		assert_false(wishes[i].trusted);
		used += (size_t)snprintf(
			ret + used, size - used, "%s=%s;", wishes[i].name, wishes[i].options);
	}
	oci_wishes_free(wishes, count);
	return 0;
}

static void wishes(void **state)
{
	static const struct {
		const char *state, *config, *wanted;
	} rows[] = {
		{"null", "null", ""},
		{"{\"other\":\"x\"}", "{}", ""},
		{"{\"org.git-overlayfs.mount\":\"A\"}", "null", "=A;"},
		{"null", "{\"org.git-overlayfs.mount\":\"A\"}", "=A;"},
		{"{\"org.git-overlayfs.mount\":\"A\"}", "{\"org.git-overlayfs.mount\":\"B\"}",
			"=A;"},
		{"{\"org.git-overlayfs.mount.b\":\"B\",\"org.git-overlayfs.mount.a\":\"A\"}",
			"{\"org.git-overlayfs.mount\":\"C\"}", "=C;a=A;b=B;"},
		/* A semicolon separates as well. */
		{"{\"org.git-overlayfs.mount\":\"/a@m;target=/w,ro;x\"}", "null",
			"=/a@m,target=/w,ro,x;"},
		{"{\"org.git-overlayfs.mount\":\"/a\\\\;b;c=\\\"d;e\\\";f\\\\,g\"}", "null",
			"=/a;b,c=\"d;e\",f\\,g;"},
		{"{\"org.git-overlayfs.mountain\":\"A\"}", "null", NULL},
		{"{\"org.git-overlayfs.mount.\":\"A\"}", "null", NULL},
		{"{\"org.git-overlayfs.mount.a/b\":\"A\"}", "null", NULL},
		{"{\"org.git-overlayfs.mounts\":\"A\"}", "null", NULL},
		{"{\"org.git-overlayfs.mount\":\"\"}", "null", NULL},
		{"{\"org.git-overlayfs.mount\":1}", "null", NULL},
		{"[]", "null", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct error err = {0};
		char got[500];
		int r = wishes_of(rows[i].state, rows[i].config, got, sizeof(got), &err);

		if ((r < 0) != !rows[i].wanted)
			fail_msg("row %zu: %d '%s'", i, r, err.text);
		if (r < 0)
			assert_true(err.text[0]);
		else
			assert_string_equal(got, rows[i].wanted);
	}
}

static void too_many_wishes(void **state)
{
	char text[4000] = "{";
	struct error err = {0};
	struct oci_state parsed = {0};
	struct oci_wish *list;
	size_t used, count;

	used = (size_t)snprintf(text, sizeof(text), "{" HEAD ",\"annotations\":{");
	for (int i = 0; i <= OCI_WORKSPACES_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%s\"org.git-overlayfs.mount.w%d\":\"A\"", i ? "," : "", i);
	snprintf(text + used, sizeof(text) - used, "}}");
	assert_int_equal(oci_state_parse(text, strlen(text), &parsed, &err), 0);
	assert_int_equal(oci_wishes(&parsed, NULL, &list, &count, &err), -E2BIG);
	oci_state_release(&parsed);
}

#define BUNDLES "/run/containerd/io.containerd.runtime.v2.task/"

static void sandbox_containers(void **state)
{
	static const struct {
		const char *bundle, *annotations, *cgroup;
		bool is_sandbox;
	} rows[] = {
		{BUNDLES "k8s.io/c1", "{}", "", false},
		{BUNDLES "k8s.io/c1", "{\"io.kubernetes.cri.container-type\":\"sandbox\"}", "",
			true},
		{BUNDLES "k8s.io/c1", "{\"io.kubernetes.cri.container-type\":\"container\"}", "",
			false},
		{"/b", "{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\"}", "kubepods:crio:c1",
			true},
		/* An image can say so. */
		{"/b", "{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\"}", "", false},
		{"/b", "{\"io.kubernetes.cri.container-type\":\"sandbox\"}", "", false},
		{BUNDLES "default/c1", "{\"io.kubernetes.cri.container-type\":\"sandbox\"}", "",
			false},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct oci_state parsed;
		struct oci_config config = {0};
		char text[400];

		snprintf(text, sizeof(text),
			"{\"ociVersion\":\"1.0\",\"id\":\"c1\",\"bundle\":\"%s\",\"annotations\":%s}",
			rows[i].bundle, rows[i].annotations);
		assert_int_equal(oci_state_parse(text, strlen(text), &parsed, NULL), 0);
		snprintf(text, sizeof(text),
			"{\"root\":{\"path\":\"/r\"},\"linux\":{\"cgroupsPath\":\"%s\"}}",
			rows[i].cgroup);
		assert_int_equal(oci_config_parse(text, strlen(text), &config, NULL), 0);
		assert_int_equal(oci_is_sandbox_container(&parsed, &config), rows[i].is_sandbox);
		oci_config_release(&config);
		oci_state_release(&parsed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states),
		cmocka_unit_test(bad_states),
		cmocka_unit_test(configs),
		cmocka_unit_test(config_without_process),
		cmocka_unit_test(wishes),
		cmocka_unit_test(too_many_wishes),
		cmocka_unit_test(sandbox_containers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
