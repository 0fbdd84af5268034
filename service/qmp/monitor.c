/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/monitor.h"

#include "service/qmp/details.h"
#include "service/qmp/event.h"
#include "service/qmp/feed.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

/* What the registration carries; libvirt frees it when it lets the callback go. */
typedef struct Monitor {
    SourceLink *link;
    QMPGate *gate;
    unsigned generation;
} Monitor;

/* One event on its way from libvirt's thread to the loop. */
typedef struct Arrival {
    InboxItem item;
    SourceLink *link;
    unsigned generation;
    char uuid[VIR_UUID_STRING_BUFLEN];
    uint64_t timestamp;
    char *name, *details;
} Arrival;

static void arrival_run(InboxItem *item)
{
    Arrival *arrival = (Arrival *)item;
    Source *source = arrival->link->source;
    VM *vm;

    if (!source || !source->connected || source->generation != arrival->generation)
        return;
    vm = source_find_vm(source, arrival->uuid);
    /* An event of a VM that nobody can know yet has no object to come from. */
    if (vm)
        qmp_feed_take(source->qmp, vm, arrival->name, arrival->timestamp, arrival->details);
}

static void arrival_free(InboxItem *item)
{
    Arrival *arrival = (Arrival *)item;

    source_link_unref(arrival->link);
    g_free(arrival->name);
    g_free(arrival->details);
    g_free(arrival);
}

/* Of what is too long only so much is copied that the loop sees that it is. */
static char *copy_text(const char *text, size_t max)
{
    return text ? g_strndup(text, strnlen(text, max + 1)) : NULL;
}

/* Runs in libvirt's thread: copies, posts, never waits. */
static void on_event(virConnectPtr connection, virDomainPtr domain, const char *name, long long seconds,
                     unsigned int micros, const char *details, void *userdata)
{
    Monitor *monitor = userdata;
    uint64_t now = (uint64_t)g_get_monotonic_time();
    char uuid[VIR_UUID_STRING_BUFLEN];
    Arrival *arrival;

    if (virDomainGetUUIDString(domain, uuid) < 0 || !qmp_gate_admit(monitor->gate, uuid, now))
        return;
    arrival = g_new0(Arrival, 1);
    arrival->item.run = arrival_run;
    arrival->item.free = arrival_free;
    arrival->link = source_link_ref(monitor->link);
    arrival->generation = monitor->generation;
    memcpy(arrival->uuid, uuid, sizeof uuid);
    arrival->timestamp = qmp_event_time(seconds, micros, (uint64_t)g_get_real_time());
    arrival->name = copy_text(name, QMP_NAME_SIZE_MAX);
    arrival->details = copy_text(details, QMP_DETAILS_SIZE_MAX);
    if (inbox_post_event(monitor->link->inbox, &arrival->item))
        return;
    qmp_gate_lose(monitor->gate, uuid, now);
    arrival_free(&arrival->item);
}

static void monitor_free(void *userdata)
{
    Monitor *monitor = userdata;

    source_link_unref(monitor->link);
    qmp_gate_unref(monitor->gate);
    g_free(monitor);
}

int qmp_monitor_register(virConnectPtr connection, SourceLink *link, unsigned generation, QMPGate *gate)
{
    Monitor *monitor = g_new0(Monitor, 1);
    int callback;

    monitor->link = source_link_ref(link);
    monitor->gate = qmp_gate_ref(gate);
    monitor->generation = generation;
    callback =
        virConnectDomainQemuMonitorEventRegister(connection, NULL, NULL, on_event, monitor, monitor_free, 0);
    if (callback < 0)
        monitor_free(monitor);
    return callback;
}
