/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench-floor DIRECTORY MOUNTPOINT: the least that a FUSE server can do, as a peer in
 * tests/bench/run. It mirrors a directory, with one system call for a request, and none to open
 * what is never read; its requests come and go by the same threads as ours. It promises the kernel
 * that nothing changes behind it and that set-id bits go, and checks nothing. What a row takes here
 * is what its round trips cost. Not for use: what is below a directory that is renamed keeps its
 * old path, a file that is opened for reading is opened by its path when it is read, hard links are
 * not known, and set-id bits stay.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "floor-inodes.h"
#include "fuse/answer.h"
#include "fuse/loop.h"

#define FOREVER	 86400.0
#define READ_MAX (1u << 20)

static int entry_of(const char *path, struct fuse_entry_param *ret_entry)
{
	struct fuse_entry_param entry = {.attr_timeout = FOREVER, .entry_timeout = FOREVER};

	if (lstat(path, &entry.attr) < 0)
		return -errno;
	entry.ino = inode_get(path);
	*ret_entry = entry;
	return 0;
}

static void reply_entry(fuse_req_t req, const char *path)
{
	struct fuse_entry_param entry;
	int r = entry_of(path, &entry);

	if (r < 0)
		fuse_reply_err(req, -r);
	else if (fuse_reply_entry(req, &entry) != 0)
		inode_forget(entry.ino, 1);
}

static void reply_result(fuse_req_t req, int result)
{
	fuse_reply_err(req, result < 0 ? errno : 0);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param negative = {.entry_timeout = FOREVER}, entry;
	char path[PATH_MAX];
	int r = entry_of(inode_child(path, parent, name), &entry);

	if (r == -ENOENT)
		fuse_reply_entry(req, &negative);
	else if (r < 0)
		fuse_reply_err(req, -r);
	else if (fuse_reply_entry(req, &entry) != 0)
		inode_forget(entry.ino, 1);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	inode_forget(ino, lookups);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		inode_forget(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (lstat(inode_path(ino), &st) < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_attr(req, &st, FOREVER);
}

static int set_times(const char *path, const struct stat *attr, int to_set)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

	if (to_set & FUSE_SET_ATTR_ATIME)
		times[0] = attr->st_atim;
	if (to_set & FUSE_SET_ATTR_MTIME)
		times[1] = attr->st_mtim;
	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static void op_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	const char *path = inode_path(ino);
	int r = 0;

	if (to_set & FUSE_SET_ATTR_MODE)
		r = chmod(path, attr->st_mode & 07777);
	if (r == 0 && (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)))
		r = lchown(path, to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1,
			to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1);
	if (r == 0 && (to_set & FUSE_SET_ATTR_SIZE))
		r = truncate(path, attr->st_size);
	if (r == 0 && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)))
		r = set_times(path, attr, to_set);
	if (r < 0)
		fuse_reply_err(req, errno);
	else
		op_getattr(req, ino, fi);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[PATH_MAX];
	ssize_t length = readlink(inode_path(ino), target, sizeof(target) - 1);

	if (length < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	target[length] = '\0';
	fuse_reply_readlink(req, target);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	char path[PATH_MAX];

	if (mkdir(inode_child(path, parent, name), mode) < 0)
		fuse_reply_err(req, errno);
	else
		reply_entry(req, path);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	char path[PATH_MAX];

	if (symlink(target, inode_child(path, parent, name)) < 0)
		fuse_reply_err(req, errno);
	else
		reply_entry(req, path);
}

