/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"

static void write_opens(struct json_writer *writer, const struct session_counters *counters)
{
	json_write_key(writer, "opens");
	json_write_object_begin(writer);
	json_write_flag(writer, "kernel", counters->has_kernel_opens);
	json_write_count(writer, "passthrough", counters->passthrough_opens);
	json_write_key(writer, "plain");
	json_write_object_begin(writer);
	for (size_t i = 0; i < SESSION_PLAIN_REASONS; i++)
		json_write_count(writer, stats_plain_names[i], counters->plain_opens[i]);
	json_write_object_end(writer);
	json_write_object_end(writer);
}

static void write_requests(const struct stats *stats, struct json_writer *writer)
{
	json_write_key(writer, "requests");
	json_write_object_begin(writer);
	json_write_count(writer, "total", stats_requests(stats));
	for (unsigned i = 0; i < SESSION_REQUESTS; i++)
		if (stats_request_name(i) && stats->counters.session.requests[i])
			json_write_count(
				writer, stats_request_name(i), stats->counters.session.requests[i]);
	json_write_object_end(writer);
}

static void write_changes(const struct changes *changes, struct json_writer *writer)
{
	json_write_key(writer, "changes");
	json_write_object_begin(writer);
	json_write_count(writer, "files", changes->files);
	json_write_count(writer, "directories", changes->directories);
	json_write_count(writer, "removed", changes->removed);
	json_write_count(writer, "bytes", changes->bytes);
	json_write_object_end(writer);
}

static void write_counters(const struct stats *stats, struct json_writer *writer)
{
	const struct session_counters *counters = &stats->counters.session;

	json_write_text(writer, "data_path", stats_data_path(stats));
	json_write_text(writer, "reason", stats_reason(stats));
	json_write_text(writer, "writeback_reason", stats_writeback_reason(stats));
	write_opens(writer, counters);
	json_write_count(writer, "registrations", counters->registrations);
	json_write_count(writer, "registered", counters->registrations - counters->unregistrations);
	write_requests(stats, writer);
	json_write_count(writer, "read_bytes", counters->read_bytes);
	json_write_count(writer, "written_bytes", counters->written_bytes);
}

void stats_write_json(const struct stats *stats, struct json_writer *writer)
{
	json_write_object_begin(writer);
	json_write_text(writer, "id", stats->info->id);
	json_write_flag(writer, "alive", stats->info->alive);
	json_write_text(writer, "mountpoint", stats->info->mountpoint);
	json_write_text(writer, "source", stats->info->source);
	json_write_text(writer, "commit", stats->info->commit);
	if (stats->has_counters)
		write_counters(stats, writer);
	if (stats->has_changes)
		write_changes(&stats->changes, writer);
	json_write_object_end(writer);
}
