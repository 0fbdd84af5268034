/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/pager.h"
#include "cli/guestbusctl/report.h"
#include "cli/guestbusctl/snapshot.h"
#include "cli/guestbusctl/table.h"
#include "cli/guestbusctl/text.h"
#include "service/cleanup.h"

#define IFACE_REPORTER BUS_INTERFACE("Reporter")

static int complain_no_reporter(void)
{
    complain("no reporter is running; 'systemctl start guestbus-reporter' starts it");
    return CTL_UNREACHABLE;
}

static int reporter_complain(const Ctl *ctl, const sd_bus_error *error, int r)
{
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT))
        return complain_no_reporter();
    return complain_call(ctl, NULL, error, r);
}

/* Calls a method of the reporter; its only option names one mapping, NULL for all of them. */
static int reporter_call(Ctl *ctl, const char *method, const char *mapping, json_object **ret_value)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    int r;

    r = ctl_new_call(ctl, BUS_REPORTER, IFACE_REPORTER, method, &call);
    if (r >= 0)
        r = mapping ? sd_bus_message_append(call, "a{sv}", 1, "mapping", "s", mapping)
                    : sd_bus_message_append(call, "a{sv}", 0);
    if (r < 0)
        return complain_internal(r);
    r = ctl_send(ctl, call, &reply, &error);
    if (r < 0)
        return reporter_complain(ctl, &error, r);
    r = json_read_value(reply, ret_value);
    return r < 0 ? complain_internal(r) : CTL_OK;
}

static void status_add(Table *table, json_object *mapping, const char *end)
{
    g_autofree char *connection = g_strconcat(end, "Connection", NULL),
                    *state = g_strconcat(end, "Status", NULL);
    g_autofree char *message = g_strconcat(end, "Message", NULL);
    const char *status = json_member_string(mapping, state);

    table_add(table, json_member_string(mapping, connection), COLOUR_NONE);
    table_add(table, *status ? status : "-", strcmp(status, "failure") == 0 ? COLOUR_BAD : COLOUR_GOOD);
    table_add(table, json_member_string(mapping, message), COLOUR_BAD);
}

static void mapping_row_add(Table *table, json_object *mapping)
{
    g_autofree char *retrieved = text_age(json_member_number(mapping, "LastRetrieve"), text_now());
    g_autofree char *sent = text_age(json_member_number(mapping, "LastSend"), text_now());
    g_autofree char *size =
        g_strdup_printf("%" PRIu64 "/%" PRIu64, json_member_number(mapping, "Hypervisors"),
                        json_member_number(mapping, "Guests"));
    const char *job = json_member_string(mapping, "LastJobStatus");

    table_add(table, json_member_string(mapping, "Name"), COLOUR_NONE);
    table_add(table, size, COLOUR_NONE);
    table_add(table, retrieved, COLOUR_NONE);
    table_add(table, sent, COLOUR_NONE);
    table_add(table, *job ? job : "-", COLOUR_NONE);
    status_add(table, mapping, "Source");
    status_add(table, mapping, "Destination");
}

static void status_print(Ctl *ctl, json_object *mappings, json_object *reporter)
{
    static const char *const titles[] = {"MAPPING",     ">HOSTS/GUESTS", "READ",    "SENT",
                                         "LAST JOB",    "SOURCE",        "STATE",   "MESSAGE",
                                         "DESTINATION", "STATE",         "MESSAGE", NULL};
    _cleanup_(table_freep) Table *table = table_new(titles, ctl->colour);
    g_autofree char *id = text_escape(json_member_string(reporter, "ReporterID"));

    pager_open(ctl);
    for (size_t i = 0; i < json_object_array_length(mappings); i++)
        mapping_row_add(table, json_object_array_get_idx(mappings, i));
    table_print(table, ctl->legend);
    if (ctl->legend)
        printf("\nReporter %s, every %" PRIu64 " s.\n", id, json_member_number(reporter, "Interval"));
}

/* A mapping that failed makes the status fail: a script that watches it looks at nothing else. */
static int mappings_status(json_object *mappings)
{
    for (size_t i = 0; i < json_object_array_length(mappings); i++) {
        json_object *mapping = json_object_array_get_idx(mappings, i);

        if (strcmp(json_member_string(mapping, "SourceStatus"), "failure") == 0 ||
            strcmp(json_member_string(mapping, "DestinationStatus"), "failure") == 0)
            return CTL_FAILED;
    }
    return CTL_OK;
}

static json_object *mappings_collect(json_object *snapshot, const char *name)
{
    json_object *mappings = json_object_new_array();

    json_object_object_foreach(snapshot, path, interfaces)
    {
        json_object *mapping = json_member(interfaces, "Reporter.Mapping");

        (void)path;
        if (mapping && (!name || strcmp(json_member_string(mapping, "Name"), name) == 0))
            json_object_array_add(mappings, json_object_get(mapping));
    }
    return mappings;
}

static int report_status(Ctl *ctl, const char *name)
{
    _cleanup_(json_object_putp) json_object *snapshot = NULL, *mappings = NULL;
    json_object *reporter;
    int r;

    r = snapshot_read(ctl, &snapshot);
    if (r != CTL_OK)
        return r;
    reporter = json_member(json_member(snapshot, BUS_REPORTER), "Reporter");
    if (!reporter)
        return complain_no_reporter();
    mappings = mappings_collect(snapshot, name);
    if (name && json_object_array_length(mappings) == 0) {
        complain("%s: no such mapping; 'guestbusctl report status' shows what there is", name);
        return CTL_NOT_FOUND;
    }
    if (ctl->json != JSON_OFF)
        json_print(ctl->json, mappings);
    else
        status_print(ctl, mappings, reporter);
    return mappings_status(mappings);
}

static int report_document(Ctl *ctl, const char *method, const char *mapping)
{
    _cleanup_(json_object_putp) json_object *text = NULL, *document = NULL;
    int r;

    r = reporter_call(ctl, method, mapping, &text);
    if (r != CTL_OK)
        return r;
    document = json_tokener_parse(json_object_get_string(text));
    if (!document) {
        complain("the reporter's answer is not JSON");
        return CTL_FAILED;
    }
    if (ctl->json == JSON_OFF)
        pager_open(ctl);
    json_print(ctl->json == JSON_SHORT ? JSON_SHORT : JSON_PRETTY, document);
    return CTL_OK;
}

static int report_send(Ctl *ctl, const char *mapping)
{
    _cleanup_(json_object_putp) json_object *paths = NULL;
    int r;

    r = reporter_call(ctl, "Report", mapping, &paths);
    if (r != CTL_OK)
        return r;
    if (ctl->json != JSON_OFF)
        json_print(ctl->json, paths);
    else if (ctl->legend)
        printf("%zu queued; 'guestbusctl report status' and 'guestbusctl events' tell how it goes.\n",
               json_object_array_length(paths));
    return CTL_OK;
}

int report_verb(Ctl *ctl, int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "status", *mapping = argc > 2 ? argv[2] : NULL;
    _cleanup_(json_object_putp) json_object *ignored = NULL;

    if (strcmp(what, "status") == 0)
        return ctl->options & OPTION_TEST ? report_document(ctl, "TestConnections", mapping)
                                          : report_status(ctl, mapping);
    if (strcmp(what, "show") == 0)
        return report_document(ctl, "GetAssociation", mapping);
    if (strcmp(what, "send") == 0)
        return report_send(ctl, mapping);
    if (strcmp(what, "reload") == 0)
        return reporter_call(ctl, "Reload", NULL, &ignored);
    complain("%s: not one of status, send, show, reload", what);
    return CTL_USAGE;
}
