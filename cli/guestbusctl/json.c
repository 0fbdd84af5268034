/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/guestbusctl/json.h"
#include "service/cleanup.h"

static int basic_read(sd_bus_message *message, char type, json_object **ret_value)
{
    union {
        uint8_t u8;
        int16_t s16;
        uint16_t u16;
        int32_t s32;
        uint32_t u32;
        int64_t s64;
        uint64_t u64;
        double real;
        int truth;
        const char *text;
    } v = {.u64 = 0};
    int r;

    r = sd_bus_message_read_basic(message, type, &v);
    if (r < 0)
        return r;
    switch (type) {
    case SD_BUS_TYPE_BYTE:
        *ret_value = json_object_new_int(v.u8);
        break;
    case SD_BUS_TYPE_BOOLEAN:
        *ret_value = json_object_new_boolean(v.truth);
        break;
    case SD_BUS_TYPE_INT16:
        *ret_value = json_object_new_int(v.s16);
        break;
    case SD_BUS_TYPE_UINT16:
        *ret_value = json_object_new_int(v.u16);
        break;
    case SD_BUS_TYPE_INT32:
        *ret_value = json_object_new_int(v.s32);
        break;
    case SD_BUS_TYPE_UINT32:
        *ret_value = json_object_new_int64(v.u32);
        break;
    case SD_BUS_TYPE_INT64:
        *ret_value = json_object_new_int64(v.s64);
        break;
    case SD_BUS_TYPE_UINT64:
        *ret_value = json_object_new_uint64(v.u64);
        break;
    case SD_BUS_TYPE_DOUBLE:
        /* JSON has no word for these; a missing number is better than a document that nobody can read. */
        *ret_value = isfinite(v.real) ? json_object_new_double(v.real) : json_object_new_null();
        break;
    case SD_BUS_TYPE_STRING:
    case SD_BUS_TYPE_OBJECT_PATH:
    case SD_BUS_TYPE_SIGNATURE:
        *ret_value = json_object_new_string(v.text);
        break;
    default:
        /* A descriptor has no value outside of this process. */
        *ret_value = json_object_new_null();
    }
    return 0;
}

static int entry_read(sd_bus_message *message, json_object *object)
{
    _cleanup_(json_object_putp) json_object *key = NULL;
    json_object *value = NULL;
    int r;

    r = json_read_value(message, &key);
    if (r < 0)
        return r;
    r = json_read_value(message, &value);
    if (r < 0)
        return r;
    json_object_object_add(object, json_object_get_string(key), value);
    return sd_bus_message_exit_container(message);
}

static int dictionary_read(sd_bus_message *message, const char *contents, json_object **ret_value)
{
    _cleanup_(json_object_putp) json_object *object = json_object_new_object();
    g_autofree char *entry = g_strndup(contents + 1, strlen(contents) - 2);
    int r;

    r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, contents);
    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, entry)) > 0) {
        r = entry_read(message, object);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    *ret_value = TAKE_PTR(object);
    return sd_bus_message_exit_container(message);
}

static int list_read(sd_bus_message *message, char type, const char *contents, json_object **ret_value)
{
    _cleanup_(json_object_putp) json_object *array = json_object_new_array();
    int r;

    r = sd_bus_message_enter_container(message, type, contents);
    if (r < 0)
        return r;
    while ((r = sd_bus_message_at_end(message, false)) == 0) {
        json_object *value = NULL;

        r = json_read_value(message, &value);
        if (r < 0)
            return r;
        json_object_array_add(array, value);
    }
    if (r < 0)
        return r;
    *ret_value = TAKE_PTR(array);
    return sd_bus_message_exit_container(message);
}

static int variant_read(sd_bus_message *message, const char *contents, json_object **ret_value)
{
    int r;

    r = sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, contents);
    if (r < 0)
        return r;
    r = json_read_value(message, ret_value);
    if (r < 0)
        return r;
    return sd_bus_message_exit_container(message);
}

int json_read_value(sd_bus_message *message, json_object **ret_value)
{
    const char *contents = NULL;
    char type = 0;
    int r;

    *ret_value = NULL;
    r = sd_bus_message_peek_type(message, &type, &contents);
    if (r <= 0)
        return r;
    if (type == SD_BUS_TYPE_VARIANT)
        return variant_read(message, contents, ret_value);
    if (type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN)
        return dictionary_read(message, contents, ret_value);
    if (type == SD_BUS_TYPE_ARRAY || type == SD_BUS_TYPE_STRUCT)
        return list_read(message, type, contents, ret_value);
    return basic_read(message, type, ret_value);
}

/* json-c escapes what JSON demands: characters below space. Those from 0x7f to 0x9f move a terminal too, and
 * the Unicode ones that reorder text deceive its reader; inside a string all can be written as \u. */
static char *terminal_safe(const char *text)
{
    GString *out = g_string_sized_new(strlen(text) + 1);

    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);

        if (c == '\n' || g_unichar_isprint(c))
            g_string_append_unichar(out, c);
        else if (c < 0x10000)
            g_string_append_printf(out, "\\u%04x", c);
        else
            g_string_append_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                                   0xdc00 + ((c - 0x10000) & 0x3ff));
    }
    return g_string_free(out, FALSE);
}

static char *document(json_object *value, int flags)
{
    /* Strings came over the bus, which carries valid UTF-8 only. */
    return terminal_safe(json_object_to_json_string_ext(value, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
}

char *json_compact(json_object *value)
{
    return document(value, JSON_C_TO_STRING_PLAIN);
}

void json_print(JsonMode mode, json_object *value)
{
    g_autofree char *text =
        document(value, mode == JSON_PRETTY ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED
                                            : JSON_C_TO_STRING_PLAIN);

    puts(text);
}

json_object *json_member(json_object *object, const char *name)
{
    json_object *value = NULL;

    if (!json_object_is_type(object, json_type_object))
        return NULL;
    json_object_object_get_ex(object, name, &value);
    return value;
}

const char *json_member_string(json_object *object, const char *name)
{
    json_object *value = json_member(object, name);

    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

uint64_t json_member_number(json_object *object, const char *name)
{
    return json_object_get_uint64(json_member(object, name));
}

bool json_member_true(json_object *object, const char *name)
{
    return json_object_get_boolean(json_member(object, name));
}

const char *json_element_string(json_object *array, size_t index)
{
    json_object *value;

    if (!json_object_is_type(array, json_type_array))
        return "";
    value = json_object_array_get_idx(array, index);
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}
