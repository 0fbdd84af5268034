/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "dbus/qmp-message.h"
#include "service/cleanup.h"
#include "tests/unit/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Containers inside each other that dbus-daemon accepts in one message. */
#define NESTING_MAX 64

/* The promise that is tested: whatever passes qmp_event_new() goes into a message that the bus takes. */
static void make_messages(sd_bus *bus, const QMPEvent *event)
{
    const QMPSignal *signal = qmp_table_find(event->name);
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *generic = NULL, *typed = NULL;
    g_autofree char *text = NULL;
    unsigned int nesting;

    if (qmp_message_new_event(bus, "/vm", event, &generic) < 0)
        abort();
    text = message_to_text(generic, &nesting);
    if (nesting > NESTING_MAX)
        abort();
    if (!signal || !qmp_signal_fits(signal, event->details))
        return;
    if (qmp_message_new_typed(bus, "/vm", signal, event, &typed) < 0 || sd_bus_message_seal(typed, 1, 0) < 0)
        abort();
}

/* The first line is the event's name, the rest its details; without a second line there are none. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sd_bus *bus;
    g_autofree char *name = g_strndup((const char *)data, size);
    char *details = strchr(name, '\n');
    _cleanup_(qmp_event_freep) QMPEvent *event = NULL;

    if (!bus)
        bus = message_bus_new();
    if (details)
        *details++ = '\0';
    if (qmp_event_new(name, size, details, &event) >= 0)
        make_messages(bus, event);
    return 0;
}
