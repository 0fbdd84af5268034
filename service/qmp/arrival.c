/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/arrival.h"

#include "service/qmp/details.h"
#include "service/qmp/event.h"

#include <string.h>

static char *copy_text(const char *text, size_t max)
{
    return text ? g_strndup(text, strnlen(text, max + 1)) : NULL;
}

QMPArrival *qmp_arrival_new(const char *uuid, const char *name, long long seconds, unsigned int micros,
                            const char *details)
{
    QMPArrival *arrival = g_new0(QMPArrival, 1);

    g_strlcpy(arrival->uuid, uuid, sizeof arrival->uuid);
    arrival->timestamp = qmp_event_time(seconds, micros, (uint64_t)g_get_real_time());
    arrival->received = (uint64_t)g_get_monotonic_time();
    arrival->name = copy_text(name, QMP_NAME_SIZE_MAX);
    arrival->details = copy_text(details, QMP_DETAILS_SIZE_MAX);
    return arrival;
}

QMPArrival *qmp_arrival_free(QMPArrival *arrival)
{
    if (!arrival)
        return NULL;
    g_free(arrival->name);
    g_free(arrival->details);
    g_free(arrival);
    return NULL;
}
