/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/qmp-dbus.h"

#include <glib.h>

#include "dbus/object.h"
#include "dbus/qmp-message.h"
#include "service/cleanup.h"
#include "service/log.h"
#include "service/qmp/feed.h"

static int get_dropped(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    const VM *vm = userdata;

    return sd_bus_message_append(reply, "t", vm->qmp.dropped);
}

/* What every event has in common; the typed signals come from the rows of service/qmp/table.c. */
static const sd_bus_vtable head[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Dropped", "t", get_dropped, 0, 0),
    SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("s", name, "t", timestamp, "a{sv}", data), 0),
};
static const sd_bus_vtable tail = SD_BUS_VTABLE_END;

/* The names of a signal's arguments, as sd-bus wants them: one after the other, each with its terminator. */
static char *argument_names(const QMPSignal *signal)
{
    GString *names = g_string_new("timestamp");

    for (size_t i = 0; i < qmp_signal_count_fields(signal); i++) {
        g_string_append_c(names, '\0');
        g_string_append(names, signal->fields[i].argument);
    }
    /* The terminator that GString adds by itself is that of the last name; this is the end of the list. */
    g_string_append_c(names, '\0');
    return g_string_free(names, FALSE);
}

static sd_bus_vtable row_entry(const QMPSignal *row)
{
    g_autofree char *signature = g_strconcat("t", row->signature, NULL);
    /* The vtable lives as long as the process does, and so do its strings. */
    const char *names = argument_names(row), *types = g_intern_string(signature);

    return (sd_bus_vtable)SD_BUS_SIGNAL_WITH_NAMES(row->signal, types, names, 0);
}

static const sd_bus_vtable *make_vtable(void)
{
    static sd_bus_vtable *vtable;
    size_t rows, count = G_N_ELEMENTS(head);
    const QMPSignal *table = qmp_table(&rows);

    if (vtable)
        return vtable;
    vtable = g_new0(sd_bus_vtable, count + rows + 1);
    memcpy(vtable, head, sizeof head);
    for (size_t i = 0; i < rows; i++)
        vtable[count++] = row_entry(&table[i]);
    vtable[count] = tail;
    return vtable;
}

static int emit_event(sd_bus *bus, const char *path, const QMPEvent *event)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    int r = qmp_message_new_event(bus, path, event, &message);

    return r < 0 ? r : sd_bus_send(bus, message, NULL);
}

static int emit_typed(sd_bus *bus, const char *path, const QMPEvent *event)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    const QMPSignal *row = qmp_table_find(event->name);
    int r;

    if (!row || !qmp_signal_fits(row, event->details))
        return 0;
    r = qmp_message_new_typed(bus, path, row, event, &message);
    return r < 0 ? r : sd_bus_send(bus, message, NULL);
}

/* Only where there can be events: the interface on an object says that they come. */
static int find_vm(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret_found,
                   sd_bus_error *error)
{
    int r = object_find_vm(b, path, interface, userdata, ret_found, error);

    return r > 0 && !((VM *)*ret_found)->source->has_qmp ? 0 : r;
}

int qmp_dbus_export(Bus *bus)
{
    return sd_bus_add_fallback_vtable(bus->bus, NULL, BUS_VM_PREFIX, QMP_INTERFACE, make_vtable(), find_vm,
                                      bus);
}

void qmp_dbus_event(Bus *bus, VM *vm, const QMPEvent *event)
{
    const char *path = vm_face(vm)->path;
    int r;

    if (!bus->manager->announced)
        return;
    r = emit_event(bus->bus, path, event);
    if (r >= 0)
        r = emit_typed(bus->bus, path, event);
    if (r >= 0)
        return;
    /* The bus takes no more at the moment. Who listens learns of it from the number. */
    log_debug("A signal for a QMP event can't be sent: %s", g_strerror(-r));
    qmp_feed_lose(vm->source->qmp, vm);
}
