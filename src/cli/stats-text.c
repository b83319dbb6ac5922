/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "printable.h"
#include "util/cleanup.h"

/* As many of the most frequent requests are shown. */
#define SHOWN 6

const char *const stats_plain_names[SESSION_PLAIN_REASONS] = {
	[SESSION_PLAIN_OFF] = "off",
	[SESSION_PLAIN_LOWER] = "lower",
	[SESSION_PLAIN_FILE] = "bound",
	[SESSION_PLAIN_CACHED] = "cached",
	[SESSION_PLAIN_REFUSED] = "refused",
	[SESSION_PLAIN_NEW] = "new",
	[SESSION_PLAIN_SMALL] = "small",
};

/* For people, behind "by the daemon". */
static const char *const plain_words[SESSION_PLAIN_REASONS] = {
	[SESSION_PLAIN_OFF] = "without passthrough",
	[SESSION_PLAIN_LOWER] = "of a layer",
	[SESSION_PLAIN_FILE] = "that must be counted",
	[SESSION_PLAIN_CACHED] = "open so already",
	[SESSION_PLAIN_REFUSED] = "refused",
	[SESSION_PLAIN_NEW] = "new, and probably small",
	[SESSION_PLAIN_SMALL] = "small",
};

/* The last two are younger than many headers. */
static const char *const request_names[SESSION_REQUESTS] = {
	[FUSE_LOOKUP] = "lookup",
	[FUSE_FORGET] = "forget",
	[FUSE_GETATTR] = "getattr",
	[FUSE_SETATTR] = "setattr",
	[FUSE_READLINK] = "readlink",
	[FUSE_SYMLINK] = "symlink",
	[FUSE_MKNOD] = "mknod",
	[FUSE_MKDIR] = "mkdir",
	[FUSE_UNLINK] = "unlink",
	[FUSE_RMDIR] = "rmdir",
	[FUSE_RENAME] = "rename",
	[FUSE_LINK] = "link",
	[FUSE_OPEN] = "open",
	[FUSE_READ] = "read",
	[FUSE_WRITE] = "write",
	[FUSE_STATFS] = "statfs",
	[FUSE_RELEASE] = "release",
	[FUSE_FSYNC] = "fsync",
	[FUSE_SETXATTR] = "setxattr",
	[FUSE_GETXATTR] = "getxattr",
	[FUSE_LISTXATTR] = "listxattr",
	[FUSE_REMOVEXATTR] = "removexattr",
	[FUSE_FLUSH] = "flush",
	[FUSE_INIT] = "init",
	[FUSE_OPENDIR] = "opendir",
	[FUSE_READDIR] = "readdir",
	[FUSE_RELEASEDIR] = "releasedir",
	[FUSE_FSYNCDIR] = "fsyncdir",
	[FUSE_ACCESS] = "access",
	[FUSE_CREATE] = "create",
	[FUSE_INTERRUPT] = "interrupt",
	[FUSE_IOCTL] = "ioctl",
	[FUSE_BATCH_FORGET] = "batch_forget",
	[FUSE_FALLOCATE] = "fallocate",
	[FUSE_READDIRPLUS] = "readdirplus",
	[FUSE_RENAME2] = "rename2",
	[FUSE_LSEEK] = "lseek",
	[FUSE_COPY_FILE_RANGE] = "copy_file_range",
	[51] = "tmpfile",
	[52] = "statx",
	[SESSION_REQUESTS - 1] = "other",
};

const char *stats_request_name(unsigned opcode)
{
	return request_names[opcode];
}

uint64_t stats_requests(const struct stats *stats)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SESSION_REQUESTS; i++)
		sum += stats->counters.session.requests[i];
	return sum;
}

uint64_t stats_plain_opens(const struct stats *stats)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SESSION_PLAIN_REASONS; i++)
		sum += stats->counters.session.plain_opens[i];
	return sum;
}

const char *stats_reason(const struct stats *stats)
{
	static char text[128];
	uint64_t error = stats->counters.session.passthrough_error;

	switch (stats->counters.passing) {
	case COUNTERS_MAY_PASS:
		break;
	case COUNTERS_OPTION:
		return "passthrough=off";
	case COUNTERS_READ_ONLY:
		return "a read-only mount";
	case COUNTERS_BOUND:
		return "writes are counted for size= and inodes=";
	case COUNTERS_RIGHTS:
		return "not root's mount";
	case COUNTERS_OPENS:
		return "opens=kernel";
	default:
		return "the broker could not be started";
	}
	if (!stats->counters.session.has_passthrough)
		return "the kernel has no FUSE passthrough";
	if (!error)
		return NULL;
	snprintf(text, sizeof(text), "files cannot be registered: %s",
		error_name(error < 4096 ? (int)error : EIO));
	return text;
}

