/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the threads of a loop do: take requests and serve them. `data` is their struct loop. */
#pragma once

#include <stdbool.h>

struct loop;

/* A server, until the loop ends; it begins active. */
void *server_run(void *data);
/* The near one. It begins when a server puts it in its place. */
void *server_run_near(void *data);

/* Another takes the near server's place, if it serves. Its own thread may call it, or the overseer.
 */
bool server_replace_near(struct loop *loop);
/* A request waits to be taken. */
bool server_is_wanted(struct loop *loop);
