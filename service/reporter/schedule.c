/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/schedule.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "service/cleanup.h"
#include "service/reporter/backoff.h"
#include "service/reporter/sender.h"
#include "service/reporter/source.h"

#define TIMER_ACCURACY_USEC (10 * 1000)
#define TICK_ACCURACY_USEC (1 * USEC_PER_SECOND)

typedef struct Collector {
    Schedule *schedule;
    const Mapping *mapping;
    Source *source; /* NULL: cannot be used as configured */
    Sender *sender;
    sd_event_source *timer; /* the next collection because of a change or a failure; off when there is none */
    bool timer_armed;
    bool collecting;
    bool again; /* something changed while collecting */
    bool asked;
    unsigned failures;
    char *problem;
} Collector;

struct Schedule {
    sd_event *event;
    const Settings *settings;
    State *state;
    bool once;
    bool finished;
    const ScheduleObserver *observer;
    void *userdata;
    HttpEngine *engine;
    GPtrArray *senders;    /* of Sender */
    GPtrArray *collectors; /* of Collector */
    sd_event_source *tick;
    sd_event_source *ending;
};

static uint64_t interval_usec(const Schedule *schedule)
{
    return schedule->settings->interval * USEC_PER_SECOND;
}

static void collector_free(void *data)
{
    Collector *collector = data;

    source_free(collector->source);
    sd_event_source_disable_unref(collector->timer);
    g_free(collector->problem);
    g_free(collector);
}

static void collector_log(Collector *collector, int priority, const char *message)
{
    Schedule *schedule = collector->schedule;
    g_autofree char *text = g_strdup_printf("%s: %s", collector->mapping->name, message);

    schedule->observer->log(priority, text, schedule->userdata);
}

static int on_ending(sd_event_source *source, void *userdata)
{
    Schedule *schedule = userdata;
    bool all_well = schedule->settings->dropped == 0;

    schedule->ending = sd_event_source_disable_unref(schedule->ending);
    for (unsigned i = 0; i < schedule->collectors->len; i++)
        all_well = all_well && !((Collector *)schedule->collectors->pdata[i])->problem;
    for (unsigned i = 0; i < schedule->senders->len; i++)
        all_well = all_well && !sender_get_problem(schedule->senders->pdata[i]);
    schedule->observer->finished(all_well, schedule->userdata);
    return 0;
}

/* A single run is over when every source has answered and no sender has anything left to do. Told from the
 * loop, so that whoever ends the program there does not end it inside a sender. */
static void check_finished(Schedule *schedule)
{
    if (!schedule->once || schedule->finished)
        return;
    for (unsigned i = 0; i < schedule->collectors->len; i++)
        if (!((Collector *)schedule->collectors->pdata[i])->asked)
            return;
    for (unsigned i = 0; i < schedule->senders->len; i++)
        if (!sender_is_settled(schedule->senders->pdata[i]))
            return;
    schedule->finished = true;
    if (sd_event_add_defer(schedule->event, &schedule->ending, on_ending, schedule) < 0)
        g_error("out of memory"); /* as GLib does everywhere else */
}

static void on_sender_log(Sender *sender, int priority, const char *message, void *userdata)
{
    Schedule *schedule = userdata;

    schedule->observer->log(priority, message, schedule->userdata);
}

static void on_sender_sent(Sender *sender, const char *job, void *userdata)
{
    Schedule *schedule = userdata;
    const GPtrArray *mappings = sender_get_destination(sender)->mappings;

    for (unsigned i = 0; i < mappings->len; i++)
        schedule->observer->sent(mappings->pdata[i], job, schedule->userdata);
}

static void on_sender_failed(Sender *sender, const char *stage, const char *message, void *userdata)
{
    Schedule *schedule = userdata;
    const GPtrArray *mappings = sender_get_destination(sender)->mappings;

    for (unsigned i = 0; i < mappings->len; i++)
        schedule->observer->failed(mappings->pdata[i], stage, message, schedule->userdata);
}

static void on_sender_changed(Sender *sender, void *userdata)
{
    Schedule *schedule = userdata;
    const GPtrArray *mappings = sender_get_destination(sender)->mappings;

    for (unsigned i = 0; i < mappings->len; i++)
        schedule->observer->changed(mappings->pdata[i], schedule->userdata);
}

static void on_sender_settled(Sender *sender, void *userdata)
{
    check_finished(userdata);
}

static const SenderObserver sender_observer = {
    .log = on_sender_log,
    .sent = on_sender_sent,
    .failed = on_sender_failed,
    .changed = on_sender_changed,
    .settled = on_sender_settled,
};

static void arm_collector(Collector *collector, uint64_t usec)
{
    collector->timer_armed = true;
    sd_event_source_set_time_relative(collector->timer, usec);
    sd_event_source_set_enabled(collector->timer, SD_EVENT_ONESHOT);
}

static void disarm_collector(Collector *collector)
{
    collector->timer_armed = false;
    sd_event_source_set_enabled(collector->timer, SD_EVENT_OFF);
}

