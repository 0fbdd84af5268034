/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/log-control.h"

#include "service/log.h"

#include <errno.h>

#define ACCESSOR(name)                                                                                       \
    static int name(sd_bus *bus, const char *path, const char *interface, const char *property,              \
                    sd_bus_message *message, void *userdata, sd_bus_error *error)

ACCESSOR(get_level);
ACCESSOR(set_level);
ACCESSOR(get_target);
ACCESSOR(set_target);
ACCESSOR(get_identifier);

/* Without UNPRIVILEGED sd-bus lets only root and our own user write. */
static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
    SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_target, 0, 0),
    SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_VTABLE_END,
};

int log_control_export(sd_bus *bus)
{
    return sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1",
                                    vtable, NULL);
}

ACCESSOR(get_level)
{
    return sd_bus_message_append(message, "s", log_level_name(log_get_level()));
}

ACCESSOR(set_level)
{
    const char *name;
    int level, r;

    r = sd_bus_message_read(message, "s", &name);
    if (r < 0)
        return r;
    if (log_level_parse(name, &level) < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Unknown log level \"%.32s\"", name);
    log_set_level(level);
    return 0;
}

ACCESSOR(get_target)
{
    return sd_bus_message_append(message, "s", log_target_name(log_get_target()));
}

ACCESSOR(set_target)
{
    const char *name;
    LogTarget target;
    int r;

    r = sd_bus_message_read(message, "s", &name);
    if (r < 0)
        return r;
    if (log_target_parse(name, &target) < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Unknown log target \"%.32s\"", name);
    log_set_target(target);
    return 0;
}

ACCESSOR(get_identifier)
{
    return sd_bus_message_append(message, "s", log_identifier());
}
