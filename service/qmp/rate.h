/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How many events of one VM may go out. A guest cannot make many, QEMU limits those itself; but whoever
 * reaches a VNC port can connect and leave 5,000 times a second, and QEMU tells of each. */

enum {
    QMP_RATE_DEFAULT = 200,   /* events a second */
    QMP_BURST_DEFAULT = 1000, /* events at once after a quiet time */
    QMP_RATE_MAX = 100000,
    QMP_BURST_MAX = 1000000, /* the largest value either may have */
};

typedef struct QMPRate {
    uint32_t per_second;
    uint32_t burst;
} QMPRate;

/* A token bucket. Zeroed it is empty; qmp_bucket_fill() starts it. */
typedef struct QMPBucket {
    uint64_t credit; /* in millionths of an event, so that nothing is lost to rounding */
    uint64_t since;  /* when the credit was last brought up to date, monotonic µs */
} QMPBucket;

void qmp_bucket_fill(QMPBucket *bucket, const QMPRate *rate, uint64_t now);

/* Takes one event's worth; false when there is none left. `now` is monotonic, in µs. */
bool qmp_bucket_take(QMPBucket *bucket, const QMPRate *rate, uint64_t now);

/* A full bucket is like a new one and need not be remembered. */
bool qmp_bucket_is_full(const QMPBucket *bucket, const QMPRate *rate, uint64_t now);