static void remove_child(
	fuse_req_t req, fuse_ino_t parent, const char *name, int (*call)(const char *))
{
	char path[PATH_MAX];

	if (call(inode_child(path, parent, name)) < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	inode_gone(path);
	fuse_reply_err(req, 0);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_child(req, parent, name, unlink);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_child(req, parent, name, rmdir);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned int flags)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (flags & RENAME_EXCHANGE) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	if (renameat2(AT_FDCWD, inode_child(from, parent, name), AT_FDCWD,
		    inode_child(to, new_parent, new_name), flags) < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	inode_moved(from, to);
	fuse_reply_err(req, 0);
}

/* An open file. What is opened for reading only may never be read: the kernel may have it all. */
struct file {
	_Atomic int fd; /* -1: not yet */
};

static struct file *new_file(int fd)
{
	struct file *file = malloc(sizeof(*file));

	if (!file)
		err(1, "malloc");
	file->fd = fd;
	return file;
}

static struct file *file_of(const struct fuse_file_info *fi)
{
	return (struct file *)fi->fh; /* NOLINT(performance-no-int-to-ptr) */
}

static void close_file(struct file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

static int fd_of(const struct fuse_file_info *fi, fuse_ino_t ino)
{
	struct file *file = file_of(fi);
	int none = -1, fd = file->fd;

	if (fd >= 0)
		return fd;
	fd = open(inode_path(ino), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || atomic_compare_exchange_strong(&file->fd, &none, fd))
		return fd;
	close(fd);
	return none;
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	bool reads = (fi->flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY;
	/* The kernel says where what is appended goes. */
	int fd = reads ? -1
		       : open(inode_path(ino), (fi->flags & ~(O_NOFOLLOW | O_APPEND)) | O_CLOEXEC);

	if (fd < 0 && !reads) {
		fuse_reply_err(req, errno);
		return;
	}
	fi->fh = (uint64_t)new_file(fd);
	fi->keep_cache = 1;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) != 0)
		close_file(file_of(fi));
}

static void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	char path[PATH_MAX];
	int r, fd = open(inode_child(path, parent, name), fi->flags | O_CREAT | O_CLOEXEC, mode);

	if (fd < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	r = entry_of(path, &entry);
	if (r < 0) {
		close(fd);
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = (uint64_t)new_file(fd);
	fi->noflush = 1;
	if (fuse_reply_create(req, &entry, fi) != 0)
		close_file(file_of(fi));
}

static void op_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	static _Thread_local char *data;
	ssize_t got;

	if (!data && !(data = malloc(READ_MAX)))
		err(1, "malloc");
	got = pread(fd_of(fi, ino), data, size < READ_MAX ? size : READ_MAX, offset);
	if (got < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_buf(req, data, (size_t)got);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	ssize_t put = pwrite(fd_of(fi, ino), data, size, offset);

	if (put < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)put);
}

static void op_copy_file_range(fuse_req_t req, fuse_ino_t in_ino, off_t in_offset,
	struct fuse_file_info *in, fuse_ino_t out_ino, off_t out_offset, struct fuse_file_info *out,
	size_t size, int flags)
{
	ssize_t put = copy_file_range(fd_of(in, in_ino), &in_offset, fd_of(out, out_ino),
		&out_offset, size, (unsigned)flags);

	if (put < 0)
		fuse_reply_err(req, errno);
	else
		fuse_reply_write(req, (size_t)put);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
	int fd = fd_of(fi, ino);

	reply_result(req, data_only ? fdatasync(fd) : fsync(fd));
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	close_file(file_of(fi));
	fuse_reply_err(req, 0);
}

/* Who asks with no room wants the length. */
static void reply_xattr(fuse_req_t req, const char *data, ssize_t length, size_t room)
{
	if (length < 0)
		fuse_reply_err(req, errno);
	else if (room == 0)
		fuse_reply_xattr(req, (size_t)length);
	else
		fuse_reply_buf(req, data, (size_t)length);
}

/* A file system that keeps xattrs is asked for them, before each first write for one. */
static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char value[XATTR_SIZE_MAX];
	ssize_t length = lgetxattr(
		inode_path(ino), name, value, size < sizeof(value) ? size : sizeof(value));

	reply_xattr(req, value, length, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char names[XATTR_LIST_MAX];
	ssize_t length =
		llistxattr(inode_path(ino), names, size < sizeof(names) ? size : sizeof(names));

	reply_xattr(req, names, length, size);
}

static void op_setxattr(
	fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	reply_result(req, lsetxattr(inode_path(ino), name, value, size, flags));
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	reply_result(req, lremovexattr(inode_path(ino), name));
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	DIR *dir = opendir(inode_path(ino));

	if (!dir) {
		fuse_reply_err(req, errno);
		return;
	}
	fi->fh = (uint64_t)dir;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) != 0)
		closedir(dir);
}

