/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/qmp/event.h"

/* The events of one VM as the loop sees them: what was lost, and when to tell subscribers of it. */

enum {
    /* A storm is over when nothing was lost for this long, in µs. */
    QMP_STORM_QUIET = 1000000,
};

typedef struct QMPStream {
    uint64_t dropped;     /* events that were not sent since the service knows the VM */
    uint64_t unannounced; /* of these, the ones that no notice has told yet */
    uint64_t last_loss;   /* monotonic, µs */
    bool complained;      /* the log has its one line on this VM's bad events */
} QMPStream;

/* Counts events that were not sent. `now` is monotonic, in µs. */
void qmp_stream_lose(QMPStream *stream, uint64_t count, uint64_t now);

/* Whether there is a loss that no notice has told yet. */
bool qmp_stream_is_stormy(const QMPStream *stream);

/* The notice of a storm that is over, stamped with `timestamp`; NULL while there is nothing to tell (yet). */
QMPEvent *qmp_stream_take_notice(QMPStream *stream, uint64_t now, uint64_t timestamp);

/* True the first time only: a guest that makes bad events gets one line of the log, not thousands. */
bool qmp_stream_may_complain(QMPStream *stream);
