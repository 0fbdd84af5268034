/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/monitor.h"

#include "service/qmp/arrival.h"
#include "service/qmp/feed.h"

#include <libvirt/libvirt-qemu.h>
#include <stdatomic.h>
#include <string.h>

/* QMP events in the inbox, of all sources. They take half of it at most: however many VMs storm at once,
 * there is room for what changes the model. */
#define WAITING_MAX (INBOX_EVENTS_MAX / 2)
static atomic_uint waiting;

/* What the registration carries; libvirt frees it when it lets the callback go. */
typedef struct Monitor {
    SourceLink *link;
    QMPGate *gate;
    unsigned generation;
} Monitor;

/* One event on its way from libvirt's thread to the loop. */
typedef struct Delivery {
    InboxItem item;
    SourceLink *link;
    unsigned generation;
    QMPArrival *arrival;
} Delivery;

static void delivery_run(InboxItem *item)
{
    Delivery *delivery = (Delivery *)item;
    Source *source = delivery->link->source;

    if (source && source->connected && source->generation == delivery->generation)
        qmp_feed_take(source->qmp, g_steal_pointer(&delivery->arrival));
}

static void delivery_free(InboxItem *item)
{
    Delivery *delivery = (Delivery *)item;

    atomic_fetch_sub(&waiting, 1);
    source_link_unref(delivery->link);
    qmp_arrival_free(delivery->arrival);
    g_free(delivery);
}

/* Runs in libvirt's thread: copies, posts, never waits. */
static void on_event(virConnectPtr connection, virDomainPtr domain, const char *name, long long seconds,
                     unsigned int micros, const char *details, void *userdata)
{
    Monitor *monitor = userdata;
    uint64_t now = (uint64_t)g_get_monotonic_time();
    char uuid[VIR_UUID_STRING_BUFLEN];
    Delivery *delivery;

    if (virDomainGetUUIDString(domain, uuid) < 0 || !qmp_gate_admit(monitor->gate, uuid, now))
        return;
    delivery = g_new0(Delivery, 1);
    delivery->item.run = delivery_run;
    delivery->item.free = delivery_free;
    delivery->link = source_link_ref(monitor->link);
    delivery->generation = monitor->generation;
    delivery->arrival = qmp_arrival_new(uuid, name, seconds, micros, details);
    if (atomic_fetch_add(&waiting, 1) < WAITING_MAX &&
        inbox_post_event(monitor->link->inbox, &delivery->item))
        return;
    qmp_gate_lose(monitor->gate, uuid, now);
    delivery_free(&delivery->item);
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
    const char *type = virConnectGetType(connection);
    Monitor *monitor;
    int callback;

    /* libvirt's client loses what it allocated when the other side refuses, once for each reconnection. */
    if (!type || strcmp(type, "QEMU") != 0)
        return -1;
    monitor = g_new0(Monitor, 1);
    monitor->link = source_link_ref(link);
    monitor->gate = qmp_gate_ref(gate);
    monitor->generation = generation;
    callback =
        virConnectDomainQemuMonitorEventRegister(connection, NULL, NULL, on_event, monitor, monitor_free, 0);
    if (callback < 0)
        monitor_free(monitor);
    return callback;
}
