// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/probe.h"

#include <string.h>

#include "service/reporter/candlepin.h"
#include "service/reporter/source.h"

/* The reporter id of the heartbeat: it touches no host. */
#define HEARTBEAT_ID "status_test"
#define LATE "no answer in time"
#define NOT_REGISTERED                                                                                       \
    "this system is not registered: there is no consumer certificate and no \"rhsm_username\""

typedef struct ServerProbe {
    Probe *probe;
    const Destination *destination;
    Candlepin *candlepin; /* NULL: not tried */
    bool done;
    char *problem;    /* NULL: it works */
    char *job_status; /* what the server says now of the last job; NULL: not asked */
} ServerProbe;

typedef struct SourceProbe {
    Probe *probe;
    const Mapping *mapping;
    Source *source;
    bool done;
    char *problem;
    ServerProbe *server;
} SourceProbe;

struct Probe {
    ProbeFinished finished;
    void *userdata;
    State *state;
    HttpEngine *engine;
    sd_event_source *deadline;
    sd_event_source *ending;
    GPtrArray *sources; /* of SourceProbe */
    GPtrArray *servers; /* of ServerProbe */
};

static void server_probe_free(void *data)
{
    ServerProbe *server = data;

    candlepin_free(server->candlepin);
    g_free(server->problem);
    g_free(server->job_status);
    g_free(server);
}

static void source_probe_free(void *data)
{
    SourceProbe *source = data;

    source_free(source->source);
    g_free(source->problem);
    g_free(source);
}

static int on_ending(sd_event_source *event_source, void *userdata)
{
    Probe *probe = userdata;

    probe->deadline = sd_event_source_disable_unref(probe->deadline);
    probe->finished(probe, probe->userdata);
    return 0;
}

static void check_finished(Probe *probe)
{
    for (unsigned i = 0; i < probe->sources->len; i++)
        if (!((SourceProbe *)probe->sources->pdata[i])->done)
            return;
    for (unsigned i = 0; i < probe->servers->len; i++)
        if (!((ServerProbe *)probe->servers->pdata[i])->done)
            return;
    sd_event_source_set_enabled(probe->ending, SD_EVENT_ONESHOT);
}

static void finish_server(ServerProbe *server, const char *problem)
{
    if (server->done)
        return;
    server->done = true;
    server->problem = g_strdup(problem);
    check_finished(server->probe);
}

static void finish_source(SourceProbe *source, const char *problem)
{
    if (source->done)
        return;
    source->done = true;
    source->problem = g_strdup(problem);
    check_finished(source->probe);
}

/* --- a server: is it there, may we report, how did the last job end --- */

static void on_job(const CandlepinReply *reply, void *userdata)
{
    ServerProbe *server = userdata;

    /* That a job cannot be read says nothing of the connection. */
    if (reply->outcome == CANDLEPIN_OK && reply->job)
        server->job_status = g_strdup(job_state_to_string(reply->job->state));
    finish_server(server, NULL);
}

static void ask_job(ServerProbe *server)
{
    const DestinationRecord *record = state_get_destination(server->probe->state, server->destination->name);

    if (record->job_id && record->job_open)
        candlepin_get_job(server->candlepin, record->job_id, on_job, server);
    else
        finish_server(server, NULL);
}

static void on_heartbeat(const CandlepinReply *reply, void *userdata)
{
    ServerProbe *server = userdata;

    if (reply->outcome != CANDLEPIN_OK)
        finish_server(server, reply->message ?: "the server refuses reports");
    else
        ask_job(server);
}

static void on_server(const CandlepinReply *reply, void *userdata)
{
    ServerProbe *server = userdata;

    if (reply->outcome != CANDLEPIN_OK)
        finish_server(server, reply->message ?: "the server is not up");
    else if (!reply->server->up)
        finish_server(server, reply->server->mode_reason ?: "the server is not up");
    else if (reply->server->has_heartbeat && server->destination->owner)
        candlepin_send_heartbeat(server->candlepin, HEARTBEAT_ID, on_heartbeat, server);
    else
        ask_job(server);
}

static bool can_identify(const Destination *destination)
{
    return destination->username || destination->consumer_uuid;
}

static void start_server(ServerProbe *server, sd_event *event, const Settings *settings)
{
    if (!can_identify(server->destination)) {
        finish_server(server, NOT_REGISTERED);
        return;
    }
    server->candlepin =
        candlepin_new(server->probe->engine, event, server->destination, settings->reporter_id);
    candlepin_set_deadline(server->candlepin, PROBE_DEADLINE_USEC);
    candlepin_get_server(server->candlepin, on_server, server);
}

/* --- a source --- */

