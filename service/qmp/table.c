/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/table.h"

#include <string.h>

#include <glib.h>

/* clang-format off */
#define TEXT(argument, ...)   {argument, QMP_FIELD_TEXT,   {__VA_ARGS__}}
#define NUMBER(argument, ...) {argument, QMP_FIELD_NUMBER, {__VA_ARGS__}}
#define OBJECT(argument)      {argument, QMP_FIELD_OBJECT, {argument}}
#define INFO(argument)        {argument, QMP_FIELD_INFO,   {argument}}
#define PEERS                 {OBJECT("server"), OBJECT("client")}

/* Adding an event is one row here, and its signal in org.guestbus1.QMP.xml.
 *
 * Where the protocol page and QEMU differ, both spellings are accepted: the page shows the members of
 * ACPI_DEVICE_OST without the `info` around them, and says `sector-count` for `sectors-count`.
 * GUEST_PANICKED always has its action beside `info`, so there the wrapper is needed. */
static const QMPSignal table[] = {
    {"ACPI_DEVICE_OST",       "AcpiDeviceOst",      "a{sv}",  {INFO("info")}},
    {"BALLOON_CHANGE",        "BalloonChange",      "t",      {NUMBER("actual", "actual")}},
    {"GUEST_PANICKED",        "GuestPanicked",      "sa{sv}", {TEXT("action", "action"), OBJECT("info")}},
    {"NIC_RX_FILTER_CHANGED", "NicRxFilterChanged", "ss",     {TEXT("name", "name"), TEXT("path", "path")}},
    {"QUORUM_FAILURE",        "QuorumFailure",      "stt",    {TEXT("reference", "reference"),
                                                               NUMBER("sector_num", "sector-num"),
                                                               NUMBER("sectors_count", "sectors-count", "sector-count")}},
    {"QUORUM_REPORT_BAD",     "QuorumReportBad",    "sstts",  {TEXT("node_name", "node-name"),
                                                               TEXT("type", "type"),
                                                               NUMBER("sector_num", "sector-num"),
                                                               NUMBER("sectors_count", "sectors-count", "sector-count"),
                                                               TEXT("error", "error")}},
    {"SPICE_CONNECTED",       "SpiceConnected",     "a{sv}a{sv}", PEERS},
    {"SPICE_DISCONNECTED",    "SpiceDisconnected",  "a{sv}a{sv}", PEERS},
    {"SPICE_INITIALIZED",     "SpiceInitialized",   "a{sv}a{sv}", PEERS},
    {"VNC_CONNECTED",         "VncConnected",       "a{sv}a{sv}", PEERS},
    {"VNC_DISCONNECTED",      "VncDisconnected",    "a{sv}a{sv}", PEERS},
    {"VNC_INITIALIZED",       "VncInitialized",     "a{sv}a{sv}", PEERS},
};
/* clang-format on */

const QMPSignal *qmp_table(size_t *ret_count)
{
    *ret_count = G_N_ELEMENTS(table);
    return table;
}

const QMPSignal *qmp_table_find(const char *event)
{
    for (size_t i = 0; i < G_N_ELEMENTS(table); i++)
        if (strcmp(table[i].event, event) == 0)
            return &table[i];
    return NULL;
}

size_t qmp_signal_count_fields(const QMPSignal *signal)
{
    size_t count = 0;

    while (count < QMP_FIELDS_MAX && signal->fields[count].argument)
        count++;
    return count;
}

static struct json_object *field_member(const QMPField *field, struct json_object *details)
{
    struct json_object *member = NULL;

    for (size_t i = 0; details && !member && i < QMP_SPELLINGS_MAX && field->members[i]; i++)
        json_object_object_get_ex(details, field->members[i], &member);
    return member;
}

static bool field_fits(const QMPField *field, struct json_object *details)
{
    struct json_object *member = field_member(field, details);

    switch (field->kind) {
    case QMP_FIELD_TEXT:
        return !member || json_object_is_type(member, json_type_string);
    case QMP_FIELD_NUMBER:
        /* json_object_get_int64() clamps what is above its range, so a sign is all it is asked for. */
        return json_object_is_type(member, json_type_int) && json_object_get_int64(member) >= 0;
    default:
        return !member || json_object_is_type(member, json_type_object);
    }
}

bool qmp_signal_fits(const QMPSignal *signal, struct json_object *details)
{
    for (size_t i = 0; i < qmp_signal_count_fields(signal); i++)
        if (!field_fits(&signal->fields[i], details))
            return false;
    return true;
}

const char *qmp_field_text(const QMPField *field, struct json_object *details)
{
    struct json_object *member = field_member(field, details);

    return member ? json_object_get_string(member) : "";
}

uint64_t qmp_field_number(const QMPField *field, struct json_object *details)
{
    return json_object_get_uint64(field_member(field, details));
}

struct json_object *qmp_field_object(const QMPField *field, struct json_object *details)
{
    struct json_object *member = field_member(field, details);

    return member || field->kind != QMP_FIELD_INFO ? member : details;
}
