/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is particular to directories: long paths, changes behind our back, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include <git-overlayfs/layer.h>
#include <git-overlayfs/log.h>

#include "util/fdcache.h"

struct fixture {
	char path[64];
	int root;
	struct idmap ids;
	struct layer *layer;
	layer_node_t node;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct layer_config config = {.kind = "dir", .ids = &f->ids};

	idmap_init(&f->ids);
	strcpy(f->path, "layer-dir-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->root = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	config.root_fd = f->root;
	assert_int_equal(layer_register_builtin(NULL), 0);
	assert_int_equal(layer_open(&config, &f->layer, NULL), 0);
	f->node = layer_root(f->layer);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	layer_close(f->layer);
	assert_int_equal(fdcache_open_count(fdcache_shared()), 0);
	close(f->root);
	nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static layer_node_t look_up(struct fixture *f, layer_node_t dir, const char *name)
{
	layer_node_t node;

	assert_int_equal(layer_lookup(f->layer, dir, name, &node), 0);
	return node;
}

static void write_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

#define DEPTH 40
#define LONG_NAME                                                      \
	"a-directory-with-a-name-of-a-hundred-and-twenty-bytes-or-so-" \
	"a-directory-with-a-name-of-a-hundred-and-twenty-bytes-or-so-"

static void a_path_of_more_than_4000_bytes(void **state)
{
	struct fixture *f = *state;
	int fds[DEPTH + 1] = {dup(f->root)};
	layer_node_t nodes[DEPTH + 1] = {f->node}, file;
	struct layer_file content;
	struct stat st;

	assert_true(sizeof(LONG_NAME) * DEPTH > 4096);
	for (int i = 0; i < DEPTH; i++) {
		assert_int_equal(mkdirat(fds[i], LONG_NAME, 0755), 0);
		fds[i + 1] = openat(fds[i], LONG_NAME, O_PATH | O_DIRECTORY | O_CLOEXEC);
		nodes[i + 1] = look_up(f, nodes[i], LONG_NAME);
	}
	write_file(fds[DEPTH], "file", "deep");
	file = look_up(f, nodes[DEPTH], "file");
	/* From the root again: nothing on the way is open. */
	fdcache_trim(fdcache_shared());
	assert_int_equal(layer_getattr_with_mapping(f->layer, file, ID_VIEW_STORAGE, &st), 0);
	assert_int_equal(st.st_size, 4);
	fdcache_trim(fdcache_shared());
	assert_int_equal(layer_open_file(f->layer, file, &content), 0);
	layer_file_release(&content);
	for (int i = DEPTH; i >= 0; i--) {
		unlinkat(fds[i], "file", 0);
		unlinkat(fds[i], LONG_NAME, AT_REMOVEDIR);
		close(fds[i]);
	}
}

/* A name that became a symlink is not followed, wherever it leads. */
static void a_directory_swapped_for_a_symlink(void **state)
{
	struct fixture *f = *state;
	layer_node_t dir, file, node;
	struct layer_file content;
	struct stat st;
	char buf[16];

	assert_int_equal(mkdirat(f->root, "d", 0755), 0);
	write_file(f->root, "d/passwd", "mine");
	dir = look_up(f, f->node, "d");
	file = look_up(f, dir, "passwd");
	fdcache_trim(fdcache_shared());
	assert_int_equal(renameat(f->root, "d", f->root, "old"), 0);
	assert_int_equal(symlinkat("/etc", f->root, "d"), 0);
	assert_int_equal(layer_lookup(f->layer, dir, "passwd", &node), -ESTALE);
	assert_int_equal(layer_getattr_with_mapping(f->layer, file, ID_VIEW_STORAGE, &st), -ESTALE);
	assert_int_equal(layer_open_file(f->layer, file, &content), -ESTALE);
	assert_int_equal(layer_getxattr(f->layer, file, "user.x", buf, sizeof(buf)), -ESTALE);
	assert_int_equal(layer_readdir(f->layer, dir, 0, NULL, NULL), -ESTALE);
}

static void a_file_swapped_for_something_else(void **state)
{
	struct fixture *f = *state;
	layer_node_t file;
	struct layer_file content;
	struct stat st;

	write_file(f->root, "f", "mine");
	file = look_up(f, f->node, "f");
	assert_int_equal(unlinkat(f->root, "f", 0), 0);
	/* Gone is not the same as never there: only lookup says ENOENT. */
	assert_int_equal(layer_getattr_with_mapping(f->layer, file, ID_VIEW_STORAGE, &st), -ESTALE);
	assert_int_equal(symlinkat("/etc/passwd", f->root, "f"), 0);
	assert_int_equal(layer_open_file(f->layer, file, &content), -ESTALE);
	assert_int_equal(layer_getattr_with_mapping(f->layer, file, ID_VIEW_STORAGE, &st), -ESTALE);
	assert_int_equal(unlinkat(f->root, "f", 0), 0);
	/* Opening this one would block for ever. */
	assert_int_equal(mkfifoat(f->root, "f", 0644), 0);
	assert_int_equal(layer_open_file(f->layer, file, &content), -ESTALE);
}

static int take_none(void *ctx, const char *name, mode_t type, uint64_t ino, uint64_t next)
{
	return 0;
}

static void more_directories_than_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, few = {.rlim_cur = 100, .rlim_max = 0};
	layer_node_t nodes[300];
	int taken[100], count = 0;
	char name[16];

	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		assert_int_equal(mkdirat(f->root, name, 0755), 0);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 300; i++) {
			layer_node_t node;

			snprintf(name, sizeof(name), "d%d", i);
			if (round == 0)
				nodes[i] = look_up(f, f->node, name);
			assert_int_equal(layer_lookup(f->layer, nodes[i], "x", &node), -ENOENT);
		}
	/* To list the last one takes a descriptor beside its own, which the others have. */
	while (count < 100 && (taken[count] = dup(f->root)) >= 0)
		count++;
	assert_int_equal(layer_readdir(f->layer, nodes[299], 0, take_none, NULL), 0);
	while (count > 0)
		close(taken[--count]);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void what_cannot_be_a_layer(void **state)
{
	struct fixture *f = *state;
	struct layer_config config = {.kind = "dir", .ids = &f->ids};
	struct layer *layer;
	struct error err = {0};

	write_file(f->root, "f", "");
	config.root_fd = openat(f->root, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(layer_open(&config, &layer, &err), -ENOTDIR);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
	close(config.root_fd);
	config.root_fd = -1;
	assert_int_equal(layer_open(&config, &layer, &err), -EBADF);
	assert_int_equal(err.status, EXIT_STATUS_SOURCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_of_more_than_4000_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_directory_swapped_for_a_symlink, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_swapped_for_something_else, setup, teardown),
		cmocka_unit_test_setup_teardown(more_directories_than_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_a_layer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
