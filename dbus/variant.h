/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

/* JSON on the bus: an integer becomes x (t above its range), another number d, a string s, true and false b,
 * an object a{sv}, an array av. D-Bus has no null: a null member is left out, and so is a null in an array.
 *
 * What is given here must have passed qmp_details_parse(): sd-bus would refuse the message for bad text, and
 * dbus-daemon would end the connection for one that is nested too deeply. */

/* Appends an object as a{sv}; NULL is the empty one. Returns 0 or sd-bus's -errno. */
int variant_append_object(sd_bus_message *message, struct json_object *object);
