/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/source-job.h"

static void let_connection_go(SourceJob *job)
{
    if (job->connection)
        virConnectClose(job->connection);
    job->connection = NULL;
}

static void on_work(Job *base)
{
    SourceJob *job = (SourceJob *)base;

    job->kind->work(job);
    let_connection_go(job);
}

static void on_done(Job *base)
{
    SourceJob *job = (SourceJob *)base;
    Source *source = job->link->source;
    bool current = source && source->generation == job->generation && !base->cancelled;

    job->kind->done(job, current ? source : NULL);
}

static void on_free(Job *base)
{
    SourceJob *job = (SourceJob *)base;

    let_connection_go(job);
    job->link = source_link_unref(job->link);
    job->kind->free(job);
}

void source_job_submit(Source *source, Lane *lane, SourceJob *job, const SourceJobKind *kind, bool agent,
                       const void *key)
{
    job->job.work = on_work;
    job->job.done = on_done;
    job->job.free = on_free;
    job->job.key = key;
    job->kind = kind;
    job->link = source_link_ref(source->link);
    job->generation = source->generation;
    job->connection = agent ? source->agent : source->control;
    virConnectRef(job->connection);
    lane_submit(lane, &job->job);
}
