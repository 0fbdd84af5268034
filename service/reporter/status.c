// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/status.h"

#include "service/reporter/json-text.h"

#define GREEN "\033[1;32m"
#define RED "\033[1;31m"
#define PLAIN "\033[0m"

static const char *word(const char *problem)
{
    return problem ? "failure" : "success";
}

static void write_word(FILE *stream, const char *label, const char *problem, bool coloured)
{
    const char *colour = problem ? RED : GREEN;

    fprintf(stream, "%s: %s%s%s\n", label, coloured ? colour : "", word(problem), coloured ? PLAIN : "");
}

/* A section's name comes from a file: it must not drive the terminal. */
static void write_name(FILE *stream, const char *name)
{
    for (; *name; name++)
        fputc((unsigned char)*name < ' ' || *name == 0x7f ? '?' : *name, stream);
}

void status_write_text(FILE *stream, const Mapping *mapping, const MappingStatus *status, bool coloured)
{
    fputs("Configuration Name: ", stream);
    write_name(stream, mapping->name);
    fputc('\n', stream);
    write_word(stream, "Source Status", status->source_problem, coloured);
    write_word(stream, "Destination Status", status->destination_problem, coloured);
    fputc('\n', stream);
}

static void begin_member(FILE *stream, const char *name, bool first)
{
    fprintf(stream, "%s\n                \"%s\": ", first ? "" : ",", name);
}

static void write_member(FILE *stream, const char *name, const char *value, bool first)
{
    begin_member(stream, name, first);
    if (value)
        json_text_write_string(stream, value);
    else
        fputs("null", stream);
}

static void write_time(FILE *stream, const char *name, uint64_t usec)
{
    g_autoptr(GDateTime) time = usec ? g_date_time_new_from_unix_utc((gint64)(usec / USEC_PER_SECOND)) : NULL;
    g_autofree char *text = time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC") : g_strdup("none");

    write_member(stream, name, text, false);
}

static void write_count(FILE *stream, const char *name, unsigned count)
{
    begin_member(stream, name, false);
    fprintf(stream, "%u", count);
}

static void write_source(FILE *stream, const MappingStatus *status)
{
    fputs("            \"source\": {", stream);
    write_member(stream, "connection", status->source_connection, true);
    write_member(stream, "status", word(status->source_problem), false);
    if (status->source_problem)
        write_member(stream, "message", status->source_problem, false);
    write_time(stream, "last_successful_retrieve", status->last_retrieve);
    if (!status->source_problem) {
        write_count(stream, "hypervisors", status->hypervisors);
        write_count(stream, "guests", status->guests);
    }
    fputs("\n            }", stream);
}

static void write_destination(FILE *stream, const MappingStatus *status)
{
    fputs("            \"destination\": {", stream);
    write_member(stream, "connection", status->destination_connection, true);
    write_member(stream, "status", word(status->destination_problem), false);
    if (status->destination_problem)
        write_member(stream, "message", status->destination_problem, false);
    write_time(stream, "last_successful_send", status->last_send);
    write_member(stream, "last_successful_send_job_status", status->last_job_status ?: "none", false);
    fputs("\n            }", stream);
}

void status_begin_json(FILE *stream)
{
    fputs("{\n    \"configurations\": [", stream);
}

void status_write_json(FILE *stream, const Mapping *mapping, const MappingStatus *status, bool first)
{
    fputs(first ? "\n        {\n            \"name\": " : ",\n        {\n            \"name\": ", stream);
    json_text_write_string(stream, mapping->name);
    fputs(",\n", stream);
    write_source(stream, status);
    fputs(",\n", stream);
    write_destination(stream, status);
    fputs("\n        }", stream);
}

void status_end_json(FILE *stream, bool empty)
{
    fputs(empty ? "]\n}\n" : "\n    ]\n}\n", stream);
}
