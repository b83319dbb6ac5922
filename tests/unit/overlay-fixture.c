/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "overlay-fixture.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_dir(const struct fixture *fx, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
	if (mkdir(path, 0755) < 0)
		assert_int_equal(errno, EEXIST);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void fixture_init(struct fixture *fx, size_t trees)
{
	fixture_init_at(fx, trees, "/tmp");
}

void fixture_init_at(struct fixture *fx, size_t trees, const char *base)
{
	memset(fx, 0, sizeof(*fx));
	assert_int_equal(layer_register_builtin(NULL), 0);
	umask(0);
	fx->tree_count = trees;
	for (size_t i = 0; i < trees; i++) {
		fx->trees[i] = mem_tree_new();
		assert_non_null(fx->trees[i]);
		mem_tree_set_attr(fx->trees[i], "", 0755, geteuid(), getegid(),
			(struct timespec){.tv_sec = 1000});
	}
	idmap_init(&fx->ids);
	fx->caller = (struct overlay_caller){.uid = geteuid(), .gid = getegid()};
	snprintf(fx->dir, sizeof(fx->dir), "%s/overlay-test.XXXXXX", base);
	assert_non_null(mkdtemp(fx->dir));
	fx->upper_fd = open_dir(fx, "upper");
	fx->work_fd = open_dir(fx, "work");
}

int fixture_try_mount(struct fixture *fx, struct error *err)
{
	struct layer *layers[FIXTURE_LAYERS_MAX];
	struct overlay_config config = {
		.layers = layers,
		.layer_count = fx->tree_count,
		.ids = &fx->ids,
		.upper_fd = fx->read_only ? -1 : fx->upper_fd,
		.work_fd = fx->read_only ? -1 : fx->work_fd,
		.aufs_whiteouts = fx->aufs_whiteouts,
		.redirect_dir = fx->redirect_dir,
		.trusted_xattrs = fx->trusted_xattrs,
		.is_volatile = true,
		.max_bytes = fx->max_bytes,
		.max_inodes = fx->max_inodes,
		.adopts_root = fx->adopts_root,
		.static_nlink = fx->static_nlink,
		.no_acls = fx->no_acls,
		.spare_files = fx->spare_files,
	};

	for (size_t i = 0; i < fx->tree_count; i++) {
		struct layer_config layer = {.kind = "mem",
			.index = (unsigned)i,
			.ids = &fx->ids,
			.mem = fx->trees[i],
			.root_fd = -1,
			.scratch_fd = -1};

		assert_int_equal(layer_open(&layer, &layers[i], err), 0);
		if (fx->wrap_layer)
			layers[i] = fx->wrap_layer(layers[i]);
		assert_non_null(layers[i]);
	}
	return overlay_new(&config, &fx->ov, err);
}

void fixture_mount(struct fixture *fx)
{
	struct error err = {0};

	if (fixture_try_mount(fx, &err) < 0)
		fail_msg("overlay_new: %s", err.text);
}

