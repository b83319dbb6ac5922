/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "overlay/acl.h"
#include "overlay/call.h"
#include "overlay/copyup.h"
#include "overlay/links.h"
#include "overlay/lookup.h"
#include "overlay/lower.h"
#include "overlay/mark.h"
#include "overlay/quota.h"
#include "overlay/volatile.h"
#include "util/cleanup.h"

/* Where staging happens: the kernel's overlayfs uses, and empties, the same directory. */
#define WORK_NAME "work"

bool overlay_is_read_only(const struct overlay *ov)
{
	return ov->upper_fd < 0;
}

bool overlay_has_acls(const struct overlay *ov)
{
	return ov->has_acls;
}

/* --- the upper and the work directory --- */

static int open_work(struct overlay *ov, const struct overlay_config *config, struct error *err)
{
	int r;

	ov->upper_fd = call_openat(config->upper_fd, ".", O_PATH | O_DIRECTORY, 0);
	if (ov->upper_fd < 0)
		return error_set_errno(err, -ov->upper_fd, EXIT_STATUS_FAILED, "upperdir");
	ov->work_fd = call_openat(config->work_fd, ".", O_PATH | O_DIRECTORY, 0);
	if (ov->work_fd < 0)
		return error_set_errno(err, -ov->work_fd, EXIT_STATUS_FAILED, "workdir");
	r = volatile_check(ov->work_fd, config->aufs_whiteouts, err);
	if (r < 0)
		return r;
	/* What an earlier life left there is of no use to anybody. */
	r = work_remove(ov, WORK_NAME);
	if (r == 0)
		r = call_mkdirat(ov->work_fd, WORK_NAME, 0700);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"workdir: cannot be emptied; it must be writable, and used by nobody else");
	close(ov->work_fd);
	ov->work_fd = call_openat(config->work_fd, WORK_NAME, O_PATH | O_DIRECTORY, 0);
	if (ov->work_fd < 0)
		return error_set_errno(err, -ov->work_fd, EXIT_STATUS_FAILED, "workdir");
	/* A default ACL of the directories above would come to whatever is staged here. */
	r = acl_clear(ov->work_fd);
	if (r == 0)
		r = call_chmod(ov->work_fd, 0700);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "workdir: its ACL");
	return 0;
}

static int try_work(struct overlay *ov, struct error *err)
{
	int r = probe_work(ov);

	return r < 0 ? error_set_errno(err, -r, EXIT_STATUS_FAILED, "workdir") : 0;
}

/*
 * A new upper's root shows what the layer's shows. Without the right to give it away, or to
 * mark it, it stays as it was made.
 */
static int adopt_root(struct overlay *ov, const struct lower_ref *top)
{
	char value[4];
	struct staged root = {.fd = ov->upper_fd};
	struct stat st;
	int r;

	if (upper_get_mark(ov, ov->upper_fd, MARK_ROOT, value, sizeof(value)) >= 0)
		return 0;
	r = layer_getattr_with_mapping(top->layer, top->node, ID_VIEW_STORAGE, &st);
	if (r < 0)
		return r;
	if (idmap_can_copy(ov->ids, IDMAP_UID, st.st_uid) &&
		idmap_can_copy(ov->ids, IDMAP_GID, st.st_gid) &&
		upper_set_mark(ov, ov->upper_fd, MARK_ROOT, "y") == 0 &&
		acl_clear(ov->upper_fd) == 0 && copy_xattrs(ov, top, ov->upper_fd) >= 0)
		(void)stage_attributes(&root, &st);
	return 0;
}

static int read_root_marks(struct overlay *ov, struct node_spec *spec, struct stat *ret_st)
{
	struct mark_set marks;
	int r = call_fstat(ov->upper_fd, ret_st);

	if (r == 0)
		r = upper_marks(ov->upper_fd, &marks);
	if (r < 0)
		return r;
	spec->has_upper = true;
	spec->is_impure = marks.impure;
	return upper_opaque_state(ov, ov->upper_fd, &marks);
}

/* The roots of all layers, down to an opaque one. */
static int collect_roots(struct overlay *ov, struct lower_set *set)
{
	set->refs = calloc(ov->layer_count, sizeof(*set->refs));
	if (!set->refs && ov->layer_count)
		return -ENOMEM;
	for (size_t i = 0; i < ov->layer_count; i++) {
		struct lower_ref *ref = &set->refs[set->count++];
		struct mark_set marks;
		int r;

		*ref = (struct lower_ref){ov->layers[i], layer_root(ov->layers[i])};
		if (!ref->layer->has_whiteouts)
			continue;
		r = lower_marks(ref, &marks);
		if (r == 0)
			r = lower_opaque_state(ref, &marks);
		if (r < 0)
			return r;
		if (r == OPAQUE_YES)
			break;
	}
	return 0;
}

static int make_root(struct overlay *ov, bool adopts_root, struct error *err)
{
	struct node_spec spec = {.type = S_IFDIR, .id = OVERLAY_ROOT_ID};
	struct stat st = {0}, lower_st;
	int r = ov->upper_fd < 0 ? OPAQUE_NO : read_root_marks(ov, &spec, &st);

	if (r >= 0 && r != OPAQUE_YES)
		r = collect_roots(ov, &spec.lowers);
	if (r >= 0) {
		spec.ino = ino_of_upper(st.st_ino);
		r = 0;
	}
	if (r == 0 && spec.lowers.count > 0) {
		const struct lower_ref *top = &spec.lowers.refs[0];

		r = layer_getattr_with_mapping(top->layer, top->node, ID_VIEW_CONTAINER, &lower_st);
		spec.ino = ino_of_lower(ov, top->layer, lower_st.st_ino);
	}
	if (r == 0 && adopts_root && spec.has_upper && spec.lowers.count > 0)
		r = adopt_root(ov, &spec.lowers.refs[0]);
	if (r == 0)
		r = node_add(ov, &spec, &ov->root);
	lower_set_release(&spec.lowers);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_SOURCE, "the root directory");
	return 0;
}

