/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/source.h"

/* A job on one of a source's connections, the shape of every libvirt call that the service makes. Embedded as
 * the first member of what carries the question and the answer. */
typedef struct SourceJob SourceJob;

typedef struct SourceJobKind {
    void (*work)(SourceJob *job); /* in a worker; libvirt may block it */
    /* In the loop. `source` is NULL when the source is gone, was reconnected meanwhile, or the job was
     * dropped unstarted. */
    void (*done)(SourceJob *job, Source *source);
    void (*free)(SourceJob *job); /* the rest of it; the job itself included */
} SourceJobKind;

struct SourceJob {
    Job job;
    const SourceJobKind *kind;
    SourceLink *link;
    unsigned generation;
    virConnectPtr
        connection; /* for `work` only: it is let go there, so that the loop never closes a connection */
};

/* Queues the job, which then belongs to the lane. `agent`: on the connection for agents and streams. `key`:
 * see worker.h. The source must be connected. */
void source_job_submit(Source *source, Lane *lane, SourceJob *job, const SourceJobKind *kind, bool agent,
                       const void *key);