void fixture_unmount(struct fixture *fx)
{
	overlay_free(fx->ov);
	fx->ov = NULL;
	for (size_t i = 0; i < fx->tree_count; i++)
		assert_int_equal(mem_tree_references(fx->trees[i]), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void remove_tree(const char *path)
{
	pid_t pid;

	if (nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0)
		return;
	/* Too deep for paths. */
	pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

void fixture_remount(struct fixture *fx)
{
	fixture_unmount(fx);
	fixture_mount(fx);
}

void fixture_end(struct fixture *fx)
{
	if (fx->ov)
		fixture_unmount(fx);
	close(fx->upper_fd);
	close(fx->work_fd);
	for (size_t i = 0; i < fx->tree_count; i++)
		mem_tree_free(fx->trees[i]);
	remove_tree(fx->dir);
}

void fixture_file(struct fixture *fx, size_t tree, const char *path, mode_t mode, const char *text)
{
	struct mem_entry entry = {.path = path,
		.mode = S_IFREG | mode,
		.uid = geteuid(),
		.gid = getegid(),
		.mtime = {.tv_sec = 2000, .tv_nsec = 5},
		.data = text,
		.length = strlen(text)};

	assert_int_equal(mem_tree_add(fx->trees[tree], &entry), 0);
}

void fixture_dir(struct fixture *fx, size_t tree, const char *path, mode_t mode)
{
	struct mem_entry entry = {.path = path,
		.mode = S_IFDIR | mode,
		.uid = geteuid(),
		.gid = getegid(),
		.mtime = {.tv_sec = 3000, .tv_nsec = 7}};

	assert_int_equal(mem_tree_add(fx->trees[tree], &entry), 0);
}

/* --- paths --- */

int fx_walk(struct fixture *fx, const char *path, struct overlay_entry *ret_entry)
{
	struct overlay_entry entry = {.node = OVERLAY_ROOT_ID};
	char copy[4096], *save = NULL;
	int r = overlay_getattr(fx->ov, OVERLAY_ROOT_ID, NULL, &entry.st);

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = strtok_r(copy, "/", &save); r == 0 && p; p = strtok_r(NULL, "/", &save)) {
		struct overlay_entry next;

		r = overlay_lookup(fx->ov, entry.node, p, &next);
		fx_forget(fx, entry.node);
		entry = next;
	}
	if (r == 0)
		*ret_entry = entry;
	return r;
}

void fx_forget(struct fixture *fx, uint64_t node)
{
	if (node != OVERLAY_ROOT_ID)
		overlay_forget(fx->ov, node, 1);
}

int fx_parent(struct fixture *fx, const char *path, uint64_t *ret_node, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	struct overlay_entry entry;
	char dir[4096];
	int r;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 0, path);
	r = fx_walk(fx, dir, &entry);
	if (r < 0)
		return r;
	*ret_node = entry.node;
	*ret_name = slash ? slash + 1 : path;
	return 0;
}

/* --- verbs --- */

int fx_stat(struct fixture *fx, const char *path, struct stat *ret_st)
{
	struct overlay_entry entry;
	int r = fx_walk(fx, path, &entry);

	if (r < 0)
		return r;
	r = overlay_getattr(fx->ov, entry.node, NULL, ret_st);
	fx_forget(fx, entry.node);
	return r;
}

struct overlay_file *fx_open(struct fixture *fx, const char *path, int flags)
{
	struct overlay_entry entry;
	struct overlay_file *file = NULL;
	int r = fx_walk(fx, path, &entry);

	if (r < 0)
		fail_msg("%s: %d", path, r);
	r = overlay_open(fx->ov, entry.node, flags, &file);
	if (r < 0)
		fail_msg("open %s: %d", path, r);
	fx_forget(fx, entry.node);
	return file;
}

int fx_read(struct fixture *fx, const char *path, char *buf, size_t size)
{
	struct overlay_entry entry;
	struct overlay_file *file;
	ssize_t n = fx_walk(fx, path, &entry);

	if (n < 0)
		return (int)n;
	n = overlay_open(fx->ov, entry.node, O_RDONLY, &file);
	if (n == 0) {
		n = overlay_read(fx->ov, file, buf, size - 1, 0);
		overlay_release(fx->ov, file);
	}
	fx_forget(fx, entry.node);
	if (n < 0)
		return (int)n;
	buf[n] = '\0';
	return 0;
}

int fx_write(struct fixture *fx, const char *path, int flags, const char *text)
{
	struct overlay_entry entry;
	struct overlay_file *file;
	ssize_t n = fx_walk(fx, path, &entry);

	if (n < 0)
		return (int)n;
	n = overlay_open(fx->ov, entry.node, O_WRONLY | flags, &file);
	if (n == 0) {
		n = overlay_write(fx->ov, file, text, strlen(text), 0);
		overlay_release(fx->ov, file);
	}
	fx_forget(fx, entry.node);
	return n < 0 ? (int)n : 0;
}

int fx_create(struct fixture *fx, const char *path, mode_t mode, const char *text)
{
	struct overlay_entry entry;
	struct overlay_file *file;
	const char *name;
	uint64_t parent;
	ssize_t n = fx_parent(fx, path, &parent, &name);

	if (n < 0)
		return (int)n;
	n = overlay_create(
		fx->ov, &fx->caller, parent, name, mode, O_WRONLY | O_CREAT, &entry, &file);
	if (n == 0) {
		n = overlay_write(fx->ov, file, text, strlen(text), 0);
		overlay_release(fx->ov, file);
		fx_forget(fx, entry.node);
	}
	fx_forget(fx, parent);
	return n < 0 ? (int)n : 0;
}

int fx_mkdir(struct fixture *fx, const char *path, mode_t mode)
{
	struct overlay_entry entry;
	const char *name;
	uint64_t parent;
	int r = fx_parent(fx, path, &parent, &name);

	if (r < 0)
		return r;
	r = overlay_mkdir(fx->ov, &fx->caller, parent, name, mode, &entry);
	if (r == 0)
		fx_forget(fx, entry.node);
	fx_forget(fx, parent);
	return r;
}

int fx_symlink(struct fixture *fx, const char *target, const char *path)
{
	struct overlay_entry entry;
	const char *name;
	uint64_t parent;
	int r = fx_parent(fx, path, &parent, &name);

	if (r < 0)
		return r;
	r = overlay_symlink(fx->ov, &fx->caller, parent, name, target, &entry);
	if (r == 0)
		fx_forget(fx, entry.node);
	fx_forget(fx, parent);
	return r;
}

int fx_link(struct fixture *fx, const char *from, const char *to)
{
	struct overlay_entry entry, linked;
	const char *name;
	uint64_t parent;
	int r = fx_walk(fx, from, &entry);

	if (r < 0)
		return r;
	r = fx_parent(fx, to, &parent, &name);
	if (r == 0) {
		r = overlay_link(fx->ov, entry.node, parent, name, &linked);
		if (r == 0)
			fx_forget(fx, linked.node);
		fx_forget(fx, parent);
	}
	fx_forget(fx, entry.node);
	return r;
}

static int remove_by(
	struct fixture *fx, const char *path, int (*verb)(struct overlay *, uint64_t, const char *))
{
	const char *name;
	uint64_t parent;
	int r = fx_parent(fx, path, &parent, &name);

	if (r < 0)
		return r;
	r = verb(fx->ov, parent, name);
	fx_forget(fx, parent);
	return r;
}

int fx_unlink(struct fixture *fx, const char *path)
{
	return remove_by(fx, path, overlay_unlink);
}

int fx_rmdir(struct fixture *fx, const char *path)
{
	return remove_by(fx, path, overlay_rmdir);
}

int fx_rename(struct fixture *fx, const char *from, const char *to, unsigned flags)
{
	const char *name, *new_name;
	uint64_t parent, new_parent;
	int r = fx_parent(fx, from, &parent, &name);

	if (r < 0)
		return r;
	r = fx_parent(fx, to, &new_parent, &new_name);
	if (r == 0) {
		r = overlay_rename(fx->ov, &fx->caller, parent, name, new_parent, new_name, flags);
		fx_forget(fx, new_parent);
	}
	fx_forget(fx, parent);
	return r;
}

int fx_chmod(struct fixture *fx, const char *path, mode_t mode)
{
	struct stat st = {.st_mode = mode};
	struct overlay_entry entry;
	int r = fx_walk(fx, path, &entry);

	if (r < 0)
		return r;
	r = overlay_setattr(fx->ov, entry.node, NULL, &st, OVERLAY_SET_MODE, &st);
	fx_forget(fx, entry.node);
	return r;
}

/* --- listings --- */

struct names {
	char *names[1024];
	size_t count;
};

static int add_name(void *ctx, const struct overlay_dirent *entry)
{
	struct names *names = ctx;

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return 0;
	assert_true(names->count < 1024);
	names->names[names->count++] = strdup(entry->name);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int fx_readdir(struct fixture *fx, const char *path, overlay_emit_fn emit, void *ctx)
{
	struct overlay_entry entry;
	int r = fx_walk(fx, path, &entry);

	if (r < 0)
		return r;
	r = overlay_readdir(fx->ov, entry.node, 0, emit, ctx);
	fx_forget(fx, entry.node);
	return r;
}

int fx_list(struct fixture *fx, const char *path, char *buf, size_t size)
{
	struct names names = {.count = 0};
	size_t used = 0;
	int r = fx_readdir(fx, path, add_name, &names);

	qsort(names.names, names.count, sizeof(names.names[0]), compare);
	buf[0] = '\0';
	for (size_t i = 0; i < names.count; i++) {
		used += (size_t)snprintf(
			buf + used, size - used, "%s%s", i ? " " : "", names.names[i]);
		free(names.names[i]);
	}
	return r;
}