const char *stats_data_path(const struct stats *stats)
{
	if (!stats_reason(stats))
		return "passthrough";
	return stats->counters.session.has_writeback ? "writeback" : "plain";
}

const char *stats_writeback_reason(const struct stats *stats)
{
	switch (stats->counters.collecting) {
	case COUNTERS_COLLECT_READ_ONLY:
		return "a read-only mount";
	case COUNTERS_COLLECT_BOUND:
		return "writes are counted for size= and inodes=";
	case COUNTERS_COLLECT_ROOM:
		return "less than 1 GiB was free";
	case COUNTERS_COLLECT_OPENS:
		return "opens=kernel";
	case COUNTERS_MAY_COLLECT:
		if (stats->counters.session.has_writeback)
			return NULL;
		return stats_reason(stats) ? "the kernel does not collect writes"
					   : "data is passed through";
	default:
		return NULL;
	}
}

static void print_size(const char *before, uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	printf(unit ? "%s%.1f %s" : "%s%.0f %s", before, value, units[unit]);
}

static void print_opens(const struct stats *stats)
{
	const struct session_counters *counters = &stats->counters.session;
	const char *before = " (";

	if (counters->has_kernel_opens) {
		puts("  opens     by the kernel alone");
		return;
	}
	printf("  opens     %" PRIu64 " passed through, %" PRIu64 " by the daemon",
		counters->passthrough_opens, stats_plain_opens(stats));
	for (size_t i = 0; i < SESSION_PLAIN_REASONS; i++) {
		if (!counters->plain_opens[i])
			continue;
		printf("%s%" PRIu64 " %s", before, counters->plain_opens[i], plain_words[i]);
		before = ", ";
	}
	puts(*before == ',' ? ")" : "");
	if (counters->registrations)
		printf("  files     %" PRIu64 " registered, of %" PRIu64 " registrations\n",
			counters->registrations - counters->unregistrations,
			counters->registrations);
}

/* The next smaller number, and among equal ones the next. */
static int next_request(const struct session_counters *counters, int last)
{
	int best = -1;

	for (int i = 0; i < SESSION_REQUESTS; i++) {
		uint64_t n = counters->requests[i];
		uint64_t most = best < 0 ? 0 : counters->requests[best];
		uint64_t bound = last < 0 ? UINT64_MAX : counters->requests[last];

		if (request_names[i] && n > most && (n < bound || (n == bound && i > last)))
			best = i;
	}
	return best;
}

static void print_requests(const struct stats *stats)
{
	const struct session_counters *counters = &stats->counters.session;
	int i = next_request(counters, -1);

	printf("  requests  %" PRIu64, stats_requests(stats));
	for (int shown = 0; i >= 0 && shown < SHOWN; shown++) {
		printf("%s %s %" PRIu64, shown ? "," : ":", request_names[i],
			(uint64_t)counters->requests[i]);
		i = next_request(counters, i);
	}
	puts(i >= 0 ? ", ..." : "");
	print_size("  bytes     ", counters->read_bytes);
	print_size(" read and ", counters->written_bytes);
	puts(" written by the daemon");
}

static void print_changes(const struct changes *changes)
{
	printf("  changes   %" PRIu64 " files, %" PRIu64 " directories, %" PRIu64 " removed",
		changes->files, changes->directories, changes->removed);
	print_size(", ", changes->bytes);
	puts("");
}

static void print_line(const char *title, const char *text)
{
	_cleanup_free_ char *copy = printable(text, SIZE_MAX);

	printf("  %-8s  %s\n", title, copy ? copy : "");
}

static void print_data(const struct stats *stats)
{
	const char *reason = stats_reason(stats), *not_collected = stats_writeback_reason(stats);

	printf("  data      %s", stats_data_path(stats));
	if (reason)
		printf(" (%s)", reason);
	if (not_collected)
		printf(", writes are not collected (%s)", not_collected);
	puts("");
}

void stats_print(const struct stats *stats)
{
	printf("%s%s\n", stats->info->id, stats->info->alive ? "" : " (dead)");
	print_line("mount", stats->info->mountpoint);
	print_line("source", stats->info->source);
	print_line("commit", stats->info->commit);
	if (stats->has_counters) {
		print_data(stats);
		print_opens(stats);
		print_requests(stats);
	}
	if (stats->has_changes)
		print_changes(&stats->changes);
}
