/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/source-probe.h"

#include "service/manager.h"
#include "service/source-job.h"

/* Asked at most 10 s after it fell silent, and given up at the third look after that. Looks are counted, not
 * seconds: when this process was stopped for a while, nobody else is to blame. */
#define PROBE_INTERVAL_USEC (10 * UINT64_C(1000000))
#define PROBE_ACCURACY_USEC (UINT64_C(500) * 1000)
#define PROBE_LOOKS 3

/* One for each connection. */
#define PROBE_THREADS 2

/* libvirtd leaves a client's messages unread while five of its requests are under way: a question behind
 * these would accuse a libvirtd that is only busy. */
#define REQUESTS_MAX 5

static void probe_work(SourceJob *job)
{
    unsigned long version;

    /* Answered by the threads that libvirtd keeps for what never blocks. An error is an answer, too; that the
     * connection broke is for the close callback to say. */
    (void)virConnectGetLibVersion(job->connection, &version);
}

static void probe_done(SourceJob *job, Source *source)
{
    if (source)
        source->probes_out--;
}

static void probe_free(SourceJob *job)
{
    g_free(job);
}

static const SourceJobKind probe_kind = {probe_work, probe_done, probe_free};

static void probe(Source *source, bool agent)
{
    source->probes_out++;
    source_job_submit(source, source->probe_lane, g_new0(SourceJob, 1), &probe_kind, agent, NULL);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Source *source = userdata;

    if (source->probes_out == 0) {
        source->probe_looks = 0;
        probe(source, true);
        if (lane_load(source->control_lane) + lane_load(source->slow_lane) < REQUESTS_MAX - 1)
            probe(source, false);
    } else if (++source->probe_looks >= PROBE_LOOKS) {
        source_disconnected(source, "libvirtd does not answer");
        return 0;
    }
    return sd_event_source_set_time_relative(timer, PROBE_INTERVAL_USEC);
}

void source_probe_start(Source *source)
{
    source->probes_out = 0;
    source->probe_lane = lane_new(source->manager->inbox, source->config->label, PROBE_THREADS, 0);
    if (sd_event_add_time_relative(source->manager->event, &source->probe_timer, CLOCK_MONOTONIC,
                                   PROBE_INTERVAL_USEC, PROBE_ACCURACY_USEC, on_timer, source) < 0 ||
        sd_event_source_set_enabled(source->probe_timer, SD_EVENT_ON) < 0)
        source->probe_timer = sd_event_source_disable_unref(source->probe_timer);
}

void source_probe_stop(Source *source)
{
    source->probe_timer = sd_event_source_disable_unref(source->probe_timer);
    lane_close(g_steal_pointer(&source->probe_lane));
}
