/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/qmp-message.h"

#include <errno.h>

#include "dbus/variant.h"
#include "service/cleanup.h"

int qmp_message_new_event(sd_bus *bus, const char *path, const QMPEvent *event, sd_bus_message **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    int r;

    r = sd_bus_message_new_signal(bus, &message, path, QMP_INTERFACE, "Event");
    if (r >= 0)
        r = sd_bus_message_append(message, "st", event->name, event->timestamp);
    if (r >= 0)
        r = variant_append_object(message, event->details);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(message);
    return 0;
}

static int append_field(sd_bus_message *message, const QMPField *field, struct json_object *details)
{
    switch (field->kind) {
    case QMP_FIELD_TEXT:
        return sd_bus_message_append(message, "s", qmp_field_text(field, details));
    case QMP_FIELD_NUMBER:
        return sd_bus_message_append(message, "t", qmp_field_number(field, details));
    case QMP_FIELD_OBJECT:
    case QMP_FIELD_INFO:
        return variant_append_object(message, qmp_field_object(field, details));
    default:
        return -EINVAL;
    }
}

int qmp_message_new_typed(sd_bus *bus, const char *path, const QMPSignal *signal, const QMPEvent *event,
                          sd_bus_message **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    int r;

    r = sd_bus_message_new_signal(bus, &message, path, QMP_INTERFACE, signal->signal);
    if (r >= 0)
        r = sd_bus_message_append(message, "t", event->timestamp);
    for (size_t i = 0; r >= 0 && i < qmp_signal_count_fields(signal); i++)
        r = append_field(message, &signal->fields[i], event->details);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(message);
    return 0;
}
