/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When two requests for a workspace are the same one, and what is said when they are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <cmocka.h>

#include <git-overlayfs/workspace.h>

#include "host/workspace-internal.h"

#define SOURCES_MAX 8

static void must(int r, const struct error *err)
{
	if (r < 0)
		fail_msg("%d: %s", r, err->text);
}

/* The request of a list of options, with the layers' paths as they would be resolved. */
static struct workspace_request *request_of(const char *options, const char *mountpoint)
{
	static char real[] = "/r";
	struct source sources[SOURCES_MAX] = {0};
	struct workspace_request *request = NULL;
	struct workspace_config config;
	struct error err = {0};

	config_init(&config);
	must(config_parse_options(&config, options, CONFIG_ORIGIN_COMMAND, &err), &err);
	must(config_validate(&config, &err), &err);
	assert_true(config.layer_count <= SOURCES_MAX);
	for (size_t i = 0; i < config.layer_count; i++) {
		char *path = config.layers[i].path;

		/* Another way to write /r, as a symbolic link is. */
		sources[i].dir.path = strcmp(path, "/link") ? path : real;
	}
	must(workspace_request_new(&config, sources, mountpoint, &request, &err), &err);
	config_release(&config);
	return request;
}

static const struct {
	const char *there, *asked, *difference; /* NULL: the same */
} pairs[] = {
	{"repo=/r", "repo=/r", NULL},
	{"repo=/r", "repo=/link", NULL},
	{"repo=/r", "layer=git:/r", NULL},
	{"repo=/r", "repo=/r,rev=HEAD", NULL},
	{"repo=/r,subdir=a/b", "repo=/r,subdir=a//b/", NULL},
	{"repo=/r,rev=main,ro", "ro,rev=main,repo=/r", NULL},
	{"repo=/r", "repo=/r,rw,exec,nosuid,nodev,acl,seccomp=kill,mtime=commit", NULL},
	{"repo=/r,size=1K", "repo=/r,size=1024", NULL},
	{"repo=/r,redirect_dir=off", "repo=/r,redirect_dir=follow", NULL},
	{"repo=/r", "repo=/r,redirect_dir=on", NULL},
	{"repo=/r,passthrough=1", "repo=/r,passthrough=auto", NULL},
	{"repo=/r,writeback=off", "repo=/r", NULL},
	{"repo=/r,opens=daemon", "repo=/r", NULL},
	{"repo=/r,opens=kernel", "repo=/r", "opens is 'kernel' there, not set was asked for"},
	{"repo=/r,fsync=0", "repo=/r,volatile", NULL},
	{"repo=/r,upperdir=/u,workdir=/w", "repo=/r,upperdir=/u,workdir=/w,keep=keep", NULL},
	{"repo=/r,squash_to_root", "repo=/r,squash_to_uid=0,squash_to_gid=0", NULL},
	{"repo=/r,id=a", "repo=/r,id=b", NULL},
	{"repo=/r", "repo=/s", "repository is '/r' there, '/s' was asked for"},
	{"repo=/r", "layer=dir:/r", "directory is not set there, '/r' was asked for"},
	{"repo=/r,rev=main", "repo=/r,rev=v2", "revision is 'main' there, 'v2' was asked for"},
	{"repo=/r", "repo=/r,rev=main", "revision is 'HEAD' there, 'main' was asked for"},
	{"repo=/r,subdir=a", "repo=/r", "subdir is 'a' there, not set was asked for"},
	{"repo=/r,layer=dir:/d", "repo=/r", "number of layers is '2' there, '1' was asked for"},
	{"repo=/r,layer=dir:/d,layer=dir:/e", "repo=/r,layer=dir:/e,layer=dir:/d",
		"directory of layer 2 is '/d' there, '/e' was asked for"},
	{"repo=/r", "repo=/r,ro", "ro is not set there, 'on' was asked for"},
	{"repo=/r,size=1K", "repo=/r,size=2K", "size is '1024' there, '2048' was asked for"},
	{"repo=/r,inodes=5", "repo=/r", "inodes is '5' there, not set was asked for"},
	{"repo=/r", "repo=/r,keep=keep", "keep is not set there, 'keep' was asked for"},
	{"repo=/r", "repo=/r,owner=5:6", "owner is '0:0' there, '5:6' was asked for"},
	{"repo=/r", "repo=/r,mtime=7", "mtime is not set there, '7' was asked for"},
	{"repo=/r,upperdir=/u,workdir=/w", "repo=/r,upperdir=/v,workdir=/w",
		"upperdir is '/u' there, '/v' was asked for"},
	{"repo=/r,uidmapping=0:1:2", "repo=/r,uidmapping=0:1:3",
		"uidmapping is '0:1:2' there, '0:1:3' was asked for"},
	{"repo=/r,volatile", "repo=/r", "volatile is 'on' there, not set was asked for"},
	{"lowerdir=/a", "layer=dir:/a", "redirect_dir is 'follow' there, 'on' was asked for"},
	{"repo=/r,noexec", "repo=/r", "noexec is 'on' there, not set was asked for"},
	{"repo=/r,suid", "repo=/r", "suid is 'on' there, not set was asked for"},
	{"repo=/r,noacl", "repo=/r", "noacl is 'on' there, not set was asked for"},
	{"repo=/r,seccomp=log", "repo=/r,seccomp=off",
		"seccomp is 'log' there, 'off' was asked for"},
	{"repo=/r,fsname=a", "repo=/r,fsname=b", "fsname is 'a' there, 'b' was asked for"},
	{"repo=/r,rev=a\nb", "repo=/r,rev=a\xff",
		"revision is 'a\\x0ab' there, 'a\\xff' was asked for"},
};

