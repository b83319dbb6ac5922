/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/session.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/ops.h"
#include "fuse/wire.h"
#include "util/cleanup.h"

/* More only wake each other across processors: a wake-up costs ten times the work. */
#define THREADS_MAX 4

static void want(struct fuse_conn_info *conn, unsigned caps)
{
	conn->want |= conn->capable & caps;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const struct session *session = userdata;

	/* The umask does not count where a default ACL rules: we apply it. */
	want(conn, FUSE_CAP_DONT_MASK);
	if (overlay_has_acls(session->overlay))
		want(conn, FUSE_CAP_POSIX_ACL);
#ifdef FUSE_CAP_SETXATTR_EXT
	/* Newer versions know the form, but not what it is for: see wire.c. */
	conn->want &= ~(unsigned)FUSE_CAP_SETXATTR_EXT;
#endif
	want(conn, FUSE_CAP_CACHE_SYMLINKS);
	want(conn, FUSE_CAP_PARALLEL_DIROPS);
	want(conn, FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	/* Copying through a pipe gains nothing here, and costs pipes. */
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	/*
	 * The kernel clears suid and sgid by SETATTR before it writes. libfuse 3.14 asks for the
	 * opposite by default, and then does not say so to the kernel.
	 */
	conn->want &= ~(unsigned)FUSE_CAP_HANDLE_KILLPRIV;
	conn->time_gran = 1;
}

static void fill_ops(struct fuse_lowlevel_ops *ops)
{
	*ops = (struct fuse_lowlevel_ops){.init = op_init};
	ops_add_names(ops);
	ops_add_dirs(ops);
	ops_add_files(ops);
	ops_add_attributes(ops);
	ops_add_flags(ops);
}

static unsigned choose_threads(unsigned wanted)
{
	int processors = get_nprocs();

	if (wanted > 0)
		return wanted;
	return processors < THREADS_MAX ? (unsigned)processors : THREADS_MAX;
}

int session_new(
	const struct session_config *config, struct session **ret_session, struct error *err)
{
	char *argv[] = {(char *)"git-overlayfs", (char *)"-d", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(config->debug ? 2 : 1, argv);
	struct session *session = calloc(1, sizeof(*session));
	struct fuse_lowlevel_ops ops;

	if (!session)
		return error_set_errno(err, ENOMEM, EXIT_STATUS_FAILED, "session");
	session->overlay = config->overlay;
	session->threads = choose_threads(config->threads);
	fill_ops(&ops);
	session->fuse = fuse_session_new(&args, &ops, sizeof(ops), session);
	fuse_opt_free_args(&args);
	if (!session->fuse) {
		free(session);
		return error_set(err, EIO, EXIT_STATUS_FAILED, "libfuse refused the session");
	}
	*ret_session = session;
	return 0;
}

int session_preload(struct error *err)
{
	/* pthread_cancel(3) loads it at the end of the loop. Kept for the life of the process. */
	if (!dlopen("libgcc_s.so.1", RTLD_NOW))
		return error_set(err, ENOENT, EXIT_STATUS_MACHINE,
			"libgcc_s.so.1 cannot be loaded; install libgcc-s1 (Debian) or libgcc");
	return 0;
}

static int loop(struct session *session)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_max_threads(config, session->threads);
	/* A thread that has been started stays: starting one costs more than an idle one. */
	fuse_loop_cfg_set_idle_threads(config, session->threads);
	r = fuse_session_loop_mt(session->fuse, config);
	fuse_loop_cfg_destroy(config);
	/* Positive is the signal that ended it: a wished end. */
	return r < 0 ? r : 0;
}

int session_serve(struct session *session, int fuse_fd, struct error *err)
{
	int r = wire_connect(session->fuse, fuse_fd);

	if (r < 0) {
		close_keep_errno(fuse_fd);
		return error_set(err, EIO, EXIT_STATUS_FAILED, "libfuse refused the descriptor");
	}
	r = loop(session);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "serving requests");
	return 0;
}

void session_stop(struct session *session)
{
	fuse_session_exit(session->fuse);
}

void session_free(struct session *session)
{
	if (!session)
		return;
	fuse_session_destroy(session->fuse);
	free(session);
}
