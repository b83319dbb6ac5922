/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/session.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "fuse/loop.h"
#include "fuse/near.h"
#include "fuse/node-files.h"
#include "fuse/ops.h"
#include "fuse/passthrough.h"
#include "fuse/wire.h"
#include "util/cleanup.h"

/* More at once only wake each other across processors. */
#define THREADS_MAX 4

static void want(struct fuse_conn_info *conn, unsigned caps)
{
	conn->want |= conn->capable & caps;
}

/*
 * The first OPEN is answered ENOSYS then, and the kernel sends none any more. What O_TRUNC cuts
 * comes as a SETATTR. Size and times of a file stay ours, for nobody tells who has it open.
 */
static void leave_opens(struct session *session, struct fuse_conn_info *conn)
{
	session->opens_no_files = conn->capable & FUSE_CAP_NO_OPEN_SUPPORT;
	atomic_store(&session->counters->has_kernel_opens, session->opens_no_files);
	if (session->opens_no_files)
		conn->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *session = userdata;

	session->opens_no_directories = conn->capable & FUSE_CAP_NO_OPENDIR_SUPPORT;
	/* The umask does not count where a default ACL rules: we apply it. */
	want(conn, FUSE_CAP_DONT_MASK);
	if (overlay_has_acls(session->overlay))
		want(conn, FUSE_CAP_POSIX_ACL);
#ifdef FUSE_CAP_SETXATTR_EXT
	/* Newer versions know the form, but not what it is for: see wire.c. */
	conn->want &= ~(unsigned)FUSE_CAP_SETXATTR_EXT;
#endif
	/*
	 * Whatever changes content goes through this mount or is announced to the kernel. Otherwise
	 * it would drop the pages of a file whose mtime its own writes have moved.
	 */
	conn->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
	want(conn, FUSE_CAP_CACHE_SYMLINKS);
	want(conn, FUSE_CAP_PARALLEL_DIROPS);
	/*
	 * Always with attributes: who lists a directory mostly wants them, and a look-up of each
	 * name costs ten times as much. By itself the kernel asks for them in the first part only.
	 */
	want(conn, FUSE_CAP_READDIRPLUS);
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	/* Copying through a pipe gains nothing here, and costs pipes. */
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	/*
	 * The kernel clears suid and sgid by SETATTR before it writes. libfuse 3.14 asks for the
	 * opposite by default, and then does not say so to the kernel.
	 */
	conn->want &= ~(unsigned)FUSE_CAP_HANDLE_KILLPRIV;
	conn->time_gran = 1;
	if (session->files)
		leave_opens(session, conn);
	if (session->wants_writeback && !wire_has_passthrough() && !session->opens_no_files)
		want(conn, FUSE_CAP_WRITEBACK_CACHE);
	session->has_writeback = conn->want & FUSE_CAP_WRITEBACK_CACHE;
	/* With O_TRUNC in an OPEN its size goes wrong while others write (seen on 6.18). */
	if (session->has_writeback)
		conn->want &= ~(unsigned)FUSE_CAP_ATOMIC_O_TRUNC;
	atomic_store(&session->counters->has_writeback, session->has_writeback);
}

static void give_files_back(void *data)
{
	node_files_drop(data, 0);
}

static void fill_ops(struct fuse_lowlevel_ops *ops)
{
	*ops = (struct fuse_lowlevel_ops){.init = op_init};
	ops_add_names(ops);
	ops_add_dirs(ops);
	ops_add_opens(ops);
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
	fill_ops(&ops);
	session->backing = config->backing;
	session->wants_writeback = config->writeback;
	session->has_selinux = config->has_selinux;
	session->counters = config->counters ? config->counters : &session->own_counters;
	session->passthrough = passthrough_new(config->backing, session->counters);
	session->files = config->kernel_opens ? node_files_new(config->overlay) : NULL;
	session->fuse = fuse_session_new(&args, &ops, sizeof(ops), session);
	fuse_opt_free_args(&args);
	if (!session->fuse || !session->passthrough || (config->kernel_opens && !session->files)) {
		session_free(session);
		return error_set(err, EIO, EXIT_STATUS_FAILED, "libfuse refused the session");
	}
	loop_init(&session->loop, session->fuse, choose_threads(config->threads));
	if (session->files) {
		session->loop.at_rest = give_files_back;
		session->loop.data = session->files;
	}
	*ret_session = session;
	return 0;
}

int session_serve(struct session *session, int fuse_fd, struct error *err)
{
	int r = wire_connect(
		session->fuse, fuse_fd, session->backing ? session->backing->stack_depth : 0);

	if (r < 0) {
		close_keep_errno(fuse_fd);
		return error_set(err, EIO, EXIT_STATUS_FAILED, "libfuse refused the descriptor");
	}
	r = loop_run(&session->loop);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "serving requests");
	return 0;
}

int session_processor(void)
{
	return near_current_cpu();
}

void session_stop(struct session *session)
{
	loop_stop(&session->loop);
}

void session_free(struct session *session)
{
	if (!session)
		return;
	loop_destroy(&session->loop);
	if (session->fuse)
		fuse_session_destroy(session->fuse);
	node_files_free(session->files);
	passthrough_free(session->passthrough);
	free(session);
}
