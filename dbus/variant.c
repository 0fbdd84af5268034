/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/variant.h"

#include <errno.h>
#include <stdint.h>

static int append_value(sd_bus_message *message, struct json_object *value);

static int append_integer(sd_bus_message *message, struct json_object *value)
{
    /* json_object_get_int64() answers INT64_MAX for all that is above it. */
    uint64_t positive = json_object_get_uint64(value);

    if (positive > INT64_MAX)
        return sd_bus_message_append(message, "v", "t", positive);
    return sd_bus_message_append(message, "v", "x", json_object_get_int64(value));
}

static int append_array(sd_bus_message *message, struct json_object *array)
{
    size_t length = json_object_array_length(array);
    int r;

    r = sd_bus_message_open_container(message, 'a', "v");
    for (size_t i = 0; r >= 0 && i < length; i++) {
        struct json_object *value = json_object_array_get_idx(array, i);
        if (value)
            r = append_value(message, value);
    }
    return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_container(sd_bus_message *message, struct json_object *value)
{
    int is_array = json_object_is_type(value, json_type_array);
    int r;

    r = sd_bus_message_open_container(message, 'v', is_array ? "av" : "a{sv}");
    if (r >= 0)
        r = is_array ? append_array(message, value) : variant_append_object(message, value);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

/* Appends a value, which is not null, as a variant. */
static int append_value(sd_bus_message *message, struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_boolean:
        return sd_bus_message_append(message, "v", "b", json_object_get_boolean(value));
    case json_type_int:
        return append_integer(message, value);
    case json_type_double:
        return sd_bus_message_append(message, "v", "d", json_object_get_double(value));
    case json_type_string:
        return sd_bus_message_append(message, "v", "s", json_object_get_string(value));
    case json_type_array:
    case json_type_object:
        return append_container(message, value);
    default:
        return -EINVAL;
    }
}

static int append_member(sd_bus_message *message, const char *name, struct json_object *value)
{
    int r;

    r = sd_bus_message_open_container(message, 'e', "sv");
    if (r >= 0)
        r = sd_bus_message_append(message, "s", name);
    if (r >= 0)
        r = append_value(message, value);
    return r < 0 ? r : sd_bus_message_close_container(message);
}

int variant_append_object(sd_bus_message *message, struct json_object *object)
{
    int r;

    r = sd_bus_message_open_container(message, 'a', "{sv}");
    if (r < 0)
        return r;
    if (object) {
        json_object_object_foreach(object, name, value)
        {
            if (!value)
                continue;
            r = append_member(message, name, value);
            if (r < 0)
                return r;
        }
    }
    return sd_bus_message_close_container(message);
}