static void on_tested(Source *source, const SourceFailure *failure, void *userdata)
{
    finish_source(userdata, failure ? failure->message : NULL);
}

static void start_source(SourceProbe *source, sd_event *event)
{
    SourceFailure failure = {};
    int r = source_new(event, source->mapping, &failure, &source->source);

    if (r >= 0)
        r = source_test(source->source, 0, on_tested, source);
    if (r < 0)
        finish_source(source, failure.error ? failure.message : g_strerror(-r));
}

/* --- all of them --- */

static int on_deadline(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Probe *probe = userdata;

    for (unsigned i = 0; i < probe->sources->len; i++)
        finish_source(probe->sources->pdata[i], LATE);
    for (unsigned i = 0; i < probe->servers->len; i++) {
        ServerProbe *server = probe->servers->pdata[i];

        if (server->candlepin)
            candlepin_cancel(server->candlepin);
        finish_server(server, LATE);
    }
    return 0;
}

static ServerProbe *add_server(Probe *probe, const Destination *destination)
{
    for (unsigned i = 0; i < probe->servers->len; i++) {
        ServerProbe *known = probe->servers->pdata[i];

        if (known->destination == destination)
            return known;
    }
    ServerProbe *server = g_new0(ServerProbe, 1);

    server->probe = probe;
    server->destination = destination;
    g_ptr_array_add(probe->servers, server);
    return server;
}

static void add_source(Probe *probe, const Mapping *mapping)
{
    SourceProbe *source = g_new0(SourceProbe, 1);

    source->probe = probe;
    source->mapping = mapping;
    source->server = add_server(probe, mapping->destination);
    g_ptr_array_add(probe->sources, source);
}

int probe_new(sd_event *event, const Settings *settings, State *state, const Mapping *only,
              ProbeFinished finished, void *userdata, Probe **ret_probe)
{
    g_autoptr(Probe) probe = g_new0(Probe, 1);

    probe->finished = finished;
    probe->userdata = userdata;
    probe->state = state;
    probe->sources = g_ptr_array_new_with_free_func(source_probe_free);
    probe->servers = g_ptr_array_new_with_free_func(server_probe_free);
    for (unsigned i = 0; i < settings->mappings->len; i++)
        if (!only || settings->mappings->pdata[i] == only)
            add_source(probe, settings->mappings->pdata[i]);
    int r = http_engine_new(event, &probe->engine);

    if (r >= 0)
        r = sd_event_add_defer(event, &probe->ending, on_ending, probe);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &probe->deadline, CLOCK_MONOTONIC, PROBE_DEADLINE_USEC, 0,
                                       on_deadline, probe);
    if (r < 0)
        return r;
    sd_event_source_set_enabled(probe->ending, SD_EVENT_OFF);
    for (unsigned i = 0; i < probe->sources->len; i++)
        start_source(probe->sources->pdata[i], event);
    for (unsigned i = 0; i < probe->servers->len; i++)
        start_server(probe->servers->pdata[i], event, settings);
    check_finished(probe);
    *ret_probe = g_steal_pointer(&probe);
    return 0;
}

void probe_free(Probe *probe)
{
    if (!probe)
        return;
    sd_event_source_disable_unref(probe->deadline);
    sd_event_source_disable_unref(probe->ending);
    g_ptr_array_unref(probe->sources);
    g_ptr_array_unref(probe->servers);
    http_engine_free(probe->engine);
    g_free(probe);
}

unsigned probe_count(const Probe *probe)
{
    return probe->sources->len;
}

const Mapping *probe_get(const Probe *probe, unsigned index, MappingStatus *ret_status)
{
    const SourceProbe *source = probe->sources->pdata[index];
    const Destination *destination = source->mapping->destination;
    const SourceRecord *collected = state_get_source(probe->state, source->mapping->name);
    const DestinationRecord *sent = state_get_destination(probe->state, destination->name);

    *ret_status = (MappingStatus){
        .source_connection = source->source ? source->source->connection : NULL,
        .source_asked = true,
        .source_problem = source->problem,
        .last_retrieve = collected->last_retrieve,
        .counted = collected->counted,
        .hypervisors = collected->hypervisors,
        .guests = collected->guests,
        .destination_connection = destination->hostname,
        .destination_asked = true,
        .destination_problem = source->server->problem,
        .last_send = sent->last_send,
        .last_job_status = source->server->job_status ?: sent->job_status,
    };
    return source->mapping;
}

bool probe_all_well(const Probe *probe)
{
    for (unsigned i = 0; i < probe->sources->len; i++) {
        const SourceProbe *source = probe->sources->pdata[i];

        if (source->problem || source->server->problem)
            return false;
    }
    return true;
}