/* Once more soon where that may help: not when the configuration is wrong, and with a password that was
 * refused not before the next interval, because some hypervisors lock an account after a few tries. */
static void retry_later(Collector *collector, SourceError error)
{
    if (collector->schedule->once || error == SOURCE_ERROR_CONFIGURATION ||
        error == SOURCE_ERROR_AUTHENTICATION)
        return;
    arm_collector(collector, backoff_delay(++collector->failures, SCHEDULE_RETRY_USEC,
                                           interval_usec(collector->schedule)));
}

static void note_failure(Collector *collector, const SourceFailure *failure)
{
    Schedule *schedule = collector->schedule;

    g_free(collector->problem);
    collector->problem = g_strdup(failure->message);
    collector_log(collector, LOG_ERR, failure->message);
    retry_later(collector, failure->error);
    schedule->observer->failed(collector->mapping, "collect", failure->message, schedule->userdata);
}

static void note_association(Collector *collector, const Association *association)
{
    SourceRecord *record = state_get_source(collector->schedule->state, collector->mapping->name);
    g_autofree char *message = NULL;

    record->last_retrieve = (uint64_t)g_get_real_time();
    record->counted = association->kind == ASSOCIATION_HOSTS;
    record->hypervisors = record->counted ? association_count_hosts(association) : 0;
    record->guests = association_count_guests(association);
    g_clear_pointer(&collector->problem, g_free);
    collector->failures = 0;
    message = g_strdup_printf("%u hosts and %u guests collected", record->hypervisors, record->guests);
    collector_log(collector, LOG_DEBUG, message);
}

static void save_state(Schedule *schedule)
{
    g_autofree char *message = NULL;
    int r = state_save(schedule->state);

    if (r >= 0)
        return;
    message = g_strdup_printf("cannot write the state to %s: %s", schedule->state->directory, g_strerror(-r));
    schedule->observer->log(LOG_WARNING, message, schedule->userdata);
}

static void on_collected(Source *source, Association *association, const SourceFailure *failure,
                         void *userdata)
{
    Collector *collector = userdata;
    Schedule *schedule = collector->schedule;

    collector->collecting = false;
    collector->asked = true;
    if (association)
        note_association(collector, association);
    else
        note_failure(collector, failure);
    save_state(schedule);
    sender_take(collector->sender, collector->mapping->name, association);
    schedule->observer->changed(collector->mapping, schedule->userdata);
    if (collector->again) {
        collector->again = false;
        arm_collector(collector, SCHEDULE_DEBOUNCE_USEC);
    }
    check_finished(schedule);
}

static void fail_collector(Collector *collector, const SourceFailure *failure)
{
    collector->asked = true;
    note_failure(collector, failure);
    sender_take(collector->sender, collector->mapping->name, NULL);
    check_finished(collector->schedule);
}

static void collector_collect(Collector *collector)
{
    SourceFailure failure = {0};
    int r;

    if (!collector->source)
        return;
    if (collector->collecting) {
        collector->again = true;
        return;
    }
    disarm_collector(collector);
    sender_expect(collector->sender, collector->mapping->name);
    collector->collecting = true;
    r = source_collect(collector->source, 0, on_collected, collector);
    if (r < 0) {
        collector->collecting = false;
        source_failure_set(&failure, SOURCE_ERROR_UNREACHABLE, "cannot collect: %s", g_strerror(-r));
        fail_collector(collector, &failure);
    }
}

static int on_collector_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Collector *collector = userdata;

    collector->timer_armed = false;
    collector_collect(collector);
    return 0;
}

/* The first change starts the wait and the others join it: a storm of them does not put the report off for
 * ever. */
static void on_changed(Source *source, void *userdata)
{
    Collector *collector = userdata;
    uint64_t at = 0, now = 0;

    if (collector->collecting) {
        collector->again = true;
        return;
    }
    sd_event_now(collector->schedule->event, CLOCK_MONOTONIC, &now);
    if (collector->timer_armed && sd_event_source_get_time(collector->timer, &at) >= 0 &&
        at <= now + SCHEDULE_DEBOUNCE_USEC)
        return;
    arm_collector(collector, SCHEDULE_DEBOUNCE_USEC);
}

static int on_tick(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Schedule *schedule = userdata;

    sd_event_source_set_time_relative(timer, interval_usec(schedule));
    sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
    for (unsigned i = 0; i < schedule->collectors->len; i++)
        collector_collect(schedule->collectors->pdata[i]);
    for (unsigned i = 0; i < schedule->senders->len; i++)
        sender_tick(schedule->senders->pdata[i]);
    return 0;
}

static void add_collector(Schedule *schedule, const Mapping *mapping, Sender *sender)
{
    Collector *collector = g_new0(Collector, 1);

    collector->schedule = schedule;
    collector->mapping = mapping;
    collector->sender = sender;
    g_ptr_array_add(schedule->collectors, collector);
    if (sd_event_add_time(schedule->event, &collector->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC,
                          on_collector_timer, collector) < 0)
        g_error("out of memory"); /* as GLib does everywhere else */
    sd_event_source_set_enabled(collector->timer, SD_EVENT_OFF);
    sd_event_source_set_description(collector->timer, "collect");
}

