/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <git-overlayfs/oci.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/policy.h"
#include "util/cleanup.h"
#include "util/fully.h"

static int check_file(int fd, bool is_rootful, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "fstat");
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "no regular file");
	return engine_check_file(is_rootful, &st, err);
}

static int read_all(int fd, char **ret_text, size_t *ret_size, struct error *err)
{
	_cleanup_free_ char *text = malloc(POLICY_FILE_MAX + 1);
	ssize_t size;

	if (!text)
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	size = read_fully(fd, text, POLICY_FILE_MAX + 1);
	if (size < 0)
		return error_set_errno(err, (int)-size, EXIT_STATUS_FAILED, "read");
	if (size > POLICY_FILE_MAX)
		return error_set(
			err, EFBIG, EXIT_STATUS_FAILED, "longer than %u bytes", POLICY_FILE_MAX);
	*ret_text = steal_ptr(&text);
	*ret_size = (size_t)size;
	return 0;
}

int policy_read(const char *path, bool is_rootful, struct policy **ret_policy, struct error *err)
{
	/* A FIFO in its place must not make us wait. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	struct policy *policy = NULL;
	size_t size = 0;
	int r = 0;

	if (fd < 0 && errno != ENOENT)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "policy %s", path);
	if (fd >= 0)
		r = check_file(fd, is_rootful, err);
	if (fd >= 0 && !r)
		r = read_all(fd, &text, &size, err);
	if (!r)
		r = policy_parse(text, size, is_rootful, &policy, err);
	if (r < 0)
		return error_prefix(err, "policy %s", path);
	policy->path = strdup(path);
	if (!policy->path) {
		policy_free(policy);
		return error_set(err, ENOMEM, EXIT_STATUS_FAILED, "policy %s: out of memory", path);
	}
	*ret_policy = policy;
	return 0;
}
