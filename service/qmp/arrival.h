/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdint.h>

/* One event as libvirt handed it over, not checked yet. */
typedef struct QMPArrival {
    char uuid[VIR_UUID_STRING_BUFLEN];
    uint64_t timestamp; /* µs since the epoch */
    uint64_t received;  /* monotonic, µs */
    char *name;
    char *details; /* JSON text, or NULL */
} QMPArrival;

/* Copies what libvirt's callback got; of what is too long only so much that the loop sees that it is. */
QMPArrival *qmp_arrival_new(const char *uuid, const char *name, long long seconds, unsigned int micros,
                            const char *details);
QMPArrival *qmp_arrival_free(QMPArrival *arrival);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(QMPArrival, qmp_arrival_free)