static void add_destination(Schedule *schedule, const Destination *destination)
{
    SenderOptions options = {
        .destination = destination,
        .reporter_id = schedule->settings->reporter_id,
        .interval = schedule->settings->interval,
        .once = schedule->once,
        .state = schedule->state,
        .observer = &sender_observer,
        .userdata = schedule,
    };
    Sender *sender = sender_new(schedule->event, schedule->engine, &options);

    g_ptr_array_add(schedule->senders, sender);
    for (unsigned i = 0; i < destination->mappings->len; i++)
        add_collector(schedule, destination->mappings->pdata[i], sender);
}

int schedule_new(sd_event *event, const Settings *settings, State *state, bool once,
                 const ScheduleObserver *observer, void *userdata, Schedule **ret)
{
    g_autoptr(Schedule) schedule = g_new0(Schedule, 1);
    int r;

    schedule->event = sd_event_ref(event);
    schedule->settings = settings;
    schedule->state = state;
    schedule->once = once;
    schedule->observer = observer;
    schedule->userdata = userdata;
    schedule->collectors = g_ptr_array_new_with_free_func(collector_free);
    schedule->senders = g_ptr_array_new_with_free_func((GDestroyNotify)sender_free);
    r = http_engine_new(event, &schedule->engine);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(event, &schedule->tick, CLOCK_MONOTONIC, interval_usec(schedule),
                                   TICK_ACCURACY_USEC, on_tick, schedule);
    if (r < 0)
        return r;
    sd_event_source_set_description(schedule->tick, "interval");
    if (once)
        sd_event_source_set_enabled(schedule->tick, SD_EVENT_OFF);
    for (unsigned i = 0; i < settings->destinations->len; i++)
        add_destination(schedule, settings->destinations->pdata[i]);
    *ret = g_steal_pointer(&schedule);
    return 0;
}

void schedule_free(Schedule *schedule)
{
    if (!schedule)
        return;
    /* Sources first: they hand over to senders, which use the engine. */
    g_ptr_array_unref(schedule->collectors);
    g_ptr_array_unref(schedule->senders);
    http_engine_free(schedule->engine);
    sd_event_source_disable_unref(schedule->tick);
    sd_event_source_disable_unref(schedule->ending);
    sd_event_unref(schedule->event);
    g_free(schedule);
}

static void start_collector(Collector *collector)
{
    SourceFailure failure = {0};
    int r;

    r = source_new(collector->schedule->event, collector->mapping, &failure, &collector->source);
    if (r < 0) {
        if (!*failure.message)
            source_failure_set(&failure, SOURCE_ERROR_CONFIGURATION, "cannot be used: %s", g_strerror(-r));
        fail_collector(collector, &failure);
        return;
    }
    if (!collector->schedule->once)
        source_watch(collector->source, on_changed, collector); /* kinds that cannot are polled */
    collector_collect(collector);
}

void schedule_start(Schedule *schedule)
{
    for (unsigned i = 0; i < schedule->collectors->len; i++)
        start_collector(schedule->collectors->pdata[i]);
    for (unsigned i = 0; i < schedule->senders->len; i++) {
        sender_start(schedule->senders->pdata[i]);
        sender_tick(schedule->senders->pdata[i]);
    }
}

void schedule_report(Schedule *schedule, const Mapping *mapping, bool force)
{
    for (unsigned i = 0; i < schedule->collectors->len; i++) {
        Collector *collector = schedule->collectors->pdata[i];

        if (mapping && collector->mapping != mapping)
            continue;
        collector_collect(collector);
        if (force)
            sender_force(collector->sender);
    }
}

static const Collector *find_collector(const Schedule *schedule, const Mapping *mapping)
{
    for (unsigned i = 0; i < schedule->collectors->len; i++) {
        const Collector *collector = schedule->collectors->pdata[i];

        if (collector->mapping == mapping)
            return collector;
    }
    return NULL;
}

void schedule_get_status(Schedule *schedule, const Mapping *mapping, MappingStatus *ret)
{
    const SourceRecord *source = state_get_source(schedule->state, mapping->name);
    const DestinationRecord *destination = state_get_destination(schedule->state, mapping->destination->name);
    const Collector *collector = find_collector(schedule, mapping);

    *ret = (MappingStatus){
        .source_connection = collector && collector->source ? collector->source->connection : NULL,
        .source_asked = collector && collector->asked,
        .source_problem = collector ? collector->problem : NULL,
        .last_retrieve = source->last_retrieve,
        .counted = source->counted,
        .hypervisors = source->hypervisors,
        .guests = source->guests,
        .destination_connection = mapping->destination->hostname,
        .destination_asked = collector && sender_was_answered(collector->sender),
        .destination_problem = collector ? sender_get_problem(collector->sender) : NULL,
        .last_send = destination->last_send,
        .last_job_status = destination->job_status,
    };
}
