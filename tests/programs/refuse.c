/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refuse SYSCALL[:ARGUMENT=VALUE] ERROR ... -- COMMAND...: runs the command where a filter refuses
 * these calls, as a container's profile does, or a kernel that does not have them. ERROR is the
 * name of an errno, or KILL.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERRNO_MAX 200

static uint32_t action_of(const char *error)
{
	if (!strcmp(error, "KILL"))
		return SCMP_ACT_KILL_PROCESS;
	for (int i = 1; i < ERRNO_MAX; i++) {
		const char *name = strerrorname_np(i);

		if (name && !strcmp(name, error))
			return SCMP_ACT_ERRNO((unsigned)i);
	}
	return SCMP_ACT_ALLOW;
}

static int add_rule(scmp_filter_ctx filter, char *call, const char *error)
{
	char *colon = strchr(call, ':');
	uint32_t action = action_of(error);
	struct scmp_arg_cmp comparison = {.op = SCMP_CMP_MASKED_EQ, .datum_a = UINT32_MAX};
	int number;

	if (colon)
		*colon++ = '\0';
	number = seccomp_syscall_resolve_name(call);
	if (number == __NR_SCMP_ERROR || action == SCMP_ACT_ALLOW)
		return -EINVAL;
	if (!colon)
		return seccomp_rule_add_array(filter, action, number, 0, NULL);
	comparison.arg = (unsigned)strtoul(colon, &colon, 10);
	if (*colon != '=')
		return -EINVAL;
	comparison.datum_b = strtoull(colon + 1, NULL, 0);
	return seccomp_rule_add_array(filter, action, number, 1, &comparison);
}

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int i = 1, r = filter ? 0 : -ENOMEM;

	for (; r == 0 && i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2)
		r = add_rule(filter, argv[i], argv[i + 1]);
	if (r == 0 && i + 1 < argc && !strcmp(argv[i], "--"))
		r = seccomp_load(filter);
	else if (r == 0)
		r = -EINVAL;
	if (r == 0) {
		execvp(argv[i + 1], argv + i + 1);
		r = -errno;
	}
	fprintf(stderr, "refuse: %s: %s\n", i < argc ? argv[i] : "usage", strerror(-r));
	return 125;
}
