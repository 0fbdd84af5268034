/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>

#include "cli/guestbusctl/ctl.h"

/* Turns the next complete value of a message into JSON: variants become their content, structures become
 * arrays, dictionaries objects. At the end of the message or container *ret_value is NULL.
 * Returns 0 or -errno. */
int json_read_value(sd_bus_message *message, json_object **ret_value);

/* Prints a document in the wanted mode, in a form that is safe for a terminal too. */
void json_print(JsonMode mode, json_object *value);

/* The text of a compact document, safe for a terminal; to be freed. */
char *json_compact(json_object *value);

/* A member of an object by name, or NULL when it has none or is no object. */
json_object *json_member(json_object *object, const char *name);

/* A member as a string: "" when there is none. It belongs to the object. */
const char *json_member_string(json_object *object, const char *name);

/* A member as a number: 0 when there is none. */
uint64_t json_member_number(json_object *object, const char *name);

/* A member as a truth value: false when there is none. */
bool json_member_true(json_object *object, const char *name);

/* An element of an array as a string: "" when there is none. */
const char *json_element_string(json_object *array, size_t index);

static inline void json_object_putp(json_object **object)
{
    json_object_put(*object);
}
