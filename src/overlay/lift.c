/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "overlay/lift.h"

#include <errno.h>
#include <fcntl.h>

#include "overlay/call.h"
#include "util/cleanup.h"

int lift_begin(int fd, mode_t bits, struct lift *ret_lift)
{
	struct stat st;
	int r = call_fstat(fd, &st);

	*ret_lift = (struct lift){.fd = -1};
	if (r < 0)
		return r;
	if ((st.st_mode & bits) == bits)
		return -EACCES;
	r = call_chmod(fd, (st.st_mode & 07777) | bits);
	if (r < 0)
		return r == -EPERM ? -EACCES : r;
	*ret_lift = (struct lift){.fd = fd, .mode = st.st_mode & 07777};
	return 0;
}

int lift_end(struct lift *lift)
{
	int r = lift->fd < 0 ? 0 : call_chmod(lift->fd, lift->mode);

	lift->fd = -1;
	return r;
}

static mode_t needed(int flags)
{
	if (flags & O_DIRECTORY)
		return 0500;
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return 0400;
	case O_WRONLY:
		return 0200;
	default:
		return 0600;
	}
}

int lift_reopen(int fd, int flags)
{
	struct lift lift;
	int r, opened = call_reopen(fd, flags);

	if (opened != -EACCES)
		return opened;
	r = lift_begin(fd, needed(flags), &lift);
	if (r < 0)
		return r;
	opened = call_reopen(fd, flags);
	r = lift_end(&lift);
	if (r < 0 && opened >= 0)
		close_keep_errno(opened);
	return r < 0 ? r : opened;
}

int lift_openat(int dir_fd, const char *name, int flags)
{
	_cleanup_close_ int path_fd = -1;
	int fd = call_openat(dir_fd, name, flags | O_NOFOLLOW, 0);

	if (fd != -EACCES || flags & O_PATH)
		return fd;
	path_fd = call_openat(dir_fd, name, O_PATH | O_NOFOLLOW, 0);
	return path_fd < 0 ? -EACCES : lift_reopen(path_fd, flags);
}

int lift_opendir(int dir_fd, DIR **ret_stream)
{
	struct lift lift;
	int back, r = call_opendir(dir_fd, ret_stream);

	if (r != -EACCES)
		return r;
	r = lift_begin(dir_fd, 0500, &lift);
	if (r < 0)
		return r;
	r = call_opendir(dir_fd, ret_stream);
	back = lift_end(&lift);
	if (r == 0 && back < 0) {
		closedir(*ret_stream);
		*ret_stream = NULL;
	}
	return r < 0 ? r : back;
}