/* One entry into the buffer; 0 when it does not fit. */
static size_t add_entry(fuse_req_t req, fuse_ino_t ino, const struct dirent *found, off_t next,
	char *data, size_t size)
{
	struct fuse_entry_param entry = {
		.attr = {.st_ino = found->d_ino, .st_mode = (mode_t)found->d_type << 12}};
	bool is_dots = strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0;
	char path[PATH_MAX];
	size_t used;

	if (!is_dots && entry_of(inode_child(path, ino, found->d_name), &entry) < 0)
		is_dots = true; /* gone meanwhile: the name alone */
	used = fuse_add_direntry_plus(req, data, size, found->d_name, &entry, next);
	if (used > size) {
		if (!is_dots)
			inode_forget(entry.ino, 1);
		return 0;
	}
	return used;
}

static void op_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	DIR *dir = (DIR *)fi->fh; /* NOLINT(performance-no-int-to-ptr) */
	char *data = malloc(size);
	const struct dirent *found;
	size_t used = 0, now;

	if (!data)
		err(1, "malloc");
	if (offset != telldir(dir))
		seekdir(dir, offset);
	while ((offset = telldir(dir), found = readdir(dir))) {
		now = add_entry(req, ino, found, telldir(dir), data + used, size - used);
		if (now == 0) {
			seekdir(dir, offset);
			break;
		}
		used += now;
	}
	fuse_reply_buf(req, data, used);
	free(data);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	closedir((DIR *)fi->fh); /* NOLINT(performance-no-int-to-ptr) */
	fuse_reply_err(req, 0);
}

static void op_init(void *data, struct fuse_conn_info *conn)
{
	(void)data;
	conn->want &= ~(unsigned int)FUSE_CAP_READDIRPLUS_AUTO;
	conn->want |= conn->capable & (FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_POSIX_ACL);
}

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mkdir = op_mkdir,
	.symlink = op_symlink,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.copy_file_range = op_copy_file_range,
	.fsync = op_fsync,
	.release = op_release,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
	.opendir = op_opendir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
};

/* --- the connection --- */

/*
 * libfuse 3.14 does not know FUSE_HANDLE_KILLPRIV_V2, without which the kernel asks for
 * security.capability before each write(2): it is put into the answer to INIT, which is the first.
 */
static bool has_offered, has_answered;

static ssize_t read_request(int fd, void *buf, size_t size, void *data)
{
	const struct fuse_in_header *header = buf;
	const struct fuse_init_in *in = (const struct fuse_init_in *)(header + 1);
	ssize_t n = read(fd, buf, size);

	(void)data;
	if (n >= (ssize_t)(sizeof(*header) + sizeof(*in)) && header->opcode == FUSE_INIT)
		has_offered = in->flags & FUSE_HANDLE_KILLPRIV_V2;
	return n;
}

static ssize_t write_answer(int fd, struct iovec *iov, int count, void *data)
{
	(void)data;
	if (!has_answered && has_offered && count > 1)
		((struct fuse_init_out *)iov[1].iov_base)->flags |= FUSE_HANDLE_KILLPRIV_V2;
	has_answered = true;
	return answer_write(fd, iov, count);
}

static int connect_through(struct fuse_session *session)
{
	static const struct fuse_custom_io io = {.writev = write_answer, .read = read_request};

	return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

int main(int argc, char **argv)
{
	char option[] = "-o", options[] = "default_permissions,allow_other,fsname=bench-floor";
	char *words[] = {argv[0], option, options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, words);
	struct fuse_session *session;
	struct loop loop = {.fuse = NULL};

	if (argc != 3)
		errx(2, "usage: bench-floor DIRECTORY MOUNTPOINT");
	session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (!session || fuse_session_mount(session, argv[2]) != 0 || connect_through(session) != 0)
		return 1;
	fuse_daemonize(0);
	if (chdir(argv[1]) < 0)
		err(1, "%s", argv[1]);
	umask(0);
	inodes_init();
	loop_init(&loop, session, (unsigned)get_nprocs());
	loop_run(&loop);
	loop_destroy(&loop);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return 0;
}
