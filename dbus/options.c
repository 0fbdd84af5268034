/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/options.h"

#include "dbus/error.h"

#include <glib.h>

static const MethodOption *find(const MethodOption *options, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (g_str_equal(options[i].name, name))
            return &options[i];
    return NULL;
}

static int read_value(sd_bus_message *call, const MethodOption *option)
{
    const char type[] = {option->type, '\0'};
    int flag, r;

    if (option->type == SD_BUS_TYPE_STRING)
        return sd_bus_message_read(call, "v", type, option->target);
    r = sd_bus_message_read(call, "v", type, &flag);
    if (r >= 0)
        *(bool *)option->target = flag;
    return r;
}

static int read_entry(sd_bus_message *call, const MethodOption *options, size_t count, sd_bus_error *error)
{
    const MethodOption *option;
    const char *name, *contents;
    int r;

    r = sd_bus_message_read(call, "s", &name);
    if (r < 0)
        return r;
    option = find(options, count, name);
    if (!option)
        return error_set(error, FAILURE_INVALID_ARGUMENT, "%s: there is no option \"%.64s\"",
                         sd_bus_message_get_member(call), name);
    r = sd_bus_message_peek_type(call, NULL, &contents);
    if (r < 0)
        return r;
    if (contents[0] != option->type || contents[1])
        return error_set(error, FAILURE_INVALID_ARGUMENT, "%s: option \"%s\" is of type %c",
                         sd_bus_message_get_member(call), name, option->type);
    return read_value(call, option);
}

int options_read(sd_bus_message *call, const MethodOption *options, size_t count, sd_bus_error *error)
{
    int r;

    r = sd_bus_message_enter_container(call, 'a', "{sv}");
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(call, 'e', "sv")) > 0) {
        r = read_entry(call, options, count, error);
        if (r < 0)
            return r;
        r = sd_bus_message_exit_container(call);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    return sd_bus_message_exit_container(call);
}

int options_none(sd_bus_message *call, sd_bus_error *error)
{
    return options_read(call, NULL, 0, error);
}
