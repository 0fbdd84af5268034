/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/snapshot.h"
#include "service/cleanup.h"

static const char *const PREFIX = "org.guestbus1.";

json_object *snapshot_short_names(json_object *interfaces)
{
    json_object *result = json_object_new_object();

    json_object_object_foreach(interfaces, name, properties)
    {
        if (g_str_has_prefix(name, PREFIX))
            json_object_object_add(result, name + strlen(PREFIX), json_object_get(properties));
    }
    json_object_put(interfaces);
    return result;
}

int snapshot_read(Ctl *ctl, json_object **ret_snapshot)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(json_object_putp) json_object *objects = NULL;
    int r;

    r = sd_bus_call_method(ctl->bus, BUS_NAME, BUS_ROOT, "org.freedesktop.DBus.ObjectManager",
                           "GetManagedObjects", &error, &reply, NULL);
    if (r < 0)
        return complain_call(ctl, NULL, &error, r);
    r = json_read_value(reply, &objects);
    if (r < 0)
        return complain_internal(r);
    *ret_snapshot = json_object_new_object();
    json_object_object_foreach(objects, path, interfaces)
        json_object_object_add(*ret_snapshot, path, snapshot_short_names(json_object_get(interfaces)));
    return CTL_OK;
}

static int properties_read(Ctl *ctl, const char *path, const char *interface, json_object **ret_properties,
                           sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r;

    r = sd_bus_call_method(ctl->bus, BUS_NAME, path, "org.freedesktop.DBus.Properties", "GetAll", error,
                           &reply, "s", interface);
    if (r < 0)
        return r;
    return json_read_value(reply, ret_properties);
}

/* What is too large to be sent to everybody is asked for by name; without it the rest is still worth showing.
 */
static void explicit_read(Ctl *ctl, const char *path, const char *name, json_object *properties)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    json_object *value = NULL;

    if (sd_bus_call_method(ctl->bus, BUS_NAME, path, "org.freedesktop.DBus.Properties", "Get", &error, &reply,
                           "ss", BUS_INTERFACE("Guest"), name) >= 0 &&
        json_read_value(reply, &value) >= 0)
        json_object_object_add(properties, name, value);
}

int snapshot_read_object(Ctl *ctl, const char *path, json_object **ret_interfaces)
{
    static const char *const names[] = {BUS_INTERFACE("VM"), BUS_INTERFACE("Guest"), BUS_INTERFACE("QMP")};
    _cleanup_(json_object_putp) json_object *interfaces = json_object_new_object();

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        json_object *properties = NULL;
        int r;

        r = properties_read(ctl, path, names[i], &properties, &error);
        /* Not every VM has QMP, and its absence is no error. */
        if (r < 0 && i > 0 && !sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT))
            continue;
        if (r < 0)
            return complain_call(ctl, NULL, &error, r);
        if (i == 1) {
            explicit_read(ctl, path, "Filesystems", properties);
            explicit_read(ctl, path, "Applications", properties);
        }
        json_object_object_add(interfaces, names[i] + strlen(PREFIX), properties);
    }
    *ret_interfaces = TAKE_PTR(interfaces);
    return CTL_OK;
}