static int choose_whiteouts(struct overlay *ov, struct error *err)
{
	int r = whiteout_prepare(ov);

	return r < 0 ? error_set_errno(err, -r, EXIT_STATUS_FAILED, "workdir") : 0;
}

/* Not before whiteouts can be told. */
static int set_bounds(struct overlay *ov, const struct overlay_config *config, struct error *err)
{
	int r = quota_new(config->max_bytes, config->max_inodes, ov->upper_fd, &ov->quota);

	if (r == 0)
		r = quota_count(ov->quota, ov);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED,
			"size= and inodes=: the upper cannot be counted");
	return 0;
}

/* What goes past us is counted by nobody, and moves access times where the mount lets it. */
static bool may_pass(const struct overlay *ov)
{
	struct statvfs st;

	return ov->upper_fd >= 0 && !ov->quota && call_fstatvfs(ov->upper_fd, &st) == 0 &&
	       (st.f_flag & ST_NOATIME);
}

/* --- life --- */

static int set_up(struct overlay *ov, const struct overlay_config *config, struct error *err)
{
	int r = nodes_init(ov);

	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "the table of nodes");
	if (config->upper_fd >= 0) {
		r = open_work(ov, config, err);
		if (r == 0)
			r = choose_whiteouts(ov, err);
		if (r == 0)
			r = try_work(ov, err);
		if (r == 0)
			r = set_bounds(ov, config, err);
		if (r < 0)
			return r;
	}
	ov->may_pass = may_pass(ov);
	ov->has_acls = !config->no_acls && acl_is_supported(ov);
	return make_root(ov, config->adopts_root, err);
}

/* An eighth, up to 1024, stays free for what is not kept long. */
static size_t choose_open_max(void)
{
	struct rlimit limit;
	size_t all;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return SIZE_MAX;
	all = (size_t)limit.rlim_cur;
	return all - (all / 8 < 1024 ? all / 8 : 1024);
}

/*
 * Half of them at least may be without a name. Directories get a quarter of what is spared beyond
 * that: whoever keeps many files without a name does not keep others from removing directories.
 */
static void choose_nameless_max(struct overlay *ov, size_t spare)
{
	ov->nameless_max = ov->nameless_dirs_max = SIZE_MAX;
	if (!spare)
		return;
	if (spare > ov->open_max / 2)
		spare = ov->open_max / 2;
	ov->nameless_max = ov->open_max - spare;
	ov->nameless_dirs_max = ov->nameless_max + spare / 4;
}

int overlay_new(const struct overlay_config *config, struct overlay **ret_ov, struct error *err)
{
	struct overlay *ov = calloc(1, sizeof(*ov));
	int r;

	if (!ov) {
		for (size_t i = 0; i < config->layer_count; i++)
			layer_close(config->layers[i]);
		return error_set_errno(err, ENOMEM, EXIT_STATUS_FAILED, "overlay");
	}
	ov->layers = calloc(config->layer_count + 1, sizeof(*ov->layers));
	for (size_t i = 0; i < config->layer_count; i++) {
		if (ov->layers)
			ov->layers[ov->layer_count++] = config->layers[i];
		else
			layer_close(config->layers[i]);
	}
	ov->ids = config->ids;
	ov->upper_fd = ov->work_fd = -1;
	ov->xattr_prefix = config->trusted_xattrs ? "trusted.overlay." : "user.overlay.";
	ov->aufs_whiteouts = config->aufs_whiteouts;
	ov->is_volatile = config->is_volatile;
	ov->static_nlink = config->static_nlink;
	ov->redirect_dir = config->redirect_dir;
	ov->own_uid = geteuid();
	ov->own_gid = getegid();
	ov->work_uid = ov->work_gid = (uint32_t)-1;
	ov->fds = fdcache_shared();
	ov->open_max = choose_open_max();
	choose_nameless_max(ov, config->spare_files);
	mutex_init(&ov->rename_lock);
	r = ov->layers ? set_up(ov, config, err)
		       : error_set_errno(err, ENOMEM, EXIT_STATUS_FAILED, "overlay");
	if (r < 0) {
		overlay_free(ov);
		return r;
	}
	*ret_ov = ov;
	return 0;
}

int overlay_sync(struct overlay *ov)
{
	_cleanup_close_ int fd = -1;

	if (overlay_is_read_only(ov) || ov->is_volatile)
		return 0;
	/* syncfs(2) wants one that is not O_PATH. */
	fd = call_openat(ov->upper_fd, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	return call_syncfs(fd);
}

void overlay_free(struct overlay *ov)
{
	if (!ov)
		return;
	nodes_free(ov);
	for (size_t i = 0; i < ov->layer_count; i++)
		layer_close(ov->layers[i]);
	free(ov->layers);
	quota_free(ov->quota);
	close_keep_errno(ov->upper_fd);
	close_keep_errno(ov->work_fd);
	mutex_destroy(&ov->rename_lock);
	free(ov);
}
