/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/stream.h"

#include <stddef.h>

void qmp_stream_lose(QMPStream *stream, uint64_t count, uint64_t now)
{
    stream->dropped += count;
    stream->unannounced += count;
    stream->last_loss = now;
}

bool qmp_stream_is_stormy(const QMPStream *stream)
{
    return stream->unannounced > 0;
}

QMPEvent *qmp_stream_take_notice(QMPStream *stream, uint64_t now, uint64_t timestamp)
{
    QMPEvent *notice;

    if (!qmp_stream_is_stormy(stream) || now < stream->last_loss + QMP_STORM_QUIET)
        return NULL;
    notice = qmp_event_new_dropped(stream->unannounced, timestamp);
    stream->unannounced = 0;
    return notice;
}

bool qmp_stream_may_complain(QMPStream *stream)
{
    bool first = !stream->complained;

    stream->complained = true;
    return first;
}
