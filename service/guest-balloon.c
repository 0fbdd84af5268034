/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest-balloon.h"

#include "service/error.h"
#include "service/guest-params.h"
#include "service/guest/guest.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/source-job.h"

#include <libvirt/virterror.h>

#define SECOND_USEC 1000000ULL
/* Figures of a VM that is new come after this time: its balloon was just told to gather some. */
#define SOON_USEC (2 * SECOND_USEC)
/* Without any agent on the source nobody waits for a heartbeat: then no timer is shorter than this. */
#define IDLE_USEC (60 * SECOND_USEC)
/* How often to look where balloons are left alone (memory-stats-period = off): their owners chose a period.
 */
#define UNKNOWN_PERIOD_SECONDS 10

typedef struct Figures {
    char uuid[VIR_UUID_STRING_BUFLEN];
    Observation *observation;
} Figures;

typedef struct BalloonJob {
    SourceJob job;
    GArray *figures; /* Figures */
    bool failed;
} BalloonJob;

static bool has_figures(const VM *vm)
{
    return vm_is_active(vm) && vm->details->has_balloon;
}

static uint64_t period(const Source *source)
{
    unsigned seconds = source->manager->config->service.memory_stats_period;
    uint64_t usec = (seconds ? seconds : UNKNOWN_PERIOD_SECONDS) * SECOND_USEC;

    return source->guests.asked > 0 ? usec : MAX(usec, IDLE_USEC);
}

static void take_record(BalloonJob *job, const virDomainStatsRecord *record)
{
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_BALLOON, 0);
    Figures figures = {.observation = observation};

    observation->time = guest_params_balloon(observation, record->params, record->nparams);
    if (observation->time == 0 || virDomainGetUUIDString(record->dom, figures.uuid) < 0)
        return;
    g_array_append_val(job->figures, figures);
    observation = NULL;
}

/* NOWAIT: a VM that is busy with a long job keeps nobody else's figures. */
static void balloon_work(SourceJob *base)
{
    BalloonJob *job = (BalloonJob *)base;
    virDomainStatsRecordPtr *records = NULL;
    int count = virConnectGetAllDomainStats(base->connection, VIR_DOMAIN_STATS_BALLOON, &records,
                                            VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE |
                                                VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);

    job->failed = count < 0;
    for (int i = 0; i < count; i++)
        take_record(job, records[i]);
    virDomainStatsRecordListFree(records);
}

/* Figures from before a reset are those of a guest that is gone. */
static void apply(Source *source, Figures *figures)
{
    VM *vm = source_find_vm(source, figures->uuid);

    if (vm && vm_is_active(vm) && figures->observation->time > vm->run_since)
        guest_observe(vm->guest, g_steal_pointer(&figures->observation));
}

static void arm(Source *source, uint64_t wait);

/* A driver that has no such figures, or does not know the flags, is not asked again on this connection. */
static void balloon_done(SourceJob *base, Source *source)
{
    BalloonJob *job = (BalloonJob *)base;
    GHashTableIter iter;
    gpointer vm;

    if (!source)
        return;
    source->guests.balloons_running = false;
    source->guests.balloons_off = job->failed;
    for (guint i = 0; i < job->figures->len; i++)
        apply(source, &g_array_index(job->figures, Figures, i));
    g_hash_table_iter_init(&iter, source->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm))
        if (has_figures(vm)) {
            arm(source, period(source));
            return;
        }
}

static void balloon_free(SourceJob *base)
{
    BalloonJob *job = (BalloonJob *)base;

    for (guint i = 0; i < job->figures->len; i++)
        observation_free(g_array_index(job->figures, Figures, i).observation);
    g_array_unref(job->figures);
    g_free(job);
}

static const SourceJobKind balloon_kind = {balloon_work, balloon_done, balloon_free};

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Source *source = userdata;
    BalloonJob *job = g_new0(BalloonJob, 1);

    source->guests.balloons_timer = sd_event_source_disable_unref(source->guests.balloons_timer);
    source->guests.balloons_running = true;
    job->figures = g_array_new(false, false, sizeof(Figures));
    source_job_submit(source, source->control_lane, &job->job, &balloon_kind, false, NULL);
    return 0;
}

/* The next reading comes after this time, unless one comes sooner already. */
static void arm(Source *source, uint64_t wait)
{
    uint64_t now = 0, then = UINT64_MAX;

    if (source->guests.balloons_running || source->guests.balloons_off)
        return;
    (void)sd_event_now(source->manager->event, CLOCK_MONOTONIC, &now);
    if (source->guests.balloons_timer)
        (void)sd_event_source_get_time(source->guests.balloons_timer, &then);
    if (then <= now + wait)
        return;
    source->guests.balloons_timer = sd_event_source_disable_unref(source->guests.balloons_timer);
    if (sd_event_add_time_relative(source->manager->event, &source->guests.balloons_timer, CLOCK_MONOTONIC,
                                   wait, wait / 10, on_timer, source) < 0)
        log_error("No timer: memory figures are not read");
}

typedef struct PeriodJob {
    SourceJob job;
    char uuid[VIR_UUID_STRING_BUFLEN];
    int seconds;
    char *error;
} PeriodJob;

static void period_work(SourceJob *base)
{
    PeriodJob *job = (PeriodJob *)base;
    virDomainPtr domain = virDomainLookupByUUIDString(base->connection, job->uuid);

    if (!domain)
        return;
    if (virDomainSetMemoryStatsPeriod(domain, job->seconds, VIR_DOMAIN_AFFECT_LIVE) < 0)
        job->error = g_strdup(libvirt_error_text());
    virDomainFree(domain);
}

static void period_done(SourceJob *base, Source *source)
{
    const PeriodJob *job = (PeriodJob *)base;

    if (source && job->error)
        log_about(LOG_DEBUG, &(LogSubject){.source = source->config->label, .uuid = job->uuid},
                  "Its balloon takes no period: %s", job->error);
}

static void period_free(SourceJob *base)
{
    PeriodJob *job = (PeriodJob *)base;

    g_free(job->error);
    g_free(job);
}

static const SourceJobKind period_kind = {period_work, period_done, period_free};

/* Once in each run of the VM: whoever sets it back to 0 afterwards wants it so. */
static void set_period(VM *vm)
{
    unsigned seconds = vm->source->manager->config->service.memory_stats_period;
    PeriodJob *job;

    if (seconds == 0 || vm->stats_period_set || vm->details->stats_period > 0 ||
        vm->source->config->read_only)
        return;
    vm->stats_period_set = true;
    job = g_new0(PeriodJob, 1);
    g_strlcpy(job->uuid, vm->uuid, sizeof job->uuid);
    job->seconds = (int)seconds;
    source_job_submit(vm->source, vm->source->control_lane, &job->job, &period_kind, false, vm);
}

void guest_balloon_update(VM *vm)
{
    if (!vm_is_active(vm))
        vm->stats_period_set = false;
    if (!vm->source->connected || !has_figures(vm))
        return;
    set_period(vm);
    arm(vm->source, vm->guest->records[GUEST_ORIGIN_BALLOON] ? period(vm->source) : SOON_USEC);
}

void guest_balloon_refresh(VM *vm)
{
    if (vm->source->connected && has_figures(vm))
        arm(vm->source, 0);
}

void guest_balloons_drop(Source *source)
{
    source->guests.balloons_running = source->guests.balloons_off = false;
    source->guests.balloons_timer = sd_event_source_disable_unref(source->guests.balloons_timer);
}
