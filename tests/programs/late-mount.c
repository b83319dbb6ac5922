/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linked into a copy of the program that is never installed, with --wrap=request_join: a mount that
 * has seen that there is no workspace of its id, makes the file LATE_LOOKED, and goes on when the
 * file LATE_GO is there. What happens in between it does not know.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/mount-internal.h"

int __real_request_join(struct request *request, struct error *err);
int __wrap_request_join(struct request *request, struct error *err);

int __wrap_request_join(struct request *request, struct error *err)
{
	static const struct timespec pause = {.tv_nsec = 5000000};
	const char *looked = getenv("LATE_LOOKED"), *go = getenv("LATE_GO");
	int r = __real_request_join(request, err);

	if (r != 0 || !looked || !go || access(looked, F_OK) == 0)
		return r;
	close(open(looked, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	while (access(go, F_OK) < 0)
		nanosleep(&pause, NULL);
	return r;
}
