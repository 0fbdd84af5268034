/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/feed.h"

#include "service/cleanup.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/qmp/details.h"
#include "service/qmp/event.h"

#include <string.h>
#include <sys/epoll.h>

/* How often a storm is looked at, in µs; it is what `Dropped` lags behind at most. No timer runs without one.
 */
#define STORM_TICK 250000

/* Events that wait for their VM to become known: at most so many of one source, and so long, in µs. After
 * that time it is the end of a VM that is gone which they tell of. */
#define EARLY_MAX 256
#define EARLY_AGE_MAX (5 * 1000000)

struct QMPFeed {
    Source *source;
    QMPGate *gate;
    GHashTable *stormy; /* UUIDs of the VMs with a loss that no notice has told yet */
    GQueue *early;      /* QMPArrival: of VMs that are not known yet */
    sd_event_source *losses, *timer;
};

static uint64_t monotonic_now(void)
{
    return (uint64_t)g_get_monotonic_time();
}

static void collect_loss(const char *uuid, uint64_t lost, void *userdata)
{
    QMPFeed *feed = userdata;
    VM *vm = source_find_vm(feed->source, uuid);

    if (!vm)
        return;
    qmp_stream_lose(&vm->qmp, lost, monotonic_now());
    g_hash_table_add(feed->stormy, g_strdup(uuid));
}

/* Tells of the storms that are over. */
static void send_notices(QMPFeed *feed)
{
    GHashTableIter iter;
    gpointer uuid;

    g_hash_table_iter_init(&iter, feed->stormy);
    while (g_hash_table_iter_next(&iter, &uuid, NULL)) {
        VM *vm = source_find_vm(feed->source, uuid);
        _cleanup_(qmp_event_freep) QMPEvent *notice = NULL;

        if (vm)
            notice = qmp_stream_take_notice(&vm->qmp, monotonic_now(), manager_now());
        if (notice)
            manager_qmp_event(feed->source->manager, vm, notice);
        if (!vm || notice)
            g_hash_table_iter_remove(&iter);
    }
}

static void rearm(QMPFeed *feed)
{
    if (sd_event_source_set_time_relative(feed->timer, STORM_TICK) < 0 ||
        sd_event_source_set_enabled(feed->timer, SD_EVENT_ONESHOT) < 0)
        log_warning("The timer for storms of QMP events can't be set");
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    QMPFeed *feed = userdata;
    unsigned int losers = qmp_gate_collect(feed->gate, collect_loss, feed);

    send_notices(feed);
    /* After an empty collection the gate's descriptor tells of the next loss, so the timer may rest. */
    if (losers > 0 || g_hash_table_size(feed->stormy) > 0)
        rearm(feed);
    return 0;
}

static int on_losses(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    QMPFeed *feed = userdata;

    (void)qmp_gate_collect(feed->gate, collect_loss, feed);
    rearm(feed);
    return 0;
}

static QMPRate configured_rate(const Source *source)
{
    const ServiceConfig *config = &source->manager->config->service;

    return (QMPRate){.per_second = config->qmp_event_rate, .burst = config->qmp_event_burst};
}

QMPFeed *qmp_feed_new(Source *source)
{
    sd_event *event = source->manager->event;
    QMPFeed *feed = g_new0(QMPFeed, 1);
    QMPRate rate = configured_rate(source);
    int r;

    feed->source = source;
    feed->early = g_queue_new();
    feed->stormy = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    r = qmp_gate_new(&rate, &feed->gate);
    if (r >= 0)
        r = sd_event_add_io(event, &feed->losses, qmp_gate_fd(feed->gate), EPOLLIN, on_losses, feed);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &feed->timer, CLOCK_MONOTONIC, 0, 0, on_tick, feed);
    if (r >= 0)
        r = sd_event_source_set_enabled(feed->timer, SD_EVENT_OFF);
    if (r >= 0)
        return feed;
    log_about(LOG_WARNING, &(LogSubject){.source = source->config->label}, "No QMP events: %s",
              g_strerror(-r));
    return qmp_feed_free(feed);
}