static void same_and_different(void **state)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct workspace_request *there = request_of(pairs[i].there, "/m");
		struct workspace_request *asked = request_of(pairs[i].asked, "/m");
		char text[300] = "the same";

		workspace_request_differs(there, asked, text, sizeof(text));
		if (strcmp(text, pairs[i].difference ? pairs[i].difference : "the same") != 0)
			fail_msg("'%s' and '%s': got '%s', wanted '%s'", pairs[i].there,
				pairs[i].asked, text, pairs[i].difference);
		workspace_request_free(there);
		workspace_request_free(asked);
	}
}

static void the_mountpoint_belongs_to_it(void **state)
{
	struct workspace_request *there = request_of("repo=/r", "/m");
	struct workspace_request *asked = request_of("repo=/r", "/n");
	char text[300];

	assert_true(workspace_request_differs(there, asked, text, sizeof(text)));
	assert_string_equal(text, "mountpoint is '/m' there, '/n' was asked for");
	workspace_request_free(there);
	workspace_request_free(asked);
	workspace_request_free(NULL);
}

static void long_values_are_cut_in_the_message(void **state)
{
	char path[3000], text[600];
	struct workspace_request *there, *asked = request_of("repo=/r", "/n");

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	there = request_of("repo=/r", path);
	assert_true(workspace_request_differs(there, asked, text, sizeof(text)));
	assert_non_null(strstr(text, "xxx...' there, '/n' was asked for"));
	workspace_request_free(there);
	workspace_request_free(asked);
}

static void set_place(char root[static 64])
{
	char path[128];

	strcpy(root, "/tmp/test-request-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/run", root);
	setenv("GIT_OVERLAYFS_RUN_DIR", path, 1);
	snprintf(path, sizeof(path), "%s/state", root);
	setenv("GIT_OVERLAYFS_STATE_DIR", path, 1);
}

static void remove_place(const char *root)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(tree_remove(fd, root + 5), 0);
	close(fd);
}

static void a_record_keeps_it(void **state)
{
	struct workspace_info info = {.mountpoint = (char[]){"/m"},
		.state = WORKSPACE_READY,
		.request = request_of("repo=/r\xff\\x,rev=a\"b,layer=dir:/d", "/m")};
	struct workspace_info found = {0};
	struct error err = {0};
	struct workspace ws;
	char root[64], text[300] = "";

	set_place(root);
	must(workspace_create("kept", &ws, &err), &err);
	info.id = ws.id;
	must(workspace_store(&ws, &info, &err), &err);
	must(workspace_read_info(&ws, &found, &err), &err);
	assert_int_equal(found.state, WORKSPACE_READY);
	assert_non_null(found.request);
	if (workspace_request_differs(found.request, info.request, text, sizeof(text)))
		fail_msg("%s", text);
	workspace_info_release(&found);
	workspace_request_free(info.request);
	must(workspace_remove(&ws, false, &err), &err);
	workspace_release(&ws);
	remove_place(root);
}

static void write_record(const struct workspace *ws, const char *text)
{
	int fd = openat(
		ws->run_fd, "workspace.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void older_and_odd_records_are_read(void **state)
{
	static const struct {
		const char *text;
		enum workspace_state state;
	} rows[] = {
		{"{\"mountpoint\":\"/m\",\"daemon\":4711}", WORKSPACE_READY},
		{"{\"mountpoint\":\"/m\",\"daemon\":0}", WORKSPACE_MOUNTING},
		{"{\"state\":\"ending\",\"request\":5}", WORKSPACE_ENDING},
		{"{\"state\":\"other\",\"request\":null}", WORKSPACE_MOUNTING},
		{"{\"state\":7,\"daemon\":99,\"request\":[\"a\"]}", WORKSPACE_READY},
	};
	struct error err = {0};
	struct workspace ws;
	char root[64];

	set_place(root);
	must(workspace_create("old", &ws, &err), &err);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct workspace_info found = {0};

		write_record(&ws, rows[i].text);
		must(workspace_read_info(&ws, &found, &err), &err);
		if (found.state != rows[i].state || found.request)
			fail_msg("%s: state %d", rows[i].text, (int)found.state);
		workspace_info_release(&found);
	}
	must(workspace_remove(&ws, false, &err), &err);
	workspace_release(&ws);
	remove_place(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_and_different),
		cmocka_unit_test(the_mountpoint_belongs_to_it),
		cmocka_unit_test(long_values_are_cut_in_the_message),
		cmocka_unit_test(a_record_keeps_it),
		cmocka_unit_test(older_and_odd_records_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
