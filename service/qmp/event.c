/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/event.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <glib.h>

#include "service/qmp/details.h"

#define USEC_PER_SEC UINT64_C(1000000)

uint64_t qmp_event_time(long long seconds, unsigned int micros, uint64_t received)
{
    if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / USEC_PER_SEC - 1 || micros >= USEC_PER_SEC)
        return received;
    return (uint64_t)seconds * USEC_PER_SEC + micros;
}

/* Names are ASCII words in every version of QEMU. A guest cannot choose them, but a message with a bad one
 * would cost the bus connection, so they are not trusted either. */
static bool name_is_valid(const char *name)
{
    size_t length = strnlen(name, QMP_NAME_SIZE_MAX + 1);

    if (length == 0 || length > QMP_NAME_SIZE_MAX)
        return false;
    for (const char *p = name; *p; p++)
        if (!g_ascii_isgraph(*p))
            return false;
    return true;
}

int qmp_event_new(const char *name, uint64_t timestamp, const char *details, QMPEvent **ret)
{
    struct json_object *object = NULL;
    QMPEvent *event;
    int r;

    if (!name_is_valid(name))
        return -EILSEQ;
    r = qmp_details_parse(details, &object);
    if (r < 0)
        return r;
    event = g_new(QMPEvent, 1);
    *event = (QMPEvent){.name = g_strdup(name), .timestamp = timestamp, .details = object};
    *ret = event;
    return 0;
}

QMPEvent *qmp_event_new_dropped(uint64_t count, uint64_t timestamp)
{
    QMPEvent *event = g_new(QMPEvent, 1);

    *event = (QMPEvent){
        .name = g_strdup(QMP_EVENT_DROPPED),
        .timestamp = timestamp,
        .details = json_object_new_object(),
    };
    json_object_object_add(event->details, "count", json_object_new_int64((int64_t)MIN(count, INT64_MAX)));
    return event;
}

void qmp_event_free(QMPEvent *event)
{
    if (!event)
        return;
    json_object_put(event->details);
    g_free(event->name);
    g_free(event);
}

void qmp_event_freep(QMPEvent **event)
{
    qmp_event_free(*event);
}