QMPFeed *qmp_feed_free(QMPFeed *feed)
{
    if (!feed)
        return NULL;
    sd_event_source_disable_unref(feed->timer);
    sd_event_source_disable_unref(feed->losses);
    qmp_gate_unref(feed->gate);
    g_hash_table_unref(feed->stormy);
    while (!g_queue_is_empty(feed->early))
        qmp_arrival_free(g_queue_pop_head(feed->early));
    g_queue_free(feed->early);
    g_free(feed);
    return NULL;
}

void qmp_feed_apply_rate(QMPFeed *feed)
{
    QMPRate rate;

    if (!feed)
        return;
    rate = configured_rate(feed->source);
    qmp_gate_set_rate(feed->gate, &rate);
}

QMPGate *qmp_feed_gate(const QMPFeed *feed)
{
    return feed->gate;
}

static void complain(VM *vm, int error)
{
    const LogSubject subject = {.source = vm->source->config->label, .vm = vm->name, .uuid = vm->uuid};

    if (!qmp_stream_may_complain(&vm->qmp))
        return;
    /* The event's own text stays out of the log: it is somebody else's, and may be hostile. */
    log_about(LOG_WARNING, &subject, "A QMP event is not sent, %s; further ones of this VM are only counted",
              qmp_details_error(error));
}

/* Some events are ahead of what libvirt tells of the same thing. */
static void update_model(VM *vm, const QMPEvent *event)
{
    struct json_object *actual = NULL;

    if (strcmp(event->name, "GUEST_PANICKED") == 0) {
        vm_set_reason(vm, "panicked");
    } else if (strcmp(event->name, "BALLOON_CHANGE") == 0) {
        json_object_object_get_ex(event->details, "actual", &actual);
        if (json_object_is_type(actual, json_type_int) && json_object_get_int64(actual) > 0)
            vm_set_memory_actual(vm, (uint64_t)json_object_get_int64(actual));
    }
}

static void handle(QMPFeed *feed, VM *vm, const QMPArrival *arrival)
{
    _cleanup_(qmp_event_freep) QMPEvent *event = NULL;
    int r = qmp_event_new(arrival->name, arrival->timestamp, arrival->details, &event);

    if (r < 0) {
        complain(vm, r);
        qmp_feed_lose(feed, vm);
        return;
    }
    update_model(vm, event);
    manager_qmp_event(feed->source->manager, vm, event);
}

/* A VM without a definition sends its first events before libvirt tells that it is there. */
static void hold(QMPFeed *feed, QMPArrival *arrival)
{
    if (feed->early->length == EARLY_MAX)
        qmp_arrival_free(g_queue_pop_head(feed->early));
    g_queue_push_tail(feed->early, arrival);
}

void qmp_feed_take(QMPFeed *feed, QMPArrival *arrival)
{
    VM *vm = source_find_vm(feed->source, arrival->uuid);

    if (!vm) {
        hold(feed, arrival);
        return;
    }
    handle(feed, vm, arrival);
    qmp_arrival_free(arrival);
}

void qmp_feed_welcome(QMPFeed *feed, VM *vm)
{
    GList *next;

    for (GList *link = feed ? feed->early->head : NULL; link; link = next) {
        QMPArrival *arrival = link->data;

        next = link->next;
        if (!g_str_equal(arrival->uuid, vm->uuid))
            continue;
        g_queue_delete_link(feed->early, link);
        if (monotonic_now() < arrival->received + EARLY_AGE_MAX)
            handle(feed, vm, arrival);
        qmp_arrival_free(arrival);
    }
}

void qmp_feed_lose(QMPFeed *feed, const VM *vm)
{
    qmp_gate_lose(feed->gate, vm->uuid, monotonic_now());
}
