/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include <json-c/json.h>

enum {
    /* Bytes of an event's name; QEMU's longest has 29. */
    QMP_NAME_SIZE_MAX = 255,
};

/* One QMP event, checked and ready for the bus. */
typedef struct QMPEvent {
    char *name;                  /* as QEMU spells it: "BALLOON_CHANGE" */
    uint64_t timestamp;          /* µs since the epoch: QEMU's, or the time of receipt when it sent none */
    struct json_object *details; /* NULL when the event carries no data */
} QMPEvent;

/* The time of an event in µs since the epoch. libvirt hands over -1 seconds when the event had no (valid)
 * timestamp; then it is `received`, the time the service got it. */
uint64_t qmp_event_time(long long seconds, unsigned int micros, uint64_t received);

/* Makes an event of what the monitor sent; `details` is its JSON text or NULL.
 * Fails as qmp_details_parse() does, and with -EILSEQ for a name that cannot be sent. */
int qmp_event_new(const char *name, uint64_t timestamp, const char *details, QMPEvent **ret);

/* The event that tells subscribers how many events of this VM were not sent to them. */
QMPEvent *qmp_event_new_dropped(uint64_t count, uint64_t timestamp);

void qmp_event_free(QMPEvent *event);
void qmp_event_freep(QMPEvent **event);

/* The name of the event that qmp_event_new_dropped() makes. QEMU has none with this prefix. */
#define QMP_EVENT_DROPPED "GUESTBUS_EVENTS_DROPPED"
