/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"

static void write_string(struct json_writer *writer, const char *key, const char *value)
{
	json_write_key(writer, key);
	json_write_string(writer, value);
}

/* The daemon's numbers may be anything. */
static void write_number(struct json_writer *writer, const char *key, uint64_t value)
{
	json_write_key(writer, key);
	json_write_integer(writer, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static void write_opens(struct json_writer *writer, const struct session_counters *counters)
{
	json_write_key(writer, "opens");
	json_write_object_begin(writer);
	write_number(writer, "passthrough", counters->passthrough_opens);
	json_write_key(writer, "plain");
	json_write_object_begin(writer);
	for (size_t i = 0; i < SESSION_PLAIN_REASONS; i++)
		write_number(writer, stats_plain_names[i], counters->plain_opens[i]);
	json_write_object_end(writer);
	json_write_object_end(writer);
}

static void write_requests(const struct stats *stats, struct json_writer *writer)
{
	json_write_key(writer, "requests");
	json_write_object_begin(writer);
	write_number(writer, "total", stats_requests(stats));
	for (unsigned i = 0; i < SESSION_REQUESTS; i++)
		if (stats_request_name(i) && stats->counters.session.requests[i])
			write_number(
				writer, stats_request_name(i), stats->counters.session.requests[i]);
	json_write_object_end(writer);
}

static void write_changes(const struct changes *changes, struct json_writer *writer)
{
	json_write_key(writer, "changes");
	json_write_object_begin(writer);
	write_number(writer, "files", changes->files);
	write_number(writer, "directories", changes->directories);
	write_number(writer, "removed", changes->removed);
	write_number(writer, "bytes", changes->bytes);
	json_write_object_end(writer);
}

static void write_counters(const struct stats *stats, struct json_writer *writer)
{
	const struct session_counters *counters = &stats->counters.session;

	write_string(writer, "data_path", stats_data_path(stats));
	write_string(writer, "reason", stats_reason(stats));
	write_opens(writer, counters);
	write_number(writer, "registrations", counters->registrations);
	write_number(writer, "registered", counters->registrations - counters->unregistrations);
	write_requests(stats, writer);
	write_number(writer, "read_bytes", counters->read_bytes);
	write_number(writer, "written_bytes", counters->written_bytes);
}

void stats_write_json(const struct stats *stats, struct json_writer *writer)
{
	json_write_object_begin(writer);
	write_string(writer, "id", stats->info->id);
	json_write_key(writer, "alive");
	json_write_bool(writer, stats->info->alive);
	write_string(writer, "mountpoint", stats->info->mountpoint);
	write_string(writer, "source", stats->info->source);
	write_string(writer, "commit", stats->info->commit);
	if (stats->has_counters)
		write_counters(stats, writer);
	if (stats->has_changes)
		write_changes(&stats->changes, writer);
	json_write_object_end(writer);
}
