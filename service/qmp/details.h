/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>

/* The data of a QMP event: a JSON object that is known to fit on the bus.
 *
 * Most of it is text that a guest or a network client chose, and one message that the bus refuses costs the
 * service its connection, so nothing reaches a message that has not passed here. */

enum {
    /* Containers inside each other, the outermost counted. Each JSON object takes three of the 64 levels that
     * a D-Bus message may nest; dbus-daemon disconnects who sends more, and sd-bus does not warn. */
    QMP_JSON_DEPTH_MAX = 16,
    /* Bytes of JSON text in one event; QEMU's own stay below 2 KiB. */
    QMP_DETAILS_SIZE_MAX = 64 * 1024,
};

/* Reads the details of an event. `text` may be NULL: an event without data, *ret is then NULL as well.
 * The caller releases *ret with json_object_put().
 * Integers hold what the text said: -ERANGE for those beyond 64 bits and for numbers that are not finite.
 * Other errors: -EMSGSIZE too long, -ELOOP nested too deeply, -EILSEQ text that is not UTF-8 or that a D-Bus
 * string cannot hold, -EBADMSG not a JSON object. */
int qmp_details_parse(const char *text, struct json_object **ret);

/* What an error of qmp_details_parse() means, for a log line. */
const char *qmp_details_error(int error);
