/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sandbox/steps.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <git-overlayfs/log.h>

#include "sandbox/seccomp-table.h"
#include "util/cleanup.h"

/* A binary tree of comparisons instead of a list: the same cost for every call. */
#define OPTIMIZE_BINARY_TREE 2

static const char *const mode_names[] = {
	[SECCOMP_MODE_KILL] = "kill",
	[SECCOMP_MODE_TRAP] = "trap",
	[SECCOMP_MODE_LOG] = "log",
	[SECCOMP_MODE_OFF] = "off",
};

int seccomp_mode_parse(const char *text, enum seccomp_mode *ret_mode, struct error *err)
{
	for (size_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++)
		if (strcmp(text, mode_names[i]) == 0) {
			*ret_mode = (enum seccomp_mode)i;
			return 0;
		}
	return error_set(err, EINVAL, EXIT_STATUS_USAGE,
		"seccomp: '%s' is none of kill, trap, log and off", text);
}

/* Appends a decimal number; snprintf(3) is not async-signal-safe. */
static size_t put_number(char *out, unsigned number)
{
	char digits[12];
	size_t n = 0, written = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10));
	while (n)
		out[written++] = digits[--n];
	return written;
}

/* Says which call it was, then lets the signal do what it does. */
static void on_forbidden_call(int signal_number, siginfo_t *info, void *context)
{
	static const char words[] = "git-overlayfs: seccomp: forbidden system call ";
	char line[sizeof(words) + 16];
	size_t n = sizeof(words) - 1;

	memcpy(line, words, n);
	n += put_number(line + n, (unsigned)info->si_syscall);
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, n);
	/* Blocked here, so it is delivered, and ends the process, at the return. */
	signal(signal_number, SIG_DFL);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal_number);
}

static int install_handler(void)
{
	struct sigaction action = {
		.sa_sigaction = on_forbidden_call,
		.sa_flags = SA_SIGINFO,
	};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		return -errno;
	return 0;
}

static uint32_t action_of(enum call_verdict verdict)
{
	switch (verdict) {
	case CALL_ENOSYS:
		return SCMP_ACT_ERRNO(ENOSYS);
	case CALL_ENOTTY:
		return SCMP_ACT_ERRNO(ENOTTY);
	case CALL_EROFS:
		return SCMP_ACT_ERRNO(EROFS);
	default:
		return SCMP_ACT_ALLOW;
	}
}

static struct scmp_arg_cmp comparison_of(const struct call_argument *argument)
{
	if (argument->test == TEST_OWN_PID)
		return SCMP_CMP64(
			argument->index, SCMP_CMP_MASKED_EQ, 0xffffffffu, (scmp_datum_t)getpid());
	return SCMP_CMP64(argument->index, SCMP_CMP_MASKED_EQ, argument->mask, argument->value);
}

static int add_rule(scmp_filter_ctx filter, const struct call_rule *rule)
{
	struct scmp_arg_cmp comparisons[CALL_ARGUMENTS_MAX];
	int number = seccomp_syscall_resolve_name(rule->name);
	unsigned count = 0;

	if (number == __NR_SCMP_ERROR)
		number = rule->number ? rule->number : -1;
	/* A call that this architecture does not have. */
	if (number < 0)
		return 0;
	for (size_t i = 0; i < CALL_ARGUMENTS_MAX; i++)
		if (rule->arguments[i].test != TEST_NONE)
			comparisons[count++] = comparison_of(&rule->arguments[i]);
	return seccomp_rule_add_array(filter, action_of(rule->verdict), number, count, comparisons);
}

static int set_attributes(scmp_filter_ctx filter)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (!r)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Slower without, and nothing else. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_BINARY_TREE);
	return r;
}

static int load(scmp_filter_ctx filter, const struct call_table *table)
{
	int r = set_attributes(filter);

	for (size_t i = 0; !r && i < table->count; i++)
		r = add_rule(filter, &table->rules[i]);
	return r ? r : seccomp_load(filter);
}

static void filter_releasep(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

static uint32_t default_action(enum seccomp_mode mode)
{
	switch (mode) {
	case SECCOMP_MODE_TRAP:
		return SCMP_ACT_TRAP;
	case SECCOMP_MODE_LOG:
		return SCMP_ACT_LOG;
	default:
		return SCMP_ACT_KILL_PROCESS;
	}
}

int sandbox_filter_calls(enum seccomp_mode mode, const struct call_table *table, struct error *err)
{
	_cleanup_(filter_releasep) scmp_filter_ctx filter = NULL;
	int r = mode == SECCOMP_MODE_TRAP ? install_handler() : 0;

#ifdef SANDBOX_UNDER_SANITIZER
	/* A sanitizer's run-time makes calls of its own, up to ptrace(2) at the end. */
	mode = SECCOMP_MODE_OFF;
#endif
	if (mode == SECCOMP_MODE_OFF) {
		log_info("no seccomp filter");
		return 0;
	}
	filter = seccomp_init(default_action(mode));
	if (!filter)
		return error_set_errno(err, ENOMEM, EXIT_STATUS_MACHINE, "seccomp");
	if (!r)
		r = load(filter, table);
	if (r)
		return error_set_errno(
			err, -r, EXIT_STATUS_MACHINE, "cannot install the seccomp filter");
	return 0;
}
