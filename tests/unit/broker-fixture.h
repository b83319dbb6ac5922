/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A broker on a real connection of FUSE, and files for it to register. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/control.h"
#include "host/passthrough.h"
#include "host/rights.h"
#include "supervisor/broker.h"
#include "util/cleanup.h"

static char top[] = "/var/tmp/unit-broker.XXXXXX";
static int top_fd;

/* One broker and what its daemon holds. */
struct place {
	struct broker broker;
	int socket_fd; /* the daemon's end */
	int fuse_fd, mount_fd;
};

static inline bool can_register(void)
{
	struct error err = {0};

	if (rights_in_initial_userns() && passthrough_try(&err) == 0)
		return true;
	print_message("no passthrough here: %s\n", err.text);
	return false;
}

/* `dir_fd` is where the upper lies: on so many file systems on top of each other. */
static inline int setup_at(void **state, pid_t daemon, int dir_fd, unsigned depth)
{
	struct place *place = calloc(1, sizeof(*place));
	struct broker_wish wish = {.daemon = daemon,
		.upper_fd = dir_fd,
		.work_fd = dir_fd,
		.seccomp = SECCOMP_MODE_KILL};
	struct error err = {0};
	int fds[2];

	*state = place;
	place->broker = (struct broker){.pidfd = -1, .setup_fd = -1};
	place->socket_fd = place->fuse_fd = place->mount_fd = -1;
	if (!can_register())
		return 0;
	if (control_pair(fds, &err) < 0 ||
		passthrough_connect(depth, &place->fuse_fd, &place->mount_fd, &err) < 0)
		fail_msg("%s", err.text);
	place->socket_fd = fds[0];
	wish.daemon_fd = fds[1];
	if (broker_start(&wish, &place->broker, &err) < 0)
		fail_msg("%s", err.text);
	close(fds[1]);
	if (broker_give_device(&place->broker, place->fuse_fd, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static inline int setup_for(void **state, pid_t daemon)
{
	return setup_at(state, daemon, top_fd, 1);
}

static inline int setup(void **state)
{
	return setup_for(state, getpid());
}

static inline int teardown(void **state)
{
	struct place *place = *state;

	close_keep_errno(place->socket_fd);
	broker_end(&place->broker);
	close_keep_errno(place->fuse_fd);
	close_keep_errno(place->mount_fd);
	free(place);
	return 0;
}

static inline struct place *place_of(void **state)
{
	struct place *place = *state;

	if (place->fuse_fd < 0)
		skip();
	return place;
}

static inline int open_file(const char *name, int flags)
{
	int fd = openat(top_fd, name, flags | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	return fd;
}

static inline int open_path_of_secret(void)
{
	close(open_file("secret", O_RDWR));
	return openat(top_fd, "secret", O_PATH | O_CLOEXEC);
}

static inline int make_top(void **state)
{
	if (!mkdtemp(top))
		return -1;
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top_fd < 0 ? -1 : 0;
}

static inline int remove_top(void **state)
{
	static const char *const names[] = {"file", "secret", "fifo"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(top_fd, names[i], 0);
	close(top_fd);
	return rmdir(top);
}
