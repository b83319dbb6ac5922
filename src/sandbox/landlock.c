/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Landlock by the bare system calls: the C library has no wrappers, and older
 * kernel headers know fewer rights than the kernel that runs.
 */
#include "sandbox/steps.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "util/cleanup.h"

/* The same numbers on every architecture. */
#define NR_CREATE_RULESET 444
#define NR_ADD_RULE	  445
#define NR_RESTRICT_SELF  446

#define CREATE_RULESET_VERSION 1
#define RULE_PATH_BENEATH      1

enum fs_right {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_CHAR = 1 << 6,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_SOCK = 1 << 9,
	FS_MAKE_FIFO = 1 << 10,
	FS_MAKE_BLOCK = 1 << 11,
	FS_MAKE_SYM = 1 << 12,
	FS_REFER = 1 << 13,	/* since ABI 2 */
	FS_TRUNCATE = 1 << 14,	/* since ABI 3 */
	FS_IOCTL_DEV = 1 << 15, /* since ABI 5 */
};

#define NET_BIND_CONNECT_TCP (1 << 0 | 1 << 1) /* since ABI 4 */
#define SCOPE_SOCKET_SIGNAL  (1 << 0 | 1 << 1) /* since ABI 6 */

#define READ_RIGHTS (FS_READ_FILE | FS_READ_DIR)
/* All but execution and the ioctls of devices, which the daemon has no use for. */
#define WRITE_RIGHTS                                                                      \
	(READ_RIGHTS | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_CHAR |    \
		FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_BLOCK | \
		FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scope;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* What a kernel of this ABI can restrict; all of it is, and then some is granted. */
static struct ruleset rights_of_abi(long abi)
{
	struct ruleset rights = {.fs = FS_REFER - 1};

	if (abi >= 2)
		rights.fs |= FS_REFER;
	if (abi >= 3)
		rights.fs |= FS_TRUNCATE;
	if (abi >= 4)
		rights.net = NET_BIND_CONNECT_TCP;
	if (abi >= 5)
		rights.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		rights.scope = SCOPE_SOCKET_SIGNAL;
	return rights;
}

/* An older kernel wants no more bytes than it knows. */
static size_t size_of_abi(long abi)
{
	return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static int allow_below(int ruleset_fd, const int *fds, size_t count, uint64_t allowed)
{
	for (size_t i = 0; i < count; i++) {
		struct path_beneath rule = {.allowed = allowed, .parent_fd = fds[i]};

		if (syscall(NR_ADD_RULE, ruleset_fd, RULE_PATH_BENEATH, &rule, 0) < 0)
			return -errno;
	}
	return 0;
}

static int restrict_self(const struct sandbox_config *config, long abi)
{
	struct ruleset rights = rights_of_abi(abi);
	_cleanup_close_ int fd = -1;
	int r;

	fd = (int)syscall(NR_CREATE_RULESET, &rights, size_of_abi(abi), 0);
	if (fd < 0)
		return -errno;
	r = allow_below(fd, config->read_fds, config->read_count, READ_RIGHTS);
	if (!r)
		r = allow_below(
			fd, config->write_fds, config->write_count, WRITE_RIGHTS & rights.fs);
	if (!r && syscall(NR_RESTRICT_SELF, fd, 0) < 0)
		r = -errno;
	return r;
}

int sandbox_restrict_paths(const struct sandbox_config *config, struct error *err)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	int r;

	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) {
		/* EPERM: the seccomp filter of a container engine that does not know it. */
		log_info("the kernel has no Landlock (%s); going on without", error_name(errno));
		return 0;
	}
	if (abi < 0)
		return error_set_errno(err, errno, EXIT_STATUS_MACHINE, "Landlock");
	/* With ABI 1 a rename between two directories is always refused, with EXDEV. */
	if (abi == 1) {
		log_info("Landlock of this kernel cannot allow renames; going on without");
		return 0;
	}
	r = restrict_self(config, abi);
	if (r)
		return error_set_errno(err, -r, EXIT_STATUS_MACHINE, "Landlock (ABI %ld)", abi);
	return 0;
}
