/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define CHUNK 65536

struct text {
	char *bytes;
	size_t size, room;
	bool too_long;
};

static int append(struct text *text, const char *bytes, size_t n, size_t max)
{
	if (n > max - text->size) {
		text->too_long = true;
		return 0;
	}
	if (text->size + n > text->room) {
		size_t room = 2 * (text->room + n);
		char *grown = realloc(text->bytes, room);

		if (!grown)
			return -ENOMEM;
		text->bytes = grown;
		text->room = room;
	}
	memcpy(text->bytes + text->size, bytes, n);
	text->size += n;
	return 0;
}

/* `spare` is what must be left for the rest of the work. */
static int wait_readable(int fd, int spare)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	int left = clock_work_left(HOOK_WORK_END_MS) - spare;
	int r = poll(&poller, 1, left > 0 ? left : 0);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

/* A writer that is not read to the end would block, or die of SIGPIPE, in the runtime. */
static int drain(int fd, size_t max, struct text *text)
{
	int spare = clock_work_left(HOOK_WORK_END_MS) - HOOK_INPUT_TIMEOUT_MS;
	char chunk[CHUNK];

	for (;;) {
		int r = wait_readable(fd, spare > 0 ? spare : 0);
		ssize_t n;

		if (r < 0)
			return r;
		n = read(fd, chunk, sizeof(chunk));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0 && !text->too_long)
			r = append(text, chunk, (size_t)n, max);
		if (r < 0)
			return r;
	}
}

static int take(struct text *text, int r, size_t max, char **ret_text, size_t *ret_size,
	const char *name, struct error *err)
{
	if (!r && !text->too_long) {
		*ret_text = text->bytes ? text->bytes : strdup("");
		*ret_size = text->size;
		return *ret_text ? 0 : error_set(err, ENOMEM, EXIT_STATUS_FAILED, "out of memory");
	}
	free(text->bytes);
	if (r < 0)
		return error_set_errno(err, -r, EXIT_STATUS_FAILED, "cannot read %s", name);
	return error_set(err, EFBIG, EXIT_STATUS_FAILED, "%s: longer than %zu bytes", name, max);
}

int input_read_stdin(size_t max, char **ret_text, size_t *ret_size, struct error *err)
{
	struct text text = {0};
	int r = drain(STDIN_FILENO, max, &text);

	return take(
		&text, r, max, ret_text, ret_size, "the container state on standard input", err);
}

int input_read_file(int dirfd, const char *path, int flags, size_t max, char **ret_text,
	size_t *ret_size, struct stat *ret_stat, struct error *err)
{
	/* A FIFO in its place must not make us wait. */
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	struct text text = {0};
	struct stat st;

	if (fd < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, EXIT_STATUS_FAILED, "cannot stat %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, EXIT_STATUS_FAILED, "%s: no regular file", path);
	if (ret_stat)
		*ret_stat = st;
	/* The size first: a huge file need not be read to be refused. */
	if (st.st_size > (off_t)max)
		text.too_long = true;
	return take(&text, text.too_long ? 0 : drain(fd, max, &text), max, ret_text, ret_size, path,
		err);
}
