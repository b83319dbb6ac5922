/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime.h"

#include "hook.h"

static int prepare(const struct runtime_arguments *arguments, struct error *err)
{
	struct runtime_hooks hooks;
	int r = runtime_hooks_read(&hooks, err);

	if (r < 0)
		return r;
	r = runtime_bundle_edit(arguments, &hooks, err);
	runtime_hooks_release(&hooks);
	return r;
}

/* Descriptors, signals, umask and directory stay as the engine left them for its runtime. */
int main(int argc, char **argv)
{
	struct runtime_arguments arguments;
	struct error err = {0};
	int r = 0;

	clock_start(0); /* reading has an end */
	runtime_arguments_parse(argc, argv, &arguments);
	if (runtime_arguments_create(&arguments))
		r = prepare(&arguments, &err);
	if (!r)
		runtime_exec(argv, &err);
	runtime_report(&arguments, &err);
	return (int)err.status;
}
