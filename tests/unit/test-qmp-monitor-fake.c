/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libvirt/libvirt-qemu.h>

#include "service/cleanup.h"
#include "service/qmp/monitor.h"

/* What comes in at libvirt's callback, without libvirt: these stand in the place of its functions. */

static virConnectDomainQemuMonitorEventCallback callback;
static void *callback_userdata;
static virFreeCallback callback_free;
static const char *type = "QEMU";

const char *virConnectGetType(virConnectPtr connection)
{
    return type;
}

int virDomainGetUUIDString(virDomainPtr domain, char *uuid)
{
    g_strlcpy(uuid, "c7a5fdbd-edaf-9455-926a-d65c16db1809", VIR_UUID_STRING_BUFLEN);
    return 0;
}

int virConnectDomainQemuMonitorEventRegister(virConnectPtr connection, virDomainPtr domain, const char *event,
                                             virConnectDomainQemuMonitorEventCallback function,
                                             void *userdata, virFreeCallback release, unsigned int flags)
{
    callback = function;
    callback_userdata = userdata;
    callback_free = release;
    return 7;
}

/* A source's link to the loop. The source is gone, so that what is delivered ends there. */
static SourceLink *link_new(sd_event *event)
{
    SourceLink *link = g_new0(SourceLink, 1);

    atomic_init(&link->references, 1);
    assert_true(inbox_new(event, &link->inbox) >= 0);
    return link;
}

static void send_events(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        callback(NULL, NULL, "STOP", 1, 2, "{}", callback_userdata);
}

static void add_lost(const char *uuid, uint64_t lost, void *userdata)
{
    *(uint64_t *)userdata += lost;
}

static uint64_t collect_lost(QMPGate *gate)
{
    uint64_t lost = 0;

    qmp_gate_collect(gate, add_lost, &lost);
    return lost;
}

static unsigned delivered;

static void note_delivery(InboxItem *item)
{
    delivered++;
}

static void keep(InboxItem *item)
{
}

static void run_loop(sd_event *event)
{
    while (sd_event_run(event, 0) > 0)
        ;
}

static void test_flood_leaves_room_in_the_inbox(void **state)
{
    const QMPRate unlimited = {QMP_RATE_MAX, QMP_BURST_MAX};
    InboxItem other = {.run = note_delivery, .free = keep};
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    SourceLink *link;
    QMPGate *gate;

    assert_true(sd_event_new(&event) >= 0);
    link = link_new(event);
    assert_int_equal(qmp_gate_new(&unlimited, &gate), 0);
    assert_int_equal(qmp_monitor_register(NULL, link, 1, gate), 7);

    send_events(INBOX_EVENTS_MAX);
    assert_int_equal(collect_lost(gate), INBOX_EVENTS_MAX / 2);
    assert_true(inbox_post_event(link->inbox, &other));

    /* What was taken out makes room for as many again. */
    run_loop(event);
    assert_int_equal(delivered, 1);
    send_events(INBOX_EVENTS_MAX / 2);
    assert_int_equal(collect_lost(gate), 0);

    inbox_close(link->inbox);
    callback_free(callback_userdata);
    qmp_gate_unref(gate);
    source_link_unref(link);
}

static void test_other_drivers_are_not_asked(void **state)
{
    type = "LXC";
    assert_int_equal(qmp_monitor_register(NULL, NULL, 1, NULL), -1);
    type = NULL;
    assert_int_equal(qmp_monitor_register(NULL, NULL, 1, NULL), -1);
    type = "QEMU";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_leaves_room_in_the_inbox),
        cmocka_unit_test(test_other_drivers_are_not_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
